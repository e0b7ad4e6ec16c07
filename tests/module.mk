# tests: unit tests are Criterion programs, one a part; README.md says what each kind of test promises.
EXTRA_DIST += tests/README.md tests/expect.sh tests/run.sh tests/setup.sh tests/timed.sh tests/times.sh
EXTRA_DIST += tests/frontend tests/options

if HAVE_CRITERION
UNIT_CFLAGS = $(AM_CFLAGS) $(CRITERION_CFLAGS) -Wno-pedantic
UNIT_LIBS = $(CRITERION_LIBS) -lm
check_PROGRAMS += tests/unit/backend
TESTS += tests/unit/backend
tests_unit_backend_SOURCES = tests/unit/backend.c
tests_unit_backend_CFLAGS = $(UNIT_CFLAGS)
tests_unit_backend_LDADD = $(NUMERIC_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/core
TESTS += tests/unit/core
tests_unit_core_SOURCES = tests/unit/core.c
tests_unit_core_CFLAGS = $(UNIT_CFLAGS)
tests_unit_core_LDADD = ir/libir.a $(UNIT_LIBS)

check_PROGRAMS += tests/unit/frontend
TESTS += tests/unit/frontend
tests_unit_frontend_SOURCES = tests/unit/frontend.c
tests_unit_frontend_CFLAGS = $(UNIT_CFLAGS)
tests_unit_frontend_LDADD = frontend/libfrontend.a ir/libir.a $(WEIGHTS_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/pack
TESTS += tests/unit/pack
tests_unit_pack_SOURCES = tests/unit/pack.c
tests_unit_pack_CFLAGS = $(UNIT_CFLAGS)
tests_unit_pack_CPPFLAGS = $(AM_CPPFLAGS) $(LLVM_CPPFLAGS)
tests_unit_pack_LDADD = backend/libbackend.a ir/libir.a $(UNIT_LIBS)

check_PROGRAMS += tests/unit/sharding_json
TESTS += tests/unit/sharding_json
tests_unit_sharding_json_SOURCES = tests/unit/sharding_json.c
tests_unit_sharding_json_CFLAGS = $(UNIT_CFLAGS)
tests_unit_sharding_json_LDADD = frontend/libfrontend.a ir/libir.a $(WEIGHTS_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/frontend_golden
TESTS += tests/unit/frontend_golden
tests_unit_frontend_golden_SOURCES = tests/unit/frontend_golden.c
tests_unit_frontend_golden_CFLAGS = $(UNIT_CFLAGS)
tests_unit_frontend_golden_LDADD = frontend/libfrontend.a ir/libir.a $(WEIGHTS_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/frontend_fuzz
TESTS += tests/unit/frontend_fuzz
tests_unit_frontend_fuzz_SOURCES = tests/unit/frontend_fuzz.c
tests_unit_frontend_fuzz_CFLAGS = $(UNIT_CFLAGS)
tests_unit_frontend_fuzz_LDADD = frontend/libfrontend.a ir/libir.a $(WEIGHTS_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/format
TESTS += tests/unit/format
tests_unit_format_SOURCES = tests/unit/format.c
tests_unit_format_CFLAGS = $(UNIT_CFLAGS)
tests_unit_format_LDADD = ir/libir.a $(UNIT_LIBS)

check_PROGRAMS += tests/unit/print
TESTS += tests/unit/print
tests_unit_print_SOURCES = tests/unit/print.c tests/unit/build.h
tests_unit_print_CFLAGS = $(UNIT_CFLAGS)
tests_unit_print_LDADD = ir/libir.a $(UNIT_LIBS)

check_PROGRAMS += tests/unit/roundtrip
TESTS += tests/unit/roundtrip
tests_unit_roundtrip_SOURCES = tests/unit/roundtrip.c
tests_unit_roundtrip_CFLAGS = $(UNIT_CFLAGS)
tests_unit_roundtrip_LDADD = frontend/libfrontend.a ir/libir.a $(WEIGHTS_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/eval
TESTS += tests/unit/eval
tests_unit_eval_SOURCES = tests/unit/eval.c tests/unit/build.h
tests_unit_eval_CFLAGS = $(UNIT_CFLAGS)
tests_unit_eval_LDADD = ir/libir.a $(UNIT_LIBS)

check_PROGRAMS += tests/unit/imap
TESTS += tests/unit/imap
tests_unit_imap_SOURCES = tests/unit/imap.c tests/unit/cases.c tests/unit/cases.h
tests_unit_imap_CFLAGS = $(UNIT_CFLAGS)
tests_unit_imap_LDADD = ir/libir.a $(UNIT_LIBS)

check_PROGRAMS += tests/unit/interp
TESTS += tests/unit/interp
tests_unit_interp_SOURCES = tests/unit/interp.c tests/unit/build.h
tests_unit_interp_CFLAGS = $(UNIT_CFLAGS)
tests_unit_interp_LDADD = ir/libir.a $(UNIT_LIBS)

check_PROGRAMS += tests/unit/infer
TESTS += tests/unit/infer
tests_unit_infer_SOURCES = tests/unit/infer.c tests/unit/cases.c tests/unit/cases.h
tests_unit_infer_CFLAGS = $(UNIT_CFLAGS)
tests_unit_infer_LDADD = ir/libir.a $(UNIT_LIBS)

check_PROGRAMS += tests/unit/passes
TESTS += tests/unit/passes
tests_unit_passes_SOURCES = tests/unit/passes.c
tests_unit_passes_CFLAGS = $(UNIT_CFLAGS)
tests_unit_passes_LDFLAGS = -rdynamic
tests_unit_passes_LDADD = passes/libpasses.a ir/libir.a $(UNIT_LIBS)

check_PROGRAMS += tests/unit/passes_memory
TESTS += tests/unit/passes_memory
tests_unit_passes_memory_SOURCES = tests/unit/passes_memory.c tests/unit/random_program.c tests/unit/random_program.h
tests_unit_passes_memory_CFLAGS = $(UNIT_CFLAGS)
tests_unit_passes_memory_LDFLAGS = -rdynamic
tests_unit_passes_memory_LDADD = passes/libpasses.a frontend/libfrontend.a ir/libir.a $(WEIGHTS_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/passes_random
TESTS += tests/unit/passes_random
tests_unit_passes_random_SOURCES = tests/unit/passes_random.c tests/unit/random_program.c tests/unit/random_program.h
tests_unit_passes_random_CFLAGS = $(UNIT_CFLAGS)
tests_unit_passes_random_LDFLAGS = -rdynamic
tests_unit_passes_random_LDADD = passes/libpasses.a frontend/libfrontend.a ir/libir.a $(WEIGHTS_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/reshard_path
TESTS += tests/unit/reshard_path
tests_unit_reshard_path_SOURCES = tests/unit/reshard_path.c \
	tests/unit/reshard_oracle.c tests/unit/reshard_oracle.h \
	tests/unit/reshard_sim.c tests/unit/reshard_sim.h
tests_unit_reshard_path_CFLAGS = $(UNIT_CFLAGS)
tests_unit_reshard_path_LDADD = passes/libpasses.a ir/libir.a $(UNIT_LIBS)

check_PROGRAMS += tests/unit/weights
TESTS += tests/unit/weights
tests_unit_weights_SOURCES = tests/unit/weights.c tests/unit/weights_broken.c \
	tests/unit/weights_cases.c tests/unit/weights_samples.c tests/unit/weights_samples.h
tests_unit_weights_CFLAGS = $(UNIT_CFLAGS)
tests_unit_weights_LDADD = frontend/libfrontend.a ir/libir.a $(WEIGHTS_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/gguf_meta
TESTS += tests/unit/gguf_meta
tests_unit_gguf_meta_SOURCES = tests/unit/gguf_meta.c
tests_unit_gguf_meta_CFLAGS = $(UNIT_CFLAGS)
tests_unit_gguf_meta_LDADD = $(EXAMPLES_LIBS) $(CRITERION_LIBS)

check_PROGRAMS += tests/unit/speculate
TESTS += tests/unit/speculate
tests_unit_speculate_SOURCES = tests/unit/speculate.c
tests_unit_speculate_CFLAGS = $(UNIT_CFLAGS)
tests_unit_speculate_LDADD = $(EXAMPLES_LIBS) $(CRITERION_LIBS)

check_PROGRAMS += tests/unit/talk
TESTS += tests/unit/talk
tests_unit_talk_SOURCES = tests/unit/talk.c
tests_unit_talk_CFLAGS = $(UNIT_CFLAGS)
tests_unit_talk_LDADD = $(EXAMPLES_LIBS) $(CRITERION_LIBS)

check_PROGRAMS += tests/unit/tokenizer
TESTS += tests/unit/tokenizer
tests_unit_tokenizer_SOURCES = tests/unit/tokenizer.c
tests_unit_tokenizer_CFLAGS = $(UNIT_CFLAGS)
tests_unit_tokenizer_LDADD = $(EXAMPLES_LIBS) $(CRITERION_LIBS)

check_PROGRAMS += tests/unit/verify
TESTS += tests/unit/verify
tests_unit_verify_SOURCES = tests/unit/verify.c tests/unit/cases.c tests/unit/cases.h
tests_unit_verify_CFLAGS = $(UNIT_CFLAGS)
tests_unit_verify_LDADD = ir/libir.a $(UNIT_LIBS)
endif

# The same broken weight files, for tests/broken.sh.
check_PROGRAMS += tests/unit/write_broken
tests_unit_write_broken_SOURCES = tests/unit/write_broken.c \
	tests/unit/weights_cases.c tests/unit/weights_samples.c tests/unit/weights_samples.h
tests_unit_write_broken_LDADD = $(WEIGHTS_LIBS)

include tests/run/module.mk
include tests/distributed/module.mk
include tests/gpu/module.mk
include tests/gpu/runtime.mk
include tests/models/module.mk
include tests/bench/module.mk
include tests/fuzz/module.mk

# Scripts run in the build folder; goldens are files beside the models they are of.
TEST_FILES = \
	tests/alone.sh \
	tests/broken.sh \
	tests/exit_codes.sh \
	tests/extremes.sh \
	tests/golden.sh \
	tests/headers.sh \
	tests/layering.sh \
	tests/operands.sh \
	tests/outputs.sh \
	tests/plugin.sh \
	tests/roundtrip.sh \
	tests/tune.sh
dist_check_SCRIPTS += $(TEST_FILES)
TESTS += $(TEST_FILES)
EXTRA_DIST += tests/passes
tests/plugin.log: mdl-opt$(EXEEXT)
bless: mdlc$(EXEEXT) mdl-opt$(EXEEXT)
	srcdir=$(srcdir) sh $(srcdir)/tests/golden.sh --bless
golden: mdlc$(EXEEXT) mdl-opt$(EXEEXT)
	srcdir=$(srcdir) sh $(srcdir)/tests/golden.sh
.PHONY: bless golden

# By hand: clang-tidy over the tree, some minutes. What it says of null pointers, divisions by zero and undefined arguments has been
# looked at: the analyser does not see what the verifier and the tables guarantee.
EXTRA_DIST += .clang-tidy
CLANG_TIDY = clang-tidy
tidy: config.h frontend/grammar.h
	cd $(srcdir) && $(CLANG_TIDY) --quiet ir/*.c frontend/*.c passes/*.c backend/*.c runtime/*.c examples/common/*.c -- \
		-std=c11 $(AM_CPPFLAGS) -I$(abs_builddir) -I$(abs_srcdir) $(LLVM_CPPFLAGS) -DPKGLIBDIR='""' -DCROSS_CC='"$(AARCH64_CC)"' -DPTXAS='""'
.PHONY: tidy
include tests/numeric/module.mk
