/* The table of operations: how an opcode's words choose a function, and what its operands are. */
#ifndef TESTS_GPU_PTX_OPS_H
#define TESTS_GPU_PTX_OPS_H
#include "tests/gpu/ptx_exec.h"

/* An opcode cut at its dots: types in order, what is common to many as flags, the rest as words. */
struct opcode {
    const char *text, *base;
    const char *words[MODIFIERS];
    uint32_t words_count;
    enum ptx_type types[6];
    uint32_t types_count;
    uint32_t flags;
    enum ptx_round round;
    enum ptx_compare compare;
    enum ptx_combine combine;
    enum ptx_space space, space2;
    uint32_t spaces, vector;
};
bool ptx_has(const struct opcode *o, const char *word);

/* Operands by letter, results before '=': t the instruction's type, f its second type, W twice t's width,
 * h l q 16, 32, 64 bits, p predicate, P predicates p|q, E a 32-bit register and perhaps |p, C the carry flag
 * (not written in the text), r any register, R any register, or several in braces, a address, S 64 bits and a
 * number that is added to them (two operands: x, or x+8); k an operand without meaning here; '?' before a
 * letter: may be missing. */
struct op_row {
    const char *base, *word; /* the first word of the opcode; a word that it must have, or NULL */
    enum ptx_type type;      /* its type, or T_NONE: any */
    ptx_op *run;
    const char *operands;
};
struct op_table {
    const struct op_row *rows;
    size_t count;
};
#define OP_TABLE(name, rows) const struct op_table name = {rows, sizeof(rows) / sizeof *(rows)}
extern const struct op_table ptx_integer_ops, ptx_float_ops, ptx_half_ops, ptx_move_ops, ptx_memory_ops,
    ptx_atomic_ops, ptx_control_ops, ptx_warp_ops, ptx_matrix_ops, ptx_copy_ops, ptx_mbarrier_ops,
    ptx_engine_ops, ptx_wgmma_ops, ptx_tmem_ops, ptx_tcgen05_ops;

/* Instructions whose operands or flags the table cannot say are finished by these. */
struct decoder {
    struct ptx_module *module;
    struct ptx_kernel *kernel;
    struct function *function;
    const struct statement *statement;
    struct insn *insn;
    struct operand ops[272];
    uint32_t results, sources;
};
bool ptx_emit(struct decoder *d, const struct arg *a, char letter, enum ptx_type type);
/* Elements of a matrix: their width, 0 if there are none of the type; `count` words of them as numbers. */
uint32_t ptx_element_bits(enum ptx_type t);
void ptx_expand(enum ptx_type t, const uint32_t *words, uint32_t count, float *to);
ptx_op *ptx_convert_op(const struct opcode *o, struct insn *in);            /* cvt */
bool ptx_atomic_mode(const struct opcode *o, struct insn *in);              /* atom, red: what it does */
bool ptx_move_op(struct decoder *d, enum ptx_type type);                    /* mov with braces, of clocks */
bool ptx_matrix_op(struct decoder *d, const struct opcode *o, bool *known); /* mma, ldmatrix, stmatrix */
bool ptx_copy_op(struct decoder *d, const struct opcode *o, bool *known);   /* cp.async */
bool ptx_engine_op(struct decoder *d, const struct opcode *o, bool *known); /* cp.async.bulk */
bool ptx_wgmma_op(struct decoder *d, const struct opcode *o, bool *known);
bool ptx_tcgen05_op(struct decoder *d, const struct opcode *o);
bool ptx_special_op(struct decoder *d, const struct opcode *o, bool *known); /* call, bra, brx.idx */
#endif
