/* Sessions' states in files (runtime/README.md has the format): written page by page, without those that are
 * zero; read into fresh memory, which takes the place of the session's only when all of it has been checked.
 *
 *     header │ note │ run: its head, then its pages │ run │ …
 */
#include "runtime/crc32c.h"
#include "runtime/model.h"
#include "runtime/replace.h"
#include "runtime/touched.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_RUN = 64 }; /* pages written as one run: its sum is made while they are in the cache */

static const char magic[] = "MDLSES\0\1";

__attribute__((format(printf, 4, 5))) static int fail(struct mdl_session *s, const char *path, int status,
                                                      const char *format, ...) {
    char what[256];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    snprintf(s->error, sizeof s->error, "%.200s: %s", path, what);
    return status;
}

static const struct mdl_descriptor *descriptor_of(const struct mdl_session *s) {
    return s->model->descriptor;
}

static uint64_t pages_of(const struct mdl_session *s) {
    uint64_t bytes = (uint64_t)descriptor_of(s)->state_bytes;
    return bytes / SAVED_PAGE + (bytes % SAVED_PAGE != 0);
}

/* Of the states' names and places: what their bytes mean. */
static uint32_t sum_of_states(const struct mdl_descriptor *d) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < d->states_count; i++) {
        const struct mdl_state *state = &d->states[i];
        sum = crc32c(sum, state->name, strlen(state->name) + 1);
        sum = crc32c(sum, &state->offset, sizeof state->offset);
        sum = crc32c(sum, &state->bytes, sizeof state->bytes);
    }
    return sum;
}

static uint32_t sum_of_header(const struct mdl_saved_header *h) {
    struct mdl_saved_header copy = *h;
    copy.header_sum = 0;
    return crc32c(0, &copy, sizeof copy);
}

/* Of a run's head, without its sum, and its pages. */
static uint32_t sum_of_run(const struct mdl_saved_run *r, const void *pages) {
    return crc32c(crc32c(0, r, offsetof(struct mdl_saved_run, sum)), pages, (size_t)r->pages * SAVED_PAGE);
}

/* ---- saving ---- */

static bool is_zero(const char *page) { return !page[0] && memcmp(page, page + 1, SAVED_PAGE - 1) == 0; }

/* The next run of pages that are kept, from page *at on; false: there is none. */
static bool next_run(const bool *kept, uint64_t pages, uint64_t *at, struct mdl_saved_run *run) {
    while (*at < pages && !kept[*at]) ++*at;
    *run = (struct mdl_saved_run){.first = *at};
    while (*at < pages && kept[*at] && run->pages < MOST_RUN) ++*at, ++run->pages;
    return run->pages > 0;
}

static struct mdl_saved_header header_of(const struct mdl_session *s, const bool *kept, const void *note,
                                         uint64_t note_bytes) {
    const struct mdl_descriptor *d = descriptor_of(s);
    struct mdl_saved_header h = {.file_bytes = sizeof h + note_bytes,
                                 .state_bytes = (uint64_t)d->state_bytes,
                                 .note_bytes = note_bytes,
                                 .states_sum = sum_of_states(d),
                                 .note_sum = crc32c(0, note, (size_t)note_bytes)};
    struct mdl_saved_run run;
    memcpy(h.magic, magic, sizeof h.magic);
    memcpy(h.build_id, d->build_id, sizeof h.build_id);
    for (uint64_t at = 0; next_run(kept, pages_of(s), &at, &run); h.runs++)
        h.file_bytes += sizeof run + run.pages * SAVED_PAGE;
    h.header_sum = sum_of_header(&h);
    return h;
}

static void write_runs(const struct mdl_session *s, const char *states, const bool *kept, FILE *out) {
    struct mdl_saved_run run;
    for (uint64_t at = 0; next_run(kept, pages_of(s), &at, &run);) {
        const char *pages = states + run.first * SAVED_PAGE;
        run.sum = sum_of_run(&run, pages);
        fwrite(&run, sizeof run, 1, out);
        fwrite(pages, SAVED_PAGE, (size_t)run.pages, out);
    }
}

