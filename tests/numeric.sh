#!/bin/sh
# Whole models, compiled for several CPUs and precisions, against the interpreter.  From a build folder:
#     numeric.sh [FILE...]        tests/numeric/*.mdl
#
#     # CALL: forward x=random S=7      a call, with mdl-run's arguments
#     # RTOL: 1e-4                      what may differ from the interpreter (--rtol, --atol)
#     # LOW: 3e-2                       the same at lower precisions: where products of bf16 do not pay, a CPU keeps one side in f32
#
# Another kind of machine: $MDL_CPUS are its CPUs, $MDL_TARGET its triple, $MDL_RUN runs mdl-run there (aarch64.sh).
# One and two threads give the same bytes. Lower precisions are compared with the interpreter on the graph after all
# passes, whose ops say what is rounded where.
set -u
tests=$(cd "${srcdir:-$(dirname "$0")/..}/tests" && pwd)
. "$tests/expect.sh"
count=0

header() { sed -n "s/^# $1: //p" "$model"; }

# check REFERENCE OPTION...: compiles the model with the options; each call gives what interpreting REFERENCE gives.
check() {
    reference=$1
    shift
    library=$dir/libtest.so
    mdlc "$@" "$model" -o "$library" || { fail "$* does not compile"; return; }
    number=0
    header CALL >"$dir/calls"
    while read -r call; do
        number=$((number + 1))
        count=$((count + 1))
        expected=$dir/$(basename "$reference").$number
        # shellcheck disable=SC2086 # arguments are words
        [ -d "$expected" ] || mdlc interpret "$reference" $call --output="$expected" || fail "$call: not interpreted"
        expectations=
        for result in "$expected"/*.npy; do
            n=$(basename "$result" .npy)
            expectations="$expectations --expect=$n=@$result"
        done
        # shellcheck disable=SC2086
        {
            $run "$library" $call $expectations --rtol="${rtol:-1e-4}" --atol="${atol:-1e-5}" --output="$dir/one" --threads=1 ||
                fail "$* $call: differs from the interpreter"
            $run "$library" $call --output="$dir/two" --threads=2 || fail "$* $call: failed"
        } >"$dir/log" 2>&1 || cat "$dir/log"
        grep -q FAIL "$dir/log" && cat "$dir/log"
        diff -r "$dir/one" "$dir/two" || fail "$* $call: two threads give other bytes"
        rm -rf "$dir/one" "$dir/two"
    done <"$dir/calls"
}

# is_new OPTION...: whether the kernels are others than those of the options before: a precision changes only what multiplies.
is_new() {
    mdlc --emit=kernels "$@" "$model" -o "$dir/lowered.mdl" || { fail "$* does not compile"; return 1; }
    sum=$(grep -v '^option ' "$dir/lowered.mdl" | cksum)
    case "$seen" in *"($sum)"*) return 1 ;; esac
    seen="$seen($sum)"
}

# lowered OPTION...: the model after all passes, as the interpreter's reference for the same options.
lowered() {
    rtol=${low:-3e-2} atol=${low:-3e-2}
    is_new "$@" || return
    rm -rf "$dir"/lowered.mdl.*
    check "$dir/lowered.mdl" "$@"
}

supported() { [ -z "$1" ] || grep -q "$1" /proc/cpuinfo; }

cpus=${MDL_CPUS:-native generic}
[ -n "${MDL_CPUS:-}" ] || grep -q '^SANITIZE = .*-fsanitize' Makefile || cpus="$cpus x86-64-v3:avx2" # slow there
run=${MDL_RUN:-mdl-run} target=${MDL_TARGET:+--target=$MDL_TARGET}
[ $# -gt 0 ] || set -- "$tests"/numeric/*.mdl
for model; do
    rtol=$(header RTOL) atol=$(header ATOL) low=$(header LOW)
    rm -rf "$dir"/*
    last=$model
    for cpu in $cpus; do
        case $cpu in *:*) supported "${cpu#*:}" || continue ;; esac
        options="--mcpu=${cpu%:*} $target"
        rtol=$(header RTOL) atol=$(header ATOL) seen=
        # shellcheck disable=SC2086 # options are words
        {
            is_new $options
            check "$model" $options
            lowered $options --precision=bf16
            lowered $options --precision=int8 --quantize=q8_0
            lowered $options --precision=int8 --quantize=q4_1
            case $target in *nvptx* | *emulate:sm*) lowered $options --precision=tf32 ;; esac
        }
    done
done
echo "$count calls, $failures failures"
[ $failures -eq 0 ] && [ $count -gt 0 ]
