#!/bin/sh
# Ranks that are processes, under each MPI that is here: rings, mdl-run's results, bytes and refusals. And mdl-run's ranks as threads.
set -u
. "${srcdir:-.}/tests/distributed/launchers.sh"
. "${srcdir:-.}/tests/expect.sh"
cp tests/distributed/libhandmesh.so "$dir" || exit 99
library=$dir/libhandmesh.so

# on WHERE STATUS ARGUMENT...: mdl-run of 4 ranks with the arguments must exit so (any: other than 0).
on() {
    where=$1 wanted=$2
    shift 2
    set -- timeout 60 ./mdl-run --threads=1 "$@"
    if [ "$where" = threads ]; then gives "$wanted" "$@" --ranks=4; else gives "$wanted" launch "$where" 4 "$@"; fi
}

# The same results, to the bit, whatever the engine and whoever's the collectives: data are whole numbers.
same() {
    on "$1" 0 "$2" "$library" mix x=random:5..5 S=6 "--output=$dir/have"
    for i in 0 1 2; do cmp "$dir/have/$i.npy" "$dir/want/$i.npy" || fail "result $i differs"; done
    rm -r "$dir/have"
    on "$1" 0 "$2" "$library" mix x=random:2..2 S=6 --expect=1=16,16,16,16,16,16 --stats
    prints '2: i32 = 1'
    for rank in 0 1 2 3; do prints "rank $rank sent: all_reduce 12 bytes in 1, all_gather 60 bytes in 2, control "; done
    on "$1" 1 "$2" "$library" mix x=random:2..2 S=6 --expect=1=16,16,16,17,16,16
    [ "$(grep -c 'result 1: 1 of 6 elements differ' "$dir/err")" -eq 1 ] || fail "not said once"
    on "$1" 0 "$2" "$library" turn v=random --expect=1=612,616,620,624
    prints '2: f32[16] = [0 10 20 ... 13 23 33]'
    on "$1" 0 "$2" "$library" wait ms=1 who=2 T=50 --bench=.1 "--trace=$dir/trace.json"
    prints 'k7.nap'
    grep -q '"name":"all_reduce handmesh.mdl:15"' "$dir/trace.json" || fail "the trace has no all_reduce"
}

on threads 0 --timeout=5 "$library" mix x=random:5..5 S=6 "--output=$dir/want"
for where in threads $(launchers); do
    same "$where" --collective=ring
    same "$where" --collective=mpi
    on "$where" 1 "$library" mix x=random:1..1 S=7
    [ "$(grep -c 'S = 7, not a multiple of 2, into which the mesh splits it' "$dir/err")" -eq 1 ] || fail "not said once"
    on "$where" 1 "$library" mix x=random:-5..-4 S=8
    says 'handmesh.mdl:3:14: mix: x begins with -4, which is negative'
    # Threads wait for the one that sleeps; of processes the launcher ends it. None is to sleep shorter than it takes the others to give up.
    ms=60000
    [ "$where" != threads ] || ms=10000
    on "$where" any --timeout=3 "$library" wait ms=$ms who=2 T=1
    says 'collective 6 (all_reduce over data,tensor), handmesh.mdl:15:21: not done after '
    says 'rank 2 has not come to it'
done
for mpi in $(launchers 2>/dev/null); do
    for ranks in 1 2 3 5; do
        gives 0 launch "$mpi" $ranks timeout 60 tests/distributed/ring "$mpi"
    done
    gives any launch "$mpi" 2 ./mdl-run --threads=1 "$library" mix x=random:1..1 S=8 : -np 2 ./mdl-run --threads=1 "$library" mix x=random:1..1 S=10
    says 'the ranks'"'"' dims differ: rank 2 has S = 10, rank 0 has S = 8'
done

gives any mdl-run "$library" mix x=random S=6
says 'is for a mesh of 4 ranks: open it with options.comm (mdl-run: --ranks=4, or mpirun -np 4)'
gives any mdl-run --ranks=3 "$library" mix x=random S=6
says 'is for a mesh of 4 ranks, but there are 3'
gives any mdl-run --comm=nccl "$library" mix x=random S=6
says 'moves memory of GPUs'
gives any mdl-run --ranks=0 "$library"
says '--ranks=0: a number from 1 to 1024 was expected'
gives any mdl-run --collective=star "$library"
says 'ring or mpi was expected'
gives any mdl-run --ranks=2 "$build/tests/run/libhandmade.so" scan x=1
says 'has no mesh'

gives 0 tests/distributed/nccl "$build/tests/distributed/libfake-nccl.so"

# A model without a mesh has nothing of all this.
nm tests/run/libhandmade.so | grep -i 'mesh\|ring_\|mdl_comm\|reduce\|sections_' && fail 'a model without a mesh is linked with what speaks to other ranks'
[ $failures -eq 0 ]
