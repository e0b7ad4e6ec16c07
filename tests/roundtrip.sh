#!/bin/sh
# A dump is a program, at every level: the graph after each pass, fed back, prints the same.  roundtrip.sh [FILE...]
set -u
PATH=$(pwd):$PATH
top=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0 count=0
passes=$(mdl-opt --list-passes | sed -n 's/^default pipeline: //p')
[ $# -gt 0 ] || set -- "$top"/tests/numeric/*.mdl "$top"/tests/frontend/annotated.mdl "$top"/examples/*/*.mdl

for model; do
    for options in --precision=f32 --precision=bf16 "--precision=int8 --quantize=q8_0"; do
        rm -rf "$scratch/tree"
        # shellcheck disable=SC2086 # options are words
        mdl-opt $options --passes="$passes" --mcpu=x86-64-v4 --verify-each --print-ir-tree="$scratch/tree" "$model" -o "$scratch/last" ||
            { echo "FAIL: $model: $options"; failed=$((failed + 1)); continue; }
        for dump in "$scratch"/tree/*.mdl; do
            count=$((count + 1))
            mdl-opt - <"$dump" >"$scratch/again" && diff -u "$dump" "$scratch/again" >"$scratch/diff" && continue
            head -n 20 "$scratch/diff"
            echo "FAIL: $model: $options: ${dump##*/} parses to another graph, or not"
            failed=$((failed + 1))
        done
    done
done
echo "$count dumps, $failed failures"
[ $failed = 0 ] && [ $count -gt 0 ]
