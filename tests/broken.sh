#!/bin/sh
# Broken models and models with broken weight files: mdlc says FILE:LINE:COLUMN: error: ..., exits with status 1 and
# leaves no file. The models are those of tests/frontend with an .err; the weight files come from write_broken.
set -u
build=$(pwd)
tests=$(cd "${srcdir:-$(dirname "$0")/..}/tests" && pwd)
PATH=$build:$PATH
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/made"
failed=0 count=0

complain() {
    echo "FAIL: $*"
    sed 's/^/    /' "$scratch/err" | head -n 5
    failed=$((failed + 1))
}

# refused MODEL: it must be.
refused() {
    mdlc -o "$scratch/made/libx.so" "$1" >"$scratch/out" 2>"$scratch/err" </dev/null
    status=$?
    count=$((count + 1))
    [ $status = 1 ] || complain "$1: exit status $status instead of 1"
    grep -q "^[^:]*${1##*/}:[1-9][0-9]*:[1-9][0-9]*: error: ." "$scratch/err" || complain "$1: no error with its place"
    [ ! -s "$scratch/out" ] || complain "$1: prints although it failed"
    [ -z "$(ls -A "$scratch/made")" ] || complain "$1: leaves $(ls -A "$scratch/made")"
}

# enough WHAT: at least 30 were tried since the last call.
enough() {
    [ $count -ge 30 ] || complain "only $count $1"
    echo "$count $1 refused"
    count=0
}

for err in "$tests"/frontend/*.err; do
    refused "${err%.err}.mdl"
done
enough "broken models"

"$build/tests/unit/write_broken" "$scratch" || complain "the weight files could not be made"
for weights in "$scratch"/*.bin; do
    model=${weights%.bin}.mdl
    printf 'weights "%s"\nparam w : f32[2, 3] from "x"\nexport fn f(x: f32[2, 3]) = x + w\n' "${weights##*/}" >"$model"
    refused "$model"
    grep -q "${weights##*/}" "$scratch/err" || complain "$weights: not named"
done
enough "broken weight files"
[ $failed = 0 ]
