# tests/numeric: compiled code against the interpreter, every buffer beside a guard page.
# Files by name: a folder would take its objects along, from the build folder.
EXTRA_DIST += \
	tests/numeric/README.md \
	tests/numeric/batch.mdl \
	tests/numeric/convnet.mdl \
	tests/numeric/einsum.mdl \
	tests/numeric/empty.mdl \
	tests/numeric/half.mdl \
	tests/numeric/indexing.mdl \
	tests/numeric/integers.mdl \
	tests/numeric/layers.mdl \
	tests/numeric/pointwise.mdl \
	tests/numeric/recurrent.mdl \
	tests/numeric/transformer.mdl \
	tests/numeric/views.mdl \
	tests/numeric/writes.mdl
NUMERIC_SOURCES = tests/numeric/compiled.c tests/numeric/compiled.h tests/numeric/guarded.c tests/numeric/guarded.h
NUMERIC_LIBS = backend/libbackend.a passes/libpasses.a frontend/libfrontend.a ir/libir.a $(LLVM_LIBS) $(WEIGHTS_LIBS) -lm -lpthread -ldl

check_PROGRAMS += tests/numeric/ops_test
TESTS += tests/numeric/ops_test
tests_numeric_ops_test_SOURCES = tests/numeric/ops_test.c tests/numeric/ops.def $(NUMERIC_SOURCES)
tests_numeric_ops_test_LDADD = $(NUMERIC_LIBS)

check_PROGRAMS += tests/numeric/math_test
TESTS += tests/numeric/math_test
tests_numeric_math_test_SOURCES = tests/numeric/math_test.c $(NUMERIC_SOURCES)
tests_numeric_math_test_LDADD = $(NUMERIC_LIBS)
