#!/bin/sh
# Deliberate bugs in the PTX of compiled models: each must be seen, by the interpreter's checks or in the results. What is put in
# has the length of what it replaces, since it is done in the library.  From a build folder: bugs.sh
set -u
. "${srcdir:-$(dirname "$0")/../..}/tests/gpu/bug.sh"
MDL_CUDA=$PWD/tests/gpu/libcuda.so MDL_PTXAS=none
export MDL_CUDA MDL_PTXAS
target=cuda:sm_80 device=cuda:0

compiled() { mdlc --target=$target "$@" -o "$scratch/libgood.so"; }

changed() { substitute "$scratch/libgood.so" "$scratch/libbad.so" "$1" "$2" keep; }

call='layer x=random N=40'
cat >"$scratch/product.mdl" <<'END'
model product
dim N in 1..64
param w : f32[96, 64] = normal(std=0.2)
export fn layer(x: f32[N, 64]) -> f32[N, 96] = softmax(linear(x, w))
END
model "$scratch/product.mdl" --precision=bf16
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
bug 'bytes taken as signed' 'dp4a.u32.s32' 'dp4a.s32.s32'
bug 'a missing barrier in int8' 'barrier.sync.aligned 	0;|bar.sync 	0;' ' ' 'shared memory'
call='layer x=random N=40'
model "$scratch/product.mdl" --precision=int8 --quantize=q8_0
bug 'codes taken as signed by tensor cores' 's32.s8.u8.s32' 's32.s8.s8.s32'
bug "a block's codes before they are there" 'cp.async.wait_group 	[1-9]' 'cp.async.wait_group 	9' 'shared memory'
bug 'fours of inputs that do not fit the row'"'"'s' '(mma[^{]*\{[^{]*\{[^{]*\{)(%r[0-9]+), (%r[0-9]+)' '\1\3, \2'
call='layer q=random k=random v=random S=150'
model "$scratch/attention.mdl"
bug 'a tile of keys that nobody waits for' 'cp.async.wait_group 	0;' ' ' 'shared memory'
bug 'values that are not transposed' 'ldmatrix.sync.aligned.m8n8.x4.trans' 'ldmatrix.sync.aligned.m8n8.x4'
bug 'the largest score of half a row' 'shfl.sync.bfly.b32 (.*), 2, 31' 'shfl.sync.bfly.b32 \1, 1, 31'
cat >"$scratch/parts.mdl" <<'END'
model parts
dim S in 1..64, K in 1..256
export fn layer(q: f16[S, 2, 32], k: f16[K, 1, 32], v: f16[K, 1, 32]) -> f16[S, 2, 32] = sdpa(q, k, v)
END
call='layer q=random k=random v=random S=3 K=200'
model "$scratch/parts.mdl"
bug 'parts of which none is the last' 'atom.global.inc.u32' 'atom.global.min.u32'

# Where four warps, or one thread of all, ask for products.
sed 's/64\]/512]/' "$scratch/product.mdl" >"$scratch/long.mdl"
target=cuda:sm_90a call='layer x=random N=40'
model "$scratch/long.mdl" --precision=bf16
bug 'a missing fence behind what was stored for wgmma' 'fence.proxy.async[^;]*;' ' ' 'fence.proxy.async'
bug 'a wait for products that does not wait' 'wgmma.wait_group.sync.aligned 	[01]' 'wgmma.wait_group.sync.aligned 	7'
bug 'weights that nobody waits for' 'mbarrier.try_wait[^%]*(%p[0-9]+), \[[^;]*;' 'setp.eq.s32 \1, 0, 0;' 'shared memory'
bug 'floats taken for others' 'f32.bf16.bf16' 'f32.f16.f16'
call='layer q=random k=random v=random S=150'
model "$scratch/attention.mdl"
bug 'scores that nobody waits for' 'wgmma.wait_group.sync.aligned 1;' 'wgmma.wait_group.sync.aligned 7;' 'never written'
bug 'sums of values that nobody waits for' 'wgmma.wait_group.sync.aligned 0;' 'wgmma.wait_group.sync.aligned 7;' 'never written'
bug 'a fragment of weights of the wrong half' '(wgmma.mma[^{]*\{[^}]*\}, \{)(%r[0-9]+), (%r[0-9]+)' '\1\3, \2'
bug 'values along the keys taken for others along the dims' 'add, 1, 1, 1;' 'add, 1, 1, 0;'
bug 'scores that are added to the tile before' 'setp.ne.b32 add, 0, 0;' 'setp.ne.b32 add, 1, 0;' 'never written'
bug 'a missing fence behind copies of keys' 'fence.proxy.async[^;]*;' ' ' 'fence.proxy.async'
bug 'keys that are still on their way' 'cp.async.wait_group 	0;' ' ' 'shared memory'
bug 'a missing barrier between tiles' 'barrier.sync.aligned 	0;|bar.sync 	0;' ' ' 'shared memory'
call='layer x=random N=40'

