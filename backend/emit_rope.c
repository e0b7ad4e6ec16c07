/* Rotary position embedding. The angles of a position are the same for all heads, so each thread keeps the
 * sines and cosines of the positions it was at lately in its scratch, and makes them where one is new. They
 * lie as the elements do, one for each, the sine with the sign that it has there:
 *
 *     (a, b) -> (a cos - b sin, b cos + a sin)     pairs (j, j + dim/2), or (2j, 2j + 1)
 *     x[d]   -> x[d] cosines[d] + x[other of the pair] sines[d] */
#include "backend/emit_family.h"
#include "backend/emit_math.h"
#include "backend/emit_memo.h"
#include "backend/simt.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Positions kept: more than a block of rows has, so that each is made once for all the block's outputs. */
enum { POSITIONS = 128, TAGS_AT_ONCE = 8 };

struct rope_table {
    double base;
    int64_t dim;
    bool interleaved;
    LLVMValueRef turns;          /* [dim] f64: base^(-2j/dim) / (2 pi), j the element's pair; a constant */
    LLVMValueRef signs;          /* [dim] f32: -1 for the first of a pair, 1 for the second; a constant */
    LLVMValueRef tags;           /* in scratch: [POSITIONS] i64, whose angles a slot holds */
    LLVMValueRef sines, cosines; /* in scratch: [POSITIONS][dim] f32 */
    struct memo_scope *scope;    /* where the last code that filled it stands, ... */
    LLVMValueRef last, last_sines, last_cosines; /* ... for which position, and that one's slot */
    struct rope_table *next;
};

/* Element d of a head: which pair it is of, and whether it is the second. */
static int64_t pair_of(const struct rope_table *t, int64_t d) {
    return t->interleaved ? d / 2 : d % (t->dim / 2);
}
static bool is_second(const struct rope_table *t, int64_t d) {
    return t->interleaved ? d % 2 : d >= t->dim / 2;
}

static void make_constants(struct emitter *e, struct rope_table *t) {
    double *turns = arena_new_array(e->arena, double, t->dim);
    float *signs = arena_new_array(e->arena, float, t->dim);
    for (int64_t d = 0; d < t->dim; d++) {
        turns[d] = pow(t->base, -2.0 * (double)pair_of(t, d) / (double)t->dim) / 6.283185307179586;
        signs[d] = is_second(t, d) ? 1 : -1;
    }
    t->turns = emit_table(e, turns, (size_t)t->dim * sizeof *turns);
    t->signs = emit_table(e, signs, (size_t)t->dim * sizeof *signs);
}

/* No slot holds a position yet. */
static void clear_tags(struct emitter *e, const struct rope_table *t) {
    LLVMBasicBlockRef back = emit_entry_begin(e);
    LLVMValueRef none = emit_splat(e, emit_i64(e, INT64_MIN), TAGS_AT_ONCE);
    for (int64_t i = 0; i < POSITIONS; i += TAGS_AT_ONCE)
        LLVMSetAlignment(LLVMBuildStore(e->builder, none, emit_offset(e, t->tags, emit_i64(e, i * 8))), 8);
    emit_entry_end(e, back);
}

static struct rope_table *table_of(struct emitter *e, double base, int64_t dim, bool interleaved) {
    for (struct rope_table *t = e->ropes; t; t = t->next)
        if (t->base == base && t->dim == dim && t->interleaved == interleaved) return t;
    struct rope_table *t = arena_new_object(e->arena, struct rope_table);
    *t = (struct rope_table){.base = base, .dim = dim, .interleaved = interleaved, .next = e->ropes};
    make_constants(e, t);
    if (e->threaded) return e->ropes = t;
    t->tags = emit_scratch(e, POSITIONS * 8);
    t->sines = emit_scratch(e, POSITIONS * dim * 4);
    t->cosines = emit_scratch(e, POSITIONS * dim * 4);
    clear_tags(e, t);
    return e->ropes = t;
}

/* What makes a position's angles: void (f64 position, ptr sines, ptr cosines). A function by itself, one for each kind
 * of table in a module: it is seldom called, and its constants would else fill registers that the kernel's tiles need. */
struct angles {
    const struct rope_table *table;
    LLVMValueRef position, sines, cosines;
};

static void make_angles(struct emitter *e, void *data, const struct index *d, int lanes, LLVMValueRef tail) {
    const struct angles *a = data;
    LLVMValueRef turns = emit_load_at(e, e->f64, a->table->turns, *d, lanes, tail), sine, cosine;
    LLVMValueRef sign = emit_load_at(e, e->f32, a->table->signs, *d, lanes, tail);
    math_sincos_turns(e, LLVMBuildFMul(e->builder, turns, emit_splat(e, a->position, lanes), ""), &sine,
                      &cosine);
    emit_store_at(e, LLVMBuildFMul(e->builder, sine, sign, ""), a->sines, *d, lanes, tail);
    emit_store_at(e, cosine, a->cosines, *d, lanes, tail);
}

