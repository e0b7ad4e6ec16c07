/* Conversions: between what lies in memory and what is computed with, and from one element type to another.
 */
#include "backend/emit.h"

static bool is_signed(enum dtype t) { return t != DTYPE_U8 && t != DTYPE_BOOL; }

static LLVMTypeRef like(LLVMTypeRef scalar, LLVMValueRef v) {
    int lanes = emit_lanes_of(v);
    return lanes > 1 ? LLVMVectorType(scalar, (unsigned)lanes) : scalar;
}

LLVMValueRef emit_widen(struct emitter *e, enum dtype t, LLVMValueRef value) {
    LLVMTypeRef to = like(emit_compute_type(e, t), value);
    if (t == DTYPE_BOOL)
        return LLVMBuildICmp(e->builder, LLVMIntNE, value, LLVMConstNull(LLVMTypeOf(value)), "");
    if (to == LLVMTypeOf(value)) return value;
    if (t == DTYPE_BF16) {
        LLVMTypeRef bits = like(e->i32, value);
        value = LLVMBuildZExt(e->builder, value, bits, "");
        return LLVMBuildBitCast(e->builder, LLVMBuildShl(e->builder, value, emit_constant_like(bits, 16), ""),
                                to, "");
    }
    if (dtype_class(t) == CLASS_FLOAT) return LLVMBuildFPExt(e->builder, value, to, "");
    return is_signed(t) ? LLVMBuildSExt(e->builder, value, to, "") : LLVMBuildZExt(e->builder, value, to, "");
}

/* f64 to f32, rounded to odd: the next rounding, to a still narrower type, comes out as if it had been the
 * only one (S. Boldo, G. Melquiond: When double rounding is odd, 2005). */
static LLVMValueRef round_to_odd(struct emitter *e, LLVMValueRef value) {
    LLVMTypeRef type = like(e->f32, value), bits_type = like(e->i32, value);
    LLVMValueRef near = LLVMBuildFPTrunc(e->builder, value, type, "");
    LLVMValueRef back = LLVMBuildFPExt(e->builder, near, LLVMTypeOf(value), "");
    LLVMValueRef bits = LLVMBuildBitCast(e->builder, near, bits_type, "");
    LLVMValueRef size = emit_unary(e, "llvm.fabs", value), near_size = emit_unary(e, "llvm.fabs", back);
    LLVMValueRef beyond = LLVMBuildFCmp(e->builder, LLVMRealOGT, near_size, size, "");
    LLVMValueRef inexact = LLVMBuildFCmp(e->builder, LLVMRealONE, back, value, "");
    bits = LLVMBuildSub(e->builder, bits, LLVMBuildZExt(e->builder, beyond, bits_type, ""), "");
    bits = LLVMBuildOr(e->builder, bits, LLVMBuildZExt(e->builder, inexact, bits_type, ""), "");
    return LLVMBuildBitCast(e->builder, bits, type, "");
}

/* The bits of one f32, by way of the stack: what LLVM 22.1.8 computes from a bitcast float it may keep in a
 * vector register, and then it stores four bytes where two are asked for (AVX-512 without its bf16
 * conversions). */
static LLVMValueRef bits_of_one(struct emitter *e, LLVMValueRef value) {
    LLVMBasicBlockRef back = emit_entry_begin(e);
    LLVMValueRef slot = LLVMBuildAlloca(e->builder, e->f32, "");
    emit_entry_end(e, back);
    LLVMSetVolatile(LLVMBuildStore(e->builder, value, slot), 1);
    LLVMValueRef bits = LLVMBuildLoad2(e->builder, e->i32, slot, "");
    LLVMSetVolatile(bits, 1);
    return bits;
}

/* f32 to bf16, to nearest even, in integers: where there is no instruction, LLVM would call a function of
 * compiler-rt. */
