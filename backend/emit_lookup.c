/* Ops whose positions are data, and values made of positions: gather, one_hot, iota, random numbers. */
#include "backend/emit_family.h"
#include "backend/emit_math.h"
#include "ir/random.h"

static struct index found_index(LLVMValueRef id, int lanes) {
    if (lanes == 1) return index_uniform(id);
    return (struct index){.vector = id, .align = 1};
}

bool emit_id(struct emitter *e, struct value *ids, const struct point *at, struct index *id) {
    bool uniform = true;
    for (int i = 0; i < at->rank; i++) uniform = uniform && index_is_uniform(&at->at[i]);
    struct point q = *at;
    if (uniform && q.lanes > 1 && q.mask == q.tail) {
        q.lanes = 1;
        q.mask = q.tail = NULL;
    }
    LLVMValueRef v = emit_index_value(e, ids, &q);
    if (v) *id = found_index(v, q.lanes);
    return v;
}

/* result [outer, ids..., inner] = table[outer, id, inner] */
LLVMValueRef emit_family_gather(struct emitter *e, const struct node *n, int result, const struct point *p) {
    struct value *table = n->operands[0], *ids = n->operands[1];
    int axis = (int)node_attr(n, "axis")->i, rank = ids->type.rank;
    (void)result;
    struct point at = *p, q = *p;
    at.rank = rank;
    for (int i = 0; i < rank; i++) at.at[i] = p->at[axis + i];
    q.rank = table->type.rank;
    if (!emit_id(e, ids, &at, &q.at[axis])) return NULL;
    for (int i = axis + 1; i < q.rank; i++) q.at[i] = p->at[i + rank - 1];
    return emit_value(e, table, &q);
}

LLVMValueRef emit_family_take_along(struct emitter *e, const struct node *n, int result,
                                    const struct point *p) {
    struct value *x = n->operands[0], *ids = n->operands[1];
    const struct type *to = &n->results[result]->type;
    int axis = (int)node_attr(n, "axis")->i;
    struct point at = point_broadcast(e, &ids->type, to, p), q = point_broadcast(e, &x->type, to, p);
    return emit_id(e, ids, &at, &q.at[axis]) ? emit_value(e, x, &q) : NULL;
}

LLVMValueRef emit_family_one_hot(struct emitter *e, const struct node *n, int result, const struct point *p) {
    struct point at = *p;
    (void)result;
    at.rank = p->rank - 1;
    LLVMValueRef id = emit_index_value(e, n->operands[0], &at);
    if (!id) return NULL;
    LLVMValueRef hit =
        LLVMBuildICmp(e->builder, LLVMIntEQ, id, index_vector(e, &p->at[p->rank - 1], p->lanes), "");
    return emit_cast(e, DTYPE_BOOL, DTYPE_F32, hit);
}

LLVMValueRef emit_family_iota(struct emitter *e, const struct node *n, int result, const struct point *p) {
    return emit_cast(e, DTYPE_I64, n->results[result]->type.dtype, index_vector(e, &p->at[0], p->lanes));
}

LLVMValueRef emit_family_extent(struct emitter *e, const struct node *n, int result, const struct point *p) {
    LLVMValueRef v = emit_splat(e, emit_extent(e, node_attr(n, "n")->e), p->lanes);
    return emit_cast(e, DTYPE_I64, n->results[result]->type.dtype, v);
}

/* ---- random numbers: Philox4x32-10, as ir/random.h has it ---- */

typedef LLVMValueRef V;

static V bits32(struct emitter *e, V v, int shift) {
    if (shift) v = LLVMBuildLShr(e->builder, v, emit_constant_like(LLVMTypeOf(v), shift), "");
    return LLVMBuildTrunc(e->builder, v, emit_vector(e, e->i32, emit_lanes_of(v)), "");
}

static V word(struct emitter *e, uint32_t value, int lanes) {
    return emit_splat(e, LLVMConstInt(e->i32, value, 0), lanes);
}

/* The 64-bit product of two words. */
static V wide(struct emitter *e, V a, uint32_t by) {
    LLVMTypeRef type = emit_vector(e, e->i64, emit_lanes_of(a));
    V factor = emit_splat(e, LLVMConstInt(e->i64, by, 0), emit_lanes_of(a));
    return LLVMBuildMul(e->builder, LLVMBuildZExt(e->builder, a, type, ""), factor, "");
}

static V xor3(struct emitter *e, V a, V b, uint32_t key) {
    V k = word(e, key, emit_lanes_of(a));
    return LLVMBuildXor(e->builder, LLVMBuildXor(e->builder, a, b, ""), k, "");
}

static void philox(struct emitter *e, struct random_key key, V words[4]) {
    uint32_t k0 = key.words[0], k1 = key.words[1];
    for (int round = 0; round < 10; round++, k0 += 0x9e3779b9u, k1 += 0xbb67ae85u) {
        V a = wide(e, words[0], 0xd2511f53u), b = wide(e, words[2], 0xcd9e8d57u);
        words[0] = xor3(e, bits32(e, b, 32), words[1], k0);
        words[1] = bits32(e, b, 0);
        words[2] = xor3(e, bits32(e, a, 32), words[3], k1);
        words[3] = bits32(e, a, 0);
    }
}

/* The high 24 bits as a number in 0..1, exactly. */
static V unit(struct emitter *e, V w) {
    V high = LLVMBuildLShr(e->builder, w, emit_constant_like(LLVMTypeOf(w), 8), "");
    V number = LLVMBuildUIToFP(e->builder, high, emit_vector(e, e->f32, emit_lanes_of(w)), "");
    return LLVMBuildFMul(e->builder, number, emit_constant_like(LLVMTypeOf(number), 0x1p-24), "");
}

static V normal(struct emitter *e, V u0, V u1, double std) {
    LLVMTypeRef t = LLVMTypeOf(u0);
    V log = math_log(e, LLVMBuildFSub(e->builder, emit_constant_like(t, 1), u0, "")), cosine;
    V radius = emit_unary(e, "llvm.sqrt", LLVMBuildFMul(e->builder, log, emit_constant_like(t, -2), ""));
    math_sincos_turns(e, LLVMBuildFPExt(e->builder, u1, emit_vector(e, e->f64, emit_lanes_of(u1)), ""), NULL,
                      &cosine);
    return LLVMBuildFMul(e->builder, LLVMBuildFMul(e->builder, radius, cosine, ""),
                         emit_constant_like(t, std), "");
}

LLVMValueRef emit_family_random(struct emitter *e, const struct node *n, int result, const struct point *p) {
    struct index flat = point_flatten(e, &n->results[result]->type, p, 0, p->rank);
    uint64_t stream = (uint64_t)node_attr(n, "seed")->i;
    V index = index_vector(e, &flat, p->lanes);
    V words[4] = {bits32(e, index, 0), bits32(e, index, 32), word(e, (uint32_t)stream, p->lanes),
                  word(e, (uint32_t)(stream >> 32), p->lanes)};
    philox(e, random_key(e->graph->seed, RANDOM_OPS), words);
    V u0 = unit(e, words[0]);
    if (n->op == OP_normal) return normal(e, u0, unit(e, words[1]), node_attr(n, "std")->f);
    double lo = node_attr(n, "lo")->f, hi = node_attr(n, "hi")->f;
    LLVMTypeRef t = LLVMTypeOf(u0);
    return emit_fma(e, u0, emit_constant_like(t, hi - lo), emit_constant_like(t, lo));
}
