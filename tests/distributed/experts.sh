#!/bin/sh
# The mixture of experts over ranks: without drops what the dense form gives; with few places the same tokens are turned
# away however groups and experts are cut.
set -eu
model=$srcdir/examples/sharded/moe.mdl
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAILED - $*"; exit 1; }

# run RANKS CONSTANTS ARGUMENT...: the model over so many ranks.
run() {
    ranks=$1 library=$dir/$2-$1/libmoe.so
    [ -f "$library" ] || { mkdir -p "${library%/*}" && ./mdlc --const="EXPERT=$1" --const="$2" -o "$library" "$model"; }
    shift 2
    [ "$ranks" = 1 ] || set -- --ranks="$ranks" "$@"
    ./mdl-run --threads=1 "$library" "$@" x=random G=8 >"$dir/said"
}

./mdlc interpret "$model" dense x=random G=8 --output="$dir/dense" >"$dir/said"
for ranks in 1 2 4 8; do
    run $ranks CAPACITY=16 forward --expect="0=@$dir/dense/0.npy" --rtol=1e-4 --atol=1e-5 || fail "on $ranks ranks it is not the dense form"
    run $ranks CAPACITY=2 served --output="$dir/served$ranks"
    run $ranks CAPACITY=2 forward --output="$dir/forward$ranks"
    cmp "$dir/served1/0.npy" "$dir/served$ranks/0.npy" || fail "on $ranks ranks others are turned away than on one"
    run 1 CAPACITY=2 forward --expect="0=@$dir/forward$ranks/0.npy" --rtol=1e-4 --atol=1e-5 || fail "on $ranks ranks it is not what one gives"
done
if run 1 CAPACITY=2 forward --expect="0=@$dir/dense/0.npy" --rtol=1e-4 --atol=1e-5 2>"$dir/said"; then fail "nobody was turned away"; fi
echo "ok - experts"
