/* Kernels of domain `loops`: every element of the results made alone, by one recursion from the result to the
 * operands.
 *
 *     for unit in share(rows * chunks):        rows: all axes but the last, flattened; chunks of a row
 *         for c in chunk by lanes:             y[row, c .. c+lanes) = emit_value(y, ...)
 *
 * A result that only joins others (concat, or a write in place) is made piece by piece, each straight where
 * it belongs. */
#include "backend/emit_family.h"
#include "backend/emit_fold.h"

enum { CHUNK = 512, SMALL_CHUNK = 16, MAX_PIECES = 64 }; /* columns that one thread does at a time */

/* What is stored where: `value`, over its own space, at `offset` along `axis` of result number `result`, or
 * where `write` puts it. */
struct piece {
    struct value *value;
    int result, axis; /* axis -1: no offset */
    LLVMValueRef offset;
    const struct node *write;
};
struct pieces {
    struct piece at[MAX_PIECES];
    int count;
};

static void add_piece(struct pieces *all, struct piece piece) {
    if (all->count == MAX_PIECES) ice("more than %d pieces in a kernel", MAX_PIECES);
    all->at[all->count++] = piece;
}

/* The stretches of a concat. */
static void add_concat(struct emitter *e, struct pieces *all, struct node *n, int result) {
    int axis = (int)node_attr(n, "axis")->i;
    LLVMValueRef at = emit_i64(e, 0);
    for (int i = 0; i < n->operands_count; i++) {
        add_piece(all, (struct piece){n->operands[i], result, axis, at, NULL});
        at = emit_add(e, at, emit_extent(e, n->operands[i]->type.extents[axis]));
    }
}

/* A chain of writes that ends at the buffer which the result overwrites: only what is written, oldest first.
 * A position that is one for all is read before the loops. */
static void add_writes(struct emitter *e, struct pieces *all, struct value *v, int result) {
    struct node *n = v->def;
    if (!n || op_info(n->op)->family != FAMILY_write) return;
    add_writes(e, all, n->operands[0], result);
    struct point none = {.lanes = 1};
    if (n->operands[2]->type.rank == 0) emit_index_value(e, n->operands[2], &none);
    add_piece(all, (struct piece){.value = n->operands[1], .result = result, .axis = -1, .write = n});
}

/* Whether v is its in-place operand but for writes. */
static bool is_write_chain(const struct value *v, int operand) {
    const struct node *n = v->def;
    if (!n) return v->index == operand;
    return op_info(n->op)->family == FAMILY_write && is_write_chain(n->operands[0], operand);
}

static void find_pieces(struct emitter *e, struct pieces *all) {
    const struct block *b = e->kernel->body;
    for (int i = 0; i < b->results_count; i++) {
        struct value *v = b->results[i];
        int over = e->kernel->results[i]->place.in_place;
        if (over && is_write_chain(v, over - 1))
            add_writes(e, all, v, i);
        else if (v->def && op_info(v->def->op)->family == FAMILY_concat &&
                 v->def->operands_count < MAX_PIECES / 2)
            add_concat(e, all, v->def, i);
        else
            add_piece(all, (struct piece){.value = v, .result = i, .axis = -1});
    }
}

static void store_piece(struct emitter *e, const struct piece *piece, const struct point *p) {
    const struct buffer *to = &e->results[piece->result];
    LLVMValueRef v = emit_value(e, piece->value, p);
    if (!v) return;
    struct point q = *p;
    if (piece->axis >= 0)
        q.at[piece->axis] = index_add(e, p->at[piece->axis], index_uniform(piece->offset), p->lanes);
    if (piece->write && !point_written(e, piece->write, &q)) return;
    emit_store(e, to, &q, emit_cast(e, piece->value->type.dtype, to->type.dtype, v));
}

struct columns { /* what column loops need: the row's point, and what to store at each */
    struct point row;
    int axis;
    const struct piece *pieces;
    int count;
};

static void at_columns(struct emitter *e, void *data, const struct index *column, int lanes,
                       LLVMValueRef tail) {
    struct columns *c = data;
    struct point p = c->row;
    p.lanes = lanes;
    p.mask = p.tail = tail;
    if (c->axis >= 0) p.at[c->axis] = *column;
    for (int i = 0; i < c->count; i++) store_piece(e, &c->pieces[i], &p);
}

