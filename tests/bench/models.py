#!/usr/bin/env python3
"""Figures of compiled SmolLM2, printed, not judged:  cd BUILD && python3 SOURCE/tests/bench/models.py

Compile time and memory of mdlc, size of the library, time to open, tokens a second of decode and prefill, for each
precision. The build folder has SmolLM2 made (make smollm2) with its GGUF file beside it."""
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODEL = os.path.join(SOURCE, "examples/smollm2/smollm2.mdl")
GGUF = "examples/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
RUNS = 5
PREFILL = 512  # tokens


def compile_model(precision, folder):
    """Compiles into a folder; returns seconds and peak MB."""
    library = os.path.join(folder, "libsmollm2.so")
    begun = time.monotonic()
    child = subprocess.Popen(["./mdlc", "--weights=" + GGUF, "--precision=" + precision, "-o", library, MODEL])
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit("mdlc failed")
    return time.monotonic() - begun, usage.ru_maxrss / 1024


def generate(folder, arguments):
    """Standard error of one run of generate with the folder's library."""
    command = ["examples/smollm2/generate", "--greedy", "--print-ids", "--stats", *arguments]
    environment = dict(os.environ, LD_LIBRARY_PATH=folder)
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stderr


def rate(folder, what, arguments):
    """Median tokens a second that a line of --stats says."""
    rates = [float(re.search(what + r".*, ([0-9.]+) a second", generate(folder, arguments))[1]) for _ in range(RUNS)]
    return statistics.median(rates)


def open_milliseconds(folder):
    """Median time that opening takes."""
    times = [float(re.search(r"opened in ([0-9.]+) ms", generate(folder, ["--ids=1", "--tokens=1"]))[1]) for _ in range(RUNS)]
    return statistics.median(times)


def main():
    prompt = "--ids=" + ",".join(str(100 + i % 1000) for i in range(PREFILL))
    print(f"{'':9} {'compile':>9} {'memory':>8} {'library':>8} {'open':>8} {'decode':>12} {'prefill':>12}")
    for precision in "f32", "bf16", "int8":
        with tempfile.TemporaryDirectory() as folder:
            seconds, memory = compile_model(precision, folder)
            size = os.path.getsize(os.path.join(folder, "libsmollm2.so")) / 1024
            decode = rate(folder, "generated", ["--ids=504", "--tokens=64"])
            prefill = rate(folder, "prompt", [prompt, "--tokens=1"])
            print(f"{precision:9} {seconds:7.2f} s {memory:5.0f} MB {size:5.0f} KB {open_milliseconds(folder):5.1f} ms"
                  f" {decode:8.1f} t/s {prefill:8.1f} t/s")


if __name__ == "__main__":
    main()
