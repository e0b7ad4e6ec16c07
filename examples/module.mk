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
	examples/common/merge.c examples/common/merge.h \
	examples/common/names.c examples/common/names.h \
	examples/common/pretokenizer.c examples/common/pretokenizer.h \
	examples/common/sampler.c examples/common/sampler.h \
	examples/common/stream.c examples/common/stream.h \
	examples/common/wordpiece.c examples/common/wordpiece.h
EXAMPLES_LIBS = examples/libexamples.a $(PCRE2_LIBS) $(UTF8PROC_LIBS) $(JANSSON_LIBS) -lm