# Where all that is multiplied comes in bulk: rows by tensor maps, in swizzled lines. A wait for an empty stage has an expect_tx behind it.
cat >"$scratch/boxes.mdl" <<'END'
model boxes
dim N in 1..64
param w : bf16[96, 520] = normal(std=0.2)
export fn layer(x: bf16[N, 520]) -> f32[N, 96] = softmax(cast(linear(x, w), f32))
END
wait='mbarrier.try_wait[^%]*(%p[0-9]+), \[%[^;]*;' over='setp.eq.s32 \1, 0, 0;' refill='(?:[^;]*;){0,12}[^;]*expect_tx'
model "$scratch/boxes.mdl"
bug 'lines in the places of a smaller swizzle' 4611686293305360384 9223372311732748288
bug 'a chunk of lines that is read twice' '(add.s32 	%r[0-9]+, %r[0-9]+), 32;' '\1, 16;'
bug 'the first inputs in every step' '(tensor.2d[^{]*\{)%r[0-9]+' '\1 0'
bug 'a stage that is not full yet' "$wait(?!$refill)" "$over" 'reads shared memory'
bug 'a stage that is not empty yet' "$wait(?=$refill)" "$over" 'shared memory'
bug 'a warp that never says that a stage is empty' 'mbarrier.arrive.shared[^;]*;' ' ' 'deadlock'
bug 'fewer bytes expected than come' ', 24576;' ', 24560;'

target=cuda:sm_100a MDL_FAKE_SM=100
export MDL_FAKE_SM
sed 's/^param.*//; s/x: f32.N, 64./x: f32[N, 512], w: f32[96, 512]/' "$scratch/product.mdl" >"$scratch/both.mdl"
call='layer x=random w=random N=40'
model "$scratch/both.mdl" --precision=bf16
bug 'sums that nobody waits for' 'mbarrier.try_wait[^%]*(%p[0-9]+), \[shared[^;]*;' 'setp.eq.s32 \1, 0, 0;' 'commit was not waited for'
bug 'a stage that is filled while it is multiplied' 'mbarrier.try_wait[^%]*(%p[0-9]+), \[%[^;]*;' 'setp.eq.s32 \1, 0, 0;' 'with a product'
bug 'a product without a commit' 'tcgen05.commit[^;]*;' ' '
bug 'a missing fence before tensor memory is read' 'tcgen05.fence::after_thread_sync;' ' ' 'fence::after_thread_sync'
bug 'a missing fence behind what was stored for a product' 'fence.proxy.async[^;]*;' ' ' 'fence.proxy.async'
call='layer x=random N=40'
model "$scratch/long.mdl" --precision=bf16 # whose weights come in bulk
bug 'a stage that is multiplied before it is there' 'mbarrier.try_wait[^%]*(%p[0-9]+), \[%[^;]*;' 'setp.eq.s32 \1, 0, 0;' 'asynchronous copy'
bug 'tensor memory that is not given back' 'tcgen05.dealloc[^;]*;' ' ' 'never freed'
model "$scratch/boxes.mdl"
bug 'lines in the places of a smaller swizzle, by one thread' 4611756662049538048 9223442680476925952
bug 'a stage that is not full yet, by one thread' "$wait(?!$refill)" "$over" 'reads shared memory'
bug 'a stage that is not empty yet, by one thread' "$wait(?=$refill)" "$over" 'with a product'
bug 'sums that are not all there' 'mbarrier.try_wait[^%]*(%p[0-9]+), \[shared[^;]*;' "$over"
bug 'more bytes expected than come' ', 24576;' ', 24592;'
finish
