"""RESULTS.md and the README's short form, from the raw results of the last runs on each kind of CPU (runs/CPU/*.json)."""
import glob, json, os

from rows import MOST, PROGRAMS, RATIOS, SHORT

RUNS = 3


def load(folder):
    """The last runs of each CPU, oldest first; the CPU that was measured last comes first. Files of older runs are removed."""
    found = []
    for kind in os.listdir(folder):
        paths = sorted(glob.glob(os.path.join(folder, kind, "*.json")))
        for path in paths[:-RUNS]:
            os.remove(path)
        runs = []
        for path in paths[-RUNS:]:
            with open(path, encoding="utf-8") as f:
                runs.append(json.load(f))
        if runs:
            found.append((kind, runs))
    return sorted(found, key=lambda of_kind: of_kind[1][-1]["date"], reverse=True)


def write(path, text):
    with open(path + ".tmp", "w", encoding="utf-8") as f:
        f.write(text)
    os.replace(path + ".tmp", path)


def mark(row):
    return "" if row["holds"] is None else " ✓" if row["holds"] else " ✗"


def ratio(row):
    """The ratio with its spread, or the figure that stands alone."""
    if row.get("ratio"):
        middle, least, largest = row["ratio"]
        return f"**{middle:.2f}** ({least:.2f} to {largest:.2f}){mark(row)}"
    return f"{row['ours']:.4g}{mark(row)}"


def bound(row):
    return "" if row["bound"] is None else f"≥ {row['bound']:g} ×" if row.get("ratio") else f"≤ {row['bound']:g}"


def share(row, limits=None):
    """The share of the limit, as it is known by now: rows are measured before the limits' last measurement."""
    if not row.get("share"):
        return ""
    known = (limits or {}).get(row["limit"], {}).get("value", row["share_of"])
    return f"{100 * row['share'] * row['share_of'] / known:.0f} % of {row['limit']}"


def line(row, limits=None):
    peer = f"{row['theirs']:.4g} | {row['peer']}" if row.get("ratio") else " | "
    return f"| {row['work']} | {row['ours']:.4g} {row['unit']} | {share(row, limits)} | {peer} | {ratio(row)} | {bound(row)} |"


HEAD = "| work | ours | share of the limit | peer's | peer | ours ÷ peer's (spread) | to reach |\n|---|---|---|---|---|---|---|\n"


def names():
    return [row[0] for row in (*RATIOS, *MOST, *PROGRAMS)]


INTRODUCTION = ("# Measured beside the peers\n\nRounds of ours, then theirs; `make bench` makes this page, a part for each kind of CPU that it was run on. Medians of "
                "the rounds; ratios above 1: ours is faster (or, with `≤`: the figure alone).\n")


def part(kind, runs):
    last = runs[-1]
    text = (f"\n# {kind}\n\n{last['machine']}, {last['threads']} threads, {last['rounds']} rounds, {last['date']}{', with measured schedules' if last.get('schedules') else ''}.\n\n"
            "| limit of this machine | " + " | ".join(f"run {i + 1}" for i in range(len(runs))) + " |\n|---|" + "---|" * len(runs) + "\n")
    for name in last["limits"]:
        unit = last["limits"][name]["unit"]
        text += f"| {name} | " + " | ".join(f"{r['limits'][name]['value']:.4g} {unit}" if name in r["limits"] else "" for r in runs) + " |\n"
    text += f"\n## {kind}: the last run\n\n{HEAD}"
    text += "".join(line(last["rows"][name], last["limits"]) + "\n" for name in names() if name in last["rows"])
    text += f"\n## {kind}: run by run\n\n| work | " + " | ".join(f"{i + 1}: {r['date']}" for i, r in enumerate(runs)) + " | to reach |\n|---|" + "---|" * (
        len(runs) + 1) + "\n"
    for name in names():
        found = [r["rows"].get(name) for r in runs]
        if any(found):
            some = next(row for row in reversed(found) if row)
            text += f"| {some['work']} | " + " | ".join(ratio(row) if row else "" for row in found) + f" | {bound(some)} |\n"
    return text


def short(found):
    """Ratios only, a column a CPU."""
    lasts = [runs[-1] for _, runs in found]
    text = "| ours ÷ theirs (above 1: ours is faster) | " + " | ".join(kind for kind, _ in found) + " |\n|---|" + "---|" * len(found) + "\n"
    for name in SHORT:
        rows = [run["rows"].get(name) for run in lasts]
        if any(rows):
            some = next(row for row in rows if row)
            text += f"| {some['work']}: {some['peer']} | " + " | ".join(f"{row['ratio'][0]:.2f}" if row else "" for row in rows) + " |\n"
    dates = "; ".join(f"{kind}: {run['machine']}, {run['threads']} threads, {run['date']}" for (kind, _), run in zip(found, lasts))
    return f"{text}\n{dates}. Figures, spreads, shares of the machines' limits, every row: `tests/bench/RESULTS.md`.\n"


def between_marks(path, begin, end, text):
    with open(path, encoding="utf-8") as f:
        before, _, rest = f.read().partition(begin + "\n")
    _, found, after = rest.partition(end)
    if not found:
        raise SystemExit(f"{path}: no text between {begin} and {end}")
    write(path, before + begin + "\n" + text + end + after)


def report(folder, root):
    found = load(folder)
    if not found:
        raise SystemExit(f"{folder}: no results of a run")
    write(os.path.join(root, "tests/bench/RESULTS.md"), INTRODUCTION + "".join(part(kind, runs) for kind, runs in found))
    between_marks(os.path.join(root, "README.md"), "<!-- speed -->", "<!-- end of speed -->", short(found))
