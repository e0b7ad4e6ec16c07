/* Conversions: between what lies in memory and what is computed with, and from one element type to another.
 */
#include "backend/emit.h"

static bool is_signed(enum dtype t) { return t != DTYPE_U8 && t != DTYPE_BOOL; }

static LLVMTypeRef like(LLVMTypeRef scalar, LLVMValueRef v) { return emit_vector(scalar, emit_lanes_of(v)); }

LLVMValueRef emit_widen(struct emitter *e, enum dtype t, LLVMValueRef value) {
    LLVMTypeRef to = like(emit_compute_type(e, t), value);
    if (t == DTYPE_BOOL)
        return LLVMBuildICmp(e->builder, LLVMIntNE, value, LLVMConstNull(LLVMTypeOf(value)), "");
    if (to == LLVMTypeOf(value)) return value;
    if (dtype_class(t) == CLASS_FLOAT) return LLVMBuildFPExt(e->builder, value, to, "");
    return is_signed(t) ? LLVMBuildSExt(e->builder, value, to, "") : LLVMBuildZExt(e->builder, value, to, "");
}

LLVMValueRef emit_narrow(struct emitter *e, enum dtype t, LLVMValueRef value) {
    LLVMTypeRef to = like(emit_type(e, t), value);
    if (to == LLVMTypeOf(value)) return value;
    if (t == DTYPE_BOOL) return LLVMBuildZExt(e->builder, value, to, "");
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
    LLVMTypeRef narrow = like(emit_type(e, to), value);
    return emit_widen(e, to, LLVMBuildFPTrunc(e->builder, value, narrow, ""));
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
    LLVMTypeRef type = like(emit_compute_type(e, to), value);
    value = is_signed(from) ? LLVMBuildSIToFP(e->builder, value, type, "")
                            : LLVMBuildUIToFP(e->builder, value, type, "");
    return emit_compute_type(e, to) == emit_type(e, to) ? value : float_to_float(e, to, value);
}
