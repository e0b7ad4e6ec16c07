# frontend: text to graph, and the files that weights are in.
AM_CPPFLAGS += $(JANSSON_CFLAGS) $(ZLIB_CFLAGS)
WEIGHTS_LIBS = $(JANSSON_LIBS) $(ZLIB_LIBS)
noinst_LIBRARIES += frontend/libfrontend.a
frontend_libfrontend_a_SOURCES = \
	frontend/gguf.c \
	frontend/npy.c \
	frontend/npz.c \
	frontend/safetensors.c \
	frontend/weights.c frontend/weights.h \
	frontend/weights_list.c \
	frontend/weights_path.c \
	frontend/weights_reader.c frontend/weights_reader.h
