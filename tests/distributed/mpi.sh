#!/bin/sh
# Ranks that are processes, under each MPI that is here: rings, mdl-run's results, bytes and refusals. And mdl-run's ranks as threads.
set -u
. "${srcdir:-.}/tests/distributed/launchers.sh"
here=$PWD
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
cp tests/distributed/libhandmesh.so "$dir" || exit 99
library=$dir/libhandmesh.so
failures=0

fail() {
    echo "FAIL: $*"
    sed 's/^/    /' "$dir/out" "$dir/err"
    failures=$((failures + 1))
}

# on WHERE STATUS ARGUMENT...: mdl-run of 4 ranks with the arguments must exit so (any: other than 0).
on() {
    where=$1 wanted=$2
    shift 2
    last="$where: mdl-run $*"
    if [ "$where" = threads ]; then
        timeout 60 ./mdl-run --ranks=4 --threads=1 "$@" >"$dir/out" 2>"$dir/err"
    else
        launch "$where" 4 timeout 60 ./mdl-run --threads=1 "$@" >"$dir/out" 2>"$dir/err"
    fi
    status=$?
    case $wanted in any) [ $status -ne 0 ] ;; *) [ $status -eq "$wanted" ] ;; esac || fail "$last: exit status $status, not $wanted"
}
prints() { grep -qF -e "$1" "$dir/out" || fail "$last: does not print '$1'"; }
says() { grep -qF -e "$1" "$dir/err" || fail "$last: does not say '$1'"; }

# The same results, to the bit, whatever the engine and whoever's the collectives: data are whole numbers.
same() {
    on "$1" 0 "$2" "$library" mix x=random:5..5 S=6 "--output=$dir/have"
    for i in 0 1 2; do cmp "$dir/have/$i.npy" "$dir/want/$i.npy" || fail "$last: result $i differs"; done
    rm -r "$dir/have"
    on "$1" 0 "$2" "$library" mix x=random:2..2 S=6 --expect=1=16,16,16,16,16,16 --stats
    prints '2: i32 = 1'
    for rank in 0 1 2 3; do prints "rank $rank sent: all_reduce 12 bytes in 1, all_gather 60 bytes in 2, control "; done
    on "$1" 1 "$2" "$library" mix x=random:2..2 S=6 --expect=1=16,16,16,17,16,16
    [ "$(grep -c 'result 1: 1 of 6 elements differ' "$dir/err")" -eq 1 ] || fail "$last: not said once"
    on "$1" 0 "$2" "$library" turn v=random --expect=1=612,616,620,624
    prints '2: f32[16] = [0 10 20 ... 13 23 33]'
    on "$1" 0 "$2" "$library" wait ms=1 who=2 T=50 --bench=.1 "--trace=$dir/trace.json"
    prints 'k7.nap'
    grep -q '"name":"all_reduce handmesh.mdl:15"' "$dir/trace.json" || fail "$last: the trace has no all_reduce"
}

on threads 0 --timeout=5 "$library" mix x=random:5..5 S=6 "--output=$dir/want"
for where in threads $(launchers); do
    same "$where" --collective=ring
    same "$where" --collective=mpi
    on "$where" 1 "$library" mix x=random:1..1 S=7
    [ "$(grep -c 'S = 7, not a multiple of 2, into which the mesh splits it' "$dir/err")" -eq 1 ] || fail "$last: not said once"
    on "$where" 1 "$library" mix x=random:-5..-4 S=8
    says 'handmesh.mdl:3:14: mix: x begins with -4, which is negative'
    on "$where" any --timeout=.5 "$library" wait ms=3000 who=2 T=2
    says 'collective 6 (all_reduce over data,tensor), handmesh.mdl:15:21: not done after '
    says 'rank 2 has not come to it'
done
for mpi in $(launchers 2>/dev/null); do
    for ranks in 1 2 3 5; do
        launch "$mpi" $ranks timeout 60 tests/distributed/ring "$mpi" >"$dir/out" 2>"$dir/err" || fail "ring: $ranks ranks of $mpi"
    done
    last="$mpi: ranks that differ"
    launch "$mpi" 2 ./mdl-run --threads=1 "$library" mix x=random:1..1 S=8 : -np 2 ./mdl-run --threads=1 "$library" mix x=random:1..1 S=10 \
        >"$dir/out" 2>"$dir/err" && fail "$last: exit status 0"
    says 'the ranks'"'"' dims differ: rank 2 has S = 10, rank 0 has S = 8'
done

last='mdl-run'
run() {
    ./mdl-run "$@" >"$dir/out" 2>"$dir/err" && fail "mdl-run $*: exit status 0"
}
run "$library" mix x=random S=6
says 'is for a mesh of 4 ranks: open it with options.comm (mdl-run: --ranks=4, or mpirun -np 4)'
run --ranks=3 "$library" mix x=random S=6
says 'is for a mesh of 4 ranks, but there are 3'
run --comm=nccl "$library" mix x=random S=6
says 'moves memory of GPUs'
run --ranks=0 "$library"
says '--ranks=0: a number from 1 to 1024 was expected'
run --collective=star "$library"
says 'ring or mpi was expected'
run --ranks=2 "$here/tests/run/libhandmade.so" scan x=1
says 'has no mesh'

tests/distributed/nccl "$here/tests/distributed/libfake-nccl.so" >"$dir/out" 2>"$dir/err" || fail 'nccl'

# A model without a mesh has nothing of all this.
nm tests/run/libhandmade.so | grep -i 'mesh\|ring_\|mdl_comm\|reduce\|sections_' && fail 'a model without a mesh is linked with what speaks to other ranks'
[ $failures -eq 0 ]
