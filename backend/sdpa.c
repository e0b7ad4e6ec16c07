/* What an sdpa says: its operands' extents, which keys a query sees, its mask. */
#include "backend/sdpa.h"
#include "backend/emit_family.h"

typedef LLVMValueRef V;

static const struct node *find_anchor(const struct emitter *e) {
    for (const struct node *n = e->kernel->body->first; n; n = n->next)
        if (op_info(n->op)->family == FAMILY_sdpa) return n;
    ice("kernel %s is scheduled as attention and has none", e->kernel->name);
}

/* An extent that must be a positive constant, `what` it is; false after a diagnostic. */
static bool constant_extent(struct emitter *e, const struct value *v, int dim, const char *what,
                            int64_t *value) {
    if (extent_is_const(v->type.extents[dim], value) && *value > 0) return true;
    emit_error(e, v->loc, "sdpa: the %s must be a constant to be compiled, not %s", what,
               extent_text(e->arena, v->type.extents[dim]));
    return false;
}

bool sdpa_describe(struct emitter *e, struct sdpa *s) {
    const struct node *n = find_anchor(e);
    *s = (struct sdpa){.node = n, .q = n->operands[0], .k = n->operands[1], .v = n->operands[2]};
    int64_t heads, key_heads;
    int rank = s->q->type.rank, first = rank - 3;
    s->at = n->operands_count > 3 ? n->operands[3] : NULL;
    s->mask = n->operands_count > 4 ? n->operands[4] : NULL;
    s->batched = rank == 4;
    s->causal = node_attr(n, "causal")->i;
    s->scale = node_attr(n, "scale")->f;
    if (!constant_extent(e, s->q, first + 2, "head's extent", &s->dim)) return false;
    if (!constant_extent(e, s->q, first + 1, "number of heads", &heads)) return false;
    if (!constant_extent(e, s->k, first + 1, "number of key heads", &key_heads)) return false;
    if (!constant_extent(e, s->v, first + 2, "extent of a head's values", &s->value_dim)) return false;
    s->group = heads / key_heads;
    s->batches = s->batched ? emit_extent(e, s->q->type.extents[0]) : emit_i64(e, 1);
    s->query_count = emit_extent(e, s->q->type.extents[first]);
    s->key_count = emit_extent(e, s->k->type.extents[first]);
    s->heads = emit_i64(e, heads);
    s->key_heads = emit_i64(e, key_heads);
    return true;
}

V sdpa_past(struct emitter *e, const struct sdpa *s) {
    if (!s->at) return emit_i64(e, 0);
    struct point p = {.rank = s->at->type.rank, .lanes = 1, .at = {index_uniform(s->batch)}};
    return emit_index_value(e, s->at, &p);
}

V sdpa_visible(struct emitter *e, const struct sdpa *s, V past, V query, V end) {
    return s->causal ? emit_min(e, end, emit_add(e, emit_add(e, past, query), emit_i64(e, 1))) : end;
}

/* Broadcast as numpy does from the right: [..., heads, queries, keys]. */
V sdpa_mask(struct emitter *e, const struct sdpa *s, struct index head, struct index query, struct index key,
            V exists) {
    const struct type *t = &s->mask->type;
    struct index full[4] = {index_uniform(s->batch), head, query, key};
    struct point p = {.rank = t->rank, .lanes = e->lanes, .mask = exists};
    for (int i = 0; i < t->rank; i++) {
        int64_t extent;
        bool one = extent_is_const(t->extents[i], &extent) && extent == 1;
        p.at[i] = one ? index_constant(e, 0) : full[4 - t->rank + i];
    }
    V mask = emit_value(e, s->mask, &p);
    if (!mask) mask = emit_splat(e, t->dtype == DTYPE_BOOL ? LLVMConstNull(e->i1) : emit_f32(e, 0), e->lanes);
    return t->dtype == DTYPE_BOOL ? mask : emit_cast(e, t->dtype, DTYPE_F32, mask);
}

V sdpa_apply_mask(struct emitter *e, const struct sdpa *s, V mask, V scores) {
    LLVMTypeRef type = LLVMTypeOf(scores);
    if (s->mask->type.dtype == DTYPE_BOOL)
        return LLVMBuildSelect(e->builder, mask, scores, emit_constant_like(type, -__builtin_inf()), "");
    return emit_fma(e, mask, emit_constant_like(type, LOG2_E), scores);
}
