# tests/distributed: ranks, on a model with a mesh that was made by hand.
tests/distributed/libhandmesh.so: tests/distributed/handmesh.c runtime/abi.h runtime/mdl.h runtime/libmdl-runtime.a
	$(AM_V_CCLD)$(MKDIR_P) tests/distributed && $(CC) $(DEFS) $(AM_CPPFLAGS) $(CPPFLAGS) $(AM_CFLAGS) $(CFLAGS) -fPIC -shared -o $@ \
	    $(srcdir)/tests/distributed/handmesh.c runtime/libmdl-runtime.a $(AM_LDFLAGS) $(LDFLAGS) -lpthread -lm
EXTRA_DIST += tests/distributed/handmesh.c
check_DATA += tests/distributed/libhandmesh.so
CLEANFILES += tests/distributed/libhandmesh.so
