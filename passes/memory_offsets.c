/* Offsets in the arena: buffers by size, largest first, each in the smallest gap that lies between buffers
 * alive at the same time (Pisarchyk and Lee, arXiv 2001.03288, greedy by size). */
#include "ir/collective.h"
#include "passes/memory.h"
#include <inttypes.h>
#include <stdlib.h>

#define MAX_ARENA (INT64_C(1) << 46)
enum { ALIGN = 64 };

struct buffer {
    struct value *value;
    int64_t bytes, offset;
    int first, last; /* positions at which it is alive, both included */
};
struct buffers {
    struct buffer *list;
    int count, capacity;
    int *of; /* [values] number of a buffer's value, or -1 */
};

/* ---- Sizes ---- */

/* The dim that makes the extent largest, for messages. */
static const struct dim *largest_dim(const struct type *t) {
    const struct dim *largest = NULL;
    for (int i = 0; i < t->rank; i++)
        for (int k = 0; k < t->extents[i]->count; k++)
            for (int s = 0; s < t->extents[i]->terms[k].count; s++) {
                const struct dim *d = t->extents[i]->terms[k].symbols[s]->dim;
                if (d && (!largest || d->max > largest->max)) largest = d;
            }
    return largest;
}

static void report_size(struct plan *p, const struct value *v, const char *what) {
    const struct dim *d = largest_dim(&v->type);
    const char *type = type_text(p->scratch, &v->type);
    diag_error(p->g->diag, v->loc, "%s %s needs more than 2^46 bytes", what, type);
    if (d)
        diag_note(p->g->diag, d->loc, "dim %s may be as large as %" PRId64 ": a smaller maximum would do",
                  d->name, d->max);
}

/* Bytes at the dims' maxima, to whole lines; -1: more than an arena may have. */
static int64_t size_of(const struct plan *p, const struct value *v) {
    const struct extent *bytes = type_bytes(p->g->extents, &v->type);
    int64_t most = bytes ? extent_max(bytes) : INT64_MAX;
    if (most > MAX_ARENA) return -1;
    return most < 1 ? ALIGN : (most + ALIGN - 1) / ALIGN * ALIGN;
}

/* ---- Lives ---- */

static void live_at(struct buffer *b, int position) {
    if (position < b->first) b->first = position;
    if (position > b->last) b->last = position;
}

/* A use inside a loop that does not make the value keeps it alive for all rounds. */
static int end_of_use(const struct plan *p, const struct value *v, const struct use *u) {
    const struct block *home = v->def ? v->def->parent : NULL;
    int end = u->position;
    for (const struct node *at = u->node; at && at->parent->owner; at = at->parent->owner) {
        bool inside = home == at->parent;
        for (int i = 0; !v->def && i < at->parent->args_count; i++) inside |= at->parent->args[i] == v;
        if (inside) break;
        if (at->parent->owner->op == OP_scan) end = p->end[at->parent->owner->id];
    }
    return end;
}

static bool add_value(struct plan *p, struct buffers *all, struct value *v, int position) {
    struct value *owner = plan_buffer(p, v);
    if (owner->place.space || v->place.space) return true;
    int64_t bytes = size_of(p, v);
    if (bytes < 0) {
        report_size(p, v, "a buffer for");
        return false;
    }
    if (all->of[owner->id] < 0) {
        struct buffer made = {owner, bytes, -1, position, position};
        all->of[owner->id] = all->count;
        arena_push(p->scratch, all->list, all->count, all->capacity, made);
    }
    struct buffer *b = &all->list[all->of[owner->id]];
    if (bytes > b->bytes) b->bytes = bytes;
    live_at(b, position);
    for (const struct use *u = p->uses[v->id]; u; u = u->next) live_at(b, end_of_use(p, v, u));
    return true;
}

