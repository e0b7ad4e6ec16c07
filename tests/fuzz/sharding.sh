#!/bin/sh
# Random models on random meshes, interpreted pass by pass, compiled on threads, and under each MPI that is here (sharding.c).
# In make check few of them, and the seeds that once failed; by hand, in a build folder:
#     sh tests/fuzz/sharding.sh --count=2000 [--seed=1] [--keep=FOLDER]
# of each kind so many, half of them integers and half reals under MPI and compiled; a failed model is written to FOLDER.
set -u
. "${srcdir:-.}/tests/distributed/launchers.sh"
count=0 seed=1 keep=
for argument; do
    case $argument in
    --count=*) count=${argument#*=} ;;
    --seed=*) seed=${argument#*=} ;;
    --keep=*) keep=$argument ;;
    *) echo "usage: sharding.sh [--count=N] [--seed=N] [--keep=FOLDER]" >&2 && exit 2 ;;
    esac
done
interpreted=${count} compiled=$count processes=$count
[ "$count" != 0 ] || interpreted=120 compiled=30 processes=40
failures=0
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT

fuzz() {
    # shellcheck disable=SC2086 # $keep is empty or one word
    tests/fuzz/sharding $keep "$@" || failures=$((failures + 1))
}

# Those that once failed: a line is the arguments.
while read -r arguments; do
    case $arguments in '' | '#'*) continue ;; esac
    # shellcheck disable=SC2086 # a list of words
    fuzz $arguments >"$dir/out" || cat "$dir/out"
done <"${srcdir:-.}/tests/fuzz/sharding_seeds"

for kind in '' --real; do
    # shellcheck disable=SC2086 # $kind is empty or one word
    fuzz --seed="$seed" --count="$interpreted" $kind
    # shellcheck disable=SC2086
    fuzz --seed="$seed" --count="$compiled" --compile $kind
done

# Only models of as many ranks as there are processes run: about a fifth of the seeds for 2, 3, 4 and 6.
for mpi in $(launchers 2>/dev/null); do
    for ranks in 2 3 4 6 8; do
        [ "$count" != 0 ] || [ $ranks -lt 4 ] || continue
        for kind in '' --real; do
            mkdir "$dir/$mpi$ranks$kind"
            # shellcheck disable=SC2086
            launch "$mpi" $ranks timeout 3000 tests/fuzz/sharding --comm="$mpi" --seed="$seed" --count="$processes" \
                --keep="$dir/$mpi$ranks$kind" $kind || failures=$((failures + 1))
            rm -r "${dir:?}/$mpi$ranks$kind"
        done
    done
done
[ $failures = 0 ]
