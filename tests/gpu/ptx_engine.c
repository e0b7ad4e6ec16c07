/* The copy engine: cp.async.bulk and its tensor form. A transfer arrives at a time of its own choice, here
 * when the scheduler says; it fills a barrier's bytes, or is of a group that is waited for. */
#include "tests/gpu/ptx_ops.h"
#include "tests/gpu/ptx_tensor.h"
#include <stdlib.h>
#include <string.h>

struct transfer *ptx_transfer_new(struct block *b) {
    if (b->transfers_count == b->transfers_room) {
        b->transfers_room = b->transfers_room ? 2 * b->transfers_room : 64;
        b->transfers = realloc(b->transfers, b->transfers_room * sizeof *b->transfers);
    }
    return &b->transfers[b->transfers_count++];
}
void ptx_engine_reset(struct block *b) { b->transfers_count = b->mbarriers_count = 0; }
void ptx_engine_free(struct block *b) {
    free(b->transfers);
    free(b->mbarriers);
}

static unsigned char *global(const struct transfer *t, uint64_t address, uint32_t bytes) {
    return ptx_reach(t->warp, t->in, t->lane, S_GLOBAL, address, bytes,
                     t->kind == BULK_LOAD || t->kind == TENSOR_LOAD ? ACCESS_READ : ACCESS_WRITE);
}
/* ptx_reach wants addresses aligned to what is reached: pieces of 16 bytes. */
static void bulk(struct block *b, const struct transfer *t) {
    for (uint32_t i = 0; i < t->bytes; i += 16) {
        unsigned char *p = global(t, t->global + i, 16);
        if (t->kind == BULK_LOAD)
            ptx_shared_arrive(t->warp, ENGINE, b->engine_clock, t->shared + i, p, 16);
        else
            memcpy(p, b->shared + t->shared - SHARED_BASE + i, 16);
    }
}

/* Each element of a box; those outside the tensor read as zeros, and are not written. */
static void tensor(struct block *b, const struct transfer *t, const struct tensor_map *map) {
    uint32_t index[5] = {0}, count = 1, at = t->shared;
    for (uint32_t i = 0; i < map->rank; i++) count *= map->box[i];
    for (uint32_t n = 0; n < count; n++, at += map->element) {
        bool inside = true;
        uint64_t address = map->address;
        for (uint32_t i = 0; i < map->rank; i++) {
            int64_t c = (int64_t)t->at[i] + (int64_t)index[i] * map->steps[i];
            inside &= c >= 0 && c < map->extents[i];
            address += (uint64_t)c * (i ? map->strides[i - 1] : map->element);
        }
        unsigned char none[8], *p = none;
        memset(none, map->fill_nan ? 0xff : 0, sizeof none);
        if (inside) p = global(t, address, map->element);
        uint32_t place = tensor_swizzled(at, map->swizzle);
        if (t->kind == TENSOR_LOAD)
            ptx_shared_arrive(t->warp, ENGINE, b->engine_clock, place, p, map->element);
        else if (inside)
            memcpy(p, b->shared + place - SHARED_BASE, map->element);
        for (uint32_t i = 0; i < map->rank && ++index[i] == map->box[i]; i++) index[i] = 0;
    }
}

static const struct tensor_map *map_at(struct warp *w, const struct insn *in, uint32_t lane,
                                       uint64_t address) {
    const struct tensor_map *map;
    if (address % 64)
        ptx_fail(w, in, lane, "a tensor map at %#llx is not aligned to 64 bytes",
                 (unsigned long long)address);
    enum ptx_space space = ptx_space_of(&address);
    if (space == S_PARAM && address + sizeof *map <= w->block->kernel->function->param_bytes)
        map = (const void *)(w->block->params + address);
    else
        map = space == S_GLOBAL ? ptx_memory(address, sizeof *map) : NULL;
    if (!map || map->magic != TENSOR_MAP_MAGIC) ptx_fail(w, in, lane, "there is no tensor map");
    return map;
}

bool ptx_engine_step(struct block *b) {
    if (!b->transfers_count) return false;
    size_t chosen = ptx_random(&b->random) % b->transfers_count;
    /* A lane's own come in order where a group is waited for; any order else. */
    struct transfer t = b->transfers[chosen];
    memmove(&b->transfers[chosen], &b->transfers[chosen + 1], (b->transfers_count - chosen - 1) * sizeof t);
    b->transfers_count--;
    bool arrives = t.kind == COPIES_ARRIVE || t.kind == PRODUCTS_ARRIVE;
    if (t.kind == COPIES_ARRIVE)
        ptx_copies_arrive(t.warp, t.mask, t.last_copy);
    else if (t.kind == PRODUCTS_ARRIVE)
        ; /* the sums are there, and now others may know */
    else if (t.kind == BULK_LOAD || t.kind == BULK_STORE)
        bulk(b, &t);
    else
        tensor(b, &t, map_at(t.warp, t.in, t.lane, t.global));
    struct mbarrier *m = t.mbarrier ? ptx_mbarrier_at(b, t.mbarrier) : NULL;
    if (t.mbarrier && !m) ptx_fail(t.warp, t.in, t.lane, "its mbarrier is gone before the copy arrived");
    if (m) {
        if (arrives && !m->pending)
            ptx_fail(t.warp, t.in, t.lane, "an arrival, but the mbarrier's phase waits for none");
        struct clocks own = t.known;
        if (t.kind != PRODUCTS_ARRIVE) own.of[ENGINE] = b->engine_clock;
        ptx_know(&m->gathered, &own);
        ptx_mbarrier_arrive(b, m, arrives ? 1 : 0, arrives ? 0 : -(int64_t)t.bytes);
    }
    b->engine_clock++;
    b->progress++;
    return true;
}

