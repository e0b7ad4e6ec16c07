/* Row programs, carried out: reductions stage by stage, then the results, column by column.
 *
 *     r0 = fold over the row ...; keep what later stages use
 *     r1 = fold over the row, reading what was kept ...
 *     for c in begin..end by lanes: results' elements, each where its path leads */
#include "backend/row.h"
#include "backend/simt.h"

/* A value's row in scratch. */
struct row_buffer {
    const struct point *row; /* the row at work: leading indices */
    LLVMValueRef base;
    bool filled;
};

static bool is_of_row(const struct row_buffer *r, const struct point *p) {
    for (int i = 0; i < p->rank - 1; i++)
        if (p->at[i].vector || p->at[i].stride || p->at[i].base != r->row->at[i].base) return false;
    return true;
}

static LLVMValueRef load_kept(struct emitter *e, const struct binding *b, const struct point *p) {
    const struct row_buffer *r = b->data;
    if (!r->filled || !is_of_row(r, p)) return NULL;
    LLVMTypeRef type = emit_compute_type(e, b->value->type.dtype);
    return emit_load_at(e, type, r->base, p->at[p->rank - 1], p->lanes, p->mask);
}

static void store_kept(struct emitter *e, const struct binding *b, const struct point *p,
                       LLVMValueRef value) {
    const struct row_buffer *r = b->data;
    const struct index *column = &p->at[p->rank - 1];
    if (r->filled || !is_of_row(r, p) || column->vector || (p->lanes > 1 && column->stride != 1)) return;
    emit_store_at(e, emit_splat(e, value, p->lanes), r->base, *column, p->lanes, p->mask);
}

struct row_work {
    const struct row_program *program;
    struct point row;         /* of the anchor's shape, column 0 */
    struct binding *bindings; /* [kept] */
    struct row_buffer *buffers;
};

static void bind_kept(struct emitter *e, struct row_work *w) {
    const struct row_program *p = w->program;
    w->bindings = arena_new_array(e->arena, struct binding, p->kept_count + 1);
    w->buffers = arena_new_array(e->arena, struct row_buffer, p->kept_count + 1);
    for (int i = 0; i < p->kept_count; i++) {
        const struct type *t = &p->kept[i].value->type;
        int64_t bytes = extent_max(t->extents[t->rank - 1]) * (dtype_bytes(t->dtype) == 8 ? 8 : 4);
        w->buffers[i] = (struct row_buffer){.row = &w->row, .base = emit_scratch(e, bytes)};
        w->bindings[i] = (struct binding){
            .value = p->kept[i].value, .load = load_kept, .made = store_kept, .data = &w->buffers[i]};
        emit_bind(e, &w->bindings[i]);
    }
}

static void end_stage(struct emitter *e, struct row_work *w, int stage) {
    for (int i = 0; i < w->program->kept_count; i++)
        if (w->program->kept[i].stage == stage) w->buffers[i].filled = true;
    simt_warp_barrier(e);
}

/* The point of a per-row value. */
static struct point scalar_point(struct emitter *e, const struct row_work *w, const struct type *t) {
    struct point p = w->row;
    p.rank = t->rank;
    if (t->rank == w->row.rank) p.at[t->rank - 1] = index_constant(e, 0);
    return p;
}

static void make_scalars(struct emitter *e, const struct row_work *w, int stage) {
    for (int i = 0; i < w->program->scalars_count; i++) {
        const struct row_scalar *s = &w->program->scalars[i];
        struct point p = scalar_point(e, w, &s->value->type);
        if (s->stage == stage) emit_value(e, s->value, &p);
    }
}

static void run_stages(struct emitter *e, struct row_work *w) {
    for (int i = 0; i < w->program->stages_count; i++) {
        struct value *v = w->program->stages[i].reduction->results[0];
        struct point p = scalar_point(e, w, &v->type);
        emit_value(e, v, &p);
        end_stage(e, w, i);
        make_scalars(e, w, i);
    }
}

/* Stores v, the element of the result's value at p, where the result has it. */
static void store_result(struct emitter *e, const struct row_result *r, const struct point *p,
                         LLVMValueRef v) {
    const struct buffer *to = &e->results[r->number];
    struct point q = *p;
    if (r->write && !point_written(e, r->write, &q)) return;
    emit_store(e, to, &q, emit_cast(e, r->value->type.dtype, to->type.dtype, v));
}

