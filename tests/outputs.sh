#!/bin/sh
# Outputs appear whole or not at all: what cannot be written, or compiled, leaves nothing behind, and what stands
# there and is no ordinary file stays what it is. Run in the build folder.
set -u
model=$(cd "${srcdir:-$(dirname "$0")/..}/examples/mlp" && pwd)/mlp.mdl
. "${srcdir:-$(dirname "$0")/..}/tests/expect.sh"

# expect STATUS FILES COMMAND...: gives, in an empty folder but for what `prepare` makes; FILES it may hold afterwards.
prepare=:
expect() {
    wanted=$1 files=$2
    shift 2
    rm -rf "$dir/at" && mkdir "$dir/at" && cd "$dir/at" || exit 1
    eval "$prepare"
    gives "$wanted" "$@"
    [ "$wanted" = 0 ] || [ -s "$dir/err" ] || fail "says nothing"
    found=$(find . -mindepth 1 | sed 's|^\./||' | LC_ALL=C sort | tr '\n' ' ')
    [ "$found" = "${files:+$files }" ] || fail "leaves '$found' instead of '$files'"
}

for emit in graph kernels llvm asm obj header; do
    expect 0 "x" mdlc --emit=$emit -o x "$model"
    expect 3 "" mdlc --emit=$emit -o missing/x "$model"
    prepare='mkdir x'
    expect 3 "x" mdlc --emit=$emit -o x "$model"
    # Links: were one replaced instead of followed, no device would suffer.
    prepare='ln -s /dev/full x'
    expect 3 "x" mdlc --emit=$emit -o x "$model"
    [ -h x ] || fail "a link to a device was replaced"
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

gives 0 mdlc -o "$dir/libmlp.so" "$model"
expect 0 "o o/0.npy" mdl-run "$dir/libmlp.so" x=random N=2 --output=o
prepare='mkdir o; ln -s /dev/full o/0.npy'
expect 3 "o o/0.npy" mdl-run "$dir/libmlp.so" x=random N=2 --output=o
[ -h o/0.npy ] || fail "a link to a device was replaced"
prepare='ln -s /dev/full t'
expect 3 "t" mdl-run "$dir/libmlp.so" x=random N=2 --trace=t
[ -h t ] || fail "a link to a device was replaced"

# A library is found by its weights whatever it is called.
printf 'model named\nparam w : f32[512, 512] = ones\nexport fn f(x: f32[512]) = linear(x, w)\n' >"$dir/named.mdl"
for name in lib.so .so lib x libx.so.1; do
    rm -rf "$dir/at" && mkdir "$dir/at"
    gives 0 mdlc -o "$dir/at/$name" "$dir/named.mdl"
    ls -A "$dir/at" | grep -q "\.weights$" || fail "$name: no weights file"
    gives 0 mdl-run "$dir/at/$name" x=random
done
[ $failures -eq 0 ]
