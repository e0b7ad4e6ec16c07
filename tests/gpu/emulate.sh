#!/bin/sh
# GPU's kernels on this machine: warps as coroutines, lanes as vectors (runtime/emulate.h), against the interpreter of graphs; the
# order of blocks and warps by three seeds.  From a build folder:
#     emulate.sh [FILE...]        models as tests/numeric.sh takes them [some of tests/numeric, one also for sm_100a]
set -u
tests=$(cd "${srcdir:-$(dirname "$0")/../..}/tests" && pwd)
grep -q '^SANITIZE = .*address' Makefile && { echo "SKIPPED: AddressSanitizer follows one stack only"; exit 77; }
failed=0 MDL_EMULATE_SEED=0
if [ $# -eq 0 ]; then
    set -- "$tests/numeric/layers.mdl" "$tests/numeric/transformer.mdl" "$tests/numeric/recurrent.mdl"
    MDL_CPUS=native MDL_TARGET=emulate:sm_100a sh "$tests/numeric.sh" "$tests/numeric/half.mdl" || failed=1
fi
for model; do
    MDL_EMULATE_SEED=$((MDL_EMULATE_SEED + 1))
    export MDL_EMULATE_SEED
    MDL_CPUS=native MDL_TARGET=emulate:sm_90a sh "$tests/numeric.sh" "$model" || failed=1
done
[ $failed = 0 ]
