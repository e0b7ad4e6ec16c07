# What scripts that watch programs share; sourced in the build folder, not run.
#   gives STATUS COMMAND...    the command must exit so (any: other than 0); it has nothing to read
#   says TEXT, prints TEXT     standard error, standard output of the last command must hold it
#   fail WHAT                  counts a failure of $last, which `gives` sets, and shows what it said
# Sets: build; PATH, which finds its programs; dir, a scratch folder; failures. A script ends with [ $failures -eq 0 ].
build=$PWD
PATH=$build:$PATH
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
failures=0 last=

fail() {
    echo "FAIL: ${last:+$last: }$*"
    for text in "$dir/out" "$dir/err"; do
        [ ! -f "$text" ] || sed 's/^/    /' "$text" | head -n 20
    done
    failures=$((failures + 1))
}

gives() {
    wanted=$1
    shift
    last="$*"
    "$@" >"$dir/out" 2>"$dir/err" </dev/null
    status=$?
    case $wanted in
    any) [ $status -ne 0 ] ;;
    *) [ $status -eq "$wanted" ] ;;
    esac || fail "exit status $status, not $wanted"
}
says() { grep -qF -e "$1" "$dir/err" || fail "does not say '$1'"; }
prints() { grep -qF -e "$1" "$dir/out" || fail "does not print '$1'"; }
