/* Rings, pairwise exchanges and single messages: what each kind sends and receives in each step. */
#include "runtime/ring.h"
#include "runtime/reduce.h"
#include <string.h>

/* One step: a message to one member and one from another, either may be empty. */
struct exchange {
    int32_t to, from; /* members */
    const char *send;
    char *receive;
    uint64_t send_bytes, receive_bytes;
};

static uint64_t size_of(const struct ring *r) { return reduce_bytes[r->dtype]; }
static uint64_t part(const struct ring *r) { return r->elements * size_of(r); } /* of [N, d] */
static int32_t wrap(const struct ring *r, int32_t i) {
    return (int32_t)(((int64_t)i + 2 * (int64_t)r->count) % r->count);
}

/* Chunk c of an all-reduce: elements from..to. */
static uint64_t chunk_at(const struct ring *r, int32_t c) {
    uint64_t n = (uint64_t)r->count, whole = r->elements / n, rest = r->elements % n, i = (uint64_t)c;
    return whole * i + (i < rest ? i : rest);
}
static uint64_t chunk_bytes(const struct ring *r, int32_t c) {
    return (chunk_at(r, c + 1) - chunk_at(r, c)) * size_of(r);
}
static char *chunk(const struct ring *r, int32_t c) { return (char *)r->out + chunk_at(r, c) * size_of(r); }

/* --- each kind: begin (what is local), step (false: there is none), land (after a step) --- */

static void copy(void *to, const void *from, uint64_t bytes) {
    if (bytes && to != from) memcpy(to, from, bytes);
}

static void all_reduce_begin(struct ring *r) { copy(r->out, r->in, part(r)); }
static bool all_reduce_step(const struct ring *r, int32_t s, struct exchange *x) {
    bool adding = s < r->count - 1;
    int32_t back = adding ? s : s - r->count; /* the second half begins one chunk ahead */
    int32_t give = wrap(r, r->own - back), get = wrap(r, r->own - back - 1);
    if (s >= 2 * (r->count - 1)) return false;
    *x = (struct exchange){wrap(r, r->own + 1),  wrap(r, r->own - 1),
                           chunk(r, give),       adding ? r->scratch : chunk(r, get),
                           chunk_bytes(r, give), chunk_bytes(r, get)};
    return true;
}
static void all_reduce_land(struct ring *r, int32_t s) {
    int32_t c = wrap(r, r->own - s - 1);
    if (s < r->count - 1)
        reduce(r->dtype, r->reduction, chunk(r, c), r->scratch, chunk_at(r, c + 1) - chunk_at(r, c));
}

static void all_gather_begin(struct ring *r) {
    copy((char *)r->out + (uint64_t)r->own * part(r), r->in, part(r));
}
static bool all_gather_step(const struct ring *r, int32_t s, struct exchange *x) {
    uint64_t give = (uint64_t)wrap(r, r->own - s), get = (uint64_t)wrap(r, r->own - s - 1);
    char *out = r->out;
    if (s >= r->count - 1) return false;
    *x = (struct exchange){wrap(r, r->own + 1),
                           wrap(r, r->own - 1),
                           out + give * part(r),
                           out + get * part(r),
                           part(r),
                           part(r)};
    return true;
}

/* What arrives in step s is the sum so far of part own - s - 2; the last to arrive is the own part. */
static char *partial(const struct ring *r, int32_t s) {
    return s == r->count - 2 ? r->out : (char *)r->scratch + (uint64_t)(s % 2) * part(r);
}
static const char *given(const struct ring *r, int32_t p) {
    return (const char *)r->in + (uint64_t)p * part(r);
}
static void reduce_scatter_begin(struct ring *r) {
    if (r->count == 1) copy(r->out, r->in, part(r));
}
static bool reduce_scatter_step(const struct ring *r, int32_t s, struct exchange *x) {
    if (s >= r->count - 1) return false;
    *x = (struct exchange){wrap(r, r->own + 1),
                           wrap(r, r->own - 1),
                           s ? partial(r, s - 1) : given(r, wrap(r, r->own - 1)),
                           partial(r, s),
                           part(r),
                           part(r)};
    return true;
}
static void reduce_scatter_land(struct ring *r, int32_t s) {
    reduce(r->dtype, r->reduction, partial(r, s), given(r, wrap(r, wrap(r, r->own - s) - 2)), r->elements);
}

static void all_to_all_begin(struct ring *r) {
    uint64_t at = (uint64_t)r->own * part(r);
    copy((char *)r->out + at, (const char *)r->in + at, part(r));
}
static bool all_to_all_step(const struct ring *r, int32_t s, struct exchange *x) {
    int32_t to = wrap(r, r->own + s + 1), from = wrap(r, r->own - s - 1);
    if (s >= r->count - 1) return false;
    *x = (struct exchange){to,      from,   given(r, to), (char *)r->out + (uint64_t)from * part(r),
                           part(r), part(r)};
    return true;
}

