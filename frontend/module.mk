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
	frontend/mesh.c \
	frontend/npy.c \
	frontend/npz.c \
	frontend/operation.c \
	frontend/option.c \
	frontend/override.c \
	frontend/parser.h \
	frontend/placement.c \
	frontend/safetensors.c \
	frontend/scope.c \
	frontend/sharding.c \
	frontend/sharding_json.h \
	frontend/sharding_read.c \
	frontend/sharding_write.c \
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

# The command lines. Plug-ins of passes find what they call in the program, so all of ir and passes is in it.
TOOL_FILES = frontend/tool.c frontend/tool.h
TOOL_FLAGS = $(AM_LDFLAGS) -rdynamic
TOOL_LIBS = frontend/libfrontend.a @WHOLE_ARCHIVE@ passes/libpasses.a ir/libir.a @NO_WHOLE_ARCHIVE@ \
	runtime/libcli.a $(WEIGHTS_LIBS) -lm
bin_PROGRAMS += mdlc mdl-opt
mdlc_CPPFLAGS = $(AM_CPPFLAGS) -DPKGLIBDIR='"$(pkglibdir)"' -DCROSS_CC='"$(AARCH64_CC)"' -DPTXAS='"$(PTXAS)"'
mdlc_SOURCES = frontend/tool_compile.c frontend/tool_interpret.c frontend/tool_mdlc.c frontend/tool_tune.c $(TOOL_FILES)
mdlc_LDFLAGS = $(TOOL_FLAGS)
mdlc_LDADD = backend/libbackend.a $(TOOL_LIBS) $(LLVM_LIBS)
mdl_opt_SOURCES = frontend/tool_mdl_opt.c $(TOOL_FILES)
mdl_opt_LDFLAGS = $(TOOL_FLAGS)
mdl_opt_LDADD = $(TOOL_LIBS)

# Each tool writes its own man page and completion.
nodist_man_MANS += mdlc.1 mdl-opt.1
mdlc.1: mdlc$(EXEEXT)
	$(AM_V_GEN)./mdlc$(EXEEXT) --man > $@.tmp && mv $@.tmp $@
mdl-opt.1: mdl-opt$(EXEEXT)
	$(AM_V_GEN)./mdl-opt$(EXEEXT) --man > $@.tmp && mv $@.tmp $@
completions/mdlc: mdlc$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) completions && ./mdlc$(EXEEXT) --bash-completion > $@.tmp && mv $@.tmp $@
completions/mdl-opt: mdl-opt$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) completions && ./mdl-opt$(EXEEXT) --bash-completion > $@.tmp && mv $@.tmp $@
bashcompletion_DATA += completions/mdlc completions/mdl-opt
CLEANFILES += mdlc.1 mdl-opt.1 completions/mdlc completions/mdl-opt
