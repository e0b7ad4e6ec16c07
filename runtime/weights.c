/* The weights file: found, mapped, and every number in it checked against the file before it is used.
 *
 *     header │ table of tensors │ … │ data (64-byte aligned) │ … │ names
 */
#include "runtime/weights.h"
#include "runtime/crc32c.h"
#include "runtime/model.h"
#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct file {
    const char *path;
    const struct mdl_weights_header *header;
    char *error;
    size_t error_size;
};

__attribute__((format(printf, 3, 4))) static int fail(const struct file *f, int status, const char *format,
                                                      ...) {
    char what[256];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (f->error_size) snprintf(f->error, f->error_size, "%s: %s", f->path, what);
    return status;
}

static const struct mdl_weights_entry *table(const struct mdl_weights_header *h) {
    return (const void *)(h + 1);
}

static bool inside(uint64_t offset, uint64_t bytes, uint64_t limit) {
    return offset <= limit && bytes <= limit - offset;
}

static uint32_t header_sum(const struct mdl_weights_header *h) {
    struct mdl_weights_header copy = *h;
    copy.header_sum = 0;
    uint32_t sum = crc32c(0, &copy, sizeof copy);
    return crc32c(sum, table(h), h->tensors * sizeof(struct mdl_weights_entry));
}

/* The header against the file's size; from here on it may be believed. */
static int check_header(const struct file *f, uint64_t bytes) {
    const struct mdl_weights_header *h = f->header;
    uint64_t table_bytes = (uint64_t)h->tensors * sizeof(struct mdl_weights_entry);
    if (memcmp(h->magic, "MDLWTS\0\1", sizeof h->magic))
        return fail(f, MDL_MISMATCH, "not a weights file of this version");
    if (h->file_bytes != bytes)
        return fail(f, MDL_MISMATCH, "damaged: has %llu bytes, but %llu were written",
                    (unsigned long long)bytes, (unsigned long long)h->file_bytes);
    if (!inside(sizeof *h, table_bytes, bytes))
        return fail(f, MDL_MISMATCH, "damaged: its table of %u tensors does not fit the file", h->tensors);
    if (header_sum(h) != h->header_sum) return fail(f, MDL_MISMATCH, "damaged: wrong checksum of the header");
    bool data = h->data_offset % MDL_ALIGN == 0 && h->data_offset >= sizeof *h + table_bytes &&
                inside(h->data_offset, h->data_bytes, bytes);
    if (!data) return fail(f, MDL_MISMATCH, "damaged: its data do not fit the file");
    const char *names = (const char *)h + h->names_offset;
    if (!inside(h->names_offset, h->names_bytes, bytes) || (h->names_bytes && names[h->names_bytes - 1]))
        return fail(f, MDL_MISMATCH, "damaged: its names do not fit the file");
    return MDL_OK;
}

static int check_entries(const struct file *f) {
    const struct mdl_weights_header *h = f->header;
    for (uint32_t i = 0; i < h->tensors; i++) {
        const struct mdl_weights_entry *e = &table(h)[i];
        if (e->name >= h->names_bytes || !inside(e->offset, e->bytes, h->data_bytes))
            return fail(f, MDL_MISMATCH, "damaged: tensor %u does not fit the file", i);
    }
    return MDL_OK;
}

static int check_build(const struct file *f, const struct mdl_descriptor *d) {
    const struct mdl_weights_header *h = f->header;
    bool size = d->sections_count ||
                h->data_bytes == (uint64_t)d->weights_bytes; /* sections are checked as they are mapped */
    if (memcmp(h->build_id, d->build_id, sizeof h->build_id) == 0 && size) return MDL_OK;
    return fail(f, MDL_MISMATCH, "belongs to another build of model %s", d->name);
}

/* Maps the file; *w is empty when that fails. */
static int map(struct file *f, int fd, struct weights *w) {
    struct stat st;
    int status = MDL_OK;
    if (fstat(fd, &st))
        status = fail(f, MDL_IO, "%s", strerror(errno));
    else if (!S_ISREG(st.st_mode))
        status = fail(f, MDL_IO, "not a file");
    else if ((uint64_t)st.st_size < sizeof *f->header)
        status = fail(f, MDL_MISMATCH, "too short for a weights file");
    if (status == MDL_OK) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED)
            status = fail(f, errno == ENOMEM ? MDL_NO_MEMORY : MDL_IO, "%s", strerror(errno));
        else
            *w = (struct weights){.map = p, .map_bytes = (size_t)st.st_size};
    }
    return status;
}