static bool collect(struct plan *p, struct buffers *all) {
    bool good = true;
    all->of = arena_new_array(p->scratch, int, (size_t)p->g->values);
    for (int i = 0; i < p->g->values; i++) all->of[i] = -1;
    for (struct node *n = NULL; (n = node_walk(p->f->body, n));) {
        if (n->op != OP_kernel && n->op != OP_scan && !collective_of(n)) continue;
        for (int i = 0; i < n->results_count; i++)
            good &= add_value(p, all, n->results[i], p->position[n->id]);
        for (int i = 1; n->op == OP_scan && i < n->body->args_count; i++) {
            good &= add_value(p, all, n->body->args[i], p->position[n->id]);
            int number = all->of[n->body->args[i]->id]; /* carried from round to round */
            if (number >= 0) live_at(&all->list[number], p->end[n->id]);
        }
    }
    return good;
}

/* ---- Offsets ---- */

static int by_size(const void *a, const void *b) {
    const struct buffer *x = *(struct buffer *const *)a, *y = *(struct buffer *const *)b;
    if (x->bytes != y->bytes) return x->bytes > y->bytes ? -1 : 1;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return x->value->id < y->value->id ? -1 : 1;
}

static int by_offset(const void *a, const void *b) {
    const struct buffer *x = *(struct buffer *const *)a, *y = *(struct buffer *const *)b;
    return x->offset != y->offset ? (x->offset < y->offset ? -1 : 1) : 0;
}

/* The smallest gap among `busy` (sorted by offset) that holds `bytes`; else behind them all. */
static int64_t best_gap(struct buffer **busy, int count, int64_t bytes) {
    int64_t end = 0, best = -1, best_size = INT64_MAX;
    for (int i = 0; i < count; i++) {
        int64_t gap = busy[i]->offset - end;
        if (gap >= bytes && gap < best_size) best = end, best_size = gap;
        if (busy[i]->offset + busy[i]->bytes > end) end = busy[i]->offset + busy[i]->bytes;
    }
    return best >= 0 ? best : end;
}

static int64_t give_offsets(struct plan *p, struct buffers *all) {
    struct buffer **order = arena_new_array(p->scratch, struct buffer *, (size_t)all->count + 1);
    struct buffer **busy = arena_new_array(p->scratch, struct buffer *, (size_t)all->count + 1);
    int64_t peak = 0;
    for (int i = 0; i < all->count; i++) order[i] = &all->list[i];
    if (all->count) qsort(order, (size_t)all->count, sizeof *order, by_size);
    for (int i = 0; i < all->count; i++) {
        int count = 0;
        for (int k = 0; k < i; k++)
            if (order[k]->first <= order[i]->last && order[i]->first <= order[k]->last)
                busy[count++] = order[k];
        if (count) qsort(busy, (size_t)count, sizeof *busy, by_offset);
        order[i]->offset = best_gap(busy, count, order[i]->bytes);
        if (order[i]->offset + order[i]->bytes > peak) peak = order[i]->offset + order[i]->bytes;
        if (peak > MAX_ARENA) {
            report_size(p, order[i]->value, "the arena, with");
            return -1;
        }
    }
    return peak;
}

static void set_place(const struct plan *p, const struct buffers *all, struct value *v) {
    struct value *owner = plan_buffer(p, v);
    if (v->place.space) return;
    if (owner->place.space) {
        v->place.space = owner->place.space;
        v->place.offset = owner->place.offset;
        return;
    }
    v->place.space = SPACE_ARENA;
    v->place.offset = all->list[all->of[owner->id]].offset;
}

bool plan_offsets(struct plan *p) {
    struct buffers all = {NULL, 0, 0, NULL};
    if (!collect(p, &all)) return false;
    p->f->arena_bytes = give_offsets(p, &all);
    if (p->f->arena_bytes < 0) return false;
    for (struct node *n = NULL; (n = node_walk(p->f->body, n));) {
        bool placed = n->op == OP_kernel || n->op == OP_scan || collective_of(n);
        for (int i = 0; placed && i < n->results_count; i++) set_place(p, &all, n->results[i]);
        for (int i = 1; n->op == OP_scan && i < n->body->args_count; i++)
            set_place(p, &all, n->body->args[i]);
    }
    return true;
}
