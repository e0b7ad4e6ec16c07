# tests/gpu: what can be known of GPU code without a GPU.
GPU_TESTS = tests/gpu/bench_tiny.sh tests/gpu/bugs.sh tests/gpu/emulated_bugs.sh
dist_check_SCRIPTS += $(GPU_TESTS)
TESTS += $(GPU_TESTS)
EXTRA_DIST += tests/gpu/blocks.py tests/gpu/bug.sh tests/gpu/RESULTS.md tests/gpu/resnet.mdl \
	tests/gpu/scale.mdl tests/gpu/scale.out \
	tests/gpu/attention_schedule.mdl tests/gpu/attention_schedule.err \
	tests/gpu/product_schedule.mdl tests/gpu/product_schedule.err
ptxas-results: mdlc$(EXEEXT)
	srcdir=$(srcdir) sh $(srcdir)/tests/gpu/ptxas.sh --write
.PHONY: ptxas-results

# An interpreter of PTX, and a stand-in for CUDA's driver that runs on it.
PTX_PARTS = \
	tests/gpu/ptx_control.c \
	tests/gpu/ptx_convert.c \
	tests/gpu/ptx_copy.c \
	tests/gpu/ptx_decode.c \
	tests/gpu/ptx_engine.c \
	tests/gpu/ptx_exec.c \
	tests/gpu/ptx_float.c \
	tests/gpu/ptx_global.c \
	tests/gpu/ptx_half.c \
	tests/gpu/ptx_integer.c \
	tests/gpu/ptx_lex.c \
	tests/gpu/ptx_matrix.c \
	tests/gpu/ptx_mbarrier.c \
	tests/gpu/ptx_memory.c \
	tests/gpu/ptx_module.c \
	tests/gpu/ptx_move.c \
	tests/gpu/ptx_number.c \
	tests/gpu/ptx_parse.c \
	tests/gpu/ptx_shared.c \
	tests/gpu/ptx_tcgen05.c \
	tests/gpu/ptx_tile.c \
	tests/gpu/ptx_tmem.c \
	tests/gpu/ptx_warp.c \
	tests/gpu/ptx_wgmma.c \
	tests/gpu/ptx.h \
	tests/gpu/ptx_code.h \
	tests/gpu/ptx_exec.h \
	tests/gpu/ptx_lex.h \
	tests/gpu/ptx_number.h \
	tests/gpu/ptx_ops.h \
	tests/gpu/ptx_tensor.h \
	tests/gpu/ptx_tile.h \
	tests/gpu/ptx_tmem.h
check_LIBRARIES = tests/gpu/libptx.a
tests_gpu_libptx_a_SOURCES = $(PTX_PARTS)
tests_gpu_libptx_a_CFLAGS = $(AM_CFLAGS) -fPIC -fvisibility=hidden

LIBCUDA_PARTS = tests/gpu/libcuda.c tests/gpu/libcuda_module.c tests/gpu/libcuda_queue.c tests/gpu/libcuda_tensor.c
tests/gpu/libcuda.so: $(LIBCUDA_PARTS) tests/gpu/libcuda.h tests/gpu/ptx.h tests/gpu/ptx_tensor.h tests/gpu/libptx.a
	$(AM_V_CCLD)$(CC) $(DEFS) $(AM_CPPFLAGS) $(CPPFLAGS) $(AM_CFLAGS) $(CFLAGS) -fPIC -fvisibility=hidden -shared -o $@ \
	    $(addprefix $(srcdir)/,$(LIBCUDA_PARTS)) tests/gpu/libptx.a $(AM_LDFLAGS) $(LDFLAGS) -lpthread -lm
EXTRA_DIST += $(LIBCUDA_PARTS) tests/gpu/libcuda.h tests/gpu/README.md
tests/gpu/libcuda.so.1: tests/gpu/libcuda.so
	$(AM_V_GEN)rm -f $@ && $(LN_S) libcuda.so $@
check_DATA += tests/gpu/libcuda.so tests/gpu/libcuda.so.1
CLEANFILES += tests/gpu/libcuda.so tests/gpu/libcuda.so.1

check_PROGRAMS += tests/gpu/ptx_run
tests_gpu_ptx_run_SOURCES = tests/gpu/ptx_run.c
tests_gpu_ptx_run_LDADD = tests/gpu/libptx.a -lm

