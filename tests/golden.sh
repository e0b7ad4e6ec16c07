#!/bin/sh
# Goldens: each tests/*/*.mdl that says how it is run.  From a build folder:  make golden, make bless, or
# golden.sh [--bless] [FILE...]
#
#     # RUN: mdl-opt --passes='fold,fuse{max=8}' %s      in the file's folder; %s its name, %t a scratch folder
#     # EXIT: 1                                          status that is expected [0]
#
# What it prints is compared with FILE.out and FILE.err beside it, whole; none there: nothing may be printed.
# A dump must also parse to the same dump. --bless writes these files from what came out: read the diff.
set -u
tests=$(cd "${srcdir:-$(dirname "$0")/..}/tests" && pwd)
. "$tests/expect.sh"
bless=no count=0
[ "${1:-}" != --bless ] || { bless=yes; shift; }

# compare EXPECTED GOT WHAT: an expected file that is not there is an empty one.
compare() {
    if [ $bless = yes ]; then
        if [ -s "$2" ]; then cmp -s "$1" "$2" || cp "$2" "$1"; else rm -f "$1"; fi
        return
    fi
    expected=$1
    [ -f "$expected" ] || expected=/dev/null
    diff -u "$expected" "$2" || fail "$3 differs"
}

# A dump, fed back, comes out the same.
round_trip() {
    grep -q '^\(export \)\{0,1\}fn ' "$dir/output" || return 0
    mdl-opt - <"$dir/output" >"$dir/again" 2>"$dir/again.err" || { cat "$dir/again.err"; fail "its dump does not parse"; return; }
    diff -u "$dir/output" "$dir/again" || fail "its dump parses to another dump"
}

run() {
    last=$1 name=${1##*/} base=${1%.mdl}
    command=$(sed -n 's/^# RUN: //p' "$last" | head -n 1)
    [ -n "$command" ] || return 0
    wanted=$(sed -n 's/^# EXIT: //p' "$last" | head -n 1)
    command=$(printf '%s\n' "$command" | sed "s|%s|$name|g; s|%t|$dir|g")
    (cd "${last%/*}" && exec sh -c "$command") >"$dir/output" 2>"$dir/errors" </dev/null
    status=$?
    count=$((count + 1))
    [ $status = "${wanted:-0}" ] || { cat "$dir/errors"; fail "exit status $status instead of ${wanted:-0}"; }
    compare "$base.out" "$dir/output" "standard output"
    compare "$base.err" "$dir/errors" "standard error"
    [ $status != 0 ] || round_trip
}

[ $# -gt 0 ] || set -- "$tests"/*/*.mdl
for file; do
    run "$(cd "$(dirname "$file")" && pwd)/${file##*/}"
done
echo "$count goldens, $failures failures"
[ $failures -eq 0 ] && [ $count -gt 0 ]
