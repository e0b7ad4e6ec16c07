/* Kernels of domain `ordered`: ops whose iterations depend on each other. One op a kernel, on whole operands.
 *
 *     sort, argsort, topk    a row at a time: gathered into scratch, ordered by the runtime's mdl_argsort, stored
 *     cumsum                 down the axis, columns side by side in lanes
 *     scatter                x first, then update after update */
#include "backend/emit_family.h"
#include "backend/simt.h"
#include "runtime/abi.h"
#include <string.h>

/* The space around an axis, flattened: the axes before it and after it. */
struct around {
    const struct type *type;
    int axis;
    LLVMValueRef outer, inner, length;
};

static struct around around_axis(struct emitter *e, const struct type *t, int axis) {
    struct around a = {t, axis, emit_i64(e, 1), emit_i64(e, 1), emit_extent(e, t->extents[axis])};
    for (int i = 0; i < axis; i++) a.outer = emit_mul(e, a.outer, emit_extent(e, t->extents[i]));
    for (int i = axis + 1; i < t->rank; i++) a.inner = emit_mul(e, a.inner, emit_extent(e, t->extents[i]));
    return a;
}

/* The point at (outer, position along the axis, inner). */
static struct point at_position(struct emitter *e, const struct around *a, LLVMValueRef outer,
                                struct index position, struct index inner, int lanes) {
    struct point p = {.rank = a->type->rank, .lanes = lanes};
    point_unflatten(e, a->type, index_uniform(outer), &p, 0, a->axis);
    p.at[a->axis] = position;
    point_unflatten(e, a->type, inner, &p, a->axis + 1, a->type->rank - a->axis - 1);
    return p;
}

static const struct buffer *result_buffer(const struct emitter *e, const struct value *v) {
    for (int i = 0; i < e->kernel->body->results_count; i++)
        if (e->kernel->body->results[i] == v) return &e->results[i];
    return NULL;
}

/* ---- sorting ---- */

struct sorting {
    const struct node *n;
    struct around from;
    LLVMValueRef keys, order, outer, inner; /* scratch; the row at work */
};

static void call_argsort(struct emitter *e, const struct sorting *s, bool descending) {
    LLVMTypeRef parameters[] = {e->i32, e->ptr, e->i64, e->i32, e->ptr};
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(e->context), parameters, 5, 0);
    LLVMValueRef f = LLVMGetNamedFunction(e->module, "mdl_argsort");
    if (!f) {
        f = LLVMAddFunction(e->module, "mdl_argsort", type);
        LLVMSetVisibility(f, LLVMHiddenVisibility);
    }
    LLVMValueRef arguments[] = {emit_i32(e, (int32_t)s->n->operands[0]->type.dtype), s->keys, s->from.length,
                                emit_i32(e, descending), s->order};
    LLVMBuildCall2(e->builder, type, f, arguments, 5, "");
}

/* The row at work, as it lies in memory, into scratch. */
static bool gather_row(struct emitter *e, const struct sorting *s) {
    struct emit_loop l;
    struct value *x = s->n->operands[0];
    emit_loop_begin(e, &l, emit_i64(e, 0), s->from.length, 1, 0, NULL);
    struct point p = at_position(e, &s->from, s->outer, index_uniform(l.counter), index_uniform(s->inner), 1);
    LLVMValueRef v = emit_value(e, x, &p);
    if (v) emit_store_at(e, emit_narrow(e, x->type.dtype, v), s->keys, index_uniform(l.counter), 1, NULL);
    emit_loop_end(e, &l, NULL);
    return v;
}

/* The first of the order, as values and as positions. */
static void store_order(struct emitter *e, const struct sorting *s) {
    bool positions_only = s->n->op == OP_argsort;
    const struct buffer *values = positions_only ? NULL : result_buffer(e, s->n->results[0]);
    const struct buffer *positions =
        result_buffer(e, s->n->results[positions_only ? 0 : s->n->results_count - 1]);
    if (s->n->op == OP_sort) positions = NULL;
    const struct type *t = &s->n->results[0]->type;
    struct around to = around_axis(e, t, s->from.axis);
    enum dtype key = s->n->operands[0]->type.dtype;
    struct emit_loop l;
    emit_loop_begin(e, &l, emit_i64(e, 0), to.length, 1, 0, NULL);
    struct point p = at_position(e, &to, s->outer, index_uniform(l.counter), index_uniform(s->inner), 1);
    LLVMValueRef at = emit_load_at(e, e->i32, s->order, index_uniform(l.counter), 1, NULL);
    if (positions) emit_store(e, positions, &p, at);
    if (values) {
        struct index from = index_uniform(LLVMBuildZExt(e->builder, at, e->i64, ""));
        LLVMValueRef v = emit_load_at(e, emit_type(e, key), s->keys, from, 1, NULL);
        emit_store(e, values, &p, emit_widen(e, key, v));
    }
    emit_loop_end(e, &l, NULL);
}

