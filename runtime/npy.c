/* .npy: magic, version, length of the header, the header (a Python dict in text), the elements. */
#include "runtime/npy.h"
#include "runtime/elements.h"
#include "runtime/replace.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ALIGNMENT = 64, PREFIX = 10 };

struct reader {
    const char *at, *end; /* what is left of the header */
    char *error;
    size_t error_size;
};

__attribute__((format(printf, 2, 3))) static enum npy_status broken(const struct reader *r,
                                                                    const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(r->error, r->error_size, format, args);
    va_end(args);
    return NPY_BROKEN;
}

/* The number of elements and of bytes; false when they do not fit a size_t. */
static bool measure(struct npy_array *a, size_t *bytes) {
    a->count = 1;
    bool empty = false;
    for (uint32_t i = 0; i < a->rank; i++) {
        if (a->shape[i] < 0) return false;
        if (!a->shape[i])
            empty = true;
        else if (__builtin_mul_overflow(a->count, (uint64_t)a->shape[i], &a->count))
            return false;
    }
    if (empty) a->count = 0;
    return !__builtin_mul_overflow(a->count, element_types[a->dtype].bytes, bytes) && *bytes < SIZE_MAX / 2;
}

bool npy_alloc(struct npy_array *a) {
    size_t bytes;
    a->data = NULL;
    if (a->rank > NPY_MAX_RANK || !measure(a, &bytes)) return false;
    bytes = (bytes + ALIGNMENT) / ALIGNMENT * ALIGNMENT;
    a->data = aligned_alloc(ALIGNMENT, bytes);
    if (a->data) memset(a->data, 0, bytes);
    return a->data != NULL;
}

void npy_free(struct npy_array *a) {
    free(a->data);
    a->data = NULL;
}

static void skip_space(struct reader *r) {
    while (r->at < r->end && strchr(" \t\n", *r->at) && *r->at) r->at++;
}

/* Whether `text` is next; takes it. */
static bool take(struct reader *r, const char *text) {
    size_t n = strlen(text);
    skip_space(r);
    if ((size_t)(r->end - r->at) < n || memcmp(r->at, text, n)) return false;
    r->at += n;
    return true;
}

/* A string without escapes, in either quotes. */
static bool take_string(struct reader *r, char *out, size_t size) {
    skip_space(r);
    if (r->at == r->end || (*r->at != '\'' && *r->at != '"')) return false;
    char quote = *r->at++;
    size_t n = 0;
    for (; r->at < r->end && *r->at != quote && n + 1 < size; r->at++) out[n++] = *r->at;
    out[n] = 0;
    return r->at < r->end && *r->at++ == quote;
}

static bool take_extent(struct reader *r, int64_t *value) {
    skip_space(r);
    bool any = false;
    for (*value = 0; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++, any = true)
        if (__builtin_mul_overflow(*value, 10, value) || __builtin_add_overflow(*value, *r->at - '0', value))
            return false;
    take(r, "L"); /* as Python 2 wrote them */
    return any;
}

static enum npy_status take_shape(struct reader *r, struct npy_array *a) {
    if (!take(r, "(")) return broken(r, "bad header: no shape");
    for (a->rank = 0; !take(r, ")"); a->rank++) {
        if (a->rank == NPY_MAX_RANK) return broken(r, "more than %d dimensions", NPY_MAX_RANK);
        if (!take_extent(r, &a->shape[a->rank])) return broken(r, "bad header: bad shape");
        if (take(r, ",")) continue;
        if (!take(r, ")")) return broken(r, "bad header: bad shape");
        a->rank++;
        break;
    }
    return NPY_OK;
}

static enum npy_status set_type(struct reader *r, struct npy_array *a, const char *descr) {
    if (strcmp(descr, "<u2") == 0 || strcmp(descr, "|V2") == 0) descr = element_types[MDL_BF16].descr;
    for (a->dtype = 0; a->dtype < ELEMENT_TYPES; a->dtype++) {
        const struct element_type *t = &element_types[a->dtype];
        bool same_order = descr[0] == t->descr[0] || (t->bytes == 1 && descr[0] && strchr("<>=", descr[0]));
        if (same_order && strcmp(descr + 1, t->descr + 1) == 0) return NPY_OK;
    }
    if (descr[0] == '>') return broken(r, "type '%s' is big-endian: save it in little-endian order", descr);
    return broken(
        r, "type '%s' is not one of ours: convert it to f64, f32, f16, i64, i32, i16, i8, u8 or bool", descr);
}

static enum npy_status take_entry(struct reader *r, struct npy_array *a, bool *fortran, unsigned *seen) {
    char key[32], descr[32];
    if (!take_string(r, key, sizeof key) || !take(r, ":")) return broken(r, "bad header: a key was expected");
    if (strcmp(key, "shape") == 0) {
        *seen |= 1;
        return take_shape(r, a);
    }
    if (strcmp(key, "fortran_order") == 0) {
        *seen |= 2;
        *fortran = take(r, "True");
        return *fortran || take(r, "False")
                   ? NPY_OK
                   : broken(r, "bad header: fortran_order is neither True nor False");
    }
    if (strcmp(key, "descr")) return broken(r, "bad header: unknown key '%s'", key);
    *seen |= 4;
    if (!take_string(r, descr, sizeof descr)) return broken(r, "its elements are structures, not numbers");
    return set_type(r, a, descr);
}

