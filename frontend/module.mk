# frontend: text to graph, and the files that weights are in.
EXTRA_DIST += frontend/README.md
AM_CPPFLAGS += $(JANSSON_CFLAGS) $(ZLIB_CFLAGS)
AM_YFLAGS = -d -Wno-yacc
WEIGHTS_LIBS = $(JANSSON_LIBS) $(ZLIB_LIBS)
BUILT_SOURCES += frontend/grammar.h
noinst_LIBRARIES += frontend/libfrontend.a
frontend_libfrontend_a_SOURCES = \
	frontend/ast.c frontend/ast.h \
	frontend/attribute.c \
	frontend/bind.c frontend/bind.h \
	frontend/constant.c \
	frontend/declare.c \
	frontend/expand.h \
	frontend/expression.c \
	frontend/frontend.c frontend/frontend.h \
	frontend/function.c \
	frontend/gguf.c \
	frontend/grammar.y \
	frontend/initializer.c \
	frontend/kernel.c \
	frontend/lexer.l \
	frontend/literal.c \
	frontend/loop.c \
	frontend/npy.c \
	frontend/npz.c \
	frontend/operation.c \
	frontend/option.c \
	frontend/parser.h \
	frontend/safetensors.c \
	frontend/scope.c \
	frontend/statement.c \
	frontend/subscript.c \
	frontend/sugar.c \
	frontend/table.c frontend/table.h \
	frontend/tokens.c \
	frontend/type.c \
	frontend/weights.c frontend/weights.h \
	frontend/weights_list.c \
	frontend/weights_path.c \
	frontend/weights_reader.c frontend/weights_reader.h
frontend/lexer.$(OBJEXT) frontend/tokens.$(OBJEXT): frontend/grammar.h
