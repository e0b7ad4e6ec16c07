# tests/distributed: ranks, on a model with a mesh that was made by hand.
HANDMESH = tests/distributed/handmesh.c tests/distributed/handmesh.h tests/run/descriptor.h
tests/distributed/libhandmesh.so: $(HANDMESH) runtime/abi.h runtime/mdl.h runtime/libmdl-runtime.a
	$(AM_V_CCLD)$(MKDIR_P) tests/distributed && $(CC) $(DEFS) $(AM_CPPFLAGS) $(CPPFLAGS) $(AM_CFLAGS) $(CFLAGS) -fPIC -shared -o $@ \
	    $(srcdir)/tests/distributed/handmesh.c runtime/libmdl-runtime.a $(AM_LDFLAGS) $(LDFLAGS) -lpthread -lm
EXTRA_DIST += $(HANDMESH)
check_DATA += tests/distributed/libhandmesh.so
CLEANFILES += tests/distributed/libhandmesh.so

check_PROGRAMS += tests/distributed/ring
TESTS += tests/distributed/ring
tests_distributed_ring_SOURCES = tests/distributed/ring.c
tests_distributed_ring_LDADD = runtime/libmdl-runtime.a -lpthread -lm

check_PROGRAMS += tests/distributed/ranks
TESTS += tests/distributed/ranks
tests_distributed_ranks_SOURCES = $(HANDMESH) tests/distributed/ranks.c
tests_distributed_ranks_LDADD = runtime/libmdl-runtime.a -lpthread -lm

# Ranks as threads under ThreadSanitizer, compiled apart like check-races.
check-races-ranks:
	for name in ranks ring; do \
	    sources=`test $$name = ranks && echo $(srcdir)/tests/distributed/handmesh.c`; \
	    $(CC) $(AM_CPPFLAGS) -std=c11 -g -O1 $(RUNTIME_DEFINES) -fsanitize=thread -o tests/distributed/$$name-tsan \
	        $(addprefix $(srcdir)/,$(filter %.c,$(runtime_libmdl_runtime_a_SOURCES))) $$sources \
	        $(srcdir)/tests/distributed/$$name.c -lpthread -lm && \
	    TSAN_OPTIONS=halt_on_error=1 tests/distributed/$$name-tsan || exit 1; done
CLEANFILES += tests/distributed/ranks-tsan tests/distributed/ring-tsan
.PHONY: check-races-ranks

# Processes, under each MPI that is here. By hand: sh tests/distributed/kill.sh 100
RANK_TESTS = tests/distributed/kill.sh tests/distributed/mpi.sh
EXTRA_DIST += tests/distributed/launchers.sh
dist_check_SCRIPTS += $(RANK_TESTS)
TESTS += $(RANK_TESTS)

# Bytes of each collective and of each row of RESULTS.md; the table anew by `make distributed-results`.
ROW_TESTS = tests/distributed/experts.sh
dist_check_SCRIPTS += $(ROW_TESTS)
TESTS += $(ROW_TESTS)
# By name: a folder `rows` older than rows.sh would be made of it, by a rule that make has.
EXTRA_DIST += tests/distributed/RESULTS.md tests/distributed/rows/even.mdl tests/distributed/rows/gangs.mdl tests/distributed/rows/kinds.mdl \
	tests/distributed/rows/meshes.mdl tests/distributed/rows/permute.mdl tests/distributed/rows/pipeline.mdl
distributed-results: mdlc$(EXEEXT) mdl-run$(EXEEXT) runtime/libmdl-runtime.a
	srcdir=$(srcdir) sh $(srcdir)/tests/distributed/rows.sh --write
.PHONY: distributed-results

# The NCCL engine, on a library that is none.
check_PROGRAMS += tests/distributed/nccl
tests_distributed_nccl_SOURCES = $(HANDMESH) tests/distributed/nccl.c
tests_distributed_nccl_LDADD = runtime/libmdl-runtime.a -lpthread -lm
tests/distributed/libfake-nccl.so: tests/distributed/fake_nccl.c
	$(AM_V_CCLD)$(MKDIR_P) tests/distributed && $(CC) $(AM_CPPFLAGS) $(AM_CFLAGS) $(CFLAGS) -fPIC -fvisibility=hidden -shared -o $@ \
	    $(srcdir)/tests/distributed/fake_nccl.c $(AM_LDFLAGS) -lpthread
EXTRA_DIST += tests/distributed/fake_nccl.c
check_DATA += tests/distributed/libfake-nccl.so
CLEANFILES += tests/distributed/libfake-nccl.so
