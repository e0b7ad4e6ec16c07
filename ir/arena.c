/* Bump allocation from a chain of chunks. */
#include "ir/arena.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 256 * 1024, ALIGNMENT = 16 };

struct chunk {
    struct chunk *next;
    size_t used, size;
    _Alignas(ALIGNMENT) char data[];
};
struct arena {
    struct chunk *chunks; /* the newest first; only it has room */
};

static void out_of_memory(void) {
    fputs("mdlc: out of memory\n", stderr);
    exit(70);
}

struct arena *arena_new(void) {
    struct arena *a = calloc(1, sizeof *a);
    if (!a) out_of_memory();
    return a;
}

static void release_chunks(struct chunk *c) {
    while (c) {
        struct chunk *next = c->next;
        free(c);
        c = next;
    }
}

void arena_reset(struct arena *a) {
    if (!a->chunks) return;
    release_chunks(a->chunks->next);
    a->chunks->next = NULL;
    memset(a->chunks->data, 0, a->chunks->used);
    a->chunks->used = 0;
}

void arena_release(struct arena *a) {
    release_chunks(a->chunks);
    free(a);
}

static void add_chunk(struct arena *a, size_t bytes) {
    size_t size = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
    struct chunk *c = calloc(1, sizeof *c + size);
    if (!c) out_of_memory();
    *c = (struct chunk){.next = a->chunks, .size = size};
    a->chunks = c;
}

void *arena_alloc(struct arena *a, size_t count, size_t size) {
    if (size && count > (SIZE_MAX / 4) / size) out_of_memory();
    size_t bytes = (count * size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (!a->chunks || a->chunks->size - a->chunks->used < bytes) add_chunk(a, bytes);
    void *p = a->chunks->data + a->chunks->used;
    a->chunks->used += bytes;
    return p;
}

char *arena_strndup(struct arena *a, const char *text, size_t length) {
    char *copy = arena_new_array(a, char, length + 1);
    if (length) memcpy(copy, text, length);
    return copy;
}

char *arena_strdup(struct arena *a, const char *text) { return arena_strndup(a, text, strlen(text)); }

char *arena_vprintf(struct arena *a, const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    char *text = arena_new_array(a, char, (size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

char *arena_printf(struct arena *a, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *text = arena_vprintf(a, format, args);
    va_end(args);
    return text;
}

void *arena_grow(struct arena *a, const void *items, int count, int *capacity, size_t size) {
    int wanted = *capacity ? *capacity * 2 : 8;
    void *grown = arena_alloc(a, (size_t)wanted, size);
    if (count) memcpy(grown, items, (size_t)count * size);
    *capacity = wanted;
    return grown;
}