bool ptx_engine_busy(const struct block *b, const struct warp *w, uint32_t lane, uint32_t first_group) {
    for (size_t i = 0; i < b->transfers_count; i++) {
        const struct transfer *t = &b->transfers[i];
        if (t->warp == w && t->lane == lane && (t->kind == BULK_STORE || t->kind == TENSOR_STORE) &&
            t->group < first_group)
            return true;
    }
    return false;
}

static uint32_t shared_address(struct warp *w, const struct insn *in, uint32_t lane, uint64_t address,
                               uint32_t bytes, uint32_t align) {
    if (address >> 32 && ptx_space_of(&address) != S_SHARED)
        ptx_fail(w, in, lane, "the address is not of shared memory");
    ptx_shared(w, in, lane, address, bytes, align);
    return (uint32_t)address;
}

static void issue(struct warp *w, const struct insn *in, uint32_t lane, struct transfer t, uint32_t align) {
    bool load = t.kind == BULK_LOAD || t.kind == TENSOR_LOAD;
    t.warp = w;
    t.in = in;
    t.lane = lane;
    t.group = w->group[lane];
    t.known = w->known;
    ptx_shared(w, in, lane, t.shared, t.bytes, align);
    if (load)
        ptx_shared_pending(w, in, lane, t.shared, t.bytes);
    else {
        ptx_shared_read(w, in, lane, t.shared, t.bytes, false);
        ptx_shared_fenced(w, in, lane, t.shared, t.bytes);
    }
    *ptx_transfer_new(w->block) = t;
    if (load) w->known.of[w->number]++;
}

/* [to], [from], bytes, [mbarrier] */
static void bulk_load(struct warp *w, const struct insn *in, uint32_t mask) {
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(rest), bytes = (uint32_t)lane_value(w, &in->ops[2], l);
        struct transfer t = {
            .kind = BULK_LOAD, .global = ptx_address(w, in, 1, l, in->offset2), .bytes = bytes};
        if (!bytes || bytes % 16 || t.global % 16)
            ptx_fail(w, in, l, "bulk copies are of 16 bytes and on, at addresses aligned to 16");
        t.shared = shared_address(w, in, l, ptx_address(w, in, 0, l, in->offset), bytes, 16);
        for (uint32_t i = 0; i < bytes; i += 16) ptx_reach(w, in, l, S_GLOBAL, t.global + i, 16, ACCESS_READ);
        t.mbarrier = ptx_mbarrier(w, in, l, ptx_address(w, in, 3, l, in->targets_count))->address;
        issue(w, in, l, t, 16);
    }
}
static void bulk_store(struct warp *w, const struct insn *in, uint32_t mask) {
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(rest), bytes = (uint32_t)lane_value(w, &in->ops[2], l);
        struct transfer t = {
            .kind = BULK_STORE, .global = ptx_address(w, in, 0, l, in->offset), .bytes = bytes};
        if (!bytes || bytes % 16 || t.global % 16)
            ptx_fail(w, in, l, "bulk copies are of 16 bytes and on, at addresses aligned to 16");
        t.shared = shared_address(w, in, l, ptx_address(w, in, 1, l, in->offset2), bytes, 16);
        for (uint32_t i = 0; i < bytes; i += 16)
            ptx_reach(w, in, l, S_GLOBAL, t.global + i, 16, ACCESS_WRITE);
        issue(w, in, l, t, 16);
    }
}

/* Operands: shared address, map, mbarrier (loads), coordinates; mode 1 is a store. */
static void tensor_copy(struct warp *w, const struct insn *in, uint32_t mask) {
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(rest), first = in->mode ? 2 : 3;
        struct transfer t = {.kind = in->mode ? TENSOR_STORE : TENSOR_LOAD,
                             .global = ptx_address(w, in, 1, l, in->offset2)};
        const struct tensor_map *map = map_at(w, in, l, t.global);
        if (map->rank != in->vector)
            ptx_fail(w, in, l, "a copy of %u dimensions with a map of %u", in->vector, map->rank);
        t.bytes = map->element;
        for (uint32_t i = 0; i < map->rank; i++) {
            t.bytes *= map->box[i];
            t.at[i] = (int32_t)lane_value(w, &in->ops[first + i], l);
        }
        uint64_t address = ptx_address(w, in, 0, l, in->offset);
        t.shared = shared_address(w, in, l, address, t.bytes, 128);
        if (!in->mode)
            t.mbarrier = ptx_mbarrier(w, in, l, ptx_address(w, in, 2, l, in->targets_count))->address;
        issue(w, in, l, t, 128);
    }
}

