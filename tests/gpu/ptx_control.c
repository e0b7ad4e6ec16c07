/* Branches, calls, returns, barriers. */
#include "tests/gpu/ptx_ops.h"
#include <string.h>

static void branch(struct warp *w, const struct insn *in, uint32_t mask) { ptx_goto(w, mask, in->target); }

static void branch_table(struct warp *w, const struct insn *in, uint32_t mask) {
    const uint32_t *index = OP(0);
    while (mask) {
        uint32_t l = (uint32_t)__builtin_ctz(mask), same = 0, i = index[l];
        if (i >= in->targets_count)
            ptx_fail(w, in, l, "index %u is past a table of %u labels", i, in->targets_count);
        for (uint32_t rest = mask; rest; rest &= rest - 1)
            if (index[__builtin_ctz(rest)] == i) same |= rest & -rest;
        mask &= ~same;
        ptx_goto(w, same, in->targets[i]);
    }
}

/* targets: triples (from, to, bytes) of what is copied in each lane's parameter memory; those after `mode`
 * triples are results, copied back at the return by the instruction that follows. */
static void copy_params(struct warp *w, const struct insn *in, uint32_t mask) {
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        unsigned char *own = w->call + (size_t)__builtin_ctz(rest) * w->block->kernel->call_bytes;
        for (uint32_t i = 0; i + 2 < in->targets_count; i += 3)
            memmove(own + in->targets[i + 1], own + in->targets[i], in->targets[i + 2]);
    }
}
static void call(struct warp *w, const struct insn *in, uint32_t mask) {
    copy_params(w, in, mask);
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(rest);
        if (w->depth[l] == DEPTH) ptx_fail(w, in, l, "calls are nested more than %d deep", DEPTH);
        w->returns[l * DEPTH + w->depth[l]++] = w->pc + 1;
    }
    ptx_goto(w, mask, in->target);
}
static void ret(struct warp *w, const struct insn *in, uint32_t mask) {
    (void)in;
    while (mask) {
        uint32_t l = (uint32_t)__builtin_ctz(mask), same = 0;
        if (!w->depth[l]) {
            for (uint32_t rest = mask; rest; rest &= rest - 1)
                if (!w->depth[__builtin_ctz(rest)]) same |= rest & -rest;
            mask &= ~same;
            ptx_end_lanes(w, same);
            continue;
        }
        uint32_t to = w->returns[l * DEPTH + w->depth[l] - 1];
        for (uint32_t rest = mask; rest; rest &= rest - 1) {
            uint32_t k = (uint32_t)__builtin_ctz(rest);
            if (!w->depth[k] || w->returns[k * DEPTH + w->depth[k] - 1] != to) continue;
            same |= rest & -rest;
            w->depth[k]--;
        }
        mask &= ~same;
        ptx_goto(w, same, to);
    }
}
static void leave(struct warp *w, const struct insn *in, uint32_t mask) {
    (void)in;
    ptx_end_lanes(w, mask);
}
static void trap(struct warp *w, const struct insn *in, uint32_t mask) {
    ptx_fail(w, in, (uint32_t)__builtin_ctz(mask), "the kernel stopped itself");
}

static bool some_may_come(const struct warp *w) {
    for (uint32_t i = 1; i < w->paths_count; i++)
        if (!w->paths[i].stalled) return true;
    return false;
}

/* Whether all lanes have come to an aligned barrier. Ways that parted before it may meet again only there,
 * but none may end without it. */
static bool all_have_come(struct warp *w, const struct insn *in, uint32_t mask) {
    uint32_t all = w->awaited ? w->awaited : w->live;
    w->awaited = mask == all ? 0 : all;
    if (mask == all) return true;
    if (mask != w->mask || !some_may_come(w) || all & ~w->live)
        ptx_fail(w, in, (uint32_t)__builtin_ctz(mask), "divergent barrier: lanes %#x of %#x are here", mask,
                 all);
    return ptx_converged(w, in, mask, w->live);
}

