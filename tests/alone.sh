#!/bin/sh
# A row's result is the same, to the bit, whatever rows are computed beside it: text generated with guesses is the text without (README of
# examples/smollm2), and of a layer only what is read need be computed. For this CPU, others that it includes, and some that it is not,
# whose few rows and many go different ways.  From a build folder.
set -u
tests=$(cd "${srcdir:-$(dirname "$0")/..}/tests" && pwd)
. "$tests/expect.sh"

cat >"$dir/rows.mdl" <<'EOF'
model rows
dim S in 1..128
param x : f32[8, 256] = normal()
param w : f32[96, 256] = normal(std=0.1)
param k : f32[77, 2, 64] = normal()
param v : f32[77, 2, 64] = normal()
export fn product(ids: i32[S]) = linear(gather(x, ids), w)
export fn attention(ids: i32[S]) = sdpa(reshape(gather(x, ids), [S, 4, 64]), k, v)
EOF

# The numbers of a result: what follows an .npy file's first line.
numbers() { [ ! -f "$1/0.npy" ] || sed 1d "$1/0.npy"; }

# repeated FUNCTION: rows of one id, many or few, are all the row of that id alone.
repeated() {
    gives 0 mdl-run "$dir/librows.so" "$1" ids=3 --output="$dir/alone"
    numbers "$dir/alone" >"$dir/row"
    [ -s "$dir/row" ] || { fail "has no result"; return; }
    ids=3
    cp "$dir/row" "$dir/rows"
    for count in 2 3 4 5 8 9 12 16 17 33 70; do
        while [ $(($(stat -c %s "$dir/rows") / $(stat -c %s "$dir/row"))) -lt $count ]; do
            cat "$dir/row" >>"$dir/rows"
            ids=$ids,3
        done
        gives 0 mdl-run "$dir/librows.so" "$1" "ids=$ids" --output="$dir/many"
        last="$options: $1"
        numbers "$dir/many" | cmp -s - "$dir/rows" || fail "a row among $count is not what it is alone"
    done
}

# part_alone OPTION...: the part of a result that is read is the same whether it is computed alone (pass bubble) or with the rest.
every=$(mdl-opt --list-passes | sed -n 's/^default pipeline: //p')
part_alone() {
    gives 0 mdlc "$@" "$tests/numeric/slices.mdl" -o "$dir/libslices.so"
    gives 0 mdl-run "$dir/libslices.so" layer tokens=random:0..99 pos=3 S=40 --output="$dir/alone"
    gives 0 mdlc "$@" --passes="$(echo "$every" | sed s/bubble,//)" "$tests/numeric/slices.mdl" -o "$dir/libslices.so"
    gives 0 mdl-run "$dir/libslices.so" layer tokens=random:0..99 pos=3 S=40 --output="$dir/many"
    last="$*"
    numbers "$dir/alone" >"$dir/row"
    numbers "$dir/many" | cmp -s - "$dir/row" || fail "the last row alone is not what it is among others"
}

targets="--mcpu=native --mcpu=generic --target=emulate:graniterapids --target=emulate:emeraldrapids --target=emulate:znver4"
grep -q avx2 /proc/cpuinfo && targets="$targets --mcpu=x86-64-v3"
grep -q '^SANITIZE = .*-fsanitize' Makefile && targets=--mcpu=native # slow there
for target in $targets; do
    for precision in f32 bf16 "int8 --quantize=q8_0" "int8 --quantize=q4_1"; do
        options="$target --precision=$precision"
        # shellcheck disable=SC2086 # options are words
        gives 0 mdlc $options "$dir/rows.mdl" -o "$dir/librows.so"
        repeated product
        repeated attention
        # shellcheck disable=SC2086
        part_alone $options
    done
done
[ $failures -eq 0 ]
