# passes: graph to graph, one file a pass; the pipeline.
noinst_LIBRARIES += passes/libpasses.a
passes_libpasses_a_SOURCES = \
	passes/build.c passes/build.h \
	passes/clone.c \
	passes/cse.c \
	passes/dce.c \
	passes/decompose.c passes/decompose.def \
	passes/fastmath.def \
	passes/fold.c \
	passes/pass.h \
	passes/passes.def passes/passes.h \
	passes/pipeline.c \
	passes/registry.c \
	passes/rules.c passes/rules.h \
	passes/rules_helpers.c \
	passes/rules_parse.c \
	passes/simplify.c passes/simplify.def

# What a researcher's pass is built against: pkg-config --cflags mdlc.
passesincludedir = $(includedir)/mdlc/passes
passesinclude_HEADERS = passes/build.h passes/pass.h
