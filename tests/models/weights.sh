# Sourced by the tests of whole models: skips (exit status 77) where the weights are not there.
#   need_file FILE           in $MDL_CACHE/w
# Sets: cache. Expects: srcdir, as automake's tests have it.
cache=${MDL_CACHE:-$PWD/cache}
golden=$srcdir/tests/data

need_file() {
    [ -f "$cache/w/$1" ] && return 0
    echo "SKIPPED: $cache/w/$1 is not there; sh tests/run.sh fetches it, MDL_CACHE names another folder"
    exit 77
}
