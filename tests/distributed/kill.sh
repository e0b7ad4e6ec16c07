#!/bin/sh
# A random rank killed at a random moment, COUNT times for each MPI (5): all ranks end, nobody stays behind, and
# what they say has the rank, the collective and its line.      sh tests/distributed/kill.sh [COUNT [SEED]]
set -u
. "${srcdir:-.}/tests/distributed/launchers.sh"
count=${1:-5} seed=${2:-$$}
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
cp tests/distributed/libhandmesh.so "$dir" || exit 99
failures=0 silent=0
PATIENCE=60 # seconds: on an idle machine it is one

random() { # random N: 0..N-1, from the seed
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    echo $((seed / 65536 % $1))
}

fail() {
    echo "FAIL: $last: $*"
    sed 's/^/    /' "$dir/err"
    failures=$((failures + 1))
}

# Every line of ours names a rank and where it was.
check_lines() {
    where='(collective [0-9]+ \(all_reduce over data,tensor\), handmesh\.mdl:15:21|the start of wait|opening handmesh|closing handmesh)'
    grep '^mdl-run: ' "$dir/err" | grep -vE "^mdl-run: rank [0-3](: $where: |, in no collective: |: this process)" >"$dir/odd" && fail "says $(cat "$dir/odd")"
    grep -qE '^mdl-run: rank [0-3]: collective 6' "$dir/err" || silent=$((silent + 1))
}

# once MPI MILLISECONDS WHICH
once() {
    last="$1, rank $3 of those found, after $2 ms"
    launch "$1" 4 ./mdl-run --threads=1 --timeout=5 "$dir/libhandmesh.so" wait ms=1 who=2 T=1000000 >"$dir/out" 2>"$dir/err" &
    launcher=$!
    while kill -0 $launcher 2>/dev/null && [ -z "$(ranks_of "$dir")" ]; do sleep .1; done
    sleep "$(($2 / 1000)).$(printf %03d $(($2 % 1000)))"
    victim=$(ranks_of "$dir" | sed -n "$(($3 + 1))p")
    [ -n "$victim" ] || victim=$(ranks_of "$dir" | head -n 1)
    [ -z "$victim" ] || kill -9 "$victim" 2>/dev/null
    start=$(date +%s)
    while kill -0 $launcher 2>/dev/null && [ $(($(date +%s) - start)) -le $PATIENCE ]; do sleep .1; done
    if kill -0 $launcher 2>/dev/null; then
        fail "it is still there after $PATIENCE s"
        kill -9 $launcher
    fi
    wait $launcher && fail 'exit status 0'
    while left=$(ranks_of "$dir") && [ -n "$left" ] && [ $(($(date +%s) - start)) -le $PATIENCE ]; do sleep .1; done
    [ -z "$left" ] || fail "ranks are left: $left"
    for process in $left; do kill -9 "$process" 2>/dev/null; done
    check_lines
}

mpis=$(launchers)
[ -n "$mpis" ] || exit 77
for mpi in $mpis; do
    silent=0 n=0
    while [ $n -lt "$count" ]; do
        once "$mpi" $((300 + $(random 1700))) "$(random 4)"
        n=$((n + 1))
    done
    echo "$mpi: $count kills, $silent without a word about a collective"
    # Early kills find the ranks starting.
    [ $silent -lt "$count" ] || { last=$mpi && fail 'never a word about a collective'; }
done
[ $failures -eq 0 ]
