#!/bin/sh
# mdl-run on the hand-made model for GPUs, on the stand-in for CUDA's driver; and what libraries for the processor do without.
set -u
. "${srcdir:-$(dirname "$0")/../..}/tests/expect.sh"
cd "$dir" || exit 99
cp "$build/tests/gpu/libhandmade_gpu.so" "$build/tests/gpu/libtotal.so" "$build/tests/run/libhandmade.so" . || exit 99
MDL_CUDA=$build/tests/gpu/plain_cuda.so
export MDL_CUDA
unset CUDA_LAUNCH_BLOCKING MDL_FAKE_SM

gives 0 mdl-run libhandmade_gpu.so --list
prints 'device cuda: 12 kernels, for sm_80 (PTX)'
prints 'for M = 2: 3 steps, arena 8192 bytes'
for device in '' --device=cuda --device=cuda:0; do
    gives 0 mdl-run $device libhandmade_gpu.so mix x=1,2,3 ids=0,1,2 a=2
    prints '0: f32[3] = [600 40 2]'
    prints '1: i32 = 8'
done
gives 1 mdl-run libhandmade_gpu.so mix x=1,2 ids=0,7 a=2
says 'handmade.mdl:7:22: gather: id 7 is outside 0..4'
gives 0 mdl-run libhandmade_gpu.so mix x=1,2,3 ids=0,1,2 a=2 --stats --bench=0.01 --trace=t.json
prints 'session: arena 8192 bytes, scratch 17152 bytes, states 128 bytes'
prints 'of the device: weights 192 bytes'
prints 'k1.scale'
grep -q '"name":"k2.reverse handmade.mdl:9","cat":"kernel","ph":"X"' t.json || fail 'no slice of k2.reverse in the trace'

gives 1 mdl-run --device=cpu libhandmade_gpu.so peek
says 'model handmade_gpu was compiled for cuda (sm_80): it cannot run on device cpu'
gives 1 mdl-run --device=cuda:1 libhandmade_gpu.so peek
says 'cuda:1: there is no such device: there is 1'
gives 1 mdl-run --device=cuda:0 libhandmade.so x=1 ids=1 a=1
says 'model handmade was compiled for cpu (any): it cannot run on device cuda:0'
gives 1 mdl-run libhandmade_gpu.so crash
says 'cuda:0 (stand-in): a kernel of crash failed'
MDL_FAKE_SM=75 gives 1 mdl-run libhandmade_gpu.so peek
says 'has compute capability 7.5, for which model handmade_gpu has no code: it has sm_80'
MDL_CUDA=./libcuda.so gives 1 mdl-run libhandmade_gpu.so peek
says 'model handmade_gpu was compiled for cuda: ./libcuda.so cannot be opened'
gives 0 mdl-run --help
prints '--device=cpu|cuda:N'

# Over ranks, with a stand-in for NCCL too.
MDL_NCCL=$build/tests/distributed/libfake-nccl.so
export MDL_NCCL
gives 0 "$build/tests/gpu/ranks" "$MDL_CUDA" "$MDL_NCCL"
for comm in '' --comm=nccl --comm=threads; do
    gives 0 mdl-run --ranks=2 $comm libtotal.so M=1 x=1,2,3 --stats
    prints '0: i32[3] = [8 16 24]'
    prints '1: i32[8] = [0 1 2 ... 101 102 103]'
done
gives 1 mdl-run --ranks=2 libtotal.so M=1 x=1,-2,3
says 'total.mdl:5:7: total: -2 is negative'
gives 2 mdl-run --ranks=2 --device=cuda:0 libtotal.so M=1 x=1,2,3
says '--device=cuda:0: over ranks each takes the GPU of its number'
MDL_NCCL=/nowhere/libnccl.so gives 3 mdl-run --ranks=2 libtotal.so M=1 x=1,2,3
says 'NCCL cannot be used here'

if command -v nm >/dev/null; then
    nm libhandmade_gpu.so | grep -q ' cuda_run$' || fail 'libhandmade_gpu.so has no cuda_run'
    nm libhandmade.so | grep 'cuda' >out && fail 'a library for the processor has something of CUDA'
fi
[ $failures -eq 0 ]
