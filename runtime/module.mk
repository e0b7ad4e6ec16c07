# runtime: what a compiled model calls, linked into every one of them; and mdl-run.
EXTRA_DIST += runtime/mdlc.pc.in

# Kept at -O2 and out of the model's own symbols: it becomes part of the user's library.
pkglib_LIBRARIES += runtime/libmdl-runtime.a
runtime_libmdl_runtime_a_CFLAGS = $(AM_CFLAGS) -O2 -fPIC -fvisibility=hidden
runtime_libmdl_runtime_a_SOURCES = \
	runtime/abi.h \
	runtime/call.c \
	runtime/cpu.c runtime/cpu.h \
	runtime/crc32c.c runtime/crc32c.h \
	runtime/mdl.h \
	runtime/model.h \
	runtime/open.c \
	runtime/plan.c \
	runtime/pool.c runtime/pool.h \
	runtime/session.c \
	runtime/sort.c \
	runtime/weights.c runtime/weights.h

# What the command lines share: options, .npy files, name=value arguments.
noinst_LIBRARIES += runtime/libcli.a
runtime_libcli_a_SOURCES = \
	runtime/options.c runtime/options.h \
	runtime/options_print.c
