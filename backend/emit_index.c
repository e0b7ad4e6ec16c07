/* Indices: i64 arithmetic that folds and is done once, and points whose lanes are kept as base + stride as
 * long as they can be, since that is what makes a load a vector's and not sixteen elements'. */
#include "backend/emit_memo.h"
#include "ir/number.h"

enum { ADD = 1, SUB, MUL, DIV, REM, MIN, MAX };

static bool is_constant(LLVMValueRef v, int64_t *value) {
    if (!LLVMIsAConstantInt(v)) return false;
    *value = LLVMConstIntGetSExtValue(v);
    return true;
}

/* GPUs have no instruction for it, and a subroutine for 64 bits. */
static LLVMValueRef divide(struct emitter *e, LLVMOpcode op, LLVMValueRef a, LLVMValueRef b) {
    if (!e->narrow) return LLVMBuildBinOp(e->builder, op, a, b, "");
    a = LLVMBuildTrunc(e->builder, a, e->i32, "");
    b = LLVMBuildTrunc(e->builder, b, e->i32, "");
    return LLVMBuildZExt(e->builder, LLVMBuildBinOp(e->builder, op, a, b, ""), e->i64, "");
}

static LLVMValueRef build(struct emitter *e, int op, LLVMValueRef a, LLVMValueRef b) {
    switch (op) {
    case ADD:
        return LLVMBuildNSWAdd(e->builder, a, b, "");
    case SUB:
        return LLVMBuildNSWSub(e->builder, a, b, "");
    case MUL:
        return LLVMBuildNSWMul(e->builder, a, b, "");
    case DIV:
    case REM:
        return divide(e, op == DIV ? LLVMUDiv : LLVMURem, a, b);
    case MIN:
        return emit_binary(e, "llvm.smin", a, b);
    default:
        return emit_binary(e, "llvm.smax", a, b);
    }
}

/* What `a op b` is without an instruction, or NULL. */
static LLVMValueRef fold(struct emitter *e, int op, LLVMValueRef a, LLVMValueRef b) {
    int64_t x = -1, y = -1;
    bool left = is_constant(a, &x), right = is_constant(b, &y);
    if (op == ADD && left && !x) return b;
    if ((op == ADD || op == SUB) && right && !y) return a;
    if (op == MUL && ((left && x == 1) || (right && !y))) return b;
    if ((op == MUL || op == DIV) && right && y == 1) return a;
    if (op == MUL && left && !x) return a;
    if ((op == REM && right && y == 1) || (op == SUB && a == b)) return emit_i64(e, 0);
    if ((op == DIV || op == REM) && left && !x) return a;
    if ((op == MIN || op == MAX) && left && right) return emit_i64(e, (x < y) == (op == MIN) ? x : y);
    if ((op == MIN || op == MAX) && a == b) return a;
    if (op == DIV && left && right && x >= 0 && y > 0) return emit_i64(e, x / y);
    if (op == REM && left && right && x >= 0 && y > 0) return emit_i64(e, x % y);
    return NULL;
}

/* Vectors have no folding but LLVM's own. */
static LLVMValueRef arithmetic(struct emitter *e, int op, LLVMValueRef a, LLVMValueRef b) {
    LLVMValueRef made = LLVMTypeOf(a) == e->i64 ? fold(e, op, a, b) : NULL;
    if (!made) made = memo_find_arithmetic(e, op, a, b);
    if (made) return made;
    made = build(e, op, a, b);
    memo_add_arithmetic(e, op, a, b, made);
    return made;
}