static LLVMValueRef bf16_by_bits(struct emitter *e, LLVMValueRef value) {
    LLVMTypeRef type = like(e->i32, value);
    LLVMValueRef bits =
        type == e->i32 ? bits_of_one(e, value) : LLVMBuildBitCast(e->builder, value, type, "");
    LLVMValueRef sixteen = emit_constant_like(type, 16);
    LLVMValueRef high = LLVMBuildLShr(e->builder, bits, sixteen, "");
    LLVMValueRef odd = LLVMBuildAnd(e->builder, high, emit_constant_like(type, 1), "");
    LLVMValueRef up = LLVMBuildAdd(e->builder, odd, emit_constant_like(type, 0x7fff), "");
    LLVMValueRef rounded = LLVMBuildLShr(e->builder, LLVMBuildAdd(e->builder, bits, up, ""), sixteen, "");
    LLVMValueRef size = LLVMBuildAnd(e->builder, bits, emit_constant_like(type, 0x7fffffff), "");
    LLVMValueRef nan = LLVMBuildICmp(e->builder, LLVMIntUGT, size, emit_constant_like(type, 0x7f800000), "");
    LLVMValueRef quiet = LLVMBuildOr(e->builder, high, emit_constant_like(type, 0x40), "");
    LLVMValueRef made = LLVMBuildSelect(e->builder, nan, quiet, rounded, "");
    return LLVMBuildTrunc(e->builder, made, like(e->i16, value), "");
}

static LLVMValueRef to_bf16(struct emitter *e, LLVMValueRef value) {
    if (emit_element(LLVMTypeOf(value)) == e->f64) value = round_to_odd(e, value);
    if (!e->target->bf16 || e->target->emulated) return bf16_by_bits(e, value);
    value = LLVMBuildFPTrunc(e->builder, value, like(e->bf16, value), "");
    return LLVMBuildBitCast(e->builder, value, like(e->i16, value), "");
}

static bool is_made_by(LLVMValueRef value, LLVMOpcode op) {
    return LLVMIsAInstruction(value) && LLVMGetInstructionOpcode(value) == op;
}

/* What emit_widen made `value` of, if that is of type `narrow`: rounding would give it again. Else NULL. */
static LLVMValueRef before_widening(LLVMValueRef value, LLVMTypeRef narrow) {
    bool extended = is_made_by(value, LLVMFPExt);
    if (!extended && is_made_by(value, LLVMBitCast)) {
        LLVMValueRef shifted = LLVMGetOperand(value, 0);
        if (!is_made_by(shifted, LLVMShl)) return NULL;
        value = LLVMGetOperand(shifted, 0);
        bool by_half = LLVMGetOperand(shifted, 1) == emit_constant_like(LLVMTypeOf(shifted), 16);
        extended = by_half && is_made_by(value, LLVMZExt);
    }
    LLVMValueRef from = extended ? LLVMGetOperand(value, 0) : NULL;
    return from && LLVMTypeOf(from) == narrow ? from : NULL;
}

LLVMValueRef emit_narrow(struct emitter *e, enum dtype t, LLVMValueRef value) {
    LLVMTypeRef to = like(emit_type(e, t), value);
    if (to == LLVMTypeOf(value)) return value;
    LLVMValueRef lying = before_widening(value, to);
    if (lying) return lying;
    if (t == DTYPE_BOOL) return LLVMBuildZExt(e->builder, value, to, "");
    if (t == DTYPE_BF16) return to_bf16(e, value);
    if (dtype_class(t) == CLASS_FLOAT) return LLVMBuildFPTrunc(e->builder, value, to, "");
    return LLVMBuildTrunc(e->builder, value, to, "");
}

LLVMValueRef emit_wrap(struct emitter *e, enum dtype t, LLVMValueRef value) {
    if (dtype_class(t) == CLASS_INTEGER && dtype_bytes(t) < 4)
        return emit_widen(e, t, emit_narrow(e, t, value));
    return value;
}

/* Towards zero, saturating, NaN to 0: what llvm.fpto[su]i.sat does, narrow types by way of a wider one. */
static LLVMValueRef float_to_integer(struct emitter *e, enum dtype to, LLVMValueRef value) {
    LLVMTypeRef narrow = like(emit_type(e, to), value);
    const char *name = is_signed(to) ? "llvm.fptosi.sat" : "llvm.fptoui.sat";
    return emit_widen(e, to,
                      emit_intrinsic(e, name, (LLVMTypeRef[]){narrow, LLVMTypeOf(value)}, 2, &value, 1));
}

