/* Packed layouts of the params that contractions read: the weights file holds them as the register tiles walk
 * them, and nothing is packed at run time.
 *
 *     linear(x, w: f32[576, 192])         tile 6x64, fma        layout("0/64 1 0:64")
 *     the same, bf16 pairs                tile 6x64, dot_bf16   layout("0/64 1/2 0:64 1:2")
 *     the same, matrix registers          amx_f32               layout("0/32 1 0:32")
 *     bf16 pairs, matrix registers        amx_bf16              layout("0/32 1/32 0/16:2 1/2:16 0:16 1:2")
 *     the same, tensor cores              any tile, mma_bf16    layout("1/64 1/8:8 0 1:8")
 *     the same, w stored in blocks (q4_1)       dot_int8, mma_int8
 *                                                               layout("0/32 1/32 1/4:8 0:32 1:4")
 *
 * A param may have several readers. Contractions outrank others (a gather reads through any layout), integer
 * products outrank floats, and of equals the first in the text decides: the others' schedules follow it where
 * they can, and pack at run time where they cannot. A layout written by hand is kept.
 *
 *     k_cache: f32[8192, 3, 64]           read as keys alone    layout("1 0/64 2 0:64")
 *     v_cache: f32[8192, 3, 64]           as values             layout("1 0 2")
 *     the keys stored as bf16, for dot_bf16                     layout("1 0/64 2/2 0:64 2:2")
 *     the values                                                layout("1 0/2 2 0:2")
 *
 * Keys lie a panel at a time with tokens as lanes, so that scores are sums of whole vectors; a head's tokens
 * follow each other, so that a part of them is one stretch of memory. */
#include "ir/contraction.h"
#include "passes/caches.h"
#include "passes/fuse.h"
#include <string.h>

enum { PACKED = 32 };

/* ... outputs/width inputs/k outputs:width [inputs:k], after the other axes whole, in order. */
static struct layout panels(int rank, int outputs, int inputs, int width, int k) {
    struct layout l = {0};
    for (int i = 0; i < rank; i++)
        if (i != outputs && i != inputs) layout_add(&l, i, 1, 0);
    layout_add(&l, outputs, width, 0);
    layout_add(&l, inputs, k, 0);
    layout_add(&l, outputs, 1, width);
    if (k > 1) layout_add(&l, inputs, 1, k);
    return l;
}

/* Tiles of 32 outputs by 32 inputs, for formats of blocks. */
static struct layout tiles(int outputs, int inputs, int k) {
    struct layout l = {0};
    layout_add(&l, outputs, PACKED, 0);
    layout_add(&l, inputs, PACKED, 0);
    if (k > 1) layout_add(&l, inputs, k, PACKED / k);
    if (k == 1) layout_add(&l, inputs, 1, PACKED);
    layout_add(&l, outputs, 1, PACKED);
    if (k > 1) layout_add(&l, inputs, 1, k);
    return l;
}

static struct global *param_behind(const struct node *kernel, const struct value *v) {
    struct global *w = kernel_param(kernel, v);
    return w && !w->assigned ? w : NULL;
}

static bool wanted_layout(const struct node *kernel, const struct contraction *c, const struct global *w,
                          struct layout *l) {
    const struct schedule *s = kernel->schedule;
    int k = atom_info(s->atom)->k, rank = w->type.rank;
    bool integers = atom_info(s->atom)->sum == DTYPE_I32;
    if (c->b_inputs < 0 || rank < 2 || rank + 2 > MAX_LAYOUT) return false;
    if (format_info(w->store)->bits) {
        *l = tiles(c->b_outputs, c->b_inputs,
                   integers ? 4 : 1); /* floats of any width come of codes one by one */
        return rank == 2 && c->b_inputs == 1 && c->b_outputs == 0;
    }
    if (atom_of_gpu(s->atom)) {
        enum dtype t = atom_info(s->atom)->b;
        *l = layout_of_chunks(rank, c->b_outputs, c->b_inputs, 16 / dtype_bytes(t));
        return format_info(w->store)->dtype == t;
    }
    if (s->atom == ATOM_amx_bf16) {
        *l = layout_of_registers(rank, c->b_outputs, c->b_inputs);
        return format_info(w->store)->dtype == atom_info(s->atom)->b;
    }
    *l = panels(rank, c->b_outputs, c->b_inputs, s->tile[1], k);
    return true;
}

/* ranks [globals]: whose wish a param follows: 0 nobody's, 1 that of products of floats, 2 of integers, 3 it is
 * laid out already. */
