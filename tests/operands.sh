#!/bin/sh
# Operands of products lie in memory as they are multiplied.  From a build folder.
set -u
. "${srcdir:-$(dirname "$0")/..}/tests/expect.sh"

# code OPTIONS BODY...: what the first kernel of a function with these lines comes to, without the names of values.
code() {
    options=$1
    shift
    # shellcheck disable=SC2086 # options are words
    printf '%s\n' 'model m' 'dim S in 1..64' 'param w : f32[96, 64] = normal(std=0.1)' "$@" | mdlc $options --emit=llvm - -o - |
        sed -n 's/, *!dbg.*//; s/ !dbg [^ ]*//; s/%[A-Za-z0-9.]*//g; /^define .*@k0/,/^}/p'
}

# same OPTIONS FUNCTION FUNCTION: views in another shape are read where they lie, by the same code.
same() {
    code "$1" "$2" >"$dir/plain"
    code "$1" "$3" >"$dir/reshaped"
    [ -s "$dir/plain" ] || fail "$1: no kernel"
    diff "$dir/plain" "$dir/reshaped" >"$dir/out" || fail "$1: '$3' is not '$2'"
}
for options in --mcpu=x86-64-v3 --target=cuda:sm_80 --target='cuda:sm_90a --precision=tf32'; do
    same "$options" 'export fn f(x: f32[S, 64]) = linear(x, w)' 'export fn f(x: f32[S, 8, 8]) = linear(reshape(x, [S, 64]), w)'
done
same --target=cuda:sm_80 'export fn f(q: bf16[S, 2, 32], k: bf16[S, 2, 32], v: bf16[S, 2, 32]) = sdpa(q, k, v)' \
    'export fn f(q: bf16[S, 2, 32], k: bf16[S, 64], v: bf16[S, 64]) = sdpa(q, reshape(k, [S, 2, 32]), reshape(v, [S, 2, 32]))'
[ $failures -eq 0 ]
