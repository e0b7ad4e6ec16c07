#!/bin/sh
# Outputs appear whole or not at all: what cannot be written, or compiled, leaves nothing behind, and what stands
# there and is no ordinary file stays what it is. Run in the build folder.
set -u
build=$(pwd)
model=$(cd "${srcdir:-$(dirname "$0")/..}/examples/mlp" && pwd)/mlp.mdl
PATH=$build:$PATH
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

complain() {
    echo "FAIL: $*"
    failed=1
}

# expect STATUS FILES COMMAND...: in an empty folder but for what `prepare` makes; FILES it may hold afterwards.
prepare=:
expect() {
    wanted=$1 files=$2
    shift 2
    rm -rf "$scratch/at" && mkdir "$scratch/at" && cd "$scratch/at" || exit 1
    eval "$prepare"
    "$@" >"$scratch/out" 2>"$scratch/err" </dev/null
    status=$?
    [ $status = "$wanted" ] || { cat "$scratch/err"; complain "$*: exit status $status instead of $wanted"; }
    [ "$wanted" = 0 ] || [ -s "$scratch/err" ] || complain "$*: says nothing"
    found=$(find . -mindepth 1 | sed 's|^\./||' | LC_ALL=C sort | tr '\n' ' ')
    [ "$found" = "${files:+$files }" ] || complain "$*: leaves '$found' instead of '$files'"
}

for emit in graph kernels llvm asm obj header; do
    expect 0 "x" mdlc --emit=$emit -o x "$model"
    expect 3 "" mdlc --emit=$emit -o missing/x "$model"
    prepare='mkdir x'
    expect 3 "x" mdlc --emit=$emit -o x "$model"
    # Links: were one replaced instead of followed, no device would suffer.
    prepare='ln -s /dev/full x'
    expect 3 "x" mdlc --emit=$emit -o x "$model"
    [ -h x ] || complain "a link to a device was replaced"
    prepare=:
done
expect 0 "libmlp.so mlp.h" mdlc -o libmlp.so "$model"
prepare='mkdir mlp.h'
expect 3 "mlp.h" mdlc -o libmlp.so "$model"
prepare='ln -s /dev/null libmlp.so'
expect 2 "libmlp.so" mdlc -o libmlp.so "$model"
prepare='echo "model x" >x.mdl'
expect 1 "x.mdl" mdlc -o libx.so x.mdl
prepare=:
expect 1 "" mdlc -o libmlp.so --passes=fold "$model"
expect 1 "" mdlc -o libmlp.so --passes=fuse "$model"
expect 2 "" mdlc -o x --print-ir-after=nothing "$model"
expect 2 "" mdlc -o x --explain=nothing "$model"

mdlc -o "$scratch/libmlp.so" "$model" || complain "the model does not compile"
expect 0 "o o/0.npy" mdl-run "$scratch/libmlp.so" x=random N=2 --output=o
prepare='mkdir o; ln -s /dev/full o/0.npy'
expect 3 "o o/0.npy" mdl-run "$scratch/libmlp.so" x=random N=2 --output=o
[ -h o/0.npy ] || complain "a link to a device was replaced"
prepare='ln -s /dev/full t'
expect 3 "t" mdl-run "$scratch/libmlp.so" x=random N=2 --trace=t
[ -h t ] || complain "a link to a device was replaced"
exit $failed