LLVMValueRef emit_add(struct emitter *e, LLVMValueRef a, LLVMValueRef b) { return arithmetic(e, ADD, a, b); }
LLVMValueRef emit_sub(struct emitter *e, LLVMValueRef a, LLVMValueRef b) { return arithmetic(e, SUB, a, b); }
LLVMValueRef emit_mul(struct emitter *e, LLVMValueRef a, LLVMValueRef b) { return arithmetic(e, MUL, a, b); }
LLVMValueRef emit_div(struct emitter *e, LLVMValueRef a, LLVMValueRef b) { return arithmetic(e, DIV, a, b); }
LLVMValueRef emit_div_up(struct emitter *e, LLVMValueRef a, LLVMValueRef b) {
    return emit_div(e, emit_add(e, a, emit_sub(e, b, emit_i64(e, 1))), b);
}
LLVMValueRef emit_rem(struct emitter *e, LLVMValueRef a, LLVMValueRef b) { return arithmetic(e, REM, a, b); }
LLVMValueRef emit_min(struct emitter *e, LLVMValueRef a, LLVMValueRef b) { return arithmetic(e, MIN, a, b); }
LLVMValueRef emit_max(struct emitter *e, LLVMValueRef a, LLVMValueRef b) { return arithmetic(e, MAX, a, b); }

LLVMValueRef emit_offset(struct emitter *e, LLVMValueRef base, LLVMValueRef bytes) {
    int64_t value;
    if (LLVMTypeOf(bytes) == e->i64 && is_constant(bytes, &value) && !value) return base;
    return LLVMBuildGEP2(e->builder, e->i8, base, &bytes, 1, "");
}

/* The largest power of two that divides `value`, within reason; constants know their own alignment. */
static int64_t align_of(LLVMValueRef base) {
    int64_t value;
    if (!is_constant(base, &value)) return 1;
    return value ? value & -value : 1 << 20;
}

struct index index_uniform(LLVMValueRef base) {
    return (struct index){base, 0, align_of(base), NULL};
}
struct index index_lanes(LLVMValueRef base, int64_t align) {
    return (struct index){base, 1, align, NULL};
}
struct index index_constant(struct emitter *e, int64_t value) {
    return index_uniform(emit_i64(e, value));
}
bool index_is_uniform(const struct index *i) { return !i->vector && !i->stride; }

LLVMValueRef index_vector(struct emitter *e, const struct index *i, int lanes) {
    if (i->vector) return i->vector;
    LLVMValueRef base = emit_splat(e, i->base, lanes), steps[MAX_LANES];
    if (!i->stride) return base;
    if (e->threaded)
        return lanes > 1 ? emit_add(e, base, emit_mul(e, e->lane, emit_i64(e, i->stride))) : base;
    for (int l = 0; l < lanes; l++) steps[l] = emit_i64(e, i->stride * l);
    return arithmetic(e, ADD, base, lanes > 1 ? LLVMConstVector(steps, (unsigned)lanes) : steps[0]);
}

int64_t index_lanes_align(const struct index *i) {
    return i->vector || !i->stride ? i->align : greatest_common_divisor(i->align, i->stride);
}

static struct index from_vector(LLVMValueRef v, int lanes, int64_t align) {
    struct index made = lanes > 1 ? (struct index){.vector = v} : index_uniform(v);
    if (made.align < align) made.align = align;
    return made;
}

/* The multiple of a multiple; no more than is worth knowing. */
static int64_t align_times(int64_t align, int64_t by) {
    if (!by) return 1 << 20;
    return align < (1 << 20) ? align * (by & -by) : align;
}

struct index index_add(struct emitter *e, struct index a, struct index b, int lanes) {
    if (a.vector || b.vector)
        return from_vector(arithmetic(e, ADD, index_vector(e, &a, lanes), index_vector(e, &b, lanes)), lanes,
                           greatest_common_divisor(index_lanes_align(&a), index_lanes_align(&b)));
    return (struct index){emit_add(e, a.base, b.base), a.stride + b.stride,
                          greatest_common_divisor(a.align, b.align), NULL};
}

struct index index_scale_by(struct emitter *e, struct index a, int64_t by, int lanes) {
    if (a.vector)
        return from_vector(arithmetic(e, MUL, a.vector, emit_splat(e, emit_i64(e, by), lanes)), lanes,
                           align_times(a.align, by));
    return (struct index){emit_mul(e, a.base, emit_i64(e, by)), a.stride * by, align_times(a.align, by),
                          NULL};
}