/* The axis that lanes walk: the last one that is not 1 long. */
static int lane_axis(const struct type *t) {
    int64_t n;
    for (int i = t->rank - 1; i >= 0; i--)
        if (!extent_is_const(t->extents[i], &n) || n != 1) return i;
    return t->rank - 1;
}

static bool reduces(const struct node *n) {
    enum op_family family = op_info(n->op)->family;
    return family == FAMILY_reduce || family == FAMILY_argreduce || family == FAMILY_linear ||
           family == FAMILY_matmul || family == FAMILY_einsum || family == FAMILY_qlinear ||
           family == FAMILY_conv || family == FAMILY_conv_transpose || family == FAMILY_pool;
}

bool kernel_reduces(const struct node *kernel) {
    for (const struct node *n = kernel->body->first; n; n = n->next)
        if (reduces(n)) return true;
    return false;
}

/* Columns of a row that a thread (of a GPU: a warp) does at a time. */
static int64_t chunk_of(const struct emitter *e, bool heavy, int lanes) {
    if (e->target->simt) return heavy ? lanes : SIMT_CHUNK;
    return heavy && lanes != 32 ? SMALL_CHUNK : CHUNK;
}

/* Lanes along the results, unless some reduction is better done by vectors of its own; blocks of 32 for
 * quantised results. */
static int choose_lanes(struct emitter *e, const struct piece *pieces, int count, bool *heavy) {
    int lanes = e->lanes;
    for (int i = 0; i < count; i++)
        if (pieces[i].value->def && op_info(pieces[i].value->def->op)->family == FAMILY_quantize)
            lanes = pieces[i].value->index ? 1 : 32;
    for (const struct node *n = e->kernel->body->first; n; n = n->next) {
        *heavy = *heavy || reduces(n);
        if (reduces(n) && !fold_follows_lanes(e, n)) lanes = 1;
    }
    return lanes;
}

/* Rows above the lane axis, in chunks of columns, shared between threads. */
static void lower_space(struct emitter *e, const struct piece *pieces, int count) {
    const struct type *t = &pieces->value->type;
    struct columns c = {
        .row = {.rank = t->rank, .lanes = 1}, .axis = lane_axis(t), .pieces = pieces, .count = count};
    LLVMValueRef rows = emit_i64(e, 1), one = emit_i64(e, 1), begin, end;
    bool heavy = false;
    int lanes = choose_lanes(e, pieces, count, &heavy);
    for (int i = 0; i < t->rank; i++) c.row.at[i] = index_constant(e, 0);
    for (int i = 0; i < c.axis; i++) rows = emit_mul(e, rows, emit_extent(e, t->extents[i]));
    LLVMValueRef columns = c.axis >= 0 ? emit_extent(e, t->extents[c.axis]) : one,
                 size = emit_i64(e, chunk_of(e, heavy, lanes));
    LLVMValueRef chunks = emit_div(e, emit_add(e, columns, emit_sub(e, size, one)), size);
    emit_split(e, emit_mul(e, rows, chunks), 1, &begin, &end);
    struct emit_loop unit;
    emit_loop_begin(e, &unit, begin, end, 1, 0, NULL);
    LLVMValueRef row = emit_div(e, unit.counter, chunks), chunk = emit_rem(e, unit.counter, chunks);
    if (c.axis > 0) point_unflatten(e, t, index_uniform(row), &c.row, 0, c.axis);
    LLVMValueRef first = emit_mul(e, chunk, size);
    LLVMValueRef last = emit_min(e, emit_add(e, first, size), columns);
    int64_t n = LLVMIsAConstantInt(columns) ? LLVMConstIntGetSExtValue(columns) : 1;
    struct stretch s = {first, last, chunk_of(e, heavy, lanes), n % lanes ? 1 : lanes, lanes, lanes == 32};
    emit_columns(e, &s, at_columns, &c);
    emit_loop_end(e, &unit, NULL);
}

void lower_loops(struct emitter *e) {
    struct pieces all = {.count = 0};
    find_pieces(e, &all);
    for (int i = 0, next; i < all.count; i = next) {
        for (next = i + 1; next < all.count; next++)
            if (!shape_equal(&all.at[i].value->type, &all.at[next].value->type)) break;
        lower_space(e, &all.at[i], next - i);
    }
}
