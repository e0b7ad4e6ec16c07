/* Errors in words, views of bytes, growing arrays of token ids, memory, time, the end of a program. */
#include "base.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

bool fail(struct error *e, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(e->text, sizeof e->text, format, arguments);
    va_end(arguments);
    return false;
}

int end_program(int status) {
    const char *name = program_invocation_short_name;
    bool unread = ferror(stdin), unwritten = fflush(stdout) || ferror(stdout);
    if (!status && unread) fprintf(stderr, "%s: standard input cannot be read\n", name);
    if (!status && unwritten) fprintf(stderr, "%s: standard output cannot be written\n", name);
    return unread || unwritten ? 3 : status;
}

double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void out_of_memory(void) {
    fprintf(stderr, "%s: out of memory\n", program_invocation_short_name);
    exit(70);
}

void *allocate(size_t count, size_t size) {
    void *memory = calloc(count ? count : 1, size);
    if (!memory) out_of_memory();
    return memory;
}

void *grow(void *old, size_t *room, size_t needed, size_t size) {
    if (needed <= *room) return old;
    if (needed > SIZE_MAX / 2 / size) out_of_memory();
    size_t wanted = needed < 2 * *room ? 2 * *room : needed;
    void *memory = realloc(old, wanted * size);
    if (!memory) out_of_memory();
    *room = wanted;
    return memory;
}

void ids_push(struct ids *ids, int32_t id) {
    ids->data = grow(ids->data, &ids->room, ids->count + 1, sizeof *ids->data);
    ids->data[ids->count++] = id;
}

void ids_free(struct ids *ids) {
    free(ids->data);
    *ids = (struct ids){0};
}

bool ids_parse(struct ids *ids, const char *list, struct error *e) {
    for (const char *at = list;;) {
        char *end;
        errno = 0;
        long id = strtol(at, &end, 10);
        if (end == at || errno || id < 0 || id > INT32_MAX)
            return fail(e, "'%s' is not a list of ids such as 1,2,3", list);
        ids_push(ids, (int32_t)id);
        if (!*end) return true;
        if (*end != ',') return fail(e, "'%s' is not a list of ids such as 1,2,3", list);
        at = end + 1;
    }
}

void ids_print(const struct ids *ids) {
    for (size_t i = 0; i < ids->count; i++) printf("%s%d", i ? "," : "", ids->data[i]);
    putchar('\n');
}

void path_beside_program(char *path, size_t size, const char *name) {
    ssize_t length = readlink("/proc/self/exe", path, size - 1);
    path[length > 0 ? length : 0] = 0;
    char *slash = strrchr(path, '/');
    size_t folder = slash ? (size_t)(slash + 1 - path) : 0;
    snprintf(path + folder, size - folder, "%s", name);
}

struct text text_of(const char *zero_ended) {
    return (struct text){zero_ended, strlen(zero_ended)};
}

bool text_equal(struct text a, struct text b) {
    return a.length == b.length && memcmp(a.bytes, b.bytes, a.length) == 0;
}

ptrdiff_t text_find(struct text whole, struct text part) {
    for (size_t at = 0; at + part.length <= whole.length; at++)
        if (memcmp(whole.bytes + at, part.bytes, part.length) == 0) return (ptrdiff_t)at;
    return -1;
}
