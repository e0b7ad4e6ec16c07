# Speed is measured, never asserted: `make bench` prints ours beside the peers (tests/bench/README.md).
EXTRA_PROGRAMS += tests/bench/bench-generate tests/bench/bench-limits tests/bench/bench-llm tests/bench/bench-batch
MEASURE = tests/bench/measure.c tests/bench/measure.h
tests_bench_bench_generate_SOURCES = tests/bench/generate.c $(MEASURE)
tests_bench_bench_generate_LDADD = runtime/libcli.a $(EXAMPLES_LIBS) -ldl
tests_bench_bench_llm_SOURCES = tests/bench/llm.c $(MEASURE)
tests_bench_bench_llm_LDADD = runtime/libcli.a -ldl
tests_bench_bench_batch_SOURCES = tests/bench/batch.c $(MEASURE)
tests_bench_bench_batch_LDADD = runtime/libcli.a -ldl
tests_bench_bench_limits_SOURCES = tests/bench/limits.c
tests_bench_bench_limits_LDADD = runtime/libcli.a runtime/libmdl-runtime.a -lpthread

EXTRA_DIST += tests/bench/README.md tests/bench/RESULTS.md tests/bench/bench.py tests/bench/ladder.sh tests/bench/peer_process.py tests/bench/peers.py tests/bench/readme.sh tests/bench/report.py tests/bench/rows.py tests/bench/runs tests/bench/setup.sh

MDL_CACHE ?= $(abs_builddir)/cache
PEERS ?= $(abs_builddir)/peers
bench: mdlc$(EXEEXT) mdl-run$(EXEEXT) tests/bench/bench-llm$(EXEEXT) tests/bench/bench-limits$(EXEEXT) tests/bench/bench-generate$(EXEEXT) \
	tests/bench/bench-batch$(EXEEXT) tests/models/precision$(EXEEXT)
	test -x $(PEERS)/run || sh $(srcdir)/tests/bench/setup.sh $(PEERS)
	python3 $(srcdir)/tests/bench/bench.py --build=. --peers=$(PEERS) --cache=$(MDL_CACHE) $(BENCH_OPTIONS) --report
.PHONY: bench

# The root README's table: time, memory and sizes of compiling the example models.
figures: mlp smollm2 minilm
	sh $(srcdir)/tests/bench/readme.sh
.PHONY: figures