static int map_sections(struct weights *w, const struct mdl_descriptor *d, const int64_t *coordinates, int fd,
                        char *error, size_t size) {
    if (!d->sections_count) return MDL_OK;
    int status = d->distributed->calls->map_sections(w, d, coordinates, fd, error, size);
    if (status) weights_close(w);
    return status;
}

static int read_file(struct weights *w, const struct mdl_descriptor *d, int fd, struct file *f) {
    int status = map(f, fd, w);
    if (status) return status;
    f->header = w->map;
    status = check_header(f, w->map_bytes);
    if (!status) status = check_entries(f);
    if (!status) status = check_build(f, d);
    if (status)
        weights_close(w);
    else
        w->data = (const char *)w->map + f->header->data_offset;
    return status;
}

static int open_file(struct weights *w, const struct mdl_descriptor *d, const int64_t *coordinates,
                     struct file *f) {
    int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* no FIFO is waited for */
    if (fd < 0) return fail(f, MDL_IO, "%s", strerror(errno));
    int status = read_file(w, d, fd, f);
    if (!status) status = map_sections(w, d, coordinates, fd, f->error, f->error_size);
    close(fd);
    return status;
}

/* $NAME_WEIGHTS, else $MDL_WEIGHTS, else NULL. */
static const char *from_environment(const char *model) {
    char variable[256];
    snprintf(variable, sizeof variable, "%s_WEIGHTS", model);
    for (char *c = variable; *c; c++) *c = (char)toupper((unsigned char)*c);
    const char *path = getenv(variable);
    if (!path || !*path) path = getenv("MDL_WEIGHTS");
    return path && *path ? path : NULL;
}

/* Beside the library that `d` is in: folder/libNAME.so -> folder/NAME.weights, or what its suffix is;
 * names without a NAME as backend/backend.c takes them. */
static bool beside_library(const struct mdl_descriptor *d, char *path, size_t size) {
    Dl_info info;
    if (!dladdr(d, &info) || !info.dli_fname) return false;
    const char *slash = strrchr(info.dli_fname, '/'), *base = slash ? slash + 1 : info.dli_fname;
    int folder = (int)(base - info.dli_fname);
    if (strncmp(base, "lib", 3) == 0 && base[3] && base[3] != '.') base += 3;
    const char *end = strstr(base, ".so");
    int stem = end && end > base ? (int)(end - base) : (int)strlen(base);
    int n = snprintf(path, size, "%.*s%.*s%s", folder, info.dli_fname, stem, base, d->weights_suffix);
    if (n < 0 || (size_t)n >= size) return false;
    if (access(path, F_OK) == 0) return true;
    char named[PATH_MAX]; /* a library that was renamed, or a program that the model is linked into */
    n = snprintf(named, sizeof named, "%.*s%s%s", folder, info.dli_fname, d->name, d->weights_suffix);
    if (n > 0 && (size_t)n < sizeof named && (size_t)n < size && access(named, F_OK) == 0)
        memcpy(path, named, (size_t)n + 1);
    return true;
}

int weights_open(struct weights *w, const struct mdl_descriptor *d, const char *path,
                 const int64_t *coordinates, char *error, size_t size) {
    char beside[PATH_MAX];
    *w = (struct weights){.data = d->embedded_weights};
    if (d->embedded_weights) return map_sections(w, d, coordinates, -1, error, size);
    if (!d->weights_bytes) return MDL_OK;
    struct file f = {.path = path ? path : from_environment(d->name), .error = error, .error_size = size};
    if (!f.path && beside_library(d, beside, sizeof beside)) f.path = beside;
    if (!f.path) {
        f.path = d->name;
        return fail(&f, MDL_IO, "its weights file was not found");
    }
    return open_file(w, d, coordinates, &f);
}

void weights_close(struct weights *w) {
    if (w->map) munmap(w->map, w->map_bytes);
    if (w->image) munmap(w->image, w->image_bytes);
    *w = (struct weights){0};
}

int weights_verify(const struct weights *w, char *error, size_t size) {
    const struct mdl_weights_header *h = w->map;
    for (uint32_t i = 0; h && i < h->tensors; i++) {
        const struct mdl_weights_entry *e = &table(h)[i];
        if (crc32c(0, w->data + e->offset, e->bytes) == e->sum) continue;
        if (size)
            snprintf(error, size, "tensor %s is damaged: wrong checksum",
                     (const char *)w->map + h->names_offset + e->name);
        return MDL_MISMATCH;
    }
    if (size) error[0] = 0;
    return MDL_OK;
}