static void lower_sort(struct emitter *e, struct node *n) {
    const struct type *x = &n->operands[0]->type;
    struct sorting s = {.n = n, .from = around_axis(e, x, (int)node_attr(n, "axis")->i)};
    int64_t most = extent_max(x->extents[s.from.axis]);
    if (most > INT32_MAX) {
        emit_error(e, n->loc, "%s: rows may have 2147483647 elements at most", op_info(n->op)->name);
        return;
    }
    LLVMValueRef begin, end;
    s.keys = emit_scratch(e, most * dtype_bytes(x->dtype));
    s.order = emit_scratch(e, most * 4);
    emit_split(e, emit_mul(e, s.from.outer, s.from.inner), 1, &begin, &end);
    struct emit_loop l;
    emit_loop_begin(e, &l, begin, end, 1, 0, NULL);
    s.outer = emit_div(e, l.counter, s.from.inner);
    s.inner = emit_rem(e, l.counter, s.from.inner);
    if (gather_row(e, &s)) {
        if (e->target->simt)
            simt_argsort(e, x->dtype, s.keys, s.from.length, n->op == OP_topk, s.order);
        else
            call_argsort(e, &s, n->op == OP_topk);
        store_order(e, &s);
    }
    emit_loop_end(e, &l, NULL);
}

/* ---- running sums ---- */

struct running {
    const struct node *n;
    struct around a;
    LLVMValueRef outer;
};

static void run_down(struct emitter *e, void *data, const struct index *column, int lanes,
                     LLVMValueRef tail) {
    struct running *r = data;
    enum dtype t = r->n->results[0]->type.dtype;
    struct emit_loop l;
    LLVMValueRef sum = LLVMConstNull(emit_vector(e, emit_compute_type(e, t), lanes));
    emit_loop_begin(e, &l, emit_i64(e, 0), r->a.length, 1, 1, &sum);
    struct point p = at_position(e, &r->a, r->outer, index_uniform(l.counter), *column, lanes);
    p.mask = p.tail = tail;
    LLVMValueRef v = emit_value(e, r->n->operands[0], &p);
    LLVMValueRef pair[] = {l.carried[0], v ? v : sum};
    sum = emit_wrap(e, t, emit_scalar(e, SCALAR_add, t, pair));
    emit_store(e, result_buffer(e, r->n->results[0]), &p, sum);
    emit_loop_end(e, &l, &sum);
}

static void lower_cumsum(struct emitter *e, struct node *n) {
    struct running r = {n, around_axis(e, &n->results[0]->type, (int)node_attr(n, "axis")->i), NULL};
    LLVMValueRef begin, end, chunk = emit_i64(e, 64);
    LLVMValueRef chunks = emit_div(e, emit_add(e, r.a.inner, emit_i64(e, 63)), chunk);
    emit_split(e, emit_mul(e, r.a.outer, chunks), 1, &begin, &end);
    struct emit_loop l;
    emit_loop_begin(e, &l, begin, end, 1, 0, NULL);
    r.outer = emit_div(e, l.counter, chunks);
    LLVMValueRef first = emit_mul(e, emit_rem(e, l.counter, chunks), chunk);
    struct stretch s = {first, emit_min(e, emit_add(e, first, chunk), r.a.inner), 64, 1, e->lanes, false};
    if (LLVMIsAConstantInt(r.a.inner) && LLVMConstIntGetSExtValue(r.a.inner) == 1) s.lanes = 1;
    emit_columns(e, &s, run_down, &r);
    emit_loop_end(e, &l, NULL);
}

/* ---- scatter ---- */

struct scattering {
    const struct node *n;
    const struct buffer *to;
    bool add;
};

static LLVMValueRef copy_element(struct emitter *e, struct scattering *s, const struct point *p) {
    LLVMValueRef v = emit_value(e, s->n->operands[0], p);
    if (v) emit_store(e, s->to, p, v);
    return v;
}

/* Every element of x, by this thread's own columns: all updates that fall there are applied by the same
 * thread, in order. */