/* Follows the path from the anchor's shape; what each view shows is remembered at its own point, so that the
 * way back, which emit_value takes, is never computed. NULL after a diagnostic. */
static bool follow_path(struct emitter *e, const struct row_result *r, struct point *p) {
    for (int i = 0; i < r->path_count; i++) {
        struct node *n = r->path[i];
        enum op_family family = op_info(n->op)->family;
        struct point q = *p;
        if (family != FAMILY_reshape && family != FAMILY_transpose) continue;
        if (family == FAMILY_reshape) q = point_reshape(e, &n->operands[0]->type, &n->results[0]->type, p);
        const int64_t *perm = family == FAMILY_transpose ? node_attr(n, "perm")->ints : NULL;
        for (int d = 0; perm && d < p->rank; d++) q.at[d] = p->at[perm[d]];
        LLVMValueRef v = emit_value(e, n->operands[0], p);
        if (!v) return false;
        emit_remember(e, n->results[0], &q, v);
        *p = q;
    }
    return true;
}

static void store_columns(struct emitter *e, const struct row_result *r, const struct point *at) {
    struct point p = *at;
    if (!follow_path(e, r, &p)) return;
    LLVMValueRef v = emit_value(e, r->value, &p);
    if (v) store_result(e, r, &p, v);
}

/* A quantised block's scale or sum, once its codes are made. */
static void store_block(struct emitter *e, const struct row_result *r, const struct point *at) {
    struct point p = *at;
    if (!follow_path(e, r, &p) || !emit_value(e, r->value, &p)) return;
    p.at[p.rank - 1] = index_div_by(e, p.at[p.rank - 1], 32, p.lanes);
    p.lanes = 1;
    p.mask = p.tail = NULL;
    struct value *v = e->kernel->body->results[r->number];
    LLVMValueRef made = emit_value(e, v, &p);
    if (made) emit_store(e, &e->results[r->number], &p, made);
}

static void at_columns(struct emitter *e, void *data, const struct index *column, int lanes,
                       LLVMValueRef tail) {
    struct row_work *w = data;
    struct point p = w->row;
    p.lanes = lanes;
    p.mask = p.tail = tail;
    p.at[p.rank - 1] = *column;
    for (int i = 0; i < w->program->results_count; i++) {
        const struct row_result *r = &w->program->results[i];
        if (r->kind == ROW_COLUMNS) store_columns(e, r, &p);
        if (r->kind == ROW_BLOCK) store_block(e, r, &p);
    }
}

static void store_scalars(struct emitter *e, struct row_work *w) {
    for (int i = 0; i < w->program->results_count; i++) {
        const struct row_result *r = &w->program->results[i];
        if (r->kind != ROW_SCALAR) continue;
        struct point p = scalar_point(e, w, &r->value->type);
        LLVMValueRef v = emit_value(e, r->value, &p);
        if (v) store_result(e, r, &p, v);
    }
}

static bool has_columns(const struct row_program *p, bool *blocks) {
    bool columns = false;
    for (int i = 0; i < p->results_count; i++) {
        columns = columns || p->results[i].kind != ROW_SCALAR;
        const struct node *n = p->results[i].value->def;
        *blocks = *blocks || (n && op_info(n->op)->family == FAMILY_quantize);
    }
    return columns;
}

void emit_row_program(struct emitter *e, const struct row_program *p, LLVMValueRef row, LLVMValueRef begin,
                      LLVMValueRef end, int64_t begin_align) {
    const struct type *t = &p->anchor->type;
    struct row_work w = {.program = p, .row = {.rank = t->rank, .lanes = 1}};
    bool blocks = false, columns = has_columns(p, &blocks);
    emit_scope_begin(e);
    point_unflatten(e, t, index_uniform(row), &w.row, 0, t->rank - 1);
    w.row.at[t->rank - 1] = index_constant(e, 0);
    bind_kept(e, &w);
    run_stages(e, &w);
    store_scalars(e, &w);
    struct stretch s = {begin, end, begin_align, 1, blocks ? 32 : e->lanes, blocks};
    if (columns) emit_columns(e, &s, at_columns, &w);
    for (int i = p->kept_count - 1; i >= 0; i--) emit_unbind(e, &w.bindings[i]);
    emit_scope_end(e);
}
