/* NumPy's .npy files, read and written (numpy.lib.format, versions 1 to 3).
 * Types: those of enum mdl_dtype. NumPy has no bf16: it is written as '<V2' (as ml_dtypes does) and read from
 * '<V2' and
 * '<u2'. Big-endian files, and other types, are refused; arrays in Fortran order are turned to C order. */
#ifndef RUNTIME_NPY_H
#define RUNTIME_NPY_H
#include "runtime/abi.h"
#include <stdbool.h>
#include <stddef.h>

enum { NPY_MAX_RANK = 32 };
enum npy_status { NPY_OK, NPY_BROKEN, NPY_IO, NPY_NO_MEMORY };

struct npy_array {
    uint32_t dtype, rank; /* enum mdl_dtype */
    int64_t shape[NPY_MAX_RANK];
    size_t count; /* elements */
    void *data;   /* count of them, row-major, 64-byte aligned; never NULL */
};

/* Zeroed memory for an array of the dtype, rank and shape set in it; false: too large. npy_free gives it
 * back. */
bool npy_alloc(struct npy_array *a);
void npy_free(struct npy_array *a);

/* Reads `path` into *a, or says in `error` why not; *a then needs no npy_free. */
enum npy_status npy_read(const char *path, struct npy_array *a, char *error, size_t error_size);
/* The same from memory. */
enum npy_status npy_parse(const void *file, size_t bytes, struct npy_array *a, char *error,
                          size_t error_size);
/* Writes a temporary file beside `path` and renames it. */
enum npy_status npy_write(const char *path, const struct npy_array *a, char *error, size_t error_size);

#endif
