/* Quantisation in blocks of 32 along the last axis: codes i8 = round(x / d), scales d = max|x| / 127, sums
 * i32 of codes. A block is one vector; whoever asks for any of the three has all of them remembered. NaN and
 * blocks with infinities have codes 0. */
#include "backend/emit_family.h"

enum { BLOCK = 32 };

typedef LLVMValueRef V;

/* |x|, 0 of NaN. */
static V size_of(struct emitter *e, V x) {
    V size = emit_unary(e, "llvm.fabs", x), zero = LLVMConstNull(LLVMTypeOf(x));
    return LLVMBuildSelect(e->builder, LLVMBuildFCmp(e->builder, LLVMRealORD, x, x, ""), size, zero, "");
}

/* 1 / d, or 0 for a block of zeros. */
static V inverse(struct emitter *e, V scale) {
    V one = emit_constant_like(LLVMTypeOf(scale), 1), zero = LLVMConstNull(LLVMTypeOf(scale));
    V some = LLVMBuildFCmp(e->builder, LLVMRealOGT, scale, zero, "");
    return LLVMBuildSelect(e->builder, some, LLVMBuildFDiv(e->builder, one, scale, ""), zero, "");
}

/* round(x * by), halves to even, by adding 1.5 * 2^23. */
static V codes_of(struct emitter *e, V x, V by) {
    int lanes = emit_lanes_of(x);
    LLVMTypeRef integers = emit_vector(e, e->i32, lanes);
    V scaled = LLVMBuildFMul(e->builder, x, emit_splat(e, by, lanes), ""),
      magic = emit_constant_like(LLVMTypeOf(x), 0x1.8p23);
    V bits = LLVMBuildBitCast(e->builder, LLVMBuildFAdd(e->builder, scaled, magic, ""), integers, "");
    V code = LLVMBuildSub(e->builder, bits, emit_constant_like(integers, 0x4b400000), "");
    V number = LLVMBuildFCmp(e->builder, LLVMRealORD, scaled, scaled, "");
    code = LLVMBuildSelect(e->builder, number, code, LLVMConstNull(integers), "");
    code = emit_binary(e, "llvm.smin", code, emit_constant_like(integers, 127));
    return emit_binary(e, "llvm.smax", code, emit_constant_like(integers, -127));
}

static V as_f32(struct emitter *e, const struct value *x, V v) {
    return emit_cast(e, x->type.dtype, DTYPE_F32, v);
}

/* The whole block whose 32 elements are at p: codes, scale, sum. */
static bool block(struct emitter *e, const struct node *n, const struct point *p, V made[3]) {
    V x = emit_value(e, n->operands[0], p);
    if (!x) return false;
    x = as_f32(e, n->operands[0], x);
    made[1] = LLVMBuildFDiv(e->builder, emit_largest_lane(e, size_of(e, x)), emit_f32(e, 127), "");
    made[0] = codes_of(e, x, inverse(e, made[1]));
    made[2] = emit_horizontal(e, SCALAR_add, made[0]);
    struct point b = *p;
    b.lanes = 1;
    b.mask = b.tail = NULL;
    b.at[b.rank - 1] = index_div_by(e, p->at[p->rank - 1], BLOCK, BLOCK);
    emit_remember(e, n->results[0], p, made[0]);
    emit_remember(e, n->results[1], &b, made[1]);
    emit_remember(e, n->results[2], &b, made[2]);
    return true;
}

/* The elements of block number b.at[last]. */
static struct point elements(struct emitter *e, const struct node *n, const struct point *b) {
    struct point p = *b;
    LLVMValueRef base = emit_mul(e, b->at[b->rank - 1].base, emit_i64(e, BLOCK));
    const struct extent *all = n->operands[0]->type.extents[b->rank - 1];
    int64_t count;
    p.lanes = BLOCK;
    p.at[b->rank - 1] = index_lanes(base, BLOCK);
    if (!extent_is_const(all, &count) || count % BLOCK)
        p.mask = p.tail = emit_tail_mask(e, base, emit_extent(e, all), BLOCK);
    return p;
}