static LLVMTypeRef angles_type(struct emitter *e) {
    LLVMTypeRef parameters[] = {e->f64, e->ptr, e->ptr};
    return LLVMFunctionType(LLVMVoidTypeInContext(e->context), parameters, 3, 0);
}

static LLVMValueRef angles_function(struct emitter *e, const struct rope_table *t) {
    const char *name = arena_printf(e->arena, "angles.%a.%" PRId64 ".%d", t->base, t->dim, t->interleaved);
    LLVMValueRef f = LLVMGetNamedFunction(e->module, name);
    if (f) return f;
    f = LLVMAddFunction(e->module, name, angles_type(e));
    LLVMSetLinkage(f, LLVMInternalLinkage);
    struct emit_outside outside;
    emit_function_begin(e, &outside, f);
    struct angles a = {t, LLVMGetParam(f, 0), LLVMGetParam(f, 1), LLVMGetParam(f, 2)};
    struct stretch all = {emit_i64(e, 0), emit_i64(e, t->dim), 64, 1, e->lanes, false};
    emit_columns(e, &all, make_angles, &a);
    LLVMBuildRetVoid(e->builder);
    emit_function_end(e, &outside);
    return f;
}

/* Finds the slot of `position`, and makes its angles unless they are there. */
static void fill(struct emitter *e, struct rope_table *t, LLVMValueRef position) {
    if (t->scope == e->memo && t->last == position) return;
    LLVMValueRef slot = LLVMBuildAnd(e->builder, position, emit_i64(e, POSITIONS - 1), "");
    LLVMValueRef tag = emit_offset(e, t->tags, emit_mul(e, slot, emit_i64(e, 8)));
    LLVMValueRef first = emit_mul(e, slot, emit_i64(e, t->dim * 4));
    t->last_sines = emit_offset(e, t->sines, first);
    t->last_cosines = emit_offset(e, t->cosines, first);
    LLVMValueRef have = LLVMBuildLoad2(e->builder, e->i64, tag, "");
    struct emit_if stale;
    emit_if_begin(e, &stale, LLVMBuildICmp(e->builder, LLVMIntNE, have, position, ""));
    LLVMBuildStore(e->builder, position, tag);
    LLVMValueRef arguments[] = {LLVMBuildSIToFP(e->builder, position, e->f64, ""), t->last_sines, t->last_cosines};
    LLVMBuildCall2(e->builder, angles_type(e), angles_function(e, t), arguments, 3, "");
    emit_if_end(e, &stale);
    t->scope = e->memo;
    t->last = position;
}

/* at + s, in i64, one for all lanes, but each thread's own; NULL after an error. */
static LLVMValueRef position_of(struct emitter *e, const struct node *n, const struct point *p) {
    int row = p->rank - 3;
    struct point q = {.lanes = e->threaded ? p->lanes : 1};
    LLVMValueRef at = emit_i64(e, 0);
    if (n->operands[1]) {
        q.rank = n->operands[1]->type.rank;
        if (q.rank) q.at[0] = p->at[0];
        at = emit_index_value(e, n->operands[1], &q);
    }
    return at ? emit_add(e, at, index_vector(e, &p->at[row], q.lanes)) : NULL;
}

/* The index of the other element of each lane's pair. */
static struct index other_of(struct emitter *e, const struct rope_table *t, const struct index *d,
                             int lanes) {
    int64_t apart = t->interleaved ? 1 : t->dim / 2;
    struct index rest = t->interleaved ? index_rem_by(e, *d, 2, lanes) : index_div_by(e, *d, apart, lanes);
    LLVMValueRef which = index_vector(e, &rest, index_is_uniform(&rest) ? 1 : lanes);
    LLVMValueRef second = LLVMBuildICmp(e->builder, LLVMIntNE, which, LLVMConstNull(LLVMTypeOf(which)), "");
    LLVMValueRef back = emit_constant_like(LLVMTypeOf(which), (double)-apart),
                 on = emit_constant_like(LLVMTypeOf(which), (double)apart);
    LLVMValueRef shift = LLVMBuildSelect(e->builder, second, back, on, "");
    struct index by = emit_lanes_of(shift) > 1 ? (struct index){.vector = shift, .align = 1}
                                               : (struct index){shift, 0, apart, NULL};
    return index_add(e, *d, by, lanes);
}

/* Lanes 2j and 2j + 1 changed over. */
static LLVMValueRef swap_neighbours(struct emitter *e, LLVMValueRef v, int lanes) {
    LLVMValueRef order[2 * MAX_LANES];
    for (int l = 0; l < lanes; l++) order[l] = emit_i32(e, l ^ 1);
    return LLVMBuildShuffleVector(e->builder, v, LLVMGetPoison(LLVMTypeOf(v)),
                                  LLVMConstVector(order, (unsigned)lanes), "");
}