/* A warp comes to a barrier as a whole. mode: 0 sync, 1 arrive, 2 the cluster's wait. */
static void barrier(struct warp *w, const struct insn *in, uint32_t mask) {
    uint32_t lane = (uint32_t)__builtin_ctz(mask);
    bool come = in->flags & F_ALIGNED ? all_have_come(w, in, mask) : ptx_converged(w, in, mask, w->live);
    if (!come) return;
    uint32_t number = in->sources > 0 ? (uint32_t)lane_value(w, &in->ops[0], lane) : 0;
    uint32_t threads = in->sources > 1 ? (uint32_t)lane_value(w, &in->ops[1], lane) : 0;
    if (in->mode == 2)
        number = CLUSTER_BARRIER;
    else if (number >= BARRIERS)
        ptx_fail(w, in, lane, "barrier %u: there are %d", number, BARRIERS);
    if (threads % LANES) ptx_fail(w, in, lane, "a barrier of %u threads: not whole warps", threads);
    struct barrier *b = &w->block->barriers[number];
    uint32_t expected = threads / LANES;
    if ((b->arrived && b->expected != expected) || expected > w->block->warps_count)
        ptx_fail(w, in, lane, "barrier %u is met with %u threads, by others with %u", number, threads,
                 b->expected * LANES);
    b->expected = expected;
    b->arrived++;
    ptx_know(&b->known, &w->known);
    w->known.of[w->number]++;
    w->barrier = number;
    if (in->mode == 1) {
        w->block->progress++;
        return;
    }
    b->waiting |= 1u << w->number;
    w->state = W_BARRIER;
}

/* Lanes of a warp in lockstep have nothing to wait for but each other. */
static void warp_barrier(struct warp *w, const struct insn *in, uint32_t mask) {
    uint32_t lane = (uint32_t)__builtin_ctz(mask), need = (uint32_t)lane_value(w, &in->ops[0], lane);
    if (!(need >> lane & 1)) ptx_fail(w, in, lane, "the lane is not in its own mask %#x", need);
    ptx_converged(w, in, mask, need);
}

/* Clusters have one block: what was said at the arrival is known at the wait, where all meet. */
static void arrive_cluster(struct warp *w, const struct insn *in, uint32_t mask) {
    ptx_converged(w, in, mask, w->live);
}
static void map_address(struct warp *w, const struct insn *in, uint32_t mask) {
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(rest), rank = (uint32_t)lane_value(w, &in->ops[2], l);
        if (rank) ptx_fail(w, in, l, "block %u of a cluster of one", rank);
        set_lane(w, &in->ops[0], l, lane_value(w, &in->ops[1], l));
    }
}

#define BARS(base)                                                                                           \
    {base, "arrive", T_NONE, barrier, "=ll"}, { base, "sync", T_NONE, barrier, "=l?l" }
static const struct op_row rows[] = {
    {"bra", NULL, T_NONE, branch, NULL},
    {"brx", NULL, T_NONE, branch_table, NULL},
    {"call", NULL, T_NONE, call, NULL},
    {"ret", NULL, T_NONE, ret, "="},
    {"exit", NULL, T_NONE, leave, "="},
    {"trap", NULL, T_NONE, trap, "="},
    {"brkpt", NULL, T_NONE, trap, "="},
    {"bar", "warp", T_NONE, warp_barrier, "=l"},
    {"barrier", "cluster.arrive", T_NONE, arrive_cluster, "="},
    {"barrier", "cluster.wait", T_NONE, barrier, "="},
    {"mapa", NULL, T_U32, map_address, "l=ll"},
    {"mapa", NULL, T_U64, map_address, "q=ql"},
    BARS("bar"),
    BARS("barrier"),
};
OP_TABLE(ptx_control_ops, rows);

static bool label(struct decoder *d, const char *name, uint32_t *target) {
    const struct symbol *s =
        name ? ptx_find(d->module, d->function, d->statement->scope, name, SYM_LABEL, NULL) : NULL;
    if (!s)
        return ptx_complain(d->module, d->statement->line, "%s is not a label here",
                            name ? name : d->statement->text),
               false;
    *target = d->function->first + s->first;
    return true;
}

