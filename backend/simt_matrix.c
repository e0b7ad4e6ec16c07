/* Fragments of matrices in the registers of a warp: products (mma.sync) and loads from shared memory
 * (ldmatrix). All atoms of tensor cores have them in the same places, counted in bytes (PTX ISA, "Matrix
 * Fragments for mma.m16n8k8, k16, k32"). */
#include "backend/emulate.h"
#include "backend/simt.h"

enum { A_WORDS = 4, B_WORDS = 2, SUMS = 4, CHUNK = 16 /* bytes, a row of a matrix */ };

typedef LLVMValueRef V;

/* By the inputs' type. */
static const char *const instructions[DTYPE_COUNT] = {
    [DTYPE_BF16] = "llvm.nvvm.mma.m16n8k16.row.col.bf16",
    [DTYPE_F16] = "llvm.nvvm.mma.m16n8k16.row.col.f32.f32",
    [DTYPE_F32] = "llvm.nvvm.mma.m16n8k8.row.col.tf32",
    [DTYPE_I8] = "llvm.nvvm.mma.m16n8k32.row.col.s8.u8",
};

void simt_mma(struct emitter *e, enum atom atom, const V *a, const V *b, V *sums) {
    if (!e->threaded) {
        emulate_mma(e, atom, a, b, sums);
        return;
    }
    V arguments[A_WORDS + B_WORDS + SUMS];
    LLVMTypeRef type = atom_info(atom)->a == DTYPE_F16 ? LLVMVectorType(e->f16, 2) : e->i32;
    for (int i = 0; i < A_WORDS; i++) arguments[i] = LLVMBuildBitCast(e->builder, a[i], type, "");
    for (int i = 0; i < B_WORDS; i++) arguments[A_WORDS + i] = LLVMBuildBitCast(e->builder, b[i], type, "");
    for (int i = 0; i < SUMS; i++) arguments[A_WORDS + B_WORDS + i] = sums[i];
    V made = emit_intrinsic(e, instructions[atom_info(atom)->a], NULL, 0, arguments, A_WORDS + B_WORDS + SUMS);
    for (unsigned i = 0; i < SUMS; i++) sums[i] = LLVMBuildExtractValue(e->builder, made, i, "");
}

/* Number `part` of 8 rows of 16 bytes, of the rows where lanes 8 part .. point: word l % 4 of row l / 4. */
static V rows_of_matrix(struct emitter *e, V pointers, int part) {
    V order[MAX_LANES], words[MAX_LANES];
    for (int l = 0; l < e->lanes; l++) {
        order[l] = emit_i32(e, 8 * part + l / 4);
        words[l] = emit_i64(e, 4 * (l % 4));
    }
    V rows = LLVMBuildShuffleVector(e->builder, pointers, LLVMGetPoison(LLVMTypeOf(pointers)),
                                    LLVMConstVector(order, (unsigned)e->lanes), "");
    V offsets = LLVMConstVector(words, (unsigned)e->lanes);
    return LLVMBuildGEP2(e->builder, e->i8, rows, &offsets, 1, "");
}

/* The same transposed: elements 2 (l % 4), + 1 of column l / 4. */
static V columns_of_matrix(struct emitter *e, V pointers, int part, int second) {
    V order[MAX_LANES], columns[MAX_LANES];
    for (int l = 0; l < e->lanes; l++) {
        order[l] = emit_i32(e, 8 * part + l % 4 * 2 + second);
        columns[l] = emit_i64(e, l / 4 * 2);
    }
    V rows = LLVMBuildShuffleVector(e->builder, pointers, LLVMGetPoison(LLVMTypeOf(pointers)),
                                    LLVMConstVector(order, (unsigned)e->lanes), "");
    V offsets = LLVMConstVector(columns, (unsigned)e->lanes);
    return LLVMBuildGEP2(e->builder, e->i8, rows, &offsets, 1, "");
}

static V load_columns(struct emitter *e, V pointers, int part) {
    LLVMTypeRef words = LLVMVectorType(e->i32, (unsigned)e->lanes);
    V low = emulate_load(e, e->i16, columns_of_matrix(e, pointers, part, 0), NULL),
      high = emulate_load(e, e->i16, columns_of_matrix(e, pointers, part, 1), NULL);
    low = LLVMBuildZExt(e->builder, low, words, "");
    high = LLVMBuildShl(e->builder, LLVMBuildZExt(e->builder, high, words, ""), emit_constant_like(words, 16),
                        "");
    return LLVMBuildOr(e->builder, low, high, "");
}

static void load(struct emitter *e, const char *name, V pointers, V words[4]) {
    V made = emit_intrinsic(e, name, (LLVMTypeRef[]){LLVMTypeOf(pointers)}, 1, &pointers, 1);
    for (unsigned i = 0; i < 4; i++) words[i] = LLVMBuildExtractValue(e->builder, made, i, "");
}

void simt_load_matrix(struct emitter *e, V base, struct index at, V words[4]) {
    V pointers = emit_addresses(e, base, at, 1, e->lanes);
    if (e->threaded) {
        load(e, "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16", pointers, words);
        return;
    }
    for (int i = 0; i < 4; i++) words[i] = emulate_load(e, e->i32, rows_of_matrix(e, pointers, i), NULL);
}

void simt_load_transposed(struct emitter *e, V base, struct index at, V words[4]) {
    V pointers = emit_addresses(e, base, at, 1, e->lanes);
    if (e->threaded) {
        load(e, "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.trans.b16", pointers, words);
        return;
    }
    for (int i = 0; i < 4; i++) words[i] = load_columns(e, pointers, i);
}

struct index simt_matrices(struct emitter *e, const struct simt_columns *m, V line, bool lines_first) {
    struct index lane = simt_lanes(e), row = index_rem_by(e, lane, 8, e->lanes), matrix = index_div_by(e, lane, 8, e->lanes);
    struct index low = index_rem_by(e, matrix, 2, e->lanes), high = index_div_by(e, matrix, 2, e->lanes);
    struct index lines = lines_first ? low : high, chunk = lines_first ? high : low;
    struct index at = index_scale_by(e, row, CHUNK, e->lanes);
    at = index_add(e, at, index_scale_by(e, lines, 8 * CHUNK, e->lanes), e->lanes);
    at = index_add(e, at, index_scale_by(e, chunk, m->pitch, e->lanes), e->lanes);
    V start = emit_add(e, m->bytes, emit_mul(e, line, emit_i64(e, CHUNK)));
    return index_add(e, at, index_uniform(start), e->lanes);
}
