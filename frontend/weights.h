/* Weight files: GGUF, safetensors (one file, or shards with their index), npy and npz, told apart by content
 * and read into one list of tensors. Files are mapped, not read; every count, size and offset in them is
 * checked against the file before it is used. */
#ifndef FRONTEND_WEIGHTS_H
#define FRONTEND_WEIGHTS_H
#include "ir/format.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct weight_tensor {
    const char *name; /* UTF-8 without control characters */
    enum format format;
    int rank;
    int64_t dims[MAX_RANK]; /* outermost first */
    int64_t elements;       /* their product */
    const void *data;       /* `bytes` bytes at any alignment, mapped until weights_close() */
    size_t bytes;
    uint64_t offset;  /* of the data in its file; of a compressed npz member, of what is compressed */
    const char *file; /* path of its file: that of the weights, or of a shard */
};

struct text { /* bytes of a file: not ended by NUL, not checked to be UTF-8 */
    const char *bytes;
    size_t length;
};

/* A key and value beside the tensors. GGUF's have all kinds, safetensors' __metadata__ has strings. */
enum metadata_kind { METADATA_INTEGER, METADATA_FLOAT, METADATA_BOOL, METADATA_STRING, METADATA_NESTED };
struct metadata {
    const char *key;
    enum metadata_kind
        kind; /* of the value, or of an array's elements; NESTED: arrays of arrays, not readable */
    bool array;
    int64_t count;              /* of an array; otherwise 1 */
    const struct text *strings; /* STRING: [count] */
    const uint8_t
        *numbers; /* the others, as they lie in the file: metadata_integer() and _float() read them */
    int bytes;    /* of a number */
    bool is_signed;
};

struct weights {
    const char *path;
    const char *kind;              /* "GGUF 3", "safetensors", "safetensors index", "npy", "npz" */
    int count;                     /* tensors */
    struct weight_tensor *tensors; /* in the order of their data; of an index: by shard */
    struct weight_tensor **by_name;
    int metadata_count;
    struct metadata *metadata;
    struct mapping *mappings; /* files open */
};

/* The file at `path`, or NULL with *error in words that name file, tensor and offset. Lives in `a`;
 * files stay mapped until weights_close(). The shards of an index must lie beside it, symbolic links
 * followed. */
struct weights *weights_open(struct arena *a, const char *path, char **error);
/* The same from bytes in memory, which must outlive the result; `path` is for messages. An index has no
 * folder here and is refused. */
struct weights *weights_read(struct arena *a, const char *path, const void *bytes, size_t size, char **error);
void weights_close(struct weights *w); /* unmaps; NULL is ignored */

const struct weight_tensor *weights_find(const struct weights *w, const char *name);
const char *weights_suggest(const struct weights *w, const char *name); /* nearest name, or NULL */

const struct metadata *metadata_find(const struct weights *w, const char *key); /* NULL: none */
/* Element i of it (0 unless an array). Integers saturate at int64's ends; a bool is 0 or 1; kinds may be
 * mixed but for strings, which give 0. */
int64_t metadata_integer(const struct metadata *m, int64_t i);
double metadata_float(const struct metadata *m, int64_t i);
struct text metadata_string(const struct metadata *m, int64_t i); /* "" where it is no string */

/* Whether a model in `folder` ("" is the current one) may read weights from `path` as its file spells it:
 * relative, without "..", and inside the folder with symbolic links followed. Otherwise false, *error says
 * why. */
bool weights_path_allowed(struct arena *a, const char *folder, const char *path, char **error);
char *weights_path(struct arena *a, const char *folder, const char *path); /* "folder/path"; absolute stays */

/* `mdlc weights FILE`: a line a tensor (name, format, shape, bytes, offset), then a summary. Errors go to
 * stderr. Gives the exit status: 0, 1 for a broken file, 3 for one that cannot be read or output that cannot
 * be written. */
int weights_list(const char *path, FILE *out);

#endif