/* Each lane's own block, element after element: the block's scale, or the sum of its codes. */
static V own_block(struct emitter *e, const struct node *n, int result, const struct point *p) {
    int last = p->rank - 1;
    V scale = result == 2 ? own_block(e, n, 1, p) : NULL, sum;
    V first = LLVMConstNull(emit_vector(e, result == 2 ? e->i32 : e->f32, p->lanes));
    const struct extent *all = n->operands[0]->type.extents[last];
    struct index begin = index_scale_by(e, p->at[last], BLOCK, p->lanes);
    V end = emit_splat(e, emit_extent(e, all), p->lanes);
    struct emit_loop elements;
    if (result == 2 && !scale) return NULL;
    emit_loop_begin(e, &elements, emit_i64(e, 0), emit_i64(e, BLOCK), 1, 1, &first);
    struct point q = *p;
    q.at[last] = index_add(e, begin, index_uniform(elements.counter), p->lanes);
    V inside = LLVMBuildICmp(e->builder, LLVMIntSLT, index_vector(e, &q.at[last], p->lanes), end, "");
    q.mask = p->mask ? LLVMBuildAnd(e->builder, p->mask, inside, "") : inside;
    q.tail = NULL;
    V x = emit_value(e, n->operands[0], &q);
    sum = elements.carried[0];
    if (x && result == 1) sum = emit_larger(e, size_of(e, as_f32(e, n->operands[0], x)), sum);
    if (x && result == 2)
        sum = LLVMBuildAdd(e->builder, sum, codes_of(e, as_f32(e, n->operands[0], x), inverse(e, scale)), "");
    emit_loop_end(e, &elements, &sum);
    if (!x) return NULL;
    return result == 2
               ? elements.carried[0]
               : LLVMBuildFDiv(e->builder, elements.carried[0], emit_constant_like(LLVMTypeOf(sum), 127), "");
}

/* Lanes one by one, where they are not of one block. */
static V lane_by_lane(struct emitter *e, const struct node *n, int result, const struct point *p) {
    if (e->threaded && result) return own_block(e, n, result, p);
    V made = LLVMGetPoison(emit_vector(e, emit_compute_type(e, n->results[result]->type.dtype), p->lanes));
    for (int l = 0; l < p->lanes; l++) {
        struct point q = *p;
        q.lanes = 1;
        q.mask = q.tail = NULL;
        V lane = emit_i32(e, l),
          wanted = p->mask ? LLVMBuildExtractElement(e->builder, p->mask, lane, "") : NULL;
        for (int i = 0; i < p->rank; i++) {
            V one = LLVMBuildExtractElement(e->builder, index_vector(e, &p->at[i], p->lanes), lane, "");
            q.at[i] =
                index_uniform(wanted ? LLVMBuildSelect(e->builder, wanted, one, emit_i64(e, 0), "") : one);
        }
        V v = emit_value(e, n->results[result], &q);
        if (!v) return NULL;
        made = LLVMBuildInsertElement(e->builder, made, v, lane, "");
    }
    return made;
}

static V one_code(struct emitter *e, const struct node *n, const struct point *p) {
    struct point b = *p;
    b.lanes = 1;
    b.mask = b.tail = NULL;
    b.at[b.rank - 1] = index_div_by(e, p->at[p->rank - 1], BLOCK, p->lanes);
    bool apart = !index_is_uniform(&b.at[b.rank - 1]);
    if (apart && e->threaded) {
        b.lanes = p->lanes;
        b.mask = p->mask;
    } else if (apart) {
        return lane_by_lane(e, n, 0, p);
    }
    V scale = emit_value(e, n->results[1], &b), x = emit_value(e, n->operands[0], p);
    return scale && x ? codes_of(e, as_f32(e, n->operands[0], x), inverse(e, scale)) : NULL;
}

LLVMValueRef emit_family_quantize(struct emitter *e, const struct node *n, int result,
                                  const struct point *p) {
    const struct index *last = &p->at[p->rank - 1];
    bool whole = p->lanes == BLOCK && !last->vector && last->stride == 1 && last->align % BLOCK == 0;
    for (int i = 0; i < p->rank - 1; i++) whole = whole && index_is_uniform(&p->at[i]);
    V made[3];
    if (result == 0 && !whole) return one_code(e, n, p);
    if (result && p->lanes > 1) return lane_by_lane(e, n, result, p);
    struct point q = result ? elements(e, n, p) : *p;
    return block(e, n, &q, made) ? made[result] : NULL;
}
