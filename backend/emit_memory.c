/* Elements and vectors of buffers: where a point lies in a layout, and the load or store that its lanes
 * allow. */
#include "backend/emulate.h"

enum {
    ZEROS = 1024, /* bytes a masked scalar load reads instead, so that nothing outside a buffer is touched */
    WIDEST = 16   /* bytes that a thread of a GPU loads at once */
};

/* Position, in elements, of a point of a tensor laid out in parts, padded to whole tiles. */
static struct index layout_position(struct emitter *e, const struct buffer *b, const struct point *p) {
    struct index at = index_constant(e, 0);
    for (int i = 0; i < b->layout->count; i++) {
        const struct layout_part *part = &b->layout->parts[i];
        struct index digit =
            part->step > 1 ? index_div_by(e, p->at[part->dim], part->step, p->lanes) : p->at[part->dim];
        if (part->count) {
            digit = index_rem_by(e, digit, part->count, p->lanes);
            at = index_scale_by(e, at, part->count, p->lanes);
        } else {
            LLVMValueRef n = emit_extent(e, b->type.extents[part->dim]), step = emit_i64(e, part->step);
            LLVMValueRef count = emit_div_up(e, n, step);
            at = LLVMIsAConstantInt(count) ? index_scale_by(e, at, LLVMConstIntGetSExtValue(count), p->lanes)
                 : index_is_uniform(&at)   ? index_uniform(emit_mul(e, at.base, count))
                                           : (ice("a layout splits a dimension above a symbolic one"), at);
        }
        at = index_add(e, at, digit, p->lanes);
    }
    return at;
}

struct index emit_position(struct emitter *e, const struct buffer *b, const struct point *p) {
    return b->layout ? layout_position(e, b, p) : point_flatten(e, &b->type, p, 0, b->type.rank);
}

static LLVMValueRef mask_of(struct emitter *e, LLVMValueRef mask, int lanes) {
    return mask ? mask : LLVMConstAllOnes(emit_vector(e, e->i1, lanes));
}

static void set_alignment(struct emitter *e, LLVMValueRef access, LLVMTypeRef t) {
    LLVMSetAlignment(access, (unsigned)LLVMABISizeOfType(e->layout, emit_element(t)));
}

static void mark_aligned(struct emitter *e, LLVMValueRef call, unsigned argument, LLVMTypeRef t) {
    unsigned kind = LLVMGetEnumAttributeKindForName("align", 5);
    LLVMAttributeRef align =
        LLVMCreateEnumAttribute(e->context, kind, LLVMABISizeOfType(e->layout, emit_element(t)));
    LLVMAddCallSiteAttribute(call, argument, align);
}

LLVMValueRef emit_load_aligned(struct emitter *e, LLVMTypeRef t, LLVMValueRef address, unsigned align,
                               bool constant) {
    LLVMValueRef v = LLVMBuildLoad2(e->builder, t, address, "");
    LLVMSetAlignment(v, align);
    unsigned kind = LLVMGetMDKindIDInContext(e->context, "invariant.load", 14);
    LLVMMetadataRef empty = LLVMMDNodeInContext2(e->context, NULL, 0);
    if (constant) LLVMSetMetadata(v, kind, LLVMMetadataAsValue(e->context, empty));
    return v;
}

/* The same where others of the warp leave it out; 0 there. */
static LLVMValueRef load_if(struct emitter *e, LLVMTypeRef t, LLVMValueRef address, LLVMValueRef mask,
                            unsigned align, bool constant) {
    LLVMBasicBlockRef from[2] = {LLVMGetInsertBlock(e->builder)};
    LLVMValueRef values[2] = {LLVMConstNull(t)};
    struct emit_if some;
    emit_if_begin(e, &some, mask);
    values[1] = emit_load_aligned(e, t, address, align, constant);
    from[1] = LLVMGetInsertBlock(e->builder);
    emit_if_end(e, &some);
    LLVMValueRef loaded = LLVMBuildPhi(e->builder, t, "");
    LLVMAddIncoming(loaded, values, from, 2);
    return loaded;
}

static LLVMValueRef load_one(struct emitter *e, LLVMTypeRef t, LLVMValueRef address, LLVMValueRef mask) {
    if (mask) {
        static const char zeros[ZEROS];
        address = LLVMBuildSelect(e->builder, mask, address, emit_table(e, zeros, ZEROS), "");
    }
    LLVMValueRef v = LLVMBuildLoad2(e->builder, t, address, "");
    set_alignment(e, v, t);
    return v;
}

