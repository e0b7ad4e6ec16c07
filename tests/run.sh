#!/bin/sh
# Everything that must hold, from a fresh Debian 12:  sh tests/run.sh
# Each part prints "passed" or "failed"; the last line sums up. As root it installs what is missing.
# Builds in ./build and keeps weights in $MDL_CACHE (build/cache); where all is present it needs no network.
set -eu
source=$(cd "$(dirname "$0")/.." && pwd)
. "$source/tests/setup.sh"
passed=0
failed=0

# part NAME COMMAND...: runs it, counts it; its output is shown.
part() {
    name=$1
    shift
    echo "== $name"
    begun=$(date +%s)
    # A subshell of its own keeps set -e at work inside.
    set +e
    (set -e; "$@")
    status=$?
    set -e
    if [ $status = 0 ]; then passed=$((passed + 1)) word=passed; else failed=$((failed + 1)) word=failed; fi
    echo "== $name: $word after $(($(date +%s) - begun)) s"
}

# The tests in a build folder; those that failed are shown whole.
check() {
    make -C "$1" -s -j"$jobs" check && return 0
    find "$1" -name '*.trs' -exec grep -l '^:test-result: \(FAIL\|ERROR\)' {} + | while read -r trs; do
        echo "-- ${trs%.trs}"
        tail -n 60 "${trs%.trs}.log"
    done
    return 1
}

# What is installed compiles a model, and a program against its header, outside the source tree.
check_installed() {
    root=$(mktemp -d)
    make -C "$source/build" -s install prefix="$root" >/dev/null
    cp "$source/examples/mlp/mlp.mdl" "$source/examples/mlp/classify.c" "$root"
    cd "$root"
    bin/mdlc mlp.mdl -o libmlp.so
    flags=$(PKG_CONFIG_PATH=$root/lib/pkgconfig pkg-config --define-variable=prefix="$root" --cflags mdlc)
    # shellcheck disable=SC2086 # flags are words
    gcc -std=c11 -Wall -Wextra -Werror -I. $flags classify.c -L. -lmlp "-Wl,-rpath,$root" -o classify
    echo "5.1 3.5 1.4 0.2" | ./classify | awk '{ s = $1 + $2 + $3; exit !(NF == 3 && s > 0.9999 && s < 1.0001) }'
    for file in bin/mdl-opt bin/mdl-run share/man/man1/mdlc.1 share/bash-completion/completions/mdlc; do
        [ -f "$file" ] || { echo "$file is not installed"; return 1; }
    done
    rm -r "$root"
}

# Sanitizers need no weights, and the whole models would take long under them.
check_sanitized() {
    build "$source/build-sanitized" --enable-sanitizers CFLAGS='-g -O1'
    MDL_CACHE=/nonexistent check "$source/build-sanitized"
}

# The archive has what git has, builds, installs, and goes away again. Its tests are those of `make check`: a few of them show that
# they find their files there, and write nothing beside them. Without optimisation, which the other builds had.
check_dist() {
    log=$source/build/distcheck.log
    few="tests/unit/frontend tests/run/mdl-run.sh tests/golden.sh tests/exit_codes.sh tests/headers.sh tests/plugin.sh tests/models/mlp.sh"
    MDL_CACHE=/nonexistent make -C "$source/build" -s -j"$jobs" distcheck TESTS="$few" DISTCHECK_CONFIGURE_FLAGS=CFLAGS=-O0 >"$log" 2>&1 || {
        tail -n 100 "$log"
        return 1
    }
    [ -e "$source/.git" ] || return 0
    tar -tf "$source"/build/mdlc-*.tar.xz | sed 's|^[^/]*/||' | sort >"$source/build/archived"
    left_out=$(git -C "$source" ls-files | grep -v '^\.' | sort | comm -23 - "$source/build/archived")
    [ -z "$left_out" ] || { echo "the archive lacks: $left_out"; return 1; }
}

need_packages
fetch_ptxas "$MDL_CACHE"
part "build" build "$source/build"
part "weights" fetch_weights "$MDL_CACHE"
part "make check" check "$source/build"
part "installed" check_installed
part "sanitizers" check_sanitized
part "make distcheck" check_dist
echo "$passed passed, $failed failed"
[ $failed = 0 ]