struct index index_scale(struct emitter *e, struct index a, const struct extent *by, int lanes) {
    int64_t value;
    if (extent_is_const(by, &value)) return index_scale_by(e, a, value, lanes);
    LLVMValueRef factor = emit_extent(e, by);
    if (index_is_uniform(&a)) return index_uniform(emit_mul(e, a.base, factor));
    return from_vector(arithmetic(e, MUL, index_vector(e, &a, lanes), emit_splat(e, factor, lanes)), lanes,
                       index_lanes_align(&a));
}

/* Whether lanes 0..lanes of a stride-1 index stay between two multiples of `by`. */
static bool stays(const struct index *a, int64_t by, int lanes) {
    return a->stride == 1 && greatest_common_divisor(a->align, by) >= lanes;
}

struct index index_div_by(struct emitter *e, struct index a, int64_t by, int lanes) {
    LLVMValueRef d = emit_i64(e, by);
    if (!a.vector && (a.stride == 0 || stays(&a, by, lanes))) {
        int64_t align = a.align % by == 0 ? a.align / by : 1;
        return (struct index){emit_div(e, a.base, d), 0, align, NULL};
    }
    if (!a.vector && a.stride % by == 0)
        return (struct index){emit_div(e, a.base, d), a.stride / by, 1, NULL};
    return from_vector(arithmetic(e, DIV, index_vector(e, &a, lanes), emit_splat(e, d, lanes)), lanes, 1);
}

struct index index_rem_by(struct emitter *e, struct index a, int64_t by, int lanes) {
    LLVMValueRef d = emit_i64(e, by);
    if (by == 1) return index_constant(e, 0);
    if (!a.vector && (a.stride % by == 0 || stays(&a, by, lanes)))
        return (struct index){emit_rem(e, a.base, d), a.stride % by, greatest_common_divisor(a.align, by),
                              NULL};
    return from_vector(arithmetic(e, REM, index_vector(e, &a, lanes), emit_splat(e, d, lanes)), lanes, 1);
}

struct index index_div(struct emitter *e, struct index a, const struct extent *by, int lanes) {
    int64_t value;
    if (extent_is_const(by, &value)) return value ? index_div_by(e, a, value, lanes) : a;
    LLVMValueRef d = emit_extent(e, by);
    if (index_is_uniform(&a)) return index_uniform(emit_div(e, a.base, d));
    return from_vector(arithmetic(e, DIV, index_vector(e, &a, lanes), emit_splat(e, d, lanes)), lanes, 1);
}

struct index index_rem(struct emitter *e, struct index a, const struct extent *by, int lanes) {
    int64_t value;
    if (extent_is_const(by, &value)) return value ? index_rem_by(e, a, value, lanes) : a;
    LLVMValueRef d = emit_extent(e, by);
    if (index_is_uniform(&a)) return index_uniform(emit_rem(e, a.base, d));
    return from_vector(arithmetic(e, REM, index_vector(e, &a, lanes), emit_splat(e, d, lanes)), lanes, 1);
}

struct index point_flatten(struct emitter *e, const struct type *t, const struct point *p, int first,
                           int dims) {
    struct index flat = index_constant(e, 0);
    for (int i = first; i < first + dims; i++)
        flat = index_add(e, index_scale(e, flat, t->extents[i], p->lanes), p->at[i], p->lanes);
    return flat;
}

void point_unflatten(struct emitter *e, const struct type *t, struct index flat, struct point *p, int first,
                     int dims) {
    int64_t one;
    for (; dims > 1 && extent_is_const(t->extents[first], &one) && one == 1; first++, dims--)
        p->at[first] = index_constant(e, 0);
    for (int i = first + dims - 1; i > first; i--) {
        p->at[i] = index_rem(e, flat, t->extents[i], p->lanes);
        flat = index_div(e, flat, t->extents[i], p->lanes);
    }
    if (dims) p->at[first] = flat;
}
