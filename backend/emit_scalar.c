/* The primitives of scalars.def as instructions, on one element or a vector: a row a primitive. */
#include "backend/emit_math.h"

/* `v` as a truth value, and as a number of dtype t. */
static LLVMValueRef truth(struct emitter *e, LLVMValueRef v) {
    LLVMTypeRef t = LLVMTypeOf(v);
    if (emit_element(t) == e->i1) return v;
    if (emit_is_float(t)) return LLVMBuildFCmp(e->builder, LLVMRealUNE, v, LLVMConstNull(t), "");
    return LLVMBuildICmp(e->builder, LLVMIntNE, v, LLVMConstNull(t), "");
}

static LLVMValueRef number(struct emitter *e, LLVMTypeRef scalar, LLVMValueRef v) {
    if (emit_element(LLVMTypeOf(v)) != e->i1 || scalar == e->i1) return v;
    LLVMTypeRef to = emit_vector(e, scalar, emit_lanes_of(v));
    return emit_is_float(to) ? LLVMBuildUIToFP(e->builder, v, to, "") : LLVMBuildZExt(e->builder, v, to, "");
}

#define IS_FLOAT emit_is_float(LLVMTypeOf(a))
#define UNARY(name)                                                                                          \
    static LLVMValueRef scalar_##name(struct emitter *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c) {   \
        (void)b, (void)c;
#define BINARY(name)                                                                                         \
    static LLVMValueRef scalar_##name(struct emitter *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c) {   \
        (void)c;

UNARY(neg) return IS_FLOAT ? LLVMBuildFNeg(e->builder, a, "") : LLVMBuildNeg(e->builder, a, "");
}
UNARY(abs)
if (IS_FLOAT) return emit_unary(e, "llvm.fabs", a);
LLVMValueRef wraps = LLVMConstNull(e->i1);
return emit_intrinsic(e, "llvm.abs", (LLVMTypeRef[]){LLVMTypeOf(a)}, 1, (LLVMValueRef[]){a, wraps}, 2);
}
UNARY(sqrt) return emit_unary(e, "llvm.sqrt", a);
}
UNARY(exp) return math_exp(e, a);
}
UNARY(exp2) return math_exp2(e, a);
}
UNARY(expm1) return math_expm1(e, a);
}
UNARY(log) return math_log(e, a);
}
UNARY(log1p) return math_log1p(e, a);
}
UNARY(sin) return math_sin(e, a);
}
UNARY(cos) return math_cos(e, a);
}
UNARY(tanh) return math_tanh(e, a);
}
UNARY(erf) return math_erf(e, a);
}
UNARY(gelu) return math_gelu(e, a);
}
UNARY(floor) return IS_FLOAT ? math_round(e, MATH_FLOOR, a) : a;
}
UNARY(ceil) return IS_FLOAT ? math_round(e, MATH_CEIL, a) : a;
}
UNARY(round) return IS_FLOAT ? math_round(e, MATH_NEAREST, a) : a;
}
UNARY(not ) return LLVMBuildNot(e->builder, truth(e, a), "");
}
BINARY(add) return IS_FLOAT ? LLVMBuildFAdd(e->builder, a, b, "") : LLVMBuildAdd(e->builder, a, b, "");
}
BINARY(sub) return IS_FLOAT ? LLVMBuildFSub(e->builder, a, b, "") : LLVMBuildSub(e->builder, a, b, "");
}
BINARY(mul) return IS_FLOAT ? LLVMBuildFMul(e->builder, a, b, "") : LLVMBuildMul(e->builder, a, b, "");
}

/* Integer quotient towards zero; by zero 0, and INT_MIN / -1 wraps: neither may trap. */
static LLVMValueRef safe_divisor(struct emitter *e, LLVMValueRef b, LLVMValueRef *bad) {
    LLVMTypeRef t = LLVMTypeOf(b);
    LLVMValueRef zero = LLVMBuildICmp(e->builder, LLVMIntEQ, b, LLVMConstNull(t), "");
    LLVMValueRef minus = LLVMBuildICmp(e->builder, LLVMIntEQ, b, emit_constant_like(t, -1), "");
    *bad = zero;
    return LLVMBuildSelect(e->builder, LLVMBuildOr(e->builder, zero, minus, ""), emit_constant_like(t, 1), b,
                           "");
}

BINARY(div)
if (IS_FLOAT) return LLVMBuildFDiv(e->builder, a, b, "");
LLVMValueRef zero, q = LLVMBuildSDiv(e->builder, a, safe_divisor(e, b, &zero), "");
LLVMValueRef minus = LLVMBuildICmp(e->builder, LLVMIntEQ, b, emit_constant_like(LLVMTypeOf(b), -1), "");
q = LLVMBuildSelect(e->builder, minus, LLVMBuildNeg(e->builder, a, ""), q, "");
return LLVMBuildSelect(e->builder, zero, LLVMConstNull(LLVMTypeOf(a)), q, "");
}