/* Who sends to this member; -1: nobody. */
static int32_t permute_from(const struct ring *r) {
    for (int32_t i = 0; i < r->count; i++)
        if (r->peers[i] == r->own) return i;
    return -1;
}
static void permute_begin(struct ring *r) {
    int32_t from = permute_from(r);
    if (from == r->own) copy(r->out, r->in, part(r));
    if (from < 0 && part(r)) memset(r->out, 0, part(r));
}
static bool permute_step(const struct ring *r, int32_t s, struct exchange *x) {
    int32_t to = r->peers[r->own], from = permute_from(r);
    bool gives = to >= 0 && to != r->own, gets = from >= 0 && from != r->own;
    *x = (struct exchange){to, from, r->in, r->out, gives ? part(r) : 0, gets ? part(r) : 0};
    return s == 0;
}

static bool send_step(const struct ring *r, int32_t s, struct exchange *x) {
    *x = (struct exchange){.to = r->peers[0], .send = r->in, .send_bytes = part(r)};
    return s == 0;
}
static bool receive_step(const struct ring *r, int32_t s, struct exchange *x) {
    *x = (struct exchange){.from = r->peers[0], .receive = r->out, .receive_bytes = part(r)};
    return s == 0;
}

static const struct {
    void (*begin)(struct ring *);
    bool (*step)(const struct ring *, int32_t, struct exchange *);
    void (*land)(struct ring *, int32_t);
} kinds[MDL_COLLECTIVE_KINDS] = {
    [MDL_ALL_REDUCE] = {all_reduce_begin, all_reduce_step, all_reduce_land},
    [MDL_ALL_GATHER] = {all_gather_begin, all_gather_step, NULL},
    [MDL_REDUCE_SCATTER] = {reduce_scatter_begin, reduce_scatter_step, reduce_scatter_land},
    [MDL_ALL_TO_ALL] = {all_to_all_begin, all_to_all_step, NULL},
    [MDL_PERMUTE] = {permute_begin, permute_step, NULL},
    [MDL_SEND] = {NULL, send_step, NULL},
    [MDL_RECEIVE] = {NULL, receive_step, NULL},
};

uint64_t ring_scratch(const struct ring *r) {
    if (r->count == 1) return 0;
    if (r->kind == MDL_ALL_REDUCE) return chunk_bytes(r, 0);
    return r->kind == MDL_REDUCE_SCATTER ? 2 * part(r) : 0;
}

uint64_t ring_in_bytes(const struct ring *r) {
    bool all = r->kind == MDL_REDUCE_SCATTER || r->kind == MDL_ALL_TO_ALL;
    return r->kind == MDL_RECEIVE ? 0 : all ? part(r) * (uint64_t)r->count : part(r);
}
uint64_t ring_out_bytes(const struct ring *r) {
    bool all = r->kind == MDL_ALL_GATHER || r->kind == MDL_ALL_TO_ALL;
    return r->kind == MDL_SEND ? 0 : all ? part(r) * (uint64_t)r->count : part(r);
}

void ring_begin(struct ring *r) {
    r->step = 0;
    r->sending = r->receiving = r->begun = false;
    r->sent = 0;
    if (kinds[r->kind].begin) kinds[r->kind].begin(r);
}

/* The receive first, so that what arrives has a place. */
static int begin_step(struct ring *r, const struct exchange *x) {
    const struct mdl_comm_engine *e = r->comm->engine;
    r->begun = true;
    if (x->receive_bytes) {
        if (e->receive(r->comm, r->members[x->from], r->channel, x->receive, x->receive_bytes,
                       &r->in_transfer) < 0)
            return MDL_BROKEN;
        r->receiving = true;
    }
    if (!x->send_bytes) return MDL_UNDER_WAY;
    if (e->send(r->comm, r->members[x->to], r->channel, x->send, x->send_bytes, &r->out_transfer) < 0)
        return MDL_BROKEN;
    r->sent += x->send_bytes;
    r->sending = true;
    return MDL_UNDER_WAY;
}

static int test(struct ring *r, bool *under_way, struct mdl_transfer *t) {
    if (!*under_way) return MDL_FINISHED;
    int status = r->comm->engine->test(r->comm, t);
    if (status != MDL_UNDER_WAY) *under_way = false;
    return status;
}

int ring_advance(struct ring *r) {
    struct exchange x;
    for (;;) {
        if (!r->begun) {
            if (!kinds[r->kind].step(r, r->step, &x)) return MDL_FINISHED;
            if (begin_step(r, &x) < 0) return MDL_BROKEN;
        }
        int in = test(r, &r->receiving, &r->in_transfer), out = test(r, &r->sending, &r->out_transfer);
        if (in < 0 || out < 0) return MDL_BROKEN;
        if (!in || !out) return MDL_UNDER_WAY;
        if (kinds[r->kind].land) kinds[r->kind].land(r, r->step);
        r->step++;
        r->begun = false;
    }
}

void ring_cancel(struct ring *r) {
    if (r->receiving) r->comm->engine->cancel(r->comm, &r->in_transfer);
    if (r->sending) r->comm->engine->cancel(r->comm, &r->out_transfer);
    r->receiving = r->sending = false;
}
