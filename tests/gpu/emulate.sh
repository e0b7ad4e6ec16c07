#!/bin/sh
# GPU's kernels on this machine: warps as coroutines, lanes as vectors (runtime/emulate.h), against the interpreter of graphs; another
# order of blocks and warps for each model.  From a build folder:
#     emulate.sh              every op of most types and shapes, most models of tests/numeric, one also for sm_100a: three minutes of one core
#     emulate.sh --all        all of both
#     emulate.sh FILE...      models as tests/numeric.sh takes them
set -u
tests=$(cd "${srcdir:-$(dirname "$0")/../..}/tests" && pwd)
grep -q '^SANITIZE = .*address' Makefile && { echo "SKIPPED: AddressSanitizer follows one stack only"; exit 77; }
target=emulate:sm_90a
types= # parts of their names
slow=  # models left out; half.mdl is taken for sm_100a
case "$*" in
--all) types="f i u8 bool" ;;
'') types="f32 f64 bf16 i u8 bool" slow='batch half transformer' ;;
esac
if [ -n "$types" ]; then
    set --
    for model in "$tests"/numeric/*.mdl "$tests/gpu/resnet.mdl"; do
        case " $slow " in *" $(basename "$model" .mdl) "*) ;; *) set -- "$@" "$model" ;; esac
    done
fi
failed=0 MDL_EMULATE_SEED=0
export MDL_EMULATE_SEED
for model; do
    MDL_EMULATE_SEED=$((MDL_EMULATE_SEED + 1))
    echo "$(basename "$model"), seed $MDL_EMULATE_SEED"
    MDL_CPUS=native MDL_TARGET=$target sh "$tests/numeric.sh" "$model" || failed=1
done
[ -z "$types" ] || MDL_CPUS=native MDL_TARGET=emulate:sm_100a sh "$tests/numeric.sh" "$tests/numeric/half.mdl" || failed=1 # tcgen05
for type in $types; do tests/numeric/ops_test $target "$type" || failed=1; done
[ $failed = 0 ]