if HAVE_CRITERION
check_PROGRAMS += tests/gpu/ptx
TESTS += tests/gpu/ptx
tests_gpu_ptx_SOURCES = tests/gpu/ptx.c tests/gpu/ptx_check.c tests/gpu/ptx_check.h \
	tests/gpu/check_async.c tests/gpu/check_bulk.c tests/gpu/check_control.c tests/gpu/check_driver.c tests/gpu/check_errors.c tests/gpu/check_gemm.c tests/gpu/check_llvm.c tests/gpu/check_matrix.c tests/gpu/check_tcgen05.c
tests_gpu_ptx_CPPFLAGS = $(AM_CPPFLAGS) $(LLVM_CPPFLAGS)
tests_gpu_ptx_CFLAGS = $(UNIT_CFLAGS)
tests_gpu_ptx_LDADD = tests/gpu/libptx.a backend/libbackend.a ir/libir.a $(LLVM_LIBS) $(UNIT_LIBS) -lpthread -ldl
endif
dist_check_SCRIPTS += tests/gpu/ptx_run.sh
TESTS += tests/gpu/ptx_run.sh
tests/gpu/ptx_run.log: tests/gpu/ptx_run$(EXEEXT)

# On a GPU, by hand: make check-gpu. Without one both say so.
check_PROGRAMS += tests/gpu/which
tests_gpu_which_SOURCES = tests/gpu/which.c
tests_gpu_which_LDADD = runtime/libmdl-runtime.a ir/libir.a -ldl
EXTRA_DIST += tests/gpu/device.sh
check-gpu: mdlc$(EXEEXT) mdl-run$(EXEEXT) tests/gpu/which$(EXEEXT) tests/numeric/ops_test$(EXEEXT)
	srcdir=$(srcdir) sh $(srcdir)/tests/gpu/device.sh $(FEW) || [ $$? = 77 ]
.PHONY: check-gpu

# Speed, by hand: make bench-gpu (README.md). Peers are linked where configure found them.
EXTRA_PROGRAMS += tests/gpu/bench/bench-gpu
tests_gpu_bench_bench_gpu_SOURCES = tests/gpu/bench/bench.c \
	tests/gpu/bench/copy.c tests/gpu/bench/copy.h \
	tests/gpu/bench/ours.c tests/gpu/bench/ours.h \
	tests/gpu/bench/peers.h \
	$(MEASURE)
tests_gpu_bench_bench_gpu_LDADD = runtime/libmdl-runtime.a runtime/libcli.a -ldl -lpthread -lm
GPU_PEERS = \
	tests/gpu/bench/cudnn_graph.c tests/gpu/bench/cudnn_graph.h \
	tests/gpu/bench/peer.c tests/gpu/bench/peer.h \
	tests/gpu/bench/peer_cublas.c \
	tests/gpu/bench/peer_cudnn.c \
	tests/gpu/bench/peer_unfused.c tests/gpu/bench/peer_unfused.h
GPU_NO_PEERS = tests/gpu/bench/peer_none.c
EXTRA_DIST += $(GPU_PEERS) $(GPU_NO_PEERS)
if CUDA_PEERS
tests_gpu_bench_bench_gpu_SOURCES += $(GPU_PEERS)
tests_gpu_bench_bench_gpu_CPPFLAGS = $(AM_CPPFLAGS) $(CUDA_PEERS_CPPFLAGS)
tests_gpu_bench_bench_gpu_LDADD += $(CUDA_PEERS_LIBS)
else
tests_gpu_bench_bench_gpu_SOURCES += $(GPU_NO_PEERS)
endif
EXTRA_DIST += tests/gpu/bench/bench.sh \
	tests/gpu/bench/attention.mdl tests/gpu/bench/call.mdl tests/gpu/bench/gemm.mdl tests/gpu/bench/matvec.mdl
bench-gpu: mdlc$(EXEEXT) tests/gpu/which$(EXEEXT) tests/gpu/bench/bench-gpu$(EXEEXT)
	srcdir=$(srcdir) sh $(srcdir)/tests/gpu/bench/bench.sh || [ $$? = 77 ]
.PHONY: bench-gpu