static bool call_copies(struct decoder *d, const struct arg *list, const struct param *params, size_t count,
                        const struct function *callee, bool back, uint32_t *triples, uint32_t *used) {
    uint32_t given = list ? list->count : 0;
    if (given != count)
        return ptx_complain(d->module, d->statement->line, "%s: %u values for %zu", d->statement->text, given,
                            count),
               false;
    for (uint32_t i = 0; i < given; i++) {
        const struct symbol *s = list->items[i].name ? ptx_find(d->module, d->function, d->statement->scope,
                                                                list->items[i].name, SYM_VARIABLE, NULL)
                                                     : NULL;
        if (!s || s->space != S_CALL || s->bytes != params[i].bytes)
            return ptx_complain(d->module, d->statement->line, "%s: operand %u is no parameter of that size",
                                d->statement->text, i + 1),
                   false;
        uint32_t here = (uint32_t)s->address + d->function->call_base,
                 there = params[i].offset + callee->call_base;
        triples[(*used)++] = back ? there : here;
        triples[(*used)++] = back ? here : there;
        triples[(*used)++] = params[i].bytes;
    }
    return true;
}

/* (results), function, (parameters): the caller's memory to the callee's. Results go to the callee's too:
 * ld.param of the caller's name reads them after the copy of `back`. */
static bool call_op(struct decoder *d) {
    const struct statement *s = d->statement;
    const struct arg *results = s->count && s->args[0].kind == A_LIST ? &s->args[0] : NULL;
    uint32_t i = results ? 1 : 0;
    const char *name = i < s->count ? s->args[i].name : NULL;
    const struct arg *params = i + 1 < s->count && s->args[i + 1].kind == A_LIST ? &s->args[i + 1] : NULL;
    struct function *callee = NULL;
    for (size_t k = 0; name && k < d->module->functions_count; k++)
        if (!strcmp(d->module->functions[k]->name, name)) callee = d->module->functions[k];
    if (!callee || !callee->defined || callee->entry)
        return ptx_complain(d->module, s->line, "%s: %s is not a function with a body here", s->text,
                            name ? name : "it"),
               false;
    uint32_t *triples =
                 ptx_own(d->module, (callee->params_count + callee->returns_count) * 3 * sizeof *triples + 1),
             used = 0;
    if (!call_copies(d, params, callee->params, callee->params_count, callee, false, triples, &used))
        return false;
    d->insn->targets = triples;
    d->insn->targets_count = used;
    d->insn->target = callee->first;
    /* Results: the next instruction's caller reads its own name; a table for the copy stands behind. */
    uint32_t *back = ptx_own(d->module, callee->returns_count * 3 * sizeof *back + 1), back_used = 0;
    if (!call_copies(d, results, callee->returns, callee->returns_count, callee, true, back, &back_used))
        return false;
    d->insn[1] = (struct insn){.run = copy_params,
                               .targets = back,
                               .targets_count = back_used,
                               .line = s->line,
                               .source_file = s->source_file,
                               .source_line = s->source_line,
                               .guarded = d->insn->guarded,
                               .guard_not = d->insn->guard_not,
                               .guard = d->insn->guard};
    return true;
}

bool ptx_special_op(struct decoder *d, const struct opcode *o, bool *known) {
    const struct statement *s = d->statement;
    struct insn *in = d->insn;
    *known = true;
    if (!strcmp(o->base, "bra")) return s->count == 1 && label(d, s->args[0].name, &in->target);
    if (!strcmp(o->base, "brx")) {
        const struct symbol *table =
            s->count == 2 && s->args[1].name
                ? ptx_find(d->module, d->function, s->scope, s->args[1].name, SYM_TABLE, NULL)
                : NULL;
        if (!table) return ptx_complain(d->module, s->line, "%s: no such table of labels", s->text), false;
        uint32_t *targets = ptx_own(d->module, table->count * sizeof *targets);
        for (uint32_t i = 0; i < table->count; i++)
            if (!label(d, table->targets[i], &targets[i])) return false;
        in->targets = targets;
        in->targets_count = table->count;
        return ptx_emit(d, &s->args[0], 'l', T_B32);
    }
    if (!strcmp(o->base, "call")) return call_op(d);
    *known = false;
    return true;
}
