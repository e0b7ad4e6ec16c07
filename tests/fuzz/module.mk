# tests/fuzz: random models on random meshes, by tests/fuzz/sharding; libFuzzer on the frontend, with clang.
check_PROGRAMS += tests/fuzz/sharding
tests_fuzz_sharding_SOURCES = \
	tests/fuzz/random_indexing.c \
	tests/fuzz/random_model.c tests/fuzz/random_model.h \
	tests/fuzz/random_shapes.c \
	tests/fuzz/random_statements.c tests/fuzz/random_statements.h \
	tests/fuzz/sharding.c \
	tests/fuzz/sharding_compiled.c \
	tests/fuzz/sharding_job.c tests/fuzz/sharding_job.h
tests_fuzz_sharding_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests/fuzz $(LLVM_CPPFLAGS)
tests_fuzz_sharding_LDADD = runtime/libmdl-runtime.a $(NUMERIC_LIBS)

EXTRA_DIST += tests/fuzz/sharding_seeds
dist_check_SCRIPTS += tests/fuzz/sharding.sh
TESTS += tests/fuzz/sharding.sh
tests/fuzz/sharding.log: tests/fuzz/sharding$(EXEEXT)

# By hand: make fuzz FUZZ_SECONDS=600
EXTRA_DIST += tests/fuzz/parse_fuzz.c
FUZZ_SECONDS = 60
tests/fuzz/parse_fuzz: tests/fuzz/parse_fuzz.c $(ir_libir_a_SOURCES) $(frontend_libfrontend_a_SOURCES) \
		frontend/grammar.c frontend/lexer.c
	@command -v clang >/dev/null || { echo "fuzzing needs clang with libFuzzer: install Debian's package 'clang'" >&2; exit 1; }
	$(AM_V_GEN)$(MKDIR_P) $(@D) && clang $(DEFS) $(AM_CPPFLAGS) $(CPPFLAGS) -std=c11 -g -O1 \
	    -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -o $@ $(filter %.c,$^) $(WEIGHTS_LIBS) -lm
fuzz: tests/fuzz/parse_fuzz
	$(MKDIR_P) tests/fuzz/corpus tests/fuzz/seeds
	cp $(srcdir)/tests/*/*.mdl $(srcdir)/examples/*/*.mdl tests/fuzz/seeds
	tests/fuzz/parse_fuzz -max_total_time=$(FUZZ_SECONDS) -timeout=60 -rss_limit_mb=4096 -max_len=8192 \
	    -artifact_prefix=tests/fuzz/ tests/fuzz/corpus tests/fuzz/seeds
clean-fuzz:
	rm -rf tests/fuzz/corpus tests/fuzz/seeds tests/fuzz/parse_fuzz
clean-local: clean-fuzz
.PHONY: fuzz clean-fuzz
