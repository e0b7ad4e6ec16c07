#!/bin/sh
# Deliberate bugs in emulated kernels: each must be seen, by what runtime/emulate.h checks or in the results. They are put into LLVM's IR.
# From a build folder: emulated_bugs.sh
set -u
grep -q '^SANITIZE = .*address' Makefile && { echo "SKIPPED: AddressSanitizer follows one stack only"; exit 77; }
llc=$("$(sed -n 's/^LLVM_CONFIG = //p' Makefile)" --bindir)/llc
[ -x "$llc" ] || { echo "SKIPPED: LLVM's llc is not installed"; exit 77; }
. "${srcdir:-$(dirname "$0")/../..}/tests/gpu/bug.sh"
device=cpu

# library NAME: $scratch/NAME.ll as libNAME.so
library() {
    "$llc" -O0 -mcpu=native -relocation-model=pic -filetype=obj "$scratch/$1.ll" -o "$scratch/$1.o" &&
        cc -shared "$scratch/$1.o" "${MDL_RUNTIME:-runtime/libmdl-runtime.a}" -Wl,--exclude-libs,ALL -lm -lpthread -o "$scratch/lib$1.so"
}

compiled() { mdlc --target="$target" "$@" --emit=llvm -o "$scratch/good.ll" && library good; }

changed() { substitute "$scratch/good.ll" "$scratch/bad.ll" "$1" "$2" && library bad; }

