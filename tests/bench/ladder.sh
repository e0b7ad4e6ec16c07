#!/bin/sh
# What each step of a contraction's schedule brings, measured: the table of backend/README.md.
#   sh tests/bench/ladder.sh [BUILD]      BUILD: the build folder [.]
# One product of 512 x 576 by 1536 x 576. A schedule is text in a dump, so each step is the dump of the one kernel with that text
# changed. Prints GFLOP/s (multiply-adds count two) of one thread, the median of a second's calls.
set -eu
build=$(cd "${1:-.}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >ladder.mdl <<'MODEL'
model ladder
param w : f32[1536, 576] = normal(std=0.1)
export fn f(x: f32[512, 576]) -> f32[512, 1536] = linear(x, w)
MODEL

# rung WHAT SCHEDULE LAYOUT THREADS [OPTION...]: these are put in the chosen ones' places; "" leaves both.
rung() {
    what=$1 schedule=$2 layout=$3 threads=$4
    shift 4
    "$build/mdlc" --emit=kernels ladder.mdl "$@" >rung.mdl
    [ -z "$schedule" ] || sed -i "s/schedule([^)]*)/schedule($schedule)/; s| layout(\"[^\"]*\")|$layout|" rung.mdl
    "$build/mdlc" rung.mdl -o librung.so
    "$build/mdl-run" librung.so x=random --bench=1 --threads="$threads" |
        awk -v what="$what" '/median/ { for (i = 1; i < NF; i++) if ($(i + 1) == "GFLOP/s,") printf "| %s | %.0f |\n", what, $i }'
}

echo "| step | GFLOP/s |"
echo "|---|---|"
rung "every output by itself, 16 inputs at once" "loops, tile=[1, 16]" "" 1
rung "16 outputs at once, one row: tile 1 x 16" "contract, atom=fma, tile=[1, 16], unroll=1" "" 1
rung "64 outputs: one broadcast serves four" "contract, atom=fma, tile=[1, 64], unroll=1" "" 1
rung "6 rows: one load of weights serves six" "contract, atom=fma, tile=[6, 64], unroll=1" "" 1
rung "4 inputs written out in the loop" "contract, atom=fma, tile=[6, 64], unroll=4" "" 1
blocked="contract, atom=fma, tile=[6, 64], block=[96, 0, 0], unroll=4"
rung "rows that stay in L2 while weights pass" "$blocked" "" 1
rung "weights laid out for the tile at compile time" "$blocked" ' layout("0/64 1 0:64")' 1
rung "what is chosen for the machine: f32" "" "" 1
rung "bf16: pairs" "" "" 1 --precision=bf16
rung "int8: fours, scales a block of 32" "" "" 1 --precision=int8 --quantize=q8_0
rung "f32, two threads" "" "" 2
