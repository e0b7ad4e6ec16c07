/* Sessions: each has its own states, arena and scratch. All memory is taken here, none in a call. (On a
 * device: cuda_session.c.)
 *
 *     arena mapping:   arena │ scratch of thread 0 │ scratch of thread 1 │ …     pages are given at first touch
 *     states mapping:  zeros, but for the initial values that come from the weights
 */
#include "runtime/model.h"
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* `bytes` in whole pages, at least one; SIZE_MAX when that is too much. */
static size_t whole_pages(int64_t bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (bytes < 0 || (uint64_t)bytes > SIZE_MAX / 2) return SIZE_MAX;
    return bytes ? ((size_t)bytes + page - 1) / page * page : page;
}

/* Small pages even where the system gives large ones to all: of a cache or a buffer mostly the beginning is
 * touched. */
char *session_map(size_t bytes) {
    if (bytes == SIZE_MAX) return NULL;
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return NULL;
    madvise(p, bytes, MADV_NOHUGEPAGE); /* refused where there are no large ones */
    return p;
}

bool session_has_weights(const struct mdl_model *m, int64_t offset, int64_t bytes) {
    const struct distributed_calls *others = others_of(m);
    return !others || others->has_weights(m->descriptor, others->coordinates(m), offset, bytes);
}

static void set_initial_states(struct mdl_session *s) {
    const struct mdl_descriptor *d = s->model->descriptor;
    for (uint32_t i = 0; i < d->states_count; i++) {
        const struct mdl_state *state = &d->states[i];
        if (state->initial >= 0 && session_has_weights(s->model, state->initial, state->bytes))
            memcpy(s->states + state->offset, s->model->weights.data + state->initial, (size_t)state->bytes);
    }
}

bool session_replace_states(struct mdl_session *s, char *fresh) {
    size_t bytes = s->state_bytes;
    if (mremap(fresh, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, s->states) == s->states) return true;
    int error = errno; /* what was there may be gone */
    mmap(s->states, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
         -1, 0);
    set_initial_states(s);
    munmap(fresh, bytes);
    errno = error;
    return false;
}

static bool lane_new(struct lane *l, const struct mdl_model *m, char *scratch) {
    l->scratch = scratch;
    l->pointers = calloc(m->pointers + 1, sizeof *l->pointers);
    l->bound = calloc((size_t)m->plans_count + 1, sizeof *l->bound);
    l->counters = calloc((size_t)m->most_loops + 1, sizeof *l->counters);
    l->ends = calloc((size_t)m->most_loops + 1, sizeof *l->ends);
    return l->pointers && l->bound && l->counters && l->ends;
}

static void lane_free(struct lane *l) {
    free(l->pointers);
    free(l->bound);
    free(l->counters);
    free(l->ends);
}

/* Guards leave their value in the scratch, so there is always room for one. */
static bool map_memory(struct mdl_session *s) {
    const struct mdl_model *m = s->model;
    size_t arena = whole_pages(m->arena_bytes), scratch = whole_pages(m->scratch_bytes);
    size_t lanes = (size_t)s->lanes_count;
    if (arena == SIZE_MAX || scratch >= (SIZE_MAX - arena) / lanes) return false;
    s->arena_bytes = arena;
    s->scratch_bytes = scratch;
    s->arena = session_map(arena + lanes * scratch);
    s->states = session_map(s->state_bytes);
    if (!s->arena || !s->states) return false;
    for (int i = 0; i < s->lanes_count; i++)
        if (!lane_new(&s->lanes[i], m, s->arena + arena + (size_t)i * scratch)) return false;
    return true;
}

static void session_release(struct mdl_session *s) {
    if (s->device) device_of(s->model)->session_free(s);
    for (int i = 0; i < s->lanes_count && s->lanes; i++) lane_free(&s->lanes[i]);
    free(s->lanes);
    if (s->arena) munmap(s->arena, s->arena_bytes + (size_t)s->lanes_count * s->scratch_bytes);
    if (s->states) munmap(s->states, s->state_bytes);
    free(s);
}

/* Why the last session of this thread could not be made. */
static _Thread_local char why[512];

static int on_processor(struct mdl_session *s) {
    s->lanes_count = pool_threads(s->model->pool);
    s->lanes = calloc((size_t)s->lanes_count, sizeof *s->lanes);
    if (!s->lanes || !map_memory(s)) {
        snprintf(s->error, sizeof s->error, "out of memory");
        return MDL_NO_MEMORY;
    }
    set_initial_states(s);
    return MDL_OK;
}

int mdl_session_new(struct mdl_model *m, struct mdl_session **session) {
    struct mdl_session *s = calloc(1, sizeof *s);
    *session = NULL;
    snprintf(why, sizeof why, "out of memory");
    if (!s) return MDL_NO_MEMORY;
    s->model = m;
    s->state_bytes = whole_pages(m->descriptor->state_bytes);
    int status = m->device ? device_of(m)->session_new(s) : on_processor(s);
    if (status) {
        memcpy(why, s->error, sizeof why);
        session_release(s);
        return status;
    }
    atomic_fetch_add(&m->references, 1);
    *session = s;
    return MDL_OK;
}

/* A long prompt writes megabytes of the arena that the single tokens behind it do not need. */
void session_trim(struct mdl_session *s, double bytes) {
    enum { LITTLE = 4 << 20, FAR = 4 };
    if (s->touched > LITTLE && FAR * bytes < s->touched) {
        madvise(s->arena, s->arena_bytes, MADV_DONTNEED); /* refused: they stay */
        s->touched = 0;
    }
    if (bytes > s->touched) s->touched = bytes;
}

void session_memory(const struct mdl_session *s, struct mdl_memory *m) {
    *m = (struct mdl_memory){.arena = (int64_t)s->arena_bytes,
                             .scratch = (int64_t)s->scratch_bytes,
                             .states = (int64_t)s->state_bytes,
                             .threads = s->lanes_count};
    if (s->device) device_of(s->model)->memory(s, m);
}

int mdl_session_reset(struct mdl_session *s) {
    if (atomic_exchange(&s->busy, 1)) return MDL_BUSY;
    s->error[0] = 0;
    int status = s->device ? device_of(s->model)->session_reset(s) : MDL_OK;
    if (!s->device) {
        if (madvise(s->states, s->state_bytes, MADV_DONTNEED)) memset(s->states, 0, s->state_bytes);
        set_initial_states(s);
    }
    atomic_store(&s->busy, 0);
    return status;
}

void mdl_session_free(struct mdl_session *s) {
    if (!s) return;
    struct mdl_model *m = s->model;
    session_release(s);
    model_release(m);
}

const char *mdl_error(const struct mdl_session *s) { return s ? s->error : why; }
