# Sourced by the tests of whole models: skips (exit status 77) where the weights are not there.
#   need_file FILE           in $MDL_CACHE/w
#   ends STATUS COMMAND...   fails unless the command exits so
#   loses_output COMMAND...  fails unless the command says on a full disk that its output is lost
# Sets: cache. Expects: srcdir, as automake's tests have it.
cache=${MDL_CACHE:-$PWD/cache}
golden=$srcdir/tests/data

ends() {
    wanted=$1 status=0
    shift
    "$@" || status=$?
    [ $status = "$wanted" ] || { echo "FAILED - $*: exit status $status, not $wanted"; exit 1; }
}

# (For stdbuf sanitizers must not insist on being loaded first.)
loses_output() {
    [ -w /dev/full ] || return 0
    said=$(export ASAN_OPTIONS=verify_asan_link_order=0; ends 3 "$@" 2>&1 >/dev/full)
    case $said in *"standard output cannot be written"*) ;; *) echo "FAILED - $*: says '$said'"; exit 1 ;; esac
}

need_file() {
    [ -f "$cache/w/$1" ] && return 0
    echo "SKIPPED: $cache/w/$1 is not there; sh tests/run.sh fetches it, MDL_CACHE names another folder"
    exit 77
}
