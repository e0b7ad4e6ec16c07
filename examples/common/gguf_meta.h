/* The metadata of a GGUF file (versions 2 and 3): keys with numbers, strings and arrays of them.
 * Format: the GGUF specification of the ggml project. Every length is checked against the file before use. */
#ifndef EXAMPLES_GGUF_META_H
#define EXAMPLES_GGUF_META_H
#include "base.h"

struct gguf_meta;

/* Maps the file and finds its keys; NULL with a reason in `e`. gguf_meta_close releases it. */
struct gguf_meta *gguf_meta_open(const char *path, struct error *e);
void gguf_meta_close(struct gguf_meta *meta);

/* Each returns false where the key is absent or has another type. Texts point into the mapped file. */
bool gguf_meta_text(const struct gguf_meta *meta, const char *key, struct text *value);
bool gguf_meta_uint(const struct gguf_meta *meta, const char *key, uint64_t *value);

/* Arrays of strings, and of 32-bit integers; the caller frees *values. */
bool gguf_meta_texts(const struct gguf_meta *meta, const char *key, struct text **values, size_t *count);
bool gguf_meta_ints(const struct gguf_meta *meta, const char *key, int32_t **values, size_t *count);
#endif
