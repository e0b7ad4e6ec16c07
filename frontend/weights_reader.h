/* What the readers of weight files share: the bytes, the first error, checks of names, shapes and ranges. */
#ifndef FRONTEND_WEIGHTS_READER_H
#define FRONTEND_WEIGHTS_READER_H
#include "frontend/weights.h"

struct mapping {
    void *data;
    size_t size;
    struct mapping *next;
};

/* Reads one file, or a part of one. `at` never passes `size`. */
struct reader {
    struct arena *arena;
    const char *path;
    const uint8_t *bytes;
    size_t size, at;
    uint64_t base;  /* of `bytes` in the file */
    bool inflated;  /* `bytes` are not in the file as they are: `base` is all that can be said of a place */
    bool in_memory; /* there is no file */
    char *error;    /* the first one, or NULL */
    bool io;        /* the system's, not the file's */
    struct weights *weights;
    int tensors_capacity, metadata_capacity;
};

/* Records "path: message (at byte offset)" unless there is an error already, and is false. */
#define reader_fail(reader, ...) (reader_record((reader), __VA_ARGS__), false)
void reader_record(struct reader *r, uint64_t offset, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for the system's errors, without a place. */
bool reader_fail_io(struct reader *r, const char *doing);

/* The next `count` bytes, or NULL with "the file ends inside `what`". */
const uint8_t *reader_take(struct reader *r, uint64_t count, const char *what);
bool reader_u16(struct reader *r, uint16_t *value, const char *what);
bool reader_u32(struct reader *r, uint32_t *value, const char *what);
bool reader_u64(struct reader *r, uint64_t *value, const char *what);
uint32_t load_u32(const uint8_t *at);
uint32_t load_u16(const uint8_t *at);

/* The name at `bytes` as a string, checked: 1 to 65535 bytes, UTF-8, no control characters. NULL after an
 * error that calls it `what`. */
const char *reader_name(struct reader *r, const uint8_t *bytes, uint64_t length, uint64_t offset,
                        const char *what);

/* Adds a tensor of t's name, format, rank and dims, whose data begins at byte `start` of the reader's.
 * Checked: dims and their product, whole blocks in the innermost dim, the end of the file. `given`: bytes by
 * the file's own account, or UINT64_MAX. `offset`: where the file describes it, for messages. */
bool reader_tensor(struct reader *r, const struct weight_tensor *t, uint64_t start, uint64_t given,
                   uint64_t offset);
/* A new piece of metadata, zeroed but for its key. */
struct metadata *reader_metadata(struct reader *r, const char *key);
/* After the last tensor. Sorts them by place; no two may overlap. */
bool reader_sort(struct reader *r);
/* Sorts them by name; no two may share one. Once tensors no longer move. */
bool reader_index(struct reader *r);

/* Maps the file at r->path and keeps the mapping in the weights' list. */
bool reader_map(struct reader *r);
void unmap_all(struct weights *w);

/* weights_open(); *io: the system's error, not the file's. */
struct weights *weights_try(struct arena *a, const char *path, char **error, bool *io);

bool read_gguf(struct reader *r);
bool read_safetensors(struct reader *r);
bool read_safetensors_index(struct reader *r);
bool read_npy(struct reader *r);
bool read_npy_array(struct reader *r, const char *name); /* all of the reader's bytes */
bool read_npz(struct reader *r);

#endif
