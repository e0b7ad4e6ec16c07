#!/bin/sh
# Broken models and models with broken weight files: mdlc says FILE:LINE:COLUMN: error: ..., exits with status 1 and
# leaves no file. The models are those of tests/frontend with an .err; the weight files come from write_broken.
set -u
tests=$(cd "${srcdir:-$(dirname "$0")/..}/tests" && pwd)
. "$tests/expect.sh"
mkdir "$dir/made"
count=0

# refused MODEL: it must be.
refused() {
    gives 1 mdlc -o "$dir/made/libx.so" "$1"
    count=$((count + 1))
    grep -q "^[^:]*${1##*/}:[1-9][0-9]*:[1-9][0-9]*: error: ." "$dir/err" || fail "no error with its place"
    [ ! -s "$dir/out" ] || fail "prints although it failed"
    [ -z "$(ls -A "$dir/made")" ] || fail "leaves $(ls -A "$dir/made")"
}

# enough WHAT: at least 30 were tried since the last call.
enough() {
    [ $count -ge 30 ] || fail "only $count $1"
    echo "$count $1 refused"
    count=0
}

for err in "$tests"/frontend/*.err; do
    refused "${err%.err}.mdl"
done
enough "broken models"

gives 0 tests/unit/write_broken "$dir"
for weights in "$dir"/*.bin; do
    model=${weights%.bin}.mdl
    printf 'weights "%s"\nparam w : f32[2, 3] from "x"\nexport fn f(x: f32[2, 3]) = x + w\n' "${weights##*/}" >"$model"
    refused "$model"
    grep -q "${weights##*/}" "$dir/err" || fail "the file is not named"
done
enough "broken weight files"
[ $failures -eq 0 ]
