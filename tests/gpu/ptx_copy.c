/* cp.async: copies from global to shared memory that arrive at the wait which guarantees them, and not
 * before. */
#include "tests/gpu/ptx_ops.h"
#include <stdlib.h>
#include <string.h>

static struct copy *new_copy(struct warp *w) {
    if (w->copies_count == w->copies_room) {
        w->copies_room = w->copies_room ? 2 * w->copies_room : 64;
        w->copies = realloc(w->copies, w->copies_room * sizeof *w->copies);
    }
    return &w->copies[w->copies_count++];
}

/* Bytes past the source's size are zeros; a predicate that says to ignore the source makes all of them so. */
static void issue(struct warp *w, const struct insn *in, uint32_t mask) {
    struct copy *copy = new_copy(w);
    copy->mask = mask;
    copy->bytes = in->vector;
    uint32_t addresses[LANES] = {0};
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(rest);
        uint64_t to = ptx_address(w, in, 0, l, in->offset), from = ptx_address(w, in, 1, l, in->offset2);
        uint64_t size = in->sources > 2 ? lane_value(w, &in->ops[2], l) : in->vector;
        if (size > in->vector)
            ptx_fail(w, in, l, "copies %llu bytes of %u", (unsigned long long)size, in->vector);
        ptx_shared(w, in, l, to, in->vector, in->vector);
        memset(copy->data[l], 0, sizeof copy->data[l]);
        if (from % in->vector)
            ptx_fail(w, in, l, "address %#llx is not aligned to %u bytes", (unsigned long long)from,
                     in->vector);
        if (size)
            memcpy(copy->data[l], ptx_reach(w, in, l, S_GLOBAL, from, (uint32_t)size, ACCESS_READ), size);
        ptx_shared_pending(w, in, l, (uint32_t)to, in->vector);
        copy->to[l] = addresses[l] = (uint32_t)to;
        copy->group[l] = w->group[l];
    }
    ptx_conflicts(w, in, mask, addresses, in->vector);
}

static void commit(struct warp *w, const struct insn *in, uint32_t mask) {
    (void)in;
    for (uint32_t rest = mask; rest; rest &= rest - 1) w->group[__builtin_ctz(rest)]++;
}

/* Copies of groups before `first[lane]` arrive. */
static void deliver(struct warp *w, uint32_t mask, const uint32_t first[LANES]) {
    size_t kept = 0;
    for (size_t i = 0; i < w->copies_count; i++) {
        struct copy *c = &w->copies[i];
        for (uint32_t rest = c->mask & mask; rest; rest &= rest - 1) {
            uint32_t l = (uint32_t)__builtin_ctz(rest);
            if (c->group[l] >= first[l]) continue;
            ptx_shared_arrive(w, w->number, w->known.of[w->number], c->to[l], c->data[l], c->bytes);
            c->mask &= ~(rest & -rest);
        }
        if (!c->mask) continue;
        if (kept != i) w->copies[kept] = *c;
        kept++;
    }
    w->copies_count = kept;
}
static void wait_group(struct warp *w, const struct insn *in, uint32_t mask) {
    uint32_t first[LANES];
    const uint32_t *pending = OP(0);
    for (uint32_t l = 0; l < LANES; l++) first[l] = w->group[l] > pending[l] ? w->group[l] - pending[l] : 0;
    deliver(w, mask, first);
}
static void wait_all(struct warp *w, const struct insn *in, uint32_t mask) {
    uint32_t first[LANES];
    (void)in;
    memset(first, 0xff, sizeof first);
    deliver(w, mask, first);
}
void ptx_copies_arrive(struct warp *w, uint32_t mask, uint32_t count) {
    for (size_t i = 0; i < count && i < w->copies_count; i++) {
        struct copy *c = &w->copies[i];
        for (uint32_t rest = c->mask & mask; rest; rest &= rest - 1) {
            uint32_t l = (uint32_t)__builtin_ctz(rest);
            ptx_shared_arrive(w, ENGINE, w->block->engine_clock, c->to[l], c->data[l], c->bytes);
        }
        c->mask &= ~mask;
    }
}

static const struct op_row rows[] = {
    {"cp", "async.commit_group", T_NONE, commit, "="}, {"cp", "async.wait_group", T_NONE, wait_group, "=l"},
    {"cp", "async.wait_all", T_NONE, wait_all, "="},   {"cp", "async.ca", T_NONE, issue, NULL},
    {"cp", "async.cg", T_NONE, issue, NULL},
};
OP_TABLE(ptx_copy_ops, rows);

/* [to], [from], bytes{, size of the source or predicate}{, cache policy} */
bool ptx_copy_op(struct decoder *d, const struct opcode *o, bool *known) {
    const struct statement *s = d->statement;
    if (strcmp(o->base, "cp") || d->insn->run != issue) return true;
    *known = true;
    uint32_t hint = 0;
    for (uint32_t i = 0; i < o->words_count; i++) hint |= !strcmp(o->words[i], "L2::cache_hint");
    bool good = s->count - hint >= 3 && s->count - hint <= 4 && s->args[2].kind == A_INTEGER;
    uint64_t bytes = good ? s->args[2].bits : 0;
    bool whole = ptx_has(o, "async.cg");
    if (bytes != 16 && (whole || (bytes != 4 && bytes != 8)))
        return ptx_complain(d->module, s->line, "%s: copies 4, 8 or 16 bytes (.cg: 16)", s->text), false;
    d->insn->vector = (uint8_t)bytes;
    if (!ptx_emit(d, &s->args[0], 'a', T_B64) || !ptx_emit(d, &s->args[1], 'a', T_B64)) return false;
    return s->count - hint == 3 || ptx_emit(d, &s->args[3], 'l', T_B32);
}