static void choose(struct graph *g, const struct node *kernel, const struct node *anchor, int *ranks) {
    struct contraction c;
    struct layout wanted;
    if (!contraction_of(g->pass->scratch, g, anchor, &c)) return;
    struct global *w = param_behind(kernel, c.b_value);
    int rank = atom_info(kernel->schedule->atom)->sum == DTYPE_I32 ? 2 : 1;
    if (!w || !wanted_layout(kernel, &c, w, &wanted)) return;
    int *chosen = &ranks[w->id];
    if (*chosen < rank) {
        struct layout *made = arena_new_object(g->arena, struct layout);
        *made = wanted;
        w->layout = made;
        *chosen = rank;
        pass_explain(g, anchor->loc, "%s: %s", w->name, layout_text(g->pass->scratch, made));
    } else if (!layout_equal(w->layout, &wanted)) {
        pass_explain(g, anchor->loc, "%s stays %s, as another reader wants it", w->name,
                     layout_text(g->pass->scratch, w->layout));
    }
}

/* A plain panel's width, if the layout is one of panels of this contraction; else 0. */
static int64_t panel_of(const struct layout *l, const struct contraction *c, int k) {
    for (int i = 0; l && i < l->count; i++) {
        const struct layout_part *p = &l->parts[i];
        if (p->dim != c->b_outputs || p->count) continue;
        struct layout same = panels(l->count - (k > 1 ? 2 : 1), c->b_outputs, c->b_inputs, (int)p->step, k);
        return layout_equal(l, &same) ? p->step : 0;
    }
    return 0;
}

/* A kernel that reads a plain param in panels of another width takes that width, if its registers hold it. */
static bool follow(struct graph *g, struct node *kernel, const struct node *anchor) {
    struct contraction c;
    if (!contraction_of(g->pass->scratch, g, anchor, &c) || c.b_inputs < 0) return false;
    const struct global *w = param_behind(kernel, c.b_value);
    const struct schedule *s = kernel->schedule;
    if (!w || format_info(w->store)->bits || atom_info(s->atom)->unit != UNIT_lane) return false;
    int64_t width = panel_of(w->layout, &c, atom_info(s->atom)->k);
    if (!width || width == s->tile[1] || (s->block[1] && s->block[1] % width)) return false;
    int64_t sums = (int64_t)s->tile[0] * s->tile[1] / width;
    struct schedule *changed = arena_new_object(g->arena, struct schedule);
    *changed = *s;
    changed->tile[0] = (int)(sums < 1 ? 1 : sums > 14 ? 14 : sums);
    changed->tile[1] = (int)width;
    changed->block[0] = (changed->block[0] + changed->tile[0] - 1) / changed->tile[0] * changed->tile[0];
    kernel->schedule = changed;
    return true;
}

/* How a cache that is read as `roles` says lies best; false: as it is. */
static bool cache_layout(const struct global *w, unsigned roles, struct layout *l) {
    bool pairs = w->store == FORMAT_bf16 && (roles & CACHE_PAIRS) && !(roles & CACHE_SINGLES);
    int group = pairs ? 2 : 1, rank = w->type.rank;
    unsigned as = roles & (CACHE_KEYS | CACHE_VALUES);
    if ((rank != 3 && rank != 4) || (as != CACHE_KEYS && as != CACHE_VALUES)) return false;
    *l = as == CACHE_KEYS ? layout_of_keys(rank, group) : layout_of_values(rank, group);
    return true;
}

static bool lay_out_caches(struct graph *g) {
    const unsigned *roles = find_caches(g, g->pass->scratch);
    struct layout wanted;
    bool changed = false;
    for (struct global *w = g->globals; w; w = w->next) {
        if (w->layout || !cache_layout(w, roles[w->id], &wanted)) continue;
        struct layout *made = arena_new_object(g->arena, struct layout);
        *made = wanted;
        w->layout = made;
        pass_explain(g, w->loc, "%s: %s", w->name, layout_text(g->pass->scratch, made));
        changed = true;
    }
    return changed;
}

/* Whether the node is a contraction that its kernel is scheduled for. */
static bool is_anchor(const struct node *n) {
    const struct node *kernel = n->parent->owner;
    return kernel && kernel->op == OP_kernel && kernel->schedule &&
           kernel->schedule->domain == DOMAIN_contract && node_role(n) == ROLE_CONTRACT;
}

bool pass_layout(struct graph *g) {
    int *ranks = arena_new_array(g->pass->scratch, int, (size_t)g->globals_count + 1);
    bool changed = !(g->target && g->target->simt) && lay_out_caches(g);
    for (const struct global *w = g->globals; w; w = w->next)
        if (w->layout) ranks[w->id] = 3;
    for (struct function *f = g->functions; f; f = f->next)
        for (struct node *n = NULL; (n = node_walk(f->body, n));)
            if (is_anchor(n)) choose(g, n->parent->owner, n, ranks);
    for (const struct global *w = g->globals; w; w = w->next)
        changed |= ranks[w->id] == 1 || ranks[w->id] == 2;
    for (struct function *f = g->functions; f; f = f->next)
        for (struct node *n = NULL; (n = node_walk(f->body, n));)
            if (is_anchor(n)) changed |= follow(g, n->parent->owner, n);
    return changed;
}