static void bulk_commit(struct warp *w, const struct insn *in, uint32_t mask) {
    (void)in;
    for (uint32_t rest = mask; rest; rest &= rest - 1) w->group[__builtin_ctz(rest)]++;
}
/* The engine goes on until what is waited for is done. */
static void bulk_wait(struct warp *w, const struct insn *in, uint32_t mask) {
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(rest), pending = (uint32_t)lane_value(w, &in->ops[0], l),
                 group = w->group[l];
        while (ptx_engine_busy(w->block, w, l, group > pending ? group - pending : 0))
            ptx_engine_step(w->block);
    }
}
static void nothing(struct warp *w, const struct insn *in, uint32_t mask) { (void)w, (void)in, (void)mask; }

static const struct op_row rows[] = {
    {"cp", "bulk.commit_group", T_NONE, bulk_commit, "="}, {"cp", "bulk.wait_group", T_NONE, bulk_wait, "=l"},
    {"cp", "bulk.prefetch", T_NONE, nothing, NULL},        {"cp", "bulk.tensor", T_NONE, tensor_copy, NULL},
    {"cp", "async.bulk", T_NONE, bulk_load, NULL},
};
OP_TABLE(ptx_engine_ops, rows);

/* The third address's offset is kept in targets_count. */
static bool address3(struct decoder *d, const struct arg *a) {
    int64_t offset = d->insn->offset, offset2 = d->insn->offset2;
    uint8_t offsets = d->insn->offsets;
    d->insn->offsets = 0;
    if (!ptx_emit(d, a, 'a', T_B64)) return false;
    d->insn->targets_count = (uint32_t)d->insn->offset;
    d->insn->offset = offset;
    d->insn->offset2 = offset2;
    d->insn->offsets = offsets;
    return true;
}
static bool no(struct decoder *d, const char *what) {
    ptx_complain(d->module, d->statement->line, "%s: %s", d->statement->text, what);
    return false;
}

static bool tensor_op(struct decoder *d, const struct opcode *o, bool store) {
    const struct statement *s = d->statement;
    const struct arg *map = &s->args[store ? 0 : 1], *shared = &s->args[store ? 1 : 0];
    if (s->count < (store ? 2u : 3u) || map->kind != A_ADDRESS || map->count != 2 ||
        map->items[1].kind != A_VECTOR)
        return no(d, "[map, {coordinates}] is wanted");
    for (uint32_t i = 0; i < o->words_count; i++)
        if (o->words[i][1] == 'd' && !o->words[i][2]) d->insn->vector = (uint8_t)(o->words[i][0] - '0');
    if (d->insn->vector != map->items[1].count || ptx_has(o, "im2col") || ptx_has(o, "multicast::cluster"))
        return no(d, "only tiles, without multicast");
    d->insn->mode = store;
    if (!ptx_emit(d, shared, 'a', T_B64) || !ptx_emit(d, map, 'a', T_B64)) return false;
    if (!store && !address3(d, &s->args[2])) return false;
    for (uint32_t i = 0; i < map->items[1].count; i++)
        if (!ptx_emit(d, &map->items[1].items[i], 'l', T_B32)) return false;
    return true;
}

bool ptx_engine_op(struct decoder *d, const struct opcode *o, bool *known) {
    const struct statement *s = d->statement;
    struct insn *in = d->insn;
    if (in->run != tensor_copy && in->run != bulk_load && !(in->run == nothing && !strcmp(o->base, "cp")))
        return true;
    *known = true;
    if (in->run == nothing) return true;
    bool store = o->space == S_GLOBAL && o->space2 == S_SHARED,
         load = o->space == S_SHARED && o->space2 == S_GLOBAL;
    if (!store && !load) return no(d, "copies between global and shared memory only");
    in->space = S_SHARED;
    if (in->run == tensor_copy) return tensor_op(d, o, store);
    if (s->count < (store ? 3u : 4u) || ptx_has(o, "multicast::cluster"))
        return no(d, "[to], [from], bytes and, for loads, [mbarrier] are wanted");
    if (store) in->run = bulk_store;
    if (!ptx_emit(d, &s->args[0], 'a', T_B64) || !ptx_emit(d, &s->args[1], 'a', T_B64) ||
        !ptx_emit(d, &s->args[2], 'l', T_B32))
        return false;
    return store || address3(d, &s->args[3]);
}
