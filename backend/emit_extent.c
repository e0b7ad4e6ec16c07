/* Extents as code: polynomials over the call's dims, computed once at a kernel's entry. */
#include "backend/device.h"

typedef LLVMValueRef extent_value(struct emitter *e, const struct extent *x);

static LLVMValueRef dim_value(struct emitter *e, const struct dim *dim) {
    for (int i = 0; i < e->owner->dims_count; i++) {
        if (e->owner->dims[i] != dim) continue;
        if (e->threaded) return device_dim(e, i);
        LLVMValueRef at = emit_offset(e, e->dims, emit_i64(e, 8 * i));
        return LLVMBuildLoad2(e->builder, e->i64, at, dim->name);
    }
    ice("function %s does not have the dim %s", e->owner->name, dim->name);
}

/* floor(a / divisor) of any sign. */
static LLVMValueRef floor_div(struct emitter *e, LLVMValueRef a, int64_t divisor) {
    LLVMValueRef d = emit_i64(e, divisor), q = LLVMBuildSDiv(e->builder, a, d, "");
    LLVMValueRef below =
        LLVMBuildICmp(e->builder, LLVMIntSLT, LLVMBuildSRem(e->builder, a, d, ""), emit_i64(e, 0), "");
    return LLVMBuildSub(e->builder, q, LLVMBuildZExt(e->builder, below, e->i64, ""), "");
}

static LLVMValueRef term_value(struct emitter *e, const struct term *t, extent_value *value) {
    LLVMValueRef product = emit_i64(e, t->coefficient);
    for (int i = 0; i < t->count; i++) {
        const struct symbol *s = t->symbols[i];
        LLVMValueRef v = s->dim ? dim_value(e, s->dim) : floor_div(e, value(e, s->numerator), s->divisor);
        product = LLVMBuildMul(e->builder, product, v, "");
    }
    return product;
}

static LLVMValueRef value_by(struct emitter *e, const struct extent *x, extent_value *value) {
    LLVMValueRef sum = emit_i64(e, 0);
    for (int i = 0; i < x->count; i++)
        sum = LLVMBuildAdd(e->builder, sum, term_value(e, &x->terms[i], value), "");
    return sum;
}

LLVMValueRef emit_extent_here(struct emitter *e, const struct extent *x) {
    return value_by(e, x, emit_extent_here);
}

static void make_room(struct emitter *e, int id) {
    if (id < e->extents_count) return;
    int count = (id + 1) * 2;
    LLVMValueRef *longer = arena_new_array(e->arena, LLVMValueRef, count);
    for (int i = 0; i < e->extents_count; i++) longer[i] = e->extents[i];
    e->extents = longer;
    e->extents_count = count;
}

LLVMValueRef emit_extent(struct emitter *e, const struct extent *x) {
    int64_t value;
    if (extent_is_const(x, &value)) return emit_i64(e, value);
    make_room(e, x->id);
    if (e->extents[x->id]) return e->extents[x->id];
    LLVMBasicBlockRef back = emit_entry_begin(e);
    LLVMValueRef sum = value_by(e, x, emit_extent);
    emit_entry_end(e, back);
    return e->extents[x->id] = sum;
}
