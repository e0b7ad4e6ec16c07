#!/bin/sh
# Measures SmolLM2 and writes the table of figures in the root's README:  cd BUILD && MDL_CACHE=DIR sh SOURCE/tests/bench/readme.sh
set -eu
source=$(cd "$(dirname "$0")/../.." && pwd)
make -s smollm2
figures=$(mktemp)
trap 'rm -f "$figures"' EXIT
{
    echo "| precision | compile | memory | library | open | decode | prefill of 512 |"
    echo "|---|---|---|---|---|---|---|"
    python3 "$source/tests/bench/models.py" |
        sed -nE 's/^(f32|bf16|int8) +([^ ]+ s) +([^ ]+ MB) +([^ ]+ KB) +([^ ]+ ms) +([^ ]+ t\/s) +([^ ]+ t\/s)$/| \1 | \2 | \3 | \4 | \5 | \6 | \7 |/p'
    echo
    echo "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) threads, $(date +%F)."
} >"$figures"
[ "$(grep -c 't/s' "$figures")" = 3 ]
sed -i -e "/<!-- figures -->/r $figures" -e '/<!-- figures -->/,/<!-- end of figures -->/{/<!--/!d}' "$source/README.md"
