#!/bin/sh
# Operands of products lie in memory as they are multiplied.  From a build folder.
set -u
tests=$(cd "${srcdir:-$(dirname "$0")/..}/tests" && pwd)
. "$tests/expect.sh"

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

# Stored as bf16 where all who read it round it (pass narrow), nothing changes by a bit: interpreted, on this machine, as a GPU's kernels.
passes=$(mdlc --list-passes | sed -n 's/^default pipeline: //p')
without=$(echo "$passes" | sed 's/narrow,//')
[ "$passes" != "$without" ] || fail "the pipeline has no pass narrow"

# unchanged VALUES RUNS MODEL OPTION...: so many values are narrower; each CALL of the model gives the same bytes. RUNS: here, too.
unchanged() {
    values=$1 runs=$2 model=$tests/numeric/$3.mdl
    shift 2
    last="$*"
    shift
    for way in with without; do
        [ $way = with ] || set -- "$@" --passes="$without"
        mdlc "$@" --precision=bf16 --explain=narrow --emit=kernels "$model" -o "$dir/$way.mdl" 2>"$dir/$way.log" || fail "does not compile"
        [ "$runs" = no ] || mdlc "$@" --precision=bf16 "$model" -o "$dir/$way.so" || fail "does not compile"
    done
    count=$(grep -c 'narrow: .* is stored as bf16' "$dir/with.log")
    [ "$count" = "$values" ] || fail "$count values are stored as bf16, not $values"
    sed -n 's/^# CALL: //p' "$model" >"$dir/calls"
    while read -r call; do
        for way in with without; do
            # shellcheck disable=SC2086 # arguments are words
            mdlc interpret "$dir/$way.mdl" $call --output="$dir/interpreted.$way" || fail "$call: not interpreted"
            # shellcheck disable=SC2086
            [ "$runs" = no ] || mdl-run "$dir/$way.so" $call --output="$dir/run.$way" >"$dir/log" || fail "$call: does not run"
        done
        for how in interpreted run; do
            [ "$runs$how" = norun ] || diff -r "$dir/$how.with" "$dir/$how.without" || fail "$call, $how: other bytes"
            rm -rf "$dir/$how".*
        done
    done <"$dir/calls"
}
pairs=no lanes=yes # whether this machine multiplies pairs of bf16; can do as a GPU does (gpu/emulate.sh)
! grep -q avx512_bf16 /proc/cpuinfo || pairs=yes
! grep -q '^SANITIZE = .*address' Makefile || lanes=no
unchanged 14 "$pairs" layers --mcpu=znver4
unchanged 0 yes layers --mcpu=generic # which multiplies f32, so nobody rounds
unchanged 14 "$lanes" layers --target=emulate:sm_90a
unchanged 12 "$pairs" transformer --mcpu=znver4
unchanged 15 "$lanes" transformer --target=emulate:sm_90a
[ $failures -eq 0 ]
