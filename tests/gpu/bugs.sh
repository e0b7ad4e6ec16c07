#!/bin/sh
# Deliberate bugs in the PTX of compiled models: each must be seen, by the interpreter's checks or in the results. What is put in
# has the length of what it replaces, since it is done in the library.  From a build folder: bugs.sh
set -u
tests=$(cd "${srcdir:-$(dirname "$0")/../..}/tests" && pwd)
MDL_CUDA=$PWD/tests/gpu/libcuda.so MDL_PTXAS=none
export MDL_CUDA MDL_PTXAS
PATH=$(pwd):$PATH
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0 count=0

complain() {
    echo "FAIL: $*"
    [ ! -s "$scratch/log" ] || head -5 "$scratch/log"
    failed=$((failed + 1))
}

# model FILE OPTION...: compiles it, and has the interpreter of graphs say what its call gives.
model() {
    file=$1
    shift
    mdlc --target=cuda:sm_80 "$@" "$file" -o "$scratch/libgood.so" || complain "$file does not compile"
    mdlc --target=cuda:sm_80 "$@" --emit=kernels "$file" -o "$scratch/lowered.mdl"
    # shellcheck disable=SC2086 # arguments are words
    mdlc interpret "$scratch/lowered.mdl" $call --output="$scratch/want" >/dev/null || complain "$file is not interpreted"
}

runs() {
    # shellcheck disable=SC2086
    mdl-run --device=cuda:0 "$1" $call --expect=0="@$scratch/want/0.npy" --rtol=1e-3 --atol=1e-3 >"$scratch/log" 2>&1
}

# bug WHAT FROM TO [SAYS]: every FROM as TO; the run fails, and says so.
bug() {
    count=$((count + 1))
    python3 - "$scratch/libgood.so" "$scratch/libbad.so" "$2" "$3" <<'PYTHON' || { complain "$1: '$2' is not in the PTX"; return; }
import re, sys
good, bad, old, new = sys.argv[1:]
data = open(good, "rb").read()
def put(match):
    text = match.expand(new.encode())
    return text + b" " * (len(match.group(0)) - len(text))
changed = re.sub(old.encode(), put, data)
sys.exit(1) if changed == data or len(changed) != len(data) else open(bad, "wb").write(changed)
PYTHON
    if runs "$scratch/libbad.so"; then complain "$1 was not seen"; return; fi
    [ $# -lt 4 ] || grep -q "$4" "$scratch/log" || complain "$1: not said: $4"
}

call='layer x=random N=40'
cat >"$scratch/product.mdl" <<'END'
model product
dim N in 1..64
param w : f32[96, 64] = normal(std=0.2)
export fn layer(x: f32[N, 64]) -> f32[N, 96] = softmax(linear(x, w))
END
model "$scratch/product.mdl" --precision=bf16
runs "$scratch/libgood.so" || complain "without a bug it fails"
bug 'a missing barrier' 'barrier.sync.aligned 	0;|bar.sync 	0;' ' ' 'shared memory'
bug 'a fragment of the wrong lane' 'and.b32(.*), 3;' 'and.b32\1, 1;'
bug 'a fragment of the wrong half' '(mma[^{]*\{[^{]*\{)(%r[0-9]+), (%r[0-9]+)' '\1\2, \2'
bug 'a copy that nobody waits for' 'cp.async.wait_group 	[1-9]' 'cp.async.wait_group 	9' 'shared memory'
bug 'rows of a fragment in the place of their neighbours' '(ldmatrix[^{]*\{)(%r[0-9]+), (%r[0-9]+)' '\1\3, \2'
bug 'a sum over half of the lanes' 'shfl.sync.bfly.b32 (.*), 16, 31' 'shfl.sync.bfly.b32 \1, 0, 31'
call="layer x=random N=1"
model "$scratch/product.mdl" --precision=bf16
bug 'a missing barrier between warps that share the inputs' 'barrier.sync.aligned 	0;|bar.sync 	0;' ' ' 'shared memory'
call='layer x=random N=1'
model "$scratch/product.mdl" --precision=int8 --quantize=q8_0
runs "$scratch/libgood.so" || complain "in int8 one row fails without a bug"
bug 'bytes taken as signed' 'dp4a.u32.s32' 'dp4a.s32.s32'
bug 'a missing barrier in int8' 'barrier.sync.aligned 	0;|bar.sync 	0;' ' ' 'shared memory'
call='layer x=random N=40'
model "$scratch/product.mdl" --precision=int8 --quantize=q8_0
runs "$scratch/libgood.so" || complain "in int8 many rows fail without a bug"
bug 'codes taken as signed by tensor cores' 's32.s8.u8.s32' 's32.s8.s8.s32'
bug "a block's codes before they are there" 'cp.async.wait_group 	[1-9]' 'cp.async.wait_group 	9' 'shared memory'
bug 'fours of inputs that do not fit the row'"'"'s' '(mma[^{]*\{[^{]*\{[^{]*\{)(%r[0-9]+), (%r[0-9]+)' '\1\3, \2'
echo "$count bugs, $failed failures"
[ $failed = 0 ]