static enum npy_status parse_header(struct reader *r, struct npy_array *a, bool *fortran) {
    unsigned seen = 0;
    if (!take(r, "{")) return broken(r, "bad header: no dict");
    while (!take(r, "}")) {
        enum npy_status status = take_entry(r, a, fortran, &seen);
        if (status) return status;
        if (take(r, ",")) continue;
        if (take(r, "}")) break;
        return broken(r, "bad header: ',' or '}' was expected");
    }
    return seen == 7 ? NPY_OK : broken(r, "bad header: 'descr', 'fortran_order' or 'shape' is missing");
}

/* Copies elements of an array whose first index runs fastest. */
static void copy_fortran(struct npy_array *a, const char *from, size_t size) {
    int64_t index[NPY_MAX_RANK] = {0};
    for (size_t i = 0; i < a->count; i++) {
        size_t to = 0;
        for (uint32_t d = 0; d < a->rank; d++) to = to * (size_t)a->shape[d] + (size_t)index[d];
        memcpy((char *)a->data + to * size, from + i * size, size);
        for (uint32_t d = 0; d < a->rank && ++index[d] == a->shape[d]; d++) index[d] = 0;
    }
}

enum npy_status npy_parse(const void *file, size_t bytes, struct npy_array *a, char *error,
                          size_t error_size) {
    const unsigned char *p = file;
    struct reader r = {NULL, NULL, error, error_size};
    *a = (struct npy_array){0};
    if (bytes < PREFIX || memcmp(p, "\x93NUMPY", 6)) return broken(&r, "not an .npy file");
    if (p[6] < 1 || p[6] > 3) return broken(&r, "version %d of .npy is not known here", p[6]);
    size_t start = p[6] == 1 ? PREFIX : PREFIX + 2, length = p[8] | (size_t)p[9] << 8;
    if (p[6] > 1 && bytes >= start) length |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    if (bytes < start || length > bytes - start) return broken(&r, "its header is cut off");
    r.at = (const char *)p + start;
    r.end = r.at + length;
    bool fortran = false;
    enum npy_status status = parse_header(&r, a, &fortran);
    if (status) return status;
    size_t wanted, given = bytes - start - length, size = element_types[a->dtype].bytes;
    if (!measure(a, &wanted) || wanted != given)
        return broken(&r, "has %zu bytes of elements, which do not fill its shape", given);
    if (!npy_alloc(a)) {
        broken(&r, "out of memory");
        return NPY_NO_MEMORY;
    }
    if (fortran && a->rank > 1)
        copy_fortran(a, (const char *)p + start + length, size);
    else
        memcpy(a->data, p + start + length, given);
    return NPY_OK;
}

static enum npy_status io_error(char *error, size_t size) {
    snprintf(error, size, "%s", strerror(errno));
    return NPY_IO;
}

/* The whole file, in memory of its own. */
static enum npy_status load(FILE *in, char **file, size_t *bytes, char *error, size_t error_size) {
    struct stat st;
    if (fstat(fileno(in), &st)) return io_error(error, error_size);
    if (!S_ISREG(st.st_mode)) {
        snprintf(error, error_size, "not a file");
        return NPY_IO;
    }
    *bytes = (size_t)st.st_size;
    *file = malloc(*bytes + 1);
    if (!*file) {
        snprintf(error, error_size, "out of memory");
        return NPY_NO_MEMORY;
    }
    if (fread(*file, 1, *bytes, in) == *bytes) return NPY_OK;
    snprintf(error, error_size, "cannot be read");
    return NPY_IO;
}

/* A FIFO is not waited for, but refused like others that are no files. */
static FILE *open_file(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "rb");
    if (fd >= 0 && !file) close(fd);
    return file;
}

enum npy_status npy_read(const char *path, struct npy_array *a, char *error, size_t error_size) {
    char *file = NULL;
    size_t bytes;
    FILE *in = open_file(path);
    if (!in) return io_error(error, error_size);
    enum npy_status status = load(in, &file, &bytes, error, error_size);
    fclose(in);
    if (!status) status = npy_parse(file, bytes, a, error, error_size);
    free(file);
    return status;
}

/* Magic, header and padding to a multiple of 64 bytes; returns the length. */
static size_t make_header(const struct npy_array *a, char *out, size_t size) {
    int n = snprintf(out + PREFIX, size - PREFIX, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                     element_types[a->dtype].descr);
    size_t at = PREFIX + (size_t)n;
    for (uint32_t i = 0; i < a->rank; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%lld", i ? ", " : "", (long long)a->shape[i]);
    at += (size_t)snprintf(out + at, size - at, "%s), }", a->rank == 1 ? "," : "");
    while ((at + 1) % ALIGNMENT) out[at++] = ' ';
    out[at++] = '\n';
    memcpy(out, "\x93NUMPY\1", 8);
    out[8] = (char)((at - PREFIX) & 255);
    out[9] = (char)((at - PREFIX) >> 8);
    return at;
}

enum npy_status npy_write(const char *path, const struct npy_array *a, char *error, size_t error_size) {
    char header[128 + 24 * NPY_MAX_RANK];
    struct replacement out;
    size_t length = make_header(a, header, sizeof header), bytes = a->count * element_types[a->dtype].bytes;
    if (!replace_begin(&out, path)) return io_error(error, error_size);
    fwrite(header, 1, length, out.file);
    fwrite(a->data, 1, bytes, out.file);
    return replace_end(&out) ? NPY_OK : io_error(error, error_size);
}
