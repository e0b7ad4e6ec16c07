#!/bin/sh
# Ops and functions compiled for other CPUs of this kind of machine, as far as this one can run them: each generation has
# instructions, vector widths and workarounds of its own. Not as x86-64-v3 where this one is no more: ops_test by itself is that.
# From a build folder.
set -u
failed=0 type=
cpus="x86-64-v4:avx512vl x86-64-v3:avx512\|avx_vnni x86-64-v2:sse4_2 generic"
grep -q '^SANITIZE = .*-fsanitize' Makefile && cpus=generic type=f32 # slow there; ops_test itself has the other types
for cpu in $cpus; do
    case $cpu in *:*) grep -q "${cpu#*:}" /proc/cpuinfo || continue ;; esac
    tests/numeric/ops_test "${cpu%:*}" $type || failed=1
    tests/numeric/math_test "${cpu%:*}" || failed=1
done
# AVX-VNNI: by its text, as few machines have it and not AVX-512.
./mdlc --mcpu=alderlake --precision=int8 --quantize=q8_0 --emit=asm "${srcdir:-$(dirname "$0")/..}/tests/numeric/layers.mdl" -o - |
    grep 'vpdpbusd.*%ymm' >/dev/null || { echo "FAIL: no vpdpbusd for alderlake"; failed=1; }
# What is made as bf16 is rounded once, not again where it is stored.
roundings=$(printf 'model r\nexport fn f(x: f32[8, 64]) -> bf16[8, 64] = cast(x + 1.0, bf16)\n' | ./mdlc --mcpu=znver4 --emit=llvm - -o - | grep -c fptrunc)
[ "$roundings" = 1 ] || { echo "FAIL: $roundings roundings to bf16, not one"; failed=1; }
exit $failed
