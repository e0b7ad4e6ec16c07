#!/bin/sh
# The classifier, which needs no weights file: compiled and interpreted it gives the same; and its program.
set -eu
make -s mlp
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

# x : f32[3, 4], 118 bytes of header; the numbers are 1, -2, 0.5, 4 in another order each row.
{
    printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }"
    printf '\000\000\200\077\000\000\000\300\000\000\000\077\000\000\200\100'
    printf '\000\000\000\300\000\000\000\077\000\000\200\100\000\000\200\077'
    printf '\000\000\200\100\000\000\200\077\000\000\000\300\000\000\000\077'
} >"$work/x.npy"
./mdlc interpret "$srcdir/examples/mlp/mlp.mdl" classify "x=@$work/x.npy" --output="$work"
./mdl-run examples/mlp/libmlp.so classify "x=@$work/x.npy" --expect="0=@$work/0.npy" --rtol=1e-5 --atol=1e-6

printf '1 -2 0.5 4\n-2 0.5 4 1\n' | examples/mlp/classify |
    awk '{ s = $1 + $2 + $3; if (!(s > 0.9999 && s < 1.0001) || NF != 3) exit 1 } END { if (NR != 2) exit 1 }'
# classified ROWS STATUS PRINTED: what comes of so many rows.
classified() {
    status=0
    yes 1 2 3 4 | head -n "$1" | examples/mlp/classify >"$work/classes" || status=$?
    [ "$status $(wc -l <"$work/classes")" = "$2 $3" ] || { echo "$1 rows: status $status, $(wc -l <"$work/classes") lines"; exit 1; }
}
classified 0 1 0
classified 1 0 1
classified 4096 0 4096
classified 4097 1 0
if echo "1 2 3" | examples/mlp/classify; then exit 1; fi
. "$srcdir/tests/models/weights.sh"
ends 3 examples/mlp/classify <.
loses_output sh -c "echo 1 2 3 4 | examples/mlp/classify"
loses_output sh -c "echo 1 2 3 4 | stdbuf -oL examples/mlp/classify"
