# The runtime on a model made by hand for GPUs, on stand-ins for CUDA's driver.
EXTRA_DIST += tests/gpu/handmade.ptx tests/gpu/watched_cuda.c tests/gpu/watched_cuda.h
DEVICE_HANDMADE = tests/gpu/handmade.c tests/gpu/handmade.h $(HANDMADE_TABLES)
tests/gpu/handmade_ptx.inc: tests/gpu/handmade.ptx
	$(AM_V_GEN)$(MKDIR_P) tests/gpu && od -An -v -td1 $(srcdir)/tests/gpu/handmade.ptx | sed 's/ *\([0-9]\{1,\}\)/\1,/g' > $@
CLEANFILES += tests/gpu/handmade_ptx.inc

# Besides the one that interprets PTX: one whose kernels are C; and one that hands calls on to another, counts them, makes
# them fail.
EXTRA_DIST += tests/gpu/plain_cuda.c
tests/gpu/plain_cuda.so: tests/gpu/plain_cuda.c runtime/cuda_driver.h
	$(AM_V_CCLD)$(MKDIR_P) tests/gpu && $(CC) $(AM_CPPFLAGS) $(AM_CFLAGS) $(CFLAGS) -fPIC -fvisibility=hidden -shared -o $@ \
	    $(srcdir)/tests/gpu/plain_cuda.c $(AM_LDFLAGS) -lpthread
check_DATA += tests/gpu/plain_cuda.so
CLEANFILES += tests/gpu/plain_cuda.so
tests/gpu/watched_cuda.so: tests/gpu/watched_cuda.c tests/gpu/watched_cuda.h runtime/cuda_driver.h
	$(AM_V_CCLD)$(MKDIR_P) tests/gpu && $(CC) $(AM_CPPFLAGS) $(AM_CFLAGS) $(CFLAGS) -fPIC -fvisibility=hidden -shared -o $@ \
	    $(srcdir)/tests/gpu/watched_cuda.c $(AM_LDFLAGS) -lpthread
check_DATA += tests/gpu/watched_cuda.so
CLEANFILES += tests/gpu/watched_cuda.so

if HAVE_CRITERION
check_PROGRAMS += tests/gpu/runtime
TESTS += tests/gpu/runtime
tests_gpu_runtime_SOURCES = $(DEVICE_HANDMADE) $(HANDMADE_CALLS) tests/gpu/device.c tests/gpu/device.h tests/gpu/failures.c tests/gpu/runtime.c
tests_gpu_runtime_CFLAGS = $(UNIT_CFLAGS)
tests_gpu_runtime_LDADD = runtime/libmdl-runtime.a $(UNIT_LIBS) -lpthread
tests/gpu/tests_gpu_runtime-handmade.$(OBJEXT): tests/gpu/handmade_ptx.inc
endif

# Over ranks.
check_PROGRAMS += tests/gpu/ranks
tests_gpu_ranks_SOURCES = tests/gpu/handmade_ranks.c tests/run/descriptor.h tests/gpu/handmade.h tests/gpu/ranks.c
tests_gpu_ranks_LDADD = runtime/libmdl-runtime.a -lpthread -lm
tests/gpu/handmade_ranks.$(OBJEXT): tests/gpu/handmade_ptx.inc

# Libraries as mdlc would make them for GPUs.
tests/gpu/libhandmade_gpu.so: $(DEVICE_HANDMADE) tests/gpu/handmade_ptx.inc runtime/abi.h runtime/mdl.h runtime/libmdl-runtime.a
	$(AM_V_CCLD)$(CC) $(DEFS) $(AM_CPPFLAGS) $(CPPFLAGS) $(AM_CFLAGS) $(CFLAGS) -fPIC -shared -o $@ \
	    $(srcdir)/tests/gpu/handmade.c runtime/libmdl-runtime.a $(AM_LDFLAGS) $(LDFLAGS) -lpthread -lm
tests/gpu/libtotal.so: tests/gpu/handmade_ranks.c tests/run/descriptor.h tests/gpu/handmade_ptx.inc runtime/abi.h runtime/mdl.h runtime/libmdl-runtime.a
	$(AM_V_CCLD)$(CC) $(DEFS) $(AM_CPPFLAGS) $(CPPFLAGS) $(AM_CFLAGS) $(CFLAGS) -fPIC -shared -o $@ \
	    $(srcdir)/tests/gpu/handmade_ranks.c runtime/libmdl-runtime.a $(AM_LDFLAGS) $(LDFLAGS) -lpthread -lm
check_DATA += tests/gpu/libhandmade_gpu.so tests/gpu/libtotal.so
CLEANFILES += tests/gpu/libhandmade_gpu.so tests/gpu/libtotal.so
dist_check_SCRIPTS += tests/gpu/mdl-run.sh
TESTS += tests/gpu/mdl-run.sh
dist_check_SCRIPTS += tests/gpu/plain.sh
TESTS += tests/gpu/plain.sh
