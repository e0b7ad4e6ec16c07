# tests/run: the runtime and mdl-run on a model made by hand.
HANDMADE_TABLES = tests/run/descriptor.h tests/run/handmade.h tests/run/handmade_tables.h
HANDMADE_CALLS = tests/run/handmade_calls.c tests/run/handmade_calls.h
HANDMADE = tests/run/handmade.c tests/run/handmade_weights.c $(HANDMADE_TABLES)

check_PROGRAMS += tests/run/races
TESTS += tests/run/races
tests_run_races_SOURCES = $(HANDMADE) tests/run/races.c
tests_run_races_LDADD = runtime/libmdl-runtime.a -lpthread -lm

# A library as mdlc would make it, and a program that writes its weights.
check_PROGRAMS += tests/run/write_weights
tests_run_write_weights_SOURCES = $(HANDMADE) tests/run/write_weights.c
tests_run_write_weights_LDADD = runtime/libmdl-runtime.a -lpthread -lm
tests/run/libhandmade.so: tests/run/handmade.c $(HANDMADE_TABLES) runtime/abi.h runtime/mdl.h runtime/libmdl-runtime.a
	$(AM_V_CCLD)$(CC) $(DEFS) $(AM_CPPFLAGS) $(CPPFLAGS) $(AM_CFLAGS) $(CFLAGS) -fPIC -shared -o $@ \
	    $(srcdir)/tests/run/handmade.c runtime/libmdl-runtime.a $(AM_LDFLAGS) $(LDFLAGS) -lpthread -lm
check_DATA += tests/run/libhandmade.so
CLEANFILES += tests/run/libhandmade.so
dist_check_SCRIPTS += tests/run/mdl-run.sh
TESTS += tests/run/mdl-run.sh

if HAVE_CRITERION
check_PROGRAMS += tests/unit/npy tests/unit/options tests/unit/runtime tests/unit/saved
TESTS += tests/unit/npy tests/unit/options tests/unit/runtime tests/unit/saved
tests_unit_npy_SOURCES = tests/unit/npy.c
tests_unit_npy_CFLAGS = $(UNIT_CFLAGS)
tests_unit_npy_LDADD = runtime/libcli.a $(UNIT_LIBS)
tests_unit_options_SOURCES = tests/unit/options.c
tests_unit_options_CFLAGS = $(UNIT_CFLAGS)
tests_unit_options_LDADD = runtime/libcli.a $(UNIT_LIBS)
tests_unit_runtime_SOURCES = $(HANDMADE) $(HANDMADE_CALLS) tests/unit/runtime.c
tests_unit_runtime_CFLAGS = $(UNIT_CFLAGS)
tests_unit_runtime_LDADD = runtime/libmdl-runtime.a $(UNIT_LIBS) -lpthread
tests_unit_saved_SOURCES = tests/unit/saved.c tests/run/descriptor.h
tests_unit_saved_CFLAGS = $(UNIT_CFLAGS)
tests_unit_saved_LDADD = runtime/libmdl-runtime.a $(UNIT_LIBS) -lpthread
endif

# By hand: the figure in runtime/README.md.
EXTRA_PROGRAMS += tests/run/step_overhead
tests_run_step_overhead_SOURCES = tests/run/step_overhead.c $(MEASURE)
tests_run_step_overhead_LDADD = runtime/libmdl-runtime.a runtime/libcli.a -lpthread -lm -ldl

# The races under ThreadSanitizer, compiled apart: it does not mix with the other sanitizers.
check-races:
	$(CC) $(AM_CPPFLAGS) -std=c11 -g -O1 $(RUNTIME_DEFINES) -fsanitize=thread -o tests/run/races-tsan \
	    $(addprefix $(srcdir)/,$(filter %.c,$(runtime_libmdl_runtime_a_SOURCES) $(tests_run_races_SOURCES))) -lpthread -lm
	TSAN_OPTIONS=halt_on_error=1 tests/run/races-tsan
CLEANFILES += tests/run/races-tsan
.PHONY: check-races
