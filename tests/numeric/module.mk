# tests/numeric: compiled code against the interpreter, every buffer beside a guard page.
# Files by name: a folder would take its objects along, from the build folder.
EXTRA_DIST += \
	tests/numeric/README.md \
	tests/numeric/attention.mdl \
	tests/numeric/batch.mdl \
	tests/numeric/blocks.mdl \
	tests/numeric/caches.mdl \
	tests/numeric/convnet.mdl \
	tests/numeric/deep.mdl \
	tests/numeric/double.mdl \
	tests/numeric/einsum.mdl \
	tests/numeric/empty.mdl \
	tests/numeric/floats.mdl \
	tests/numeric/half.mdl \
	tests/numeric/indexing.mdl \
	tests/numeric/integers.mdl \
	tests/numeric/layers.mdl \
	tests/numeric/old_values.mdl \
	tests/numeric/pointwise.mdl \
	tests/numeric/products.mdl \
	tests/numeric/qlinear.mdl \
	tests/numeric/recurrent.mdl \
	tests/numeric/slices.mdl \
	tests/numeric/transformer.mdl \
	tests/numeric/views.mdl \
	tests/numeric/writes.mdl
PAIR_SOURCES = tests/numeric/pair.c tests/numeric/pair.h tests/numeric/guarded.c tests/numeric/guarded.h
NUMERIC_SOURCES = tests/numeric/compiled.c tests/numeric/compiled.h $(PAIR_SOURCES)
NUMERIC_LIBS = runtime/libcli.a backend/libbackend.a passes/libpasses.a frontend/libfrontend.a ir/libir.a $(LLVM_LIBS) $(WEIGHTS_LIBS) -lm -lpthread -ldl

check_PROGRAMS += tests/numeric/ops_test
TESTS += tests/numeric/ops_test
tests_numeric_ops_test_SOURCES = tests/numeric/ops_test.c tests/numeric/ops.def $(NUMERIC_SOURCES)
tests_numeric_ops_test_LDADD = $(NUMERIC_LIBS)

check_PROGRAMS += tests/numeric/math_test
TESTS += tests/numeric/math_test
tests_numeric_math_test_SOURCES = tests/numeric/math_test.c $(NUMERIC_SOURCES)
tests_numeric_math_test_LDADD = $(NUMERIC_LIBS)

# The far end of their pipes, and mdl-run, for another kind of machine: tests/aarch64.sh runs them in an emulator.
REMOTE_FILES = tests/numeric/remote.c runtime/elements.c $(PAIR_SOURCES)
EXTRA_DIST += tests/numeric/remote.c
if AARCH64
check_DATA += tests/aarch64/remote tests/aarch64/mdl-run
CLEANFILES += tests/aarch64/remote tests/aarch64/mdl-run
AARCH64_PROGRAM = $(AM_V_GEN)$(MKDIR_P) tests/aarch64 && link() { sources=; \
	for file; do case $$file in *.c) sources="$$sources $(srcdir)/$$file";; esac; done; \
	$(AARCH64_COMPILE) $$sources -o $@ -lm -ldl; } && link
tests/aarch64/remote: $(REMOTE_FILES) config.h
	$(AARCH64_PROGRAM) $(REMOTE_FILES)
tests/aarch64/mdl-run: $(mdl_run_SOURCES) $(runtime_libcli_a_SOURCES) runtime/abi.h runtime/mdl.h config.h
	$(AARCH64_PROGRAM) $(mdl_run_SOURCES) $(runtime_libcli_a_SOURCES)
endif