/* x at the other element of each lane's pair; `own` is x at p. Whole pairs of neighbours are in one vector.
 */
static LLVMValueRef other_element(struct emitter *e, const struct node *n, const struct rope_table *t,
                                  const struct point *p, LLVMValueRef own) {
    const struct index *d = &p->at[p->rank - 1];
    bool pairs = t->interleaved && p->lanes % 2 == 0 && p->lanes <= 2 * MAX_LANES && !d->vector &&
                 d->stride == 1 && d->align % 2 == 0;
    if (pairs && e->threaded) return simt_shuffle_xor(e, own, 1);
    if (pairs) return swap_neighbours(e, own, p->lanes);
    struct point q = *p;
    q.at[p->rank - 1] = other_of(e, t, d, p->lanes);
    return emit_value(e, n->operands[0], &q);
}

/* With differing positions or heads in the lanes, each lane is done alone. */
static LLVMValueRef lane_by_lane(struct emitter *e, const struct node *n, int result, const struct point *p) {
    LLVMValueRef made =
        LLVMGetPoison(emit_vector(e, emit_compute_type(e, n->results[result]->type.dtype), p->lanes));
    for (int l = 0; l < p->lanes; l++) {
        struct point q = *p;
        q.lanes = 1;
        q.mask = p->mask ? LLVMBuildExtractElement(e->builder, p->mask, emit_i32(e, l), "") : NULL;
        q.tail = NULL;
        for (int i = 0; i < p->rank; i++) {
            LLVMValueRef all = index_vector(e, &p->at[i], p->lanes);
            LLVMValueRef one = LLVMBuildExtractElement(e->builder, all, emit_i32(e, l), "");
            if (q.mask) one = LLVMBuildSelect(e->builder, q.mask, one, emit_i64(e, 0), "");
            q.at[i] = index_uniform(one);
        }
        LLVMValueRef v = emit_family_rope(e, n, result, &q);
        if (!v) return NULL;
        made = LLVMBuildInsertElement(e->builder, made, v, emit_i32(e, l), "");
    }
    return made;
}

/* Each thread makes the angle of its own position and element. */
static LLVMValueRef turn_here(struct emitter *e, const struct node *n, const struct rope_table *t,
                              const struct point *p, LLVMValueRef position, LLVMValueRef own, LLVMValueRef other) {
    const struct index *d = &p->at[p->rank - 1];
    enum dtype to = n->results[0]->type.dtype;
    LLVMValueRef turns = emit_load_at(e, e->f64, t->turns, *d, p->lanes, p->mask), sine, cosine;
    LLVMValueRef sign = emit_load_at(e, e->f32, t->signs, *d, p->lanes, p->mask);
    position = LLVMBuildSIToFP(e->builder, position, e->f64, "");
    math_sincos_turns(e, LLVMBuildFMul(e->builder, turns, position, ""), &sine, &cosine);
    sine = emit_cast(e, DTYPE_F32, to, LLVMBuildFMul(e->builder, sine, sign, ""));
    return emit_fma(e, other, sine, LLVMBuildFMul(e->builder, own, emit_cast(e, DTYPE_F32, to, cosine), ""));
}

LLVMValueRef emit_family_rope(struct emitter *e, const struct node *n, int result, const struct point *p) {
    int last = p->rank - 1;
    int64_t dim;
    if (!extent_is_const(n->results[result]->type.extents[last], &dim)) return unsupported(e, n, result, p);
    for (int i = 0; i < last && p->lanes > 1 && !e->threaded; i++)
        if (!index_is_uniform(&p->at[i])) return lane_by_lane(e, n, result, p);
    LLVMValueRef position = position_of(e, n, p);
    if (!position) return NULL;
    bool interleaved = !strcmp(node_attr(n, "style")->s, "interleaved");
    struct rope_table *t = table_of(e, node_attr(n, "base")->f, dim, interleaved);
    LLVMValueRef own = emit_value(e, n->operands[0], p), other = own ? other_element(e, n, t, p, own) : NULL;
    if (!other) return NULL;
    if (e->threaded) return turn_here(e, n, t, p, position, own, other);
    fill(e, t, position); /* last: the operands may be rotated by the same table, at other positions */
    enum dtype to = n->results[result]->type.dtype;
    const struct index *d = &p->at[last];
    LLVMValueRef sine =
        emit_cast(e, DTYPE_F32, to, emit_load_at(e, e->f32, t->last_sines, *d, p->lanes, p->mask));
    LLVMValueRef cosine =
        emit_cast(e, DTYPE_F32, to, emit_load_at(e, e->f32, t->last_cosines, *d, p->lanes, p->mask));
    return emit_fma(e, other, sine, LLVMBuildFMul(e->builder, own, cosine, ""));
}
