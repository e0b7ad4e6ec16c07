# runtime: what a compiled model calls, linked into every one of them; and mdl-run.
EXTRA_DIST += runtime/README.md runtime/mdlc.pc.in

# Where shims of MPIs are looked for.
RUNTIME_DEFINES = -DPKGLIBDIR='"$(pkglibdir)"'

# Kept at -O2 and out of the model's own symbols: it becomes part of the user's library.
pkglib_LIBRARIES += runtime/libmdl-runtime.a
runtime_libmdl_runtime_a_CFLAGS = $(AM_CFLAGS) -O2 -fPIC -fvisibility=hidden
# Functions and lines, for backtraces and profiles. Types and variables too would be a sixth of a model's library; so this comes last.
$(runtime_libmdl_runtime_a_OBJECTS): CFLAGS += -g1
runtime_libmdl_runtime_a_CPPFLAGS = $(AM_CPPFLAGS) $(RUNTIME_DEFINES)
runtime_libmdl_runtime_a_SOURCES = \
	runtime/abi.h \
	runtime/call.c \
	runtime/comm.h \
	runtime/comm_nccl.c \
	runtime/comm_open.c \
	runtime/comm_threads.c \
	runtime/cpu.c runtime/cpu.h \
	runtime/crc32c.c runtime/crc32c.h \
	runtime/cuda.c runtime/cuda.h \
	runtime/cuda_call.c \
	runtime/cuda_driver.c runtime/cuda_driver.h \
	runtime/cuda_exchange.c \
	runtime/cuda_graph.c \
	runtime/cuda_image.c \
	runtime/cuda_maps.c \
	runtime/cuda_memory.c \
	runtime/cuda_ranks.c \
	runtime/cuda_session.c \
	runtime/cuda_steps.c \
	runtime/cuda_trace.c \
	runtime/distributed.c \
	runtime/emulate.c runtime/emulate.h runtime/emulate_block.h \
	runtime/emulate_engine.c \
	runtime/emulate_fault.c \
	runtime/emulate_matrix.c runtime/emulate_mbarrier.c \
	runtime/emulate_memory.c \
	runtime/emulate_product.c \
	runtime/emulate_x86.c runtime/emulate_x86.h \
	runtime/float.h \
	runtime/mdl.h \
	runtime/mesh.c runtime/mesh.h \
	runtime/mesh_agree.c \
	runtime/mesh_collective.c \
	runtime/mesh_failure.c \
	runtime/mesh_progress.c \
	runtime/mesh_text.c \
	runtime/model.h \
	runtime/open.c \
	runtime/plan.c \
	runtime/pool.c runtime/pool.h \
	runtime/replace.c runtime/replace.h \
	runtime/reduce.c runtime/reduce.h \
	runtime/ring.c runtime/ring.h \
	runtime/saved.c \
	runtime/sections.c runtime/sections.h \
	runtime/session.c \
	runtime/sort.c \
	runtime/touched.c runtime/touched.h \
	runtime/weights.c runtime/weights.h

# The engine that is an MPI, once for each that is here: opened at run time by models with a mesh.
EXTRA_DIST += runtime/comm_mpi.c
shimdir = $(pkglibdir)
shim_DATA =
SHIM_FLAGS = -std=c11 $(WARNINGS) -D_GNU_SOURCE -I$(top_srcdir) -O2 -g -fPIC -shared -fvisibility=hidden
if OPENMPI
shim_DATA += runtime/libmdl-openmpi.so
endif
if MPICH
shim_DATA += runtime/libmdl-mpich.so
endif
CLEANFILES += runtime/libmdl-openmpi.so runtime/libmdl-mpich.so
runtime/libmdl-openmpi.so: runtime/comm_mpi.c runtime/comm.h runtime/abi.h runtime/mdl.h
	$(AM_V_GEN)$(OPENMPI_CC) $(SHIM_FLAGS) -o $@ $(srcdir)/runtime/comm_mpi.c -lpthread
runtime/libmdl-mpich.so: runtime/comm_mpi.c runtime/comm.h runtime/abi.h runtime/mdl.h
	$(AM_V_GEN)$(MPICH_CC) $(SHIM_FLAGS) -o $@ $(srcdir)/runtime/comm_mpi.c -lpthread

# The same for another kind of machine, by its compiler.
AARCH64_COMPILE = $(AARCH64_CC) -std=c11 $(WARNINGS) -D_GNU_SOURCE -I$(top_srcdir) -I$(top_builddir) -O2 -g1
if AARCH64
aarch64dir = $(pkglibdir)/aarch64-linux-gnu
nodist_aarch64_DATA = runtime/aarch64-linux-gnu/libmdl-runtime.a
CLEANFILES += $(nodist_aarch64_DATA) runtime/aarch64-linux-gnu/*.o
runtime/aarch64-linux-gnu/libmdl-runtime.a: $(runtime_libmdl_runtime_a_SOURCES) config.h
	$(AM_V_GEN)$(MKDIR_P) runtime/aarch64-linux-gnu && rm -f $@ && \
	for file in $(runtime_libmdl_runtime_a_SOURCES); do case $$file in *.c) \
		$(AARCH64_COMPILE) $(RUNTIME_DEFINES) -fPIC -fvisibility=hidden -c $(srcdir)/$$file \
			-o runtime/aarch64-linux-gnu/`basename $$file .c`.o || exit 1;; esac; done && \
	$(AARCH64_AR) crs $@ runtime/aarch64-linux-gnu/*.o
endif

# What the command lines share: options, .npy files, name=value arguments, compiled libraries.
noinst_LIBRARIES += runtime/libcli.a
runtime_libcli_a_SOURCES = \
	runtime/elements.c runtime/elements.h \
	runtime/library.c runtime/library.h \
	runtime/library_bench.c \
	runtime/library_file.c \
	runtime/library_list.c \
	runtime/library_ranks.c runtime/library_ranks.h \
	runtime/library_signals.c \
	runtime/library_stats.c \
	runtime/library_trace.c \
	runtime/npy.c runtime/npy.h \
	runtime/options.c runtime/options.h \
	runtime/options_print.c \
	runtime/replace.c runtime/replace.h \
	runtime/run.c runtime/run.h \
	runtime/run_args.c \
	runtime/run_results.c

bin_PROGRAMS += mdl-run
mdl_run_SOURCES = runtime/mdl_run.c
mdl_run_LDADD = runtime/libcli.a -lpthread -lm

# Each tool writes its own man page and completion.
nodist_man_MANS += mdl-run.1
mdl-run.1: mdl-run$(EXEEXT)
	$(AM_V_GEN)./mdl-run$(EXEEXT) --man > $@.tmp && mv $@.tmp $@
completions/mdl-run: mdl-run$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) completions && ./mdl-run$(EXEEXT) --bash-completion > $@.tmp && mv $@.tmp $@
bashcompletion_DATA += completions/mdl-run
CLEANFILES += mdl-run.1 completions/mdl-run

# What programs that use a compiled model include.
runtimeincludedir = $(pkgincludedir)/runtime
runtimeinclude_HEADERS = runtime/abi.h runtime/comm.h runtime/mdl.h