/* a mod 1 and a mod -1 are 0, so replacing a divisor of -1 by 1 changes nothing. */
static LLVMValueRef integer_rem(struct emitter *e, LLVMValueRef a, LLVMValueRef b) {
    LLVMTypeRef t = LLVMTypeOf(a);
    LLVMValueRef null = LLVMConstNull(t), zero;
    LLVMValueRef r = LLVMBuildSRem(e->builder, a, safe_divisor(e, b, &zero), "");
    LLVMValueRef mixed = LLVMBuildICmp(e->builder, LLVMIntSLT, LLVMBuildXor(e->builder, r, b, ""), null, "");
    LLVMValueRef nonzero = LLVMBuildICmp(e->builder, LLVMIntNE, r, null, "");
    LLVMValueRef shift = LLVMBuildAnd(e->builder, mixed, nonzero, "");
    r = LLVMBuildSelect(e->builder, shift, LLVMBuildAdd(e->builder, r, b, ""), r, "");
    return LLVMBuildSelect(e->builder, zero, null, r, "");
}

BINARY(rem) return IS_FLOAT ? math_rem(e, a, b) : integer_rem(e, a, b);
}
BINARY(pow) return IS_FLOAT ? math_pow(e, a, b) : math_integer_pow(e, a, b);
}
BINARY(min)
if (LLVMTypeOf(a) == LLVMTypeOf(truth(e, a))) return LLVMBuildAnd(e->builder, a, b, "");
return emit_binary(e, IS_FLOAT ? "llvm.minimum" : "llvm.smin", a, b);
}
BINARY(max)
if (LLVMTypeOf(a) == LLVMTypeOf(truth(e, a))) return LLVMBuildOr(e->builder, a, b, "");
return emit_binary(e, IS_FLOAT ? "llvm.maximum" : "llvm.smax", a, b);
}

static LLVMValueRef compare(struct emitter *e, LLVMRealPredicate real, LLVMIntPredicate integer,
                            LLVMValueRef a, LLVMValueRef b) {
    return IS_FLOAT ? LLVMBuildFCmp(e->builder, real, a, b, "")
                    : LLVMBuildICmp(e->builder, integer, a, b, "");
}
static LLVMIntPredicate less(struct emitter *e, LLVMValueRef a) {
    return emit_element(LLVMTypeOf(a)) == e->i1 ? LLVMIntULT : LLVMIntSLT; /* true is 1, not -1 */
}
BINARY(eq) return compare(e, LLVMRealOEQ, LLVMIntEQ, a, b);
}
BINARY(ne) return compare(e, LLVMRealUNE, LLVMIntNE, a, b);
}
BINARY(lt) return compare(e, LLVMRealOLT, less(e, a), a, b);
}
BINARY(le)
return compare(e, LLVMRealOLE, emit_element(LLVMTypeOf(a)) == e->i1 ? LLVMIntULE : LLVMIntSLE, a, b);
}
BINARY(and) return LLVMBuildAnd(e->builder, truth(e, a), truth(e, b), "");
}
BINARY(or) return LLVMBuildOr(e->builder, truth(e, a), truth(e, b), "");
}
static LLVMValueRef scalar_select(struct emitter *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c) {
    return LLVMBuildSelect(e->builder, truth(e, a), b, c, "");
}

typedef LLVMValueRef scalar_function(struct emitter *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c);
static scalar_function *const functions[SCALAR_COUNT] = {
#define SCALAR(name, operands, meaning) [SCALAR_##name] = scalar_##name,
#include "ir/scalars.def"
#undef SCALAR
};

/* Brings the operands to one type: truth values become numbers where they meet numbers. */
static void match(struct emitter *e, enum scalar_op op, LLVMTypeRef scalar, LLVMValueRef *operands) {
    int first = op == SCALAR_select ? 1 : 0, count = scalar_arity(op);
    LLVMTypeRef meet = e->i1;
    for (int i = first; i < count; i++)
        if (emit_element(LLVMTypeOf(operands[i])) != e->i1) meet = emit_element(LLVMTypeOf(operands[i]));
    bool arithmetic =
        op == SCALAR_add || op == SCALAR_sub || op == SCALAR_mul || op == SCALAR_div || op == SCALAR_neg;
    if (meet == e->i1 && arithmetic) meet = scalar == e->i1 ? e->i32 : scalar;
    for (int i = first; i < count; i++) operands[i] = number(e, meet, operands[i]);
}

LLVMValueRef emit_scalar(struct emitter *e, enum scalar_op op, enum dtype t, LLVMValueRef const *operands) {
    LLVMValueRef own[3] = {0};
    int lanes = 1;
    for (int i = 0; i < scalar_arity(op); i++)
        if (emit_lanes_of(operands[i]) > lanes) lanes = emit_lanes_of(operands[i]);
    for (int i = 0; i < scalar_arity(op); i++) own[i] = emit_splat(e, operands[i], lanes);
    match(e, op, emit_compute_type(e, t), own);
    return functions[op](e, own[0], own[1], own[2]);
}
