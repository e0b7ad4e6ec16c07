# runtime: what a compiled model calls, linked into every one of them; and mdl-run.
EXTRA_DIST += runtime/mdlc.pc.in

# What the command lines share: options, .npy files, name=value arguments.
noinst_LIBRARIES += runtime/libcli.a
runtime_libcli_a_SOURCES = \
	runtime/options.c runtime/options.h \
	runtime/options_print.c
