#!/bin/sh
# timed.sh TEST...: runs it; the last line of its log says what it took. tests/times.sh makes a table of these lines.
begun=$(date +%s%N)
"$@"
status=$?
spent=$(mktemp)
times >"$spent" # in a pipe or $(...) another shell would count its own
awk -v nanoseconds=$(($(date +%s%N) - begun)) '
NR == 2 {
    split($1 " " $2, t, /[ms ]+/)
    printf "timed: %.1f s of processors in %.1f s\n", 60 * (t[1] + t[3]) + t[2] + t[4], nanoseconds / 1e9
}' "$spent"
rm "$spent"
exit $status