/* This thread's element of a vector at `address`. */
static LLVMValueRef own_element(struct emitter *e, LLVMTypeRef t, LLVMValueRef address) {
    int64_t bytes = (int64_t)LLVMABISizeOfType(e->layout, t);
    return emit_offset(e, address, emit_mul(e, e->lane, emit_i64(e, bytes)));
}

LLVMValueRef emit_load_lanes(struct emitter *e, LLVMTypeRef t, LLVMValueRef address, int lanes,
                             LLVMValueRef mask) {
    if (e->threaded) {
        unsigned align = (unsigned)LLVMABISizeOfType(e->layout, t);
        if (lanes > 1) address = own_element(e, t, address);
        return mask ? load_if(e, t, address, mask, align, false) : emit_load_aligned(e, t, address, align, false);
    }
    if (lanes == 1) return load_one(e, t, address, mask);
    LLVMTypeRef type = emit_vector(e, t, lanes);
    if (!mask) {
        LLVMValueRef v = LLVMBuildLoad2(e->builder, type, address, "");
        set_alignment(e, v, t);
        return v;
    }
    LLVMValueRef arguments[] = {address, mask, LLVMConstNull(type)};
    LLVMValueRef v = emit_intrinsic(e, "llvm.masked.load", (LLVMTypeRef[]){type, e->ptr}, 2, arguments, 3);
    mark_aligned(e, v, 1, t);
    return v;
}

static void store_one(struct emitter *e, LLVMValueRef value, LLVMValueRef address, LLVMValueRef mask) {
    struct emit_if branch;
    if (mask) emit_if_begin(e, &branch, mask);
    set_alignment(e, LLVMBuildStore(e->builder, value, address), LLVMTypeOf(value));
    if (mask) emit_if_end(e, &branch);
}

void emit_store_lanes(struct emitter *e, LLVMValueRef value, LLVMValueRef address, LLVMValueRef mask) {
    LLVMTypeRef type = LLVMTypeOf(value);
    if (e->threaded) {
        store_one(e, value, own_element(e, type, address), mask);
        return;
    }
    if (mask && emit_lanes_of(value) > 1) {
        LLVMValueRef arguments[] = {value, address, mask};
        LLVMValueRef s =
            emit_intrinsic(e, "llvm.masked.store", (LLVMTypeRef[]){type, e->ptr}, 2, arguments, 3);
        mark_aligned(e, s, 2, type);
        return;
    }
    store_one(e, value, address, mask);
}

LLVMValueRef emit_addresses(struct emitter *e, LLVMValueRef base, struct index at, int64_t bytes, int lanes) {
    struct index offset = index_scale_by(e, at, bytes, lanes);
    LLVMValueRef offsets = index_vector(e, &offset, lanes);
    return LLVMBuildGEP2(e->builder, e->i8, base, &offsets, 1, "");
}

/* Neighbours that a thread loads one after the other become one access where the first is known to be
 * aligned. */
static LLVMValueRef load_threads(struct emitter *e, LLVMTypeRef t, LLVMValueRef base, const struct index *at,
                                 int lanes, LLVMValueRef mask, bool constant) {
    int64_t bytes = (int64_t)LLVMABISizeOfType(e->layout, t),
            known = index_lanes_align(at) & -index_lanes_align(at);
    unsigned align = (unsigned)(known < WIDEST / bytes ? known * bytes : WIDEST);
    LLVMValueRef address = emit_addresses(e, base, *at, bytes, lanes);
    return mask ? load_if(e, t, address, mask, align, constant) : emit_load_aligned(e, t, address, align, constant);
}

/* The runtime looks at each lane's address; whole vectors, and what is one for all lanes, need no care. (Nor could
 * LLVM 22.1.8 be trusted: without AVX-512 it makes whole loads of the upper parts of a masked one of 32 lanes.) */
static bool is_emulated_access(const struct emitter *e, const struct index *at, int lanes, LLVMValueRef mask) {
    return target_emulates_gpu(e->target) && lanes > 1 && (mask || at->vector || at->stride != 1);
}

