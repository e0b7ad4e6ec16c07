# tests/models: whole models against references. Their programs need a compiled model, so their scripts have them made.
EXTRA_DIST += tests/data/README.md tests/data/alice.txt \
	tests/data/minilm/cases.json tests/data/minilm/embeddings.npy tests/data/minilm/long.npy \
	tests/data/minilm/reference.py \
	tests/data/smollm2/first_logits.npy tests/data/smollm2/greedy.json \
	tests/models/weights.sh

MODEL_TESTS = tests/models/batch.sh tests/models/minilm.sh tests/models/mlp.sh tests/models/sharded.sh tests/models/tokenizers.sh
dist_check_SCRIPTS += $(MODEL_TESTS)
TESTS += $(MODEL_TESTS)

EXTRA_DIST += tests/models/memory.mdl
check_PROGRAMS += tests/models/memory
tests_models_memory_SOURCES = tests/models/memory.c
tests_models_memory_LDADD = -ldl

check_PROGRAMS += tests/models/tokenizers
tests_models_tokenizers_SOURCES = tests/models/golden.c tests/models/golden.h tests/models/tokenizers.c
tests_models_tokenizers_LDADD = runtime/libcli.a $(EXAMPLES_LIBS) -ldl

# They make the same programs, so one after the other.
tests/models/batch.log: tests/models/smollm2.log
tests/models/sharded.log: tests/models/batch.log

tests_models_sharded_SOURCES = tests/models/sharded.c
tests_models_sharded_LDADD = $(EXAMPLES_LIBS) -ldl -lpthread
EXTRA_PROGRAMS += tests/models/sharded tests/models/lookup tests/models/smollm2 tests/models/batch tests/models/precision tests/models/minilm
SMOLLM2_API = tests/models/golden.c tests/models/golden.h tests/models/smollm2_api.c tests/models/smollm2_api.h
tests_models_smollm2_CPPFLAGS = $(AM_CPPFLAGS) -Iexamples/smollm2
tests_models_smollm2_SOURCES = $(SMOLLM2_API) tests/models/smollm2.c
tests_models_smollm2_LDADD = runtime/libcli.a $(EXAMPLES_LIBS) -ldl -lpthread
$(tests_models_smollm2_OBJECTS): examples/smollm2/libsmollm2.so
tests_models_lookup_CPPFLAGS = $(tests_models_smollm2_CPPFLAGS)
tests_models_lookup_SOURCES = $(SMOLLM2_API) tests/models/lookup.c
tests_models_lookup_LDADD = runtime/libcli.a $(EXAMPLES_LIBS) -ldl -lpthread
$(tests_models_lookup_OBJECTS): examples/smollm2/libsmollm2.so

tests_models_batch_CPPFLAGS = $(tests_models_smollm2_CPPFLAGS)
tests_models_batch_SOURCES = $(SMOLLM2_API) tests/models/batch.c
tests_models_batch_LDADD = runtime/libcli.a $(EXAMPLES_LIBS) -ldl
$(tests_models_batch_OBJECTS): examples/smollm2/libsmollm2.so examples/smollm2/libsmollm2_batch.so
tests_models_precision_CPPFLAGS = $(tests_models_smollm2_CPPFLAGS)
tests_models_precision_SOURCES = $(SMOLLM2_API) tests/models/precision.c
tests_models_precision_LDADD = runtime/libcli.a $(EXAMPLES_LIBS) -ldl
$(tests_models_precision_OBJECTS): examples/smollm2/libsmollm2.so
tests_models_minilm_CPPFLAGS = $(AM_CPPFLAGS) -Iexamples/minilm
tests_models_minilm_SOURCES = tests/models/golden.c tests/models/golden.h tests/models/minilm.c
tests_models_minilm_LDADD = runtime/libcli.a $(EXAMPLES_LIBS) -ldl
$(tests_models_minilm_OBJECTS): examples/minilm/libminilm.so

# By hand: figures of speed and size.
EXTRA_DIST += tests/bench/models.py
