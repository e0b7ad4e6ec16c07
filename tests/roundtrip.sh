#!/bin/sh
# A dump is a program, at every level: the graph after each pass, fed back, prints the same.  roundtrip.sh [FILE...]
set -u
top=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd)
. "$top/tests/expect.sh"
count=0
passes=$(mdl-opt --list-passes | sed -n 's/^default pipeline: //p')
[ $# -gt 0 ] || set -- "$top"/tests/numeric/*.mdl "$top"/tests/frontend/annotated.mdl "$top"/examples/*/*.mdl

precisions="f32 bf16 int8"
! grep -q '^SANITIZE = .*-fsanitize' Makefile || precisions=int8 # slow there; it has the most kinds of ops
for model; do
    last=$model
    for precision in $precisions; do
        options=--precision=$precision
        [ $precision != int8 ] || options="$options --quantize=q8_0"
        rm -rf "$dir/tree"
        # shellcheck disable=SC2086 # options are words
        mdl-opt $options --passes="$passes" --mcpu=x86-64-v4 --verify-each --print-ir-tree="$dir/tree" "$model" -o "$dir/last" ||
            { fail "$options"; continue; }
        for dump in "$dir"/tree/*.mdl; do
            count=$((count + 1))
            mdl-opt - <"$dump" >"$dir/again" && diff -u "$dump" "$dir/again" >"$dir/diff" && continue
            head -n 20 "$dir/diff"
            fail "$options: ${dump##*/} parses to another graph, or not"
        done
    done
done
echo "$count dumps, $failures failures"
[ $failures -eq 0 ] && [ $count -gt 0 ]
