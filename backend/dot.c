/* Products of bytes on each kind of machine: one instruction of four, or pairs, or wider integers. */
#include "backend/dot.h"
#include "backend/simt.h"
#include <string.h>

typedef LLVMValueRef V;

enum { LARGEST = 32767, X_LARGEST = 128 };

/* An instruction of this lanes' vectors. */
struct instruction {
    int lanes;
    const char *name;
};

static const char *name_for(const struct instruction *list, size_t count, int lanes) {
    for (size_t i = 0; i < count; i++)
        if (list[i].lanes == lanes) return list[i].name;
    ice("no instruction multiplies integers of %d lanes", lanes);
}
#define NAME_FOR(list, lanes) name_for(list, sizeof(list) / sizeof *(list), lanes)

static LLVMTypeRef bytes_of(struct emitter *e, int lanes) {
    return LLVMVectorType(e->i8, (unsigned)(4 * lanes));
}
static LLVMTypeRef halves_of(struct emitter *e, int lanes) {
    return LLVMVectorType(e->i16, (unsigned)(2 * lanes));
}
static V as(struct emitter *e, V v, LLVMTypeRef t) { return LLVMBuildBitCast(e->builder, v, t, ""); }

/* ---- pairs of i16 ---- */

/* Sums of pairs of i16 products in i32. */
static V multiply_pairs(struct emitter *e, int lanes, V a, V b) {
    static const struct instruction names[] = {
        {4, "llvm.x86.sse2.pmadd.wd"}, {8, "llvm.x86.avx2.pmadd.wd"}, {16, "llvm.x86.avx512.pmaddw.d.512"}};
    V arguments[] = {a, b};
    return emit_intrinsic(e, NAME_FOR(names, lanes), NULL, 0, arguments, 2);
}

/* Pairs of products of bytes, added up in i16. */
static V add_pairs(struct emitter *e, const struct dot *d, V sum, V w, V x) {
    static const struct instruction names[] = {{4, "llvm.x86.ssse3.pmadd.ub.sw.128"},
                                               {8, "llvm.x86.avx2.pmadd.ub.sw"},
                                               {16, "llvm.x86.avx512.pmaddubs.w.512"}};
    LLVMTypeRef bytes = bytes_of(e, d->lanes);
    V arguments[] = {as(e, w, bytes), as(e, x, bytes)};
    return LLVMBuildAdd(e->builder, sum, emit_intrinsic(e, NAME_FOR(names, d->lanes), NULL, 0, arguments, 2),
                        "");
}

int dot_room(const struct emitter *e, const struct dot *d) {
    return e->target->byte_dot == DOT_maddubs ? LARGEST / (2 * X_LARGEST * d->most) : 0;
}

V dot_none(struct emitter *e, const struct dot *d) {
    return LLVMConstNull(dot_room(e, d) ? halves_of(e, d->lanes) : emit_vector(e, e->i32, d->lanes));
}

V dot_total(struct emitter *e, const struct dot *d, V total, V sum) {
    if (dot_room(e, d)) sum = multiply_pairs(e, d->lanes, sum, emit_constant_like(halves_of(e, d->lanes), 1));
    return LLVMBuildAdd(e->builder, total, sum, "");
}

/* ---- without an instruction for it ---- */

V dot_widen(struct emitter *e, const struct dot *d, V bytes, int half, bool is_signed) {
    LLVMTypeRef halves = halves_of(e, d->lanes);
    V both = as(e, bytes, halves), eight = emit_constant_like(halves, 8);
    if (!half) both = LLVMBuildShl(e->builder, both, eight, "");
    return is_signed ? LLVMBuildAShr(e->builder, both, eight, "")
                     : LLVMBuildLShr(e->builder, both, eight, "");
}

V dot_add_wide(struct emitter *e, const struct dot *d, V sum, V w, V x) {
    return LLVMBuildAdd(e->builder, sum, multiply_pairs(e, d->lanes, w, x), "");
}

