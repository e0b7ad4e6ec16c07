#!/usr/bin/env python3
"""What compiling the example models takes, printed, not judged:  cd BUILD && python3 SOURCE/tests/bench/models.py

A Markdown table: time and peak memory of mdlc, size of the library and of its weights, time to open. The build folder
has the models made (make mlp smollm2 minilm). Tokens a second are bench.py's."""
import ctypes
import datetime
import os
import statistics
import subprocess
import sys
import tempfile
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RUNS = 5
SMOLLM2 = "SmolLM2-135M-Instruct.Q4_1.gguf"
MODELS = [  # name, weights beside the compiled model, precision
    ("mlp", None, "f32"),
    ("minilm", "model.safetensors", "f32"),
    ("smollm2", SMOLLM2, "f32"),
    ("smollm2", SMOLLM2, "bf16"),
    ("smollm2", SMOLLM2, "int8"),
]


def compile_model(name, weights, precision, library):
    """One run of mdlc; returns seconds and peak MB."""
    command = ["./mdlc", "--precision=" + precision, "-o", library]
    command += ["--weights=" + f"examples/{name}/{weights}"] if weights else []
    begun = time.monotonic()
    child = subprocess.Popen(command + [f"{SOURCE}/examples/{name}/{name}.mdl"])
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit("mdlc failed")
    return time.monotonic() - begun, usage.ru_maxrss / 1024


def open_milliseconds(name, library):
    """One NAME_open with its weights in the page cache."""
    functions, model = ctypes.CDLL(library), ctypes.c_void_p()
    begun = time.monotonic()
    status = getattr(functions, name + "_open")(None, None, ctypes.byref(model))
    taken = time.monotonic() - begun
    if status:
        sys.exit(f"{library}: opening fails with {status}")
    getattr(functions, name + "_close")(model)
    return 1e3 * taken


def measure(name, weights, precision):
    """A row of the table: medians of RUNS."""
    with tempfile.TemporaryDirectory() as folder:
        library = os.path.join(folder, f"lib{name}.so")
        compiled = [compile_model(name, weights, precision, library) for _ in range(RUNS)]
        opened = [open_milliseconds(name, library) for _ in range(RUNS)]
        packed = os.path.join(folder, name + ".weights")
        size = f"{os.path.getsize(packed) / 1e6:.1f} MB" if os.path.exists(packed) else "in the library"
        seconds, memory = (statistics.median(column) for column in zip(*compiled))
        return (f"| {name} | {precision} | {seconds:.2f} s | {memory:.0f} MB | {os.path.getsize(library) / 1e3:.0f} KB"
                f" | {size} | {statistics.median(opened):.1f} ms |")


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown processor"


def main():
    print("| model | precision | compile | memory | library | weights | open |")
    print("|---|---|---|---|---|---|---|")
    for model in MODELS:
        print(measure(*model))
    print(f"\n{processor()}, {os.cpu_count()} threads, load {os.getloadavg()[0]:.1f}, {datetime.date.today()}.")


if __name__ == "__main__":
    main()
