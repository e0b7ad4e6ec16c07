/* A contraction's loops at run time. */
#include "backend/contraction.h"

LLVMValueRef contraction_count(struct emitter *e, const struct contraction *c, const struct loop_list *list) {
    LLVMValueRef count = emit_i64(e, 1);
    for (int i = 0; i < list->count; i++)
        count = emit_mul(e, count, emit_extent(e, c->map->loops[list->loops[i]].extent));
    return count;
}

void contraction_unflatten(struct emitter *e, const struct contraction *c, const struct loop_list *list,
                           LLVMValueRef flat, struct index *at) {
    for (int i = list->count - 1; i > 0; i--) {
        LLVMValueRef extent = emit_extent(e, c->map->loops[list->loops[i]].extent);
        at[list->loops[i]] = index_uniform(emit_rem(e, flat, extent));
        flat = emit_div(e, flat, extent);
    }
    if (list->count) at[list->loops[0]] = index_uniform(flat);
}

void contraction_point(struct emitter *e, const struct access_map *access, const struct index *at, int lanes,
                       struct point *p) {
    *p = (struct point){.rank = access->rank, .lanes = lanes};
    for (int i = 0; i < access->rank; i++) {
        const struct axis_map *axis = &access->axes[i];
        p->at[i] = index_constant(e, 0);
        for (int t = 0; t < axis->count; t++) {
            const struct extent *by = extent_const(e->graph->extents, axis->terms[t].coefficient);
            struct index part = index_scale(e, at[axis->terms[t].loop], by, lanes);
            p->at[i] = t ? index_add(e, p->at[i], part, lanes) : part;
        }
    }
}

int64_t contraction_parts(const struct schedule *s, const struct contraction *c) {
    int64_t inputs = contraction_inputs(c);
    if (s->block[2] <= 0 || c->outer.count || inputs <= s->block[2]) return 1;
    return (inputs - 1) / s->block[2] + 1;
}
