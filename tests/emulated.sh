#!/bin/sh
# x86s that this machine need not be: their schedules and layouts, and functions for their instructions (--target=emulate:CPU), so that AMX,
# VNNI and vdpbf16ps are tested everywhere.  From a build folder.
set -u
tests=$(cd "${srcdir:-$(dirname "$0")/..}/tests" && pwd)
grep -q '^SANITIZE = .*-fsanitize' Makefile && { echo "SKIPPED: slow under sanitizers"; exit 77; }
failed=0
# numeric CPU MODEL...
numeric() {
    cpu=$1
    shift
    for model; do
        MDL_CPUS=native MDL_TARGET=emulate:$cpu sh "$tests/numeric.sh" "$tests/numeric/$model.mdl" || failed=1
    done
}
numeric graniterapids attention floats products qlinear transformer
numeric emeraldrapids floats qlinear
numeric znver4 products qlinear
numeric alderlake qlinear
tests/numeric/ops_test emulate:graniterapids bf16 || failed=1
tests/numeric/math_test emulate:graniterapids || failed=1
exit $failed