cat >"$scratch/product.mdl" <<'END'
model product
dim N in 1..64
param w : f32[48, 320] = normal(std=0.1)
export fn layer(x: f32[N, 320]) -> f32[N, 48] = softmax(linear(x, w))
END
call='layer x=random N=40'
barrier='call void @mdl_emulate_barrier\(.*'
target=emulate:sm_80
model "$scratch/product.mdl" --precision=bf16
bug 'a missing barrier' "$barrier" ''
bug 'rows of fragments in the place of their neighbours' '(<32 x i32> <i32 8), (i32 8, i32 8, i32 8), i32 9,' '\1, \2, i32 8,'
bug 'fragments of the wrong half' '(@mdl_emulate_mma_bf16\(ptr) (%\w+), ptr %\w+,' '\1 \2, ptr \2,'
bug 'a missing wait for a copy' 'call void @mdl_emulate_copy_wait\(.*' '' 'under way'
bug 'a wait for too few copies' '(@mdl_emulate_copy_wait\(ptr %2, i32) [1-9]' '\1 9' 'under way'
bug 'a missing commit' 'call void @mdl_emulate_copy_commit\(.*' '' 'under way'
bug 'a sum over half of the lanes' '(<32 x float> %\w+, <32 x float> poison, <16 x i32>) <i32 16, .*>' '\1 zeroinitializer'
bug 'less shared memory than is used' '(k\w+.linear.warp, ptr @\w+, i64 \d+), i64 \d+' '\1, i64 64' 'kernel k.*linear, block .*warp .*shared memory'
target=emulate:sm_90a
model "$scratch/product.mdl" --precision=bf16
bug 'a missing barrier around wgmma' "$barrier" ''
bug 'a missing wait for products' 'call void @mdl_emulate_wgmma_wait\(.*' '' 'under way'
bug 'a wait for too few products' '(@mdl_emulate_wgmma_wait\(ptr %2, i32) 1' '\1 9' 'under way'
bug 'a wrong address of chunks' '(@mdl_emulate_wgmma_bf16\(ptr %2, ptr %\w+, i64) \d+' '\1 32'
call='layer q=random k=random v=random S=150'
model "$scratch/attention.mdl"
bug 'a missing barrier between tiles of keys' "$barrier" ''
bug 'a missing wait for scores and values' 'call void @mdl_emulate_wgmma_wait\(.*' '' 'under way'
bug 'a wait for too few products of values' '(@mdl_emulate_wgmma_wait\(ptr %2, i32) 0' '\1 9' 'under way'
bug 'values that are not transposed' '(@mdl_emulate_wgmma_registers_f16\(.*, i32) 1,' '\1 0,'
bug 'a wrong address of values' '(@mdl_emulate_wgmma_registers_f16\(ptr %2, ptr %\w+, ptr %\w+, i64) \d+' '\1 32'
bug 'copies of keys that nobody waits for' 'call void @mdl_emulate_copy_wait\(.*' '' 'under way'
call='layer x=random N=40'
target=emulate:sm_100a
model "$scratch/product.mdl" --precision=bf16
bug 'a missing barrier around tcgen05' "$barrier" ''
bug 'a wrong address of chunks' '(@mdl_emulate_tcgen05_bf16\(ptr %2, ptr %\w+, i64) \d+' '\1 32'
bug 'a phase of the wrong parity' '(@mdl_emulate_mbarrier_wait\(.*, i32) (%\w+)\)' '\1 0)'
bug 'tensor memory that is not given back' 'call void @mdl_emulate_tensor_end\(.*' '' 'tensor memory'
target=emulate:sm_90a
bug 'a missing wait at an mbarrier' 'call void @mdl_emulate_mbarrier_wait\(.*' '' 'under way'
bug 'an mbarrier that expects other bytes' '(@mdl_emulate_mbarrier_expect\(.*, i32) [1-9]\d*' '\1 16' 'nobody arrives'
target=emulate:sm_100a
model "$scratch/product.mdl" --precision=bf16
bug 'a missing commit of products' 'call void @mdl_emulate_tcgen05_commit\(.*' '' 'nobody arrives'
bug 'a missing wait for tensor memory' 'call void @mdl_emulate_mbarrier_wait\(.*' '' 'under way'
bug 'a wrong address of chunks for one thread' '(@mdl_emulate_tcgen05_bf16\(ptr %2, ptr %\w+, i64) \d+' '\1 32'
# All in bulk: a wait for an empty stage has an expectation behind it.
cat >"$scratch/boxes.mdl" <<'END'
model boxes
dim N in 1..64
param w : bf16[48, 520] = normal(std=0.1)
export fn layer(x: bf16[N, 520]) -> f32[N, 48] = softmax(cast(linear(x, w), f32))
END
wait='call void @mdl_emulate_mbarrier_wait\([^\n]*' refill='(?:\n[^\n]*){0,20}mbarrier_expect'
for arch in sm_90a sm_100a; do
    target=emulate:$arch
    model "$scratch/boxes.mdl"
    bug "columns in the place of swizzled lines, $arch" '(@mdl_emulate_(wgmma|tcgen05)_bf16\(ptr %2, ptr %\w+, i64) 0,' '\1 1040,'
    bug "a missing wait for a full stage, $arch" "$wait(?!$refill)\n" '\n' 'under way'
    bug "a missing wait for an empty stage, $arch" "$wait(?=$refill)\n" '\n'
    bug "fewer bytes expected than come, $arch" '(@mdl_emulate_mbarrier_expect\(.*, i32) [1-9]\d*' '\1 16' 'nobody arrives'
done
target=emulate:sm_90a
model "$scratch/boxes.mdl"
bug 'a warp that never says that a stage is empty' 'call void @mdl_emulate_mbarrier_arrive\(.*' '' 'nobody arrives'
model "$scratch/product.mdl" --precision=int8 --quantize=q8_0
bug 'a missing barrier in int8' "$barrier" ''
bug 'fragments of bytes of the wrong half' '(@mdl_emulate_mma_int8\(ptr) (%\w+), ptr %\w+,' '\1 \2, ptr \2,'
call='layer x=random N=1'
model "$scratch/product.mdl" --precision=int8 --quantize=q8_0
bug 'weights in the place of inputs' '(@mdl_emulate_dot4\(ptr) (%\w+), ptr (%\w+),' '\1 \3, ptr \2,'
call='layer x=random N=40'
cat >"$scratch/scratch.mdl" <<'END'
model scratch
dim N in 1..64
export fn layer(x: f32[N, 300]) -> f32[N, 300] = softmax(exp(x))
END
model "$scratch/scratch.mdl"
bug 'less scratch than is used' '(@k0.*[.]emulated = .*), i64 [1-9]\d*, i64 0 }' '\1, i64 64, i64 0 }' 'block .*warp .*scratch'
finish
