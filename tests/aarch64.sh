#!/bin/sh
# Code for aarch64, run by qemu: ops, functions and whole models, without dot products of bytes (generic), with those of
# signed ones (neoverse-n1) and of mixed ones, and bf16 (neoverse-v1). From a build folder, where configure found a cross
# compiler.
set -u
tests=$(cd "${srcdir:-$(dirname "$0")/..}/tests" && pwd)
failed=0

# uses CPU INSTRUCTION: whether sums of products of bytes are had by it; needs neither cross compiler nor emulator.
uses() {
    ./mdlc --target=aarch64-linux-gnu --mcpu="$1" --precision=int8 --quantize=q8_0 --emit=asm "$tests/numeric/layers.mdl" -o - |
        grep -w "$2" >/dev/null && return
    echo "FAIL: no $2 for $1"
    failed=1
}
skip() { echo "skipped: $*"; [ $failed = 1 ] && exit 1; exit 77; }
uses generic saddlp
uses neoverse-n1 sdot
uses neoverse-v1 usdot

grep -q '^SANITIZE = .*-fsanitize' Makefile && skip "what runs in the emulator has no sanitizers"
cc=$(sed -n 's/^AARCH64_CC = //p' Makefile)
libc=$($cc -print-file-name=libc.so.6 2>/dev/null)
[ -x tests/aarch64/remote ] && [ -f "$libc" ] && command -v qemu-aarch64 >/dev/null ||
    skip "needs a cross compiler (Debian: gcc-aarch64-linux-gnu libc6-dev-arm64-cross) and qemu-aarch64 (qemu-user)"
qemu="qemu-aarch64 -L $(dirname "$(dirname "$libc")")"
for cpu in generic neoverse-n1 neoverse-v1; do
    types=f32
    [ $cpu != generic ] || types=
    # shellcheck disable=SC2086 # a command of words
    tests/numeric/ops_test $cpu "$types" aarch64-linux-gnu $qemu tests/aarch64/remote || failed=1
done
# shellcheck disable=SC2086
tests/numeric/math_test generic "" aarch64-linux-gnu $qemu tests/aarch64/remote || failed=1
# numeric CPUS FILE...: whole models; all of them by the generic CPU, those with most products by the others.
numeric() {
    cpus=$1
    shift
    MDL_TARGET=aarch64-linux-gnu MDL_CPUS=$cpus MDL_RUN="$qemu $(pwd)/tests/aarch64/mdl-run" sh "$tests/numeric.sh" "$@" || failed=1
}
numeric generic
numeric "neoverse-n1 neoverse-v1" "$tests"/numeric/layers.mdl "$tests"/numeric/transformer.mdl "$tests"/numeric/half.mdl
exit $failed