struct columns_of {
    struct scattering *s;
    struct around a;
    LLVMValueRef outer;
};

static void scatter_columns(struct emitter *e, void *data, const struct index *column, int lanes,
                            LLVMValueRef tail) {
    struct columns_of *c = data;
    struct value *ids = c->s->n->operands[1], *updates = c->s->n->operands[2];
    struct emit_loop row, update;
    emit_loop_begin(e, &row, emit_i64(e, 0), c->a.length, 1, 0, NULL);
    struct point p = at_position(e, &c->a, c->outer, index_uniform(row.counter), *column, lanes);
    p.mask = p.tail = tail;
    copy_element(e, c->s, &p);
    emit_loop_end(e, &row, NULL);

    LLVMValueRef count = emit_i64(e, 1);
    for (int i = 0; i < ids->type.rank; i++) count = emit_mul(e, count, emit_extent(e, ids->type.extents[i]));
    emit_loop_begin(e, &update, emit_i64(e, 0), count, 1, 0, NULL);
    struct point at = {.rank = ids->type.rank, .lanes = 1},
                 from = {.rank = updates->type.rank, .lanes = lanes, .mask = tail, .tail = tail};
    point_unflatten(e, &ids->type, index_uniform(update.counter), &at, 0, at.rank);
    LLVMValueRef id = emit_index_value(e, ids, &at);
    struct point to = at_position(e, &c->a, c->outer, index_uniform(id ? id : count), *column, lanes);
    to.mask = to.tail = tail;
    for (int i = 0; i < c->a.axis; i++) from.at[i] = to.at[i];
    for (int i = 0; i < at.rank; i++) from.at[c->a.axis + i] = at.at[i];
    for (int i = c->a.axis + 1; i < to.rank; i++) from.at[i + at.rank - 1] = to.at[i];
    LLVMValueRef v = emit_value(e, updates, &from);
    if (v && c->s->add) {
        LLVMValueRef pair[] = {emit_load(e, c->s->to, &to), v};
        v = emit_wrap(e, c->s->to->type.dtype, emit_scalar(e, SCALAR_add, c->s->to->type.dtype, pair));
    }
    if (v) emit_store(e, c->s->to, &to, v);
    emit_loop_end(e, &update, NULL);
}

static void lower_scatter(struct emitter *e, struct node *n) {
    struct scattering s = {
        .n = n, .to = result_buffer(e, n->results[0]), .add = !strcmp(node_attr(n, "reduce")->s, "add")};
    struct columns_of c = {.s = &s, .a = around_axis(e, &n->results[0]->type, (int)node_attr(n, "axis")->i)};
    LLVMValueRef begin, end, chunk = emit_i64(e, 64),
                             chunks = emit_div(e, emit_add(e, c.a.inner, emit_i64(e, 63)), chunk);
    emit_split(e, emit_mul(e, c.a.outer, chunks), 1, &begin, &end);
    struct emit_loop l;
    emit_loop_begin(e, &l, begin, end, 1, 0, NULL);
    c.outer = emit_div(e, l.counter, chunks);
    LLVMValueRef first = emit_mul(e, emit_rem(e, l.counter, chunks), chunk);
    struct stretch stretch = {first, emit_min(e, emit_add(e, first, chunk), c.a.inner), 64, 1, e->lanes,
                              false};
    emit_columns(e, &stretch, scatter_columns, &c);
    emit_loop_end(e, &l, NULL);
}

static void (*const lower[FAMILY_COUNT])(struct emitter *e,
                                         struct node *n) = {[FAMILY_sort] = lower_sort,
                                                            [FAMILY_topk] = lower_sort,
                                                            [FAMILY_cumsum] = lower_cumsum,
                                                            [FAMILY_scatter] = lower_scatter};

/* The ordered op; everything else in the kernel is a prologue that its operands are computed by, so its
 * results are the kernel's. */
void lower_ordered(struct emitter *e) {
    struct node *found = NULL;
    for (struct node *n = e->kernel->body->first; n; n = n->next)
        if (lower[op_info(n->op)->family]) found = n;
    for (int i = 0; found && i < e->kernel->body->results_count; i++)
        if (e->kernel->body->results[i]->def != found) found = NULL;
    if (!found) {
        emit_error(e, e->kernel->loc,
                   "kernel %s is scheduled as ordered, but is not one sort, topk, cumsum or scatter",
                   e->kernel->name);
        return;
    }
    lower[op_info(found->op)->family](e, found);
}