static LLVMValueRef integer_to_integer(struct emitter *e, enum dtype from, enum dtype to,
                                       LLVMValueRef value) {
    LLVMTypeRef type = like(emit_compute_type(e, to), value);
    unsigned have = LLVMGetIntTypeWidth(emit_element(LLVMTypeOf(value))),
             want = LLVMGetIntTypeWidth(emit_element(type));
    if (have < want)
        value = is_signed(from) ? LLVMBuildSExt(e->builder, value, type, "")
                                : LLVMBuildZExt(e->builder, value, type, "");
    if (have > want) value = LLVMBuildTrunc(e->builder, value, type, "");
    return emit_wrap(e, to, value);
}

static LLVMValueRef float_to_float(struct emitter *e, enum dtype to, LLVMValueRef value) {
    LLVMTypeRef type = like(emit_compute_type(e, to), value);
    LLVMValueRef lying = LLVMTypeOf(value) == like(emit_type(e, to), value) ? value : NULL;
    if (lying) return lying;
    if (to == DTYPE_F64) return LLVMBuildFPExt(e->builder, value, type, "");
    return emit_widen(e, to, emit_narrow(e, to, value));
}

LLVMValueRef emit_round(struct emitter *e, enum dtype t, LLVMValueRef value) {
    bool narrow = t == DTYPE_F16 || t == DTYPE_BF16;
    return narrow ? emit_widen(e, t, emit_narrow(e, t, value)) : value;
}

/* As f64, for to_bf16. The bits of an i64 that f64 has no place for are rounded to odd first. */
static LLVMValueRef integer_to_double(struct emitter *e, LLVMValueRef value) {
    LLVMTypeRef type = LLVMTypeOf(value);
    if (emit_element(type) == e->i64) {
        LLVMValueRef none = LLVMConstNull(type),
                     low = LLVMBuildAnd(e->builder, value, emit_constant_like(type, 0x7ff), "");
        LLVMValueRef some = LLVMBuildICmp(e->builder, LLVMIntNE, low, none, "");
        LLVMValueRef odd = LLVMBuildSelect(e->builder, some, emit_constant_like(type, 0x800), none, "");
        odd = LLVMBuildOr(e->builder, LLVMBuildXor(e->builder, value, low, ""), odd, "");
        LLVMValueRef above = LLVMBuildAdd(e->builder, value, emit_constant_like(type, 0x1p53), "");
        LLVMValueRef fits =
            LLVMBuildICmp(e->builder, LLVMIntULE, above, emit_constant_like(type, 0x1p54), "");
        value = LLVMBuildSelect(e->builder, fits, value, odd, "");
    }
    return LLVMBuildSIToFP(e->builder, value, like(e->f64, value), "");
}

LLVMValueRef emit_cast(struct emitter *e, enum dtype from, enum dtype to, LLVMValueRef value) {
    bool float_from = dtype_class(from) == CLASS_FLOAT, float_to = dtype_class(to) == CLASS_FLOAT;
    if (to == DTYPE_BOOL) {
        LLVMValueRef zero = LLVMConstNull(LLVMTypeOf(value));
        if (from == DTYPE_BOOL) return value;
        return float_from ? LLVMBuildFCmp(e->builder, LLVMRealUNE, value, zero, "")
                          : LLVMBuildICmp(e->builder, LLVMIntNE, value, zero, "");
    }
    if (float_from && float_to) return float_to_float(e, to, value);
    if (float_from) return float_to_integer(e, to, value);
    if (!float_to) return integer_to_integer(e, from, to, value);
    if (to == DTYPE_BF16 && dtype_bytes(from) >= 4)
        return emit_widen(e, to, to_bf16(e, integer_to_double(e, value)));
    LLVMTypeRef type = like(emit_compute_type(e, to), value);
    value = is_signed(from) ? LLVMBuildSIToFP(e->builder, value, type, "")
                            : LLVMBuildUIToFP(e->builder, value, type, "");
    return emit_compute_type(e, to) == emit_type(e, to) ? value : float_to_float(e, to, value);
}