static int save_states(struct mdl_session *s, const char *states, const char *path, const void *note,
                       uint64_t note_bytes) {
    struct replacement file;
    uint64_t pages = pages_of(s);
    bool *kept = malloc((size_t)pages + 1);
    if (!kept) return fail(s, path, MDL_NO_MEMORY, "out of memory");
    touched_pages(PAGEMAP, states, (size_t)pages, kept);
    for (uint64_t i = 0; i < pages; i++) kept[i] = kept[i] && !is_zero(states + i * SAVED_PAGE);
    bool good = replace_begin(&file, path);
    if (good) {
        struct mdl_saved_header h = header_of(s, kept, note, note_bytes);
        fwrite(&h, sizeof h, 1, file.file);
        if (note_bytes) fwrite(note, 1, (size_t)note_bytes, file.file);
        write_runs(s, states, kept, file.file);
        good = replace_end(&file);
    }
    int error = errno;
    free(kept);
    return good ? MDL_OK : fail(s, path, MDL_IO, "%s", strerror(error));
}

/* A device's states are copied first. */
static int save(struct mdl_session *s, const char *path, const void *note, uint64_t note_bytes) {
    if (!s->device) return save_states(s, s->states, path, note, note_bytes);
    char *copy = session_map(s->state_bytes);
    if (!copy) return fail(s, path, MDL_NO_MEMORY, "out of memory");
    int status = device_of(s->model)->read_states(s, copy);
    if (!status) status = save_states(s, copy, path, note, note_bytes);
    munmap(copy, s->state_bytes);
    return status;
}

/* ---- loading ---- */

struct reading {
    struct mdl_session *session;
    const char *path;
    int fd;
    uint64_t at, end; /* bytes of the file read, and all */
    struct mdl_saved_header header;
};