static V add_widened(struct emitter *e, const struct dot *d, V sum, V w, V x) {
    for (int half = 0; half < 2; half++)
        sum = dot_add_wide(e, d, sum, dot_widen(e, d, w, half, false), dot_widen(e, d, x, half, true));
    return sum;
}

/* The same on aarch64, whose products of 16 bits hold 255 * -128, added up in pairs. */
static V add_widened_neon(struct emitter *e, const struct dot *d, V sum, V w, V x) {
    LLVMTypeRef halves = LLVMVectorType(e->i16, 16), words = emit_vector(e, e->i32, d->lanes),
                overloads[] = {words, LLVMVectorType(e->i16, 8)};
    w = LLVMBuildZExt(e->builder, as(e, w, LLVMVectorType(e->i8, 16)), halves, "");
    x = LLVMBuildSExt(e->builder, as(e, x, LLVMVectorType(e->i8, 16)), halves, "");
    V product = LLVMBuildMul(e->builder, w, x, ""), pairs[2];
    for (int half = 0; half < 2; half++) {
        V numbers[8], part;
        for (int i = 0; i < 8; i++) numbers[i] = emit_i32(e, 8 * half + i);
        part = LLVMBuildShuffleVector(e->builder, product, product, LLVMConstVector(numbers, 8), "");
        pairs[half] = emit_intrinsic(e, "llvm.aarch64.neon.saddlp", overloads, 2, &part, 1);
    }
    V quads = emit_intrinsic(e, "llvm.aarch64.neon.addp", &words, 1, pairs, 2);
    return LLVMBuildAdd(e->builder, sum, quads, "");
}

/* ---- all ---- */

int dot_offset(const struct emitter *e, const struct dot *d) {
    return e->target->byte_dot == DOT_sdot && d->most > 127 ? 128 : 0;
}

/* The instruction for it, or NULL. */
static V add_four(struct emitter *e, const struct dot *d, V sum, V w, V x) {
    static const struct {
        enum byte_dot dot;
        int lanes, overloads;
        const char *name;
    } instructions[] = {{DOT_busd, 16, 0, "llvm.x86.avx512.vpdpbusd.512"},
                        {DOT_busd, 8, 0, "llvm.x86.avx512.vpdpbusd.256"},
                        {DOT_sdot, 4, 2, "llvm.aarch64.neon.sdot"},
                        {DOT_usdot, 4, 2, "llvm.aarch64.neon.usdot"}};
    int i = 0, count = sizeof instructions / sizeof *instructions;
    while (i < count && (instructions[i].dot != e->target->byte_dot || instructions[i].lanes != d->lanes))
        i++;
    if (i == count) return NULL;
    LLVMTypeRef bytes = bytes_of(e, d->lanes), overloads[] = {LLVMTypeOf(sum), bytes};
    w = as(e, w, bytes);
    if (dot_offset(e, d)) w = LLVMBuildXor(e->builder, w, emit_constant_like(bytes, -128), "");
    V arguments[] = {sum, w, as(e, x, bytes)};
    return emit_intrinsic(e, instructions[i].name, overloads, instructions[i].overloads, arguments, 3);
}

bool dot_widens(const struct emitter *e, const struct dot *d) {
    enum byte_dot dot = e->target->byte_dot;
    return !e->target->simt && strncmp(e->target->triple, "x86", 3) == 0 && dot != DOT_busd &&
           !dot_room(e, d);
}

V dot_add(struct emitter *e, const struct dot *d, V sum, V w, V x) {
    if (e->target->simt) return simt_dot4(e, w, x, sum);
    if (dot_room(e, d)) return add_pairs(e, d, sum, w, x);
    V made = add_four(e, d, sum, w, x);
    if (made) return made;
    return strncmp(e->target->triple, "aarch64", 7) ? add_widened(e, d, sum, w, x)
                                                    : add_widened_neon(e, d, sum, w, x);
}
