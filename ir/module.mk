# ir: the graph and what is true of it. A library without dependencies of ours.
noinst_LIBRARIES += ir/libir.a
ir_libir_a_SOURCES = \
	ir/arena.c ir/arena.h