/* The file's next bytes, of which `r->end` says that they are there. */
static int take(struct reading *r, void *to, uint64_t bytes) {
    for (char *p = to; bytes;) {
        ssize_t n = pread(r->fd, p, (size_t)bytes, (off_t)r->at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail(r->session, r->path, MDL_IO, "%s", strerror(errno));
        if (n == 0)
            return fail(r->session, r->path, MDL_MISMATCH, "damaged: it got shorter while it was read");
        p += n, bytes -= (uint64_t)n, r->at += (uint64_t)n;
    }
    return MDL_OK;
}

static bool left(const struct reading *r, uint64_t bytes) { return bytes <= r->end - r->at; }

/* Opens the file; its size is what everything in it is checked against. A pipe would make open wait. */
static int open_file(struct reading *r) {
    struct stat st;
    r->fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (r->fd < 0 || fstat(r->fd, &st)) return fail(r->session, r->path, MDL_IO, "%s", strerror(errno));
    if (!S_ISREG(st.st_mode)) return fail(r->session, r->path, MDL_IO, "not a file");
    r->end = (uint64_t)st.st_size;
    return MDL_OK;
}

static int read_header(struct reading *r) {
    struct mdl_session *s = r->session;
    const struct mdl_descriptor *d = descriptor_of(s);
    struct mdl_saved_header *h = &r->header;
    bool long_enough = left(r, sizeof *h);
    int status = long_enough ? take(r, h, sizeof *h) : MDL_OK;
    if (status) return status;
    if (!long_enough || memcmp(h->magic, magic, sizeof h->magic))
        return fail(s, r->path, MDL_INVALID, "not a saved session of this version");
    if (h->file_bytes != r->end)
        return fail(s, r->path, MDL_MISMATCH, "damaged: has %llu bytes, but %llu were written",
                    (unsigned long long)r->end, (unsigned long long)h->file_bytes);
    if (h->header_sum != sum_of_header(h))
        return fail(s, r->path, MDL_MISMATCH, "damaged: wrong checksum of the header");
    bool same = memcmp(h->build_id, d->build_id, sizeof h->build_id) == 0 &&
                h->state_bytes == (uint64_t)d->state_bytes && h->states_sum == sum_of_states(d);
    if (!same) return fail(s, r->path, MDL_MISMATCH, "belongs to another build of model %s", d->name);
    if (!left(r, h->note_bytes))
        return fail(s, r->path, MDL_MISMATCH, "damaged: its note does not fit the file");
    return MDL_OK;
}

/* The note into the caller's room, or, if it is not wanted, past it. */
static int read_note(struct reading *r, void *note, uint64_t room) {
    const struct mdl_saved_header *h = &r->header;
    if (!note) return r->at += h->note_bytes, MDL_OK;
    if (h->note_bytes > room)
        return fail(r->session, r->path, MDL_INVALID, "its note has %llu bytes, there is room for %llu",
                    (unsigned long long)h->note_bytes, (unsigned long long)room);
    int status = take(r, note, h->note_bytes);
    if (!status && crc32c(0, note, (size_t)h->note_bytes) != h->note_sum)
        status = fail(r->session, r->path, MDL_MISMATCH, "damaged: wrong checksum of the note");
    return status;
}

/* One run, whose pages must come after page *from. */
static int read_run(struct reading *r, char *states, uint64_t *from) {
    struct mdl_saved_run run;
    uint64_t pages = pages_of(r->session);
    int status = left(r, sizeof run) ? take(r, &run, sizeof run) : MDL_MISMATCH;
    if (status == MDL_IO) return status;
    bool good = !status && run.pages && run.first >= *from && run.first <= pages &&
                run.pages <= pages - run.first && left(r, run.pages * SAVED_PAGE);
    if (!good) return fail(r->session, r->path, MDL_MISMATCH, "damaged: its pages do not fit the states");
    char *to = states + run.first * SAVED_PAGE;
    status = take(r, to, run.pages * SAVED_PAGE);
    if (status) return status;
    if (sum_of_run(&run, to) != run.sum)
        return fail(r->session, r->path, MDL_MISMATCH, "damaged: wrong checksum of its pages");
    *from = run.first + run.pages;
    return MDL_OK;
}

static int read_states(struct reading *r, char *states) {
    uint64_t from = 0;
    int status = MDL_OK;
    for (uint32_t i = 0; i < r->header.runs && !status; i++) status = read_run(r, states, &from);
    if (!status && r->at != r->end)
        status = fail(r->session, r->path, MDL_MISMATCH, "damaged: there is more in it than its header says");
    return status;
}

/* Fresh memory takes the place of the states, and of their address, which kernels' tables hold. */
static int replace_states(struct reading *r) {
    struct mdl_session *s = r->session;
    char *fresh = session_map(s->state_bytes);
    if (!fresh) return fail(s, r->path, MDL_NO_MEMORY, "out of memory");
    int status = read_states(r, fresh);
    if (!status && s->device) status = device_of(s->model)->write_states(s, fresh);
    if (status || s->device)
        munmap(fresh, s->state_bytes);
    else if (!session_replace_states(s, fresh))
        status = fail(s, r->path, MDL_NO_MEMORY, "%s: the session has been reset", strerror(errno));
    return status;
}

static int load(struct mdl_session *s, const char *path, void *note, uint64_t room, uint64_t *note_bytes) {
    struct reading r = {.session = s, .path = path, .fd = -1};
    int status = open_file(&r);
    if (!status) status = read_header(&r);
    if (!status && note_bytes) *note_bytes = r.header.note_bytes;
    if (!status) status = read_note(&r, note, room);
    if (!status) status = replace_states(&r);
    if (r.fd >= 0) close(r.fd);
    return status;
}

static int no_pointer(struct mdl_session *s) {
    return fail(s, "session file", MDL_INVALID, "its path or its note is NULL");
}

int mdl_session_save(struct mdl_session *s, const char *path, const void *note, uint64_t note_bytes) {
    if (atomic_exchange(&s->busy, 1)) return MDL_BUSY;
    s->error[0] = 0;
    int status = path && (note || !note_bytes) ? save(s, path, note, note_bytes) : no_pointer(s);
    atomic_store(&s->busy, 0);
    return status;
}

int mdl_session_load(struct mdl_session *s, const char *path, void *note, uint64_t room,
                     uint64_t *note_bytes) {
    if (atomic_exchange(&s->busy, 1)) return MDL_BUSY;
    s->error[0] = 0;
    if (note_bytes) *note_bytes = 0;
    int status = path ? load(s, path, note, room, note_bytes) : no_pointer(s);
    atomic_store(&s->busy, 0);
    return status;
}
