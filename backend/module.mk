# backend: kernels to machine code, tables, linking.
EXTRA_DIST += backend/backend.h backend/emit.h
