#!/bin/sh
# Writes the table of models.py into the root's README, between its marks:  make figures  (MDL_CACHE has the weights)
set -eu
source=$(cd "$(dirname "$0")/../.." && pwd)
figures=$(mktemp)
trap 'rm -f "$figures"' EXIT
python3 "$source/tests/bench/models.py" >"$figures"
sed -i -e "/<!-- figures -->/r $figures" -e '/<!-- figures -->/,/<!-- end of figures -->/{/<!--/!d}' "$source/README.md"
