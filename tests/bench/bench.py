#!/usr/bin/env python3
"""Measure compiled models beside the peers, alternately in one run, and print ratios with their spread.

    make bench PEERS=DIR MDL_CACHE=DIR        PEERS: made by tests/bench/setup.sh; MDL_CACHE: holds the weights

Each row is measured in rounds, ours then the peer's, so that both see the same machine; a row's figures are the medians of its
rounds, its ratio the median of the rounds' ratios, with the smallest and the largest beside it. Writes RESULTS.md."""
import argparse, datetime, json, os, platform, statistics, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit status {done.returncode}\n{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def compile_model(o, source, precision, folder):
    library = os.path.join(folder, f"lib{precision}.so")
    subprocess.run([os.path.join(o.build, "mdlc"), source, "-o", library, f"--precision={precision}",
                    f"--weights={os.path.dirname(o.gguf)}"], check=True)
    return library


def by_work(lines):
    """{"pp": tokens/s, "tg": tokens/s} of either program's output."""
    return {line["work"].split()[-1][:2]: line["value"] for line in lines}


def measure(o, row, library):
    ours, theirs = [], []
    sizes = [f"--pp={row['pp']}", f"--tg={row['tg']}", f"--depth={row['depth']}"]
    peer_sizes = ["--pp", str(row["pp"]), "--tg", str(row["tg"]), "--depth", str(row["depth"])]
    for _ in range(o.rounds):
        ours.append(by_work(run([os.path.join(o.build, "tests/bench/bench-llm"), library, *sizes, f"--threads={o.threads}"])))
        theirs.append(by_work(run([os.path.join(o.peers, "run"), os.path.join(HERE, "peers.py"), "llm", "--gguf", o.gguf,
                                   "--threads", str(o.threads), *peer_sizes])))
    return [(key, [a[key] for a in ours], [b[key] for b in theirs]) for key in ours[0]]


def table_row(row, key, ours, theirs):
    ratios = sorted(a / b for a, b in zip(ours, theirs))
    work = f"prefill {row['pp']}" if key == "pp" else f"decode {row['tg']} at depth {row['depth']}"
    return (f"| SmolLM2-135M Q4_1, {work} | {row['precision']} | {statistics.median(ours):.0f} | llama.cpp "
            f"| {statistics.median(theirs):.0f} | **{statistics.median(ratios):.2f}** ({ratios[0]:.2f} to {ratios[-1]:.2f}) |")


ROWS = [dict(precision="int8", pp=512, tg=128, depth=0), dict(precision="int8", pp=0, tg=128, depth=1024),
        dict(precision="f32", pp=512, tg=128, depth=0)]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", required=True)
    p.add_argument("--peers", required=True)
    p.add_argument("--gguf", required=True)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--out")
    o = p.parse_args()
    source = os.path.join(HERE, "../../examples/smollm2/smollm2.mdl")
    lines = ["| work | precision | ours, tokens/s | peer | tokens/s | ratio (spread) |", "|---|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        libraries = {name: compile_model(o, source, name, folder) for name in {row["precision"] for row in ROWS}}
        for row in ROWS:
            for key, ours, theirs in measure(o, row, libraries[row["precision"]]):
                lines.append(table_row(row, key, ours, theirs))
                print(lines[-1], flush=True)
    if o.out:
        with open(o.out + ".tmp", "w") as f:
            f.write(f"# Measured beside the peers\n\n{datetime.date.today()}, {cpu_name()}, {o.threads} threads, "
                    f"{o.rounds} rounds; `make bench` makes this page.\n\n" + "\n".join(lines) + "\n")
        os.rename(o.out + ".tmp", o.out)


def cpu_name():
    with open("/proc/cpuinfo") as f:
        names = [line.split(":")[1].strip() for line in f if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    main()
