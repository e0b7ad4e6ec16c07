/* Rotary position embedding. The angles of a position are the same for all heads, so each thread keeps the
 * sines and cosines of the position it is at in its scratch, [dim / 2] each, and makes them anew when the
 * position changes.
 *
 *     (a, b) -> (a cos - b sin, a sin + b cos)     pairs (j, j + dim/2), or (2j, 2j + 1) */
#include "backend/emit_family.h"
#include "backend/emit_math.h"
#include "backend/emit_memo.h"
#include <math.h>
#include <string.h>

struct rope_table {
    double base;
    int64_t dim;
    LLVMValueRef turns;                    /* [dim/2] f64: base^(-2j/dim) / (2 pi), a constant */
    LLVMValueRef position, sines, cosines; /* in scratch */
    struct memo_scope *scope; /* where the last code that filled it stands, and for which position: no other
                                 has come between */
    LLVMValueRef last;
    struct rope_table *next;
};

static struct rope_table *table_of(struct emitter *e, double base, int64_t dim) {
    for (struct rope_table *t = e->ropes; t; t = t->next)
        if (t->base == base && t->dim == dim) return t;
    double *turns = arena_new_array(e->arena, double, dim / 2 + 1);
    for (int64_t j = 0; j < dim / 2; j++)
        turns[j] = pow(base, -2.0 * (double)j / (double)dim) / 6.283185307179586;
    struct rope_table *t = arena_new_object(e->arena, struct rope_table);
    *t = (struct rope_table){.base = base, .dim = dim, .next = e->ropes};
    t->turns = emit_table(e, turns, (size_t)(dim / 2) * sizeof *turns);
    t->position = emit_scratch(e, 8);
    t->sines = emit_scratch(e, dim * 2);
    t->cosines = emit_scratch(e, dim * 2);
    LLVMBasicBlockRef back = emit_entry_begin(e);
    LLVMBuildStore(e->builder, emit_i64(e, INT64_MIN), t->position);
    emit_entry_end(e, back);
    return e->ropes = t;
}

struct filling {
    struct rope_table *table;
    LLVMValueRef position; /* f64 */
};

static void fill_columns(struct emitter *e, void *data, const struct index *j, int lanes, LLVMValueRef tail) {
    struct filling *f = data;
    LLVMValueRef turns = emit_load_at(e, e->f64, f->table->turns, *j, lanes, tail), sine, cosine;
    math_sincos_turns(e, LLVMBuildFMul(e->builder, turns, emit_splat(e, f->position, lanes), ""), &sine,
                      &cosine);
    emit_store_at(e, sine, f->table->sines, *j, tail);
    emit_store_at(e, cosine, f->table->cosines, *j, tail);
}

/* Makes the table be for `position`, unless it is already. */
static void fill(struct emitter *e, struct rope_table *t, LLVMValueRef position) {
    if (t->scope == e->memo && t->last == position) return;
    LLVMValueRef have = LLVMBuildLoad2(e->builder, e->i64, t->position, "");
    struct emit_if stale;
    emit_if_begin(e, &stale, LLVMBuildICmp(e->builder, LLVMIntNE, have, position, ""));
    LLVMBuildStore(e->builder, position, t->position);
    struct filling f = {t, LLVMBuildSIToFP(e->builder, position, e->f64, "")};
    struct stretch all = {emit_i64(e, 0), emit_i64(e, t->dim / 2), 64, 1, e->lanes, false};
    emit_columns(e, &all, fill_columns, &f);
    emit_if_end(e, &stale);
    t->scope = e->memo;
    t->last = position;
}

/* at + s, in i64; NULL if lanes differ in it, or after an error. */
static LLVMValueRef position_of(struct emitter *e, const struct node *n, const struct point *p) {
    int row = p->rank - 3;
    struct point q = {.lanes = 1};
    LLVMValueRef at = emit_i64(e, 0);
    if (n->operands[1]) {
        q.rank = n->operands[1]->type.rank;
        if (q.rank) q.at[0] = p->at[0];
        at = emit_index_value(e, n->operands[1], &q);
    }
    return at ? emit_add(e, at, p->at[row].base) : NULL;
}

/* Which element of the pair each lane is, and the other's index. */
struct pairs {
    struct index j, other;
    LLVMValueRef second; /* i1, or a vector of them: b of (a, b) */
};

static struct pairs find_pairs(struct emitter *e, const struct index *d, int64_t dim, bool interleaved,
                               int lanes) {
    struct pairs r;
    int64_t half = dim / 2;
    struct index rest = interleaved ? index_rem_by(e, *d, 2, lanes) : index_div_by(e, *d, half, lanes);
    LLVMValueRef which = index_vector(e, &rest, index_is_uniform(&rest) ? 1 : lanes),
                 zero = LLVMConstNull(LLVMTypeOf(which));
    r.second = LLVMBuildICmp(e->builder, LLVMIntNE, which, zero, "");
    int64_t apart = interleaved ? 1 : half;
    LLVMValueRef back = emit_constant_like(LLVMTypeOf(which), (double)-apart),
                 on = emit_constant_like(LLVMTypeOf(which), (double)apart);
    LLVMValueRef shift = LLVMBuildSelect(e->builder, r.second, back, on, "");
    struct index by = emit_lanes_of(shift) > 1 ? (struct index){.vector = shift, .align = 1}
                                               : (struct index){shift, 0, apart, NULL};
    r.other = index_add(e, *d, by, lanes);
    r.j = interleaved ? index_div_by(e, *d, 2, lanes) : index_rem_by(e, *d, half, lanes);
    return r;
}

/* With differing positions or heads in the lanes, each lane is done alone. */
static LLVMValueRef lane_by_lane(struct emitter *e, const struct node *n, int result, const struct point *p) {
    LLVMValueRef made =
        LLVMGetPoison(emit_vector(emit_compute_type(e, n->results[result]->type.dtype), p->lanes));
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

LLVMValueRef emit_family_rope(struct emitter *e, const struct node *n, int result, const struct point *p) {
    int last = p->rank - 1;
    int64_t dim;
    if (!extent_is_const(n->results[result]->type.extents[last], &dim)) return unsupported(e, n, result, p);
    for (int i = 0; i < last && p->lanes > 1; i++)
        if (!index_is_uniform(&p->at[i])) return lane_by_lane(e, n, result, p);
    LLVMValueRef position = position_of(e, n, p);
    if (!position) return NULL;
    struct rope_table *t = table_of(e, node_attr(n, "base")->f, dim);
    fill(e, t, position);
    struct pairs pair =
        find_pairs(e, &p->at[last], dim, !strcmp(node_attr(n, "style")->s, "interleaved"), p->lanes);
    struct point q = *p;
    q.at[last] = pair.other;
    LLVMValueRef own = emit_value(e, n->operands[0], p), other = emit_value(e, n->operands[0], &q);
    if (!own || !other) return NULL;
    enum dtype to = n->results[result]->type.dtype;
    LLVMValueRef sine =
        emit_cast(e, DTYPE_F32, to, emit_load_at(e, e->f32, t->sines, pair.j, p->lanes, p->mask));
    LLVMValueRef cosine =
        emit_cast(e, DTYPE_F32, to, emit_load_at(e, e->f32, t->cosines, pair.j, p->lanes, p->mask));
    LLVMValueRef signed_sine =
        LLVMBuildSelect(e->builder, pair.second, sine, LLVMBuildFNeg(e->builder, sine, ""), "");
    return emit_fma(e, other, signed_sine, LLVMBuildFMul(e->builder, own, cosine, ""));
}