LLVMValueRef emit_load_at(struct emitter *e, LLVMTypeRef t, LLVMValueRef base, struct index at, int lanes,
                          LLVMValueRef mask) {
    int64_t bytes = (int64_t)LLVMABISizeOfType(e->layout, t);
    if (e->threaded) return load_threads(e, t, base, &at, lanes, mask, false);
    if (is_emulated_access(e, &at, lanes, mask))
        return emulate_load(e, t, emit_addresses(e, base, at, bytes, lanes), mask);
    if (!at.vector && (lanes == 1 || at.stride == 1))
        return emit_load_lanes(e, t, emit_offset(e, base, emit_mul(e, at.base, emit_i64(e, bytes))), lanes,
                               mask);
    LLVMTypeRef type = emit_vector(e, t, lanes);
    LLVMValueRef pointers = emit_addresses(e, base, at, bytes, lanes);
    LLVMValueRef arguments[] = {pointers, mask_of(e, mask, lanes), LLVMConstNull(type)};
    LLVMValueRef v =
        emit_intrinsic(e, "llvm.masked.gather", (LLVMTypeRef[]){type, LLVMTypeOf(pointers)}, 2, arguments, 3);
    mark_aligned(e, v, 1, t);
    return v;
}

LLVMValueRef emit_load_constant(struct emitter *e, LLVMTypeRef t, LLVMValueRef base, struct index at,
                                int lanes) {
    return e->threaded ? load_threads(e, t, base, &at, lanes, NULL, true)
                       : emit_load_at(e, t, base, at, lanes, NULL);
}

void emit_store_at(struct emitter *e, LLVMValueRef value, LLVMValueRef base, struct index at, int lanes,
                   LLVMValueRef mask) {
    LLVMTypeRef type = LLVMTypeOf(value);
    int64_t bytes = (int64_t)LLVMABISizeOfType(e->layout, emit_element(type));
    if (e->threaded) {
        store_one(e, value, emit_addresses(e, base, at, bytes, lanes), mask);
        return;
    }
    if (is_emulated_access(e, &at, lanes, mask)) {
        emulate_store(e, value, emit_addresses(e, base, at, bytes, lanes), mask);
        return;
    }
    if (!at.vector && (lanes == 1 || at.stride == 1)) {
        emit_store_lanes(e, value, emit_offset(e, base, emit_mul(e, at.base, emit_i64(e, bytes))), mask);
        return;
    }
    LLVMValueRef pointers = emit_addresses(e, base, at, bytes, lanes);
    LLVMValueRef arguments[] = {value, pointers, mask_of(e, mask, lanes)};
    LLVMValueRef s = emit_intrinsic(e, "llvm.masked.scatter", (LLVMTypeRef[]){type, LLVMTypeOf(pointers)}, 2,
                                    arguments, 3);
    mark_aligned(e, s, 2, type);
}

static enum dtype element_of(const struct buffer *b) {
    return b->stored && b->format <= FORMAT_bool ? (enum dtype)b->format : b->type.dtype;
}
_Static_assert((int)FORMAT_f64 == (int)DTYPE_F64 && (int)FORMAT_bool == (int)DTYPE_BOOL,
               "plain formats are dtypes");

LLVMValueRef emit_load(struct emitter *e, const struct buffer *b, const struct point *p) {
    if (b->stored && b->format > FORMAT_bool) return emit_load_packed(e, b, p);
    enum dtype t = element_of(b);
    struct index at = emit_position(e, b, p);
    LLVMTypeRef type = emit_type(e, t);
    LLVMValueRef lying = e->threaded ? load_threads(e, type, b->base, &at, p->lanes, p->mask, b->constant)
                                     : emit_load_at(e, type, b->base, at, p->lanes, p->mask);
    LLVMValueRef value = emit_widen(e, t, lying);
    return t == b->type.dtype ? value : emit_cast(e, t, b->type.dtype, value);
}

void emit_store(struct emitter *e, const struct buffer *b, const struct point *p, LLVMValueRef value) {
    enum dtype t = element_of(b);
    if (t != b->type.dtype) value = emit_cast(e, b->type.dtype, t, value);
    emit_store_at(e, emit_narrow(e, t, emit_splat(e, value, p->lanes)), b->base, emit_position(e, b, p), p->lanes,
                  p->mask);
}
