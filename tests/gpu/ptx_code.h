/* What PTX text becomes: types, operands, instructions, functions, modules. Shared by the parts of the
 * interpreter; users have ptx.h. */
#ifndef TESTS_GPU_PTX_CODE_H
#define TESTS_GPU_PTX_CODE_H
#include "tests/gpu/ptx.h"

enum { LANES = 32, ALL = -1, MAX_WARPS = 32, MODIFIERS = 16 };

enum ptx_type {
    T_NONE,
    T_PRED,
    T_B8,
    T_U8,
    T_S8,
    T_E4M3,
    T_E5M2,
    T_B16,
    T_U16,
    T_S16,
    T_F16,
    T_BF16,
    T_E4M3X2,
    T_E5M2X2,
    T_B32,
    T_U32,
    T_S32,
    T_F32,
    T_TF32,
    T_F16X2,
    T_BF16X2,
    T_U16X2,
    T_S16X2,
    T_B64,
    T_U64,
    T_S64,
    T_F64,
    T_F32X2,
    T_B128,
    T_TYPES,
};
/* Bytes of a value; of the register that holds it (8-bit values live in 16-bit registers). */
uint32_t ptx_type_bytes(enum ptx_type type);
uint32_t ptx_type_register(enum ptx_type type);
enum ptx_type ptx_type_named(const char *name, size_t length); /* without the dot; T_NONE: no type */

enum ptx_space { S_GENERIC, S_GLOBAL, S_SHARED, S_LOCAL, S_CONST, S_PARAM, S_CALL };
/* Generic addresses of what is not global begin here; nothing of it can be read by the host. */
#define WINDOW_SHARED UINT64_C(0x00d5000000000000)
#define WINDOW_LOCAL UINT64_C(0x00d6000000000000)
#define WINDOW_PARAM UINT64_C(0x00d7000000000000)
#define WINDOW_BITS 48
enum { SHARED_BASE = 1024, LOCAL_BASE = 16 }; /* 0 is nobody's address */

struct warp;
struct insn;
typedef void ptx_op(struct warp *w, const struct insn *in, uint32_t mask);

/* A register or constant: 32 values of `size` bytes at `at` in the warp's file; a predicate is one mask.
 * Register 0 is the constants': always written. */
struct operand {
    uint32_t at, reg, size;
};
enum ptx_flag {
    F_FTZ = 1,
    F_SAT = 2,
    F_NAN = 4,
    F_RELU = 8,
    F_SATFINITE = 16,
    F_NOT = 32,
    F_WIDE_ADDRESS = 64,
    F_WIDE_ADDRESS2 = 128,
    F_ATOMIC = 256,
    F_TRANS = 512,
    F_ALIGNED = 1024,
    F_PAIR = 2048,
    F_NOT2 = 4096,
    F_ABS = 8192,
    F_NOTES = 16384, /* it notes itself what of its results is written */
};
enum ptx_round { R_NONE, R_RN, R_RZ, R_RM, R_RP, R_RNA, R_RNI, R_RZI, R_RMI, R_RPI };
enum ptx_compare {
    C_EQ,
    C_NE,
    C_LT,
    C_LE,
    C_GT,
    C_GE,
    C_LO,
    C_LS,
    C_HI,
    C_HS,
    C_EQU,
    C_NEU,
    C_LTU,
    C_LEU,
    C_GTU,
    C_GEU,
    C_NUM,
    C_NAN,
    C_NONE,
};
enum ptx_combine { B_NONE, B_AND, B_OR, B_XOR };

struct insn {
    ptx_op *run;
    const struct operand *ops; /* [results + sources] */
    uint16_t results, sources;
    uint16_t flags;
    uint8_t type, from, space, round, compare, combine, mode, vector;
    bool guarded, guard_not;
    uint8_t offsets; /* addresses decoded */
    struct operand guard;
    int64_t offset, offset2; /* of addresses; else the instruction's own */
    uint32_t target;         /* of branches */
    const uint32_t *targets; /* of brx.idx: [vector_targets]; of call: what it copies, see ptx_control.c */
    uint32_t targets_count;
    uint32_t line, source_file, source_line;
};

/* What a name of the text stands for, in the scope it was declared in. */
enum ptx_symbol_kind { SYM_REGISTER, SYM_VARIABLE, SYM_LABEL, SYM_FUNCTION, SYM_TABLE };
struct symbol {
    const char *name;
    enum ptx_symbol_kind kind;
    uint32_t count; /* registers: %r<count>; 0: the name alone. Tables: [count] */
    uint32_t scope;
    enum ptx_type type;
    uint32_t first; /* registers: number of the first; labels: the statement */
    enum ptx_space space;
    uint64_t address; /* variables: in their space */
    uint64_t bytes, align;
    bool dynamic;         /* .extern .shared: after all else */
    const char **targets; /* of tables: labels */
    struct function *function;
};

enum ptx_arg_kind {
    A_REGISTER,
    A_INTEGER,
    A_FLOAT32,
    A_FLOAT64,
    A_SYMBOL,
    A_SINK,
    A_ADDRESS,
    A_VECTOR,
    A_LIST
};
struct arg {
    enum ptx_arg_kind kind;
    bool negated;     /* !p */
    const char *name; /* registers, symbols */
    const struct symbol *symbol;
    uint32_t reg;
    uint64_t bits;     /* integers and floats */
    struct arg *items; /* vectors, lists; an address's base, then further coordinates */
    uint32_t count;
    int64_t offset;     /* addresses, symbols */
    struct arg *second; /* p|q */
};
#define CALL_RETURN "(return)"
struct statement {
    char *text;         /* as it was written, without the guard */
    const char *opcode; /* the first word */
    struct arg guard;
    bool guarded;
    struct arg *args;
    uint32_t count, line, source_file, source_line, scope;
};

struct register_info {
    enum ptx_type type;
    uint32_t at;    /* in the warp's file */
    bool undefined; /* LLVM said that its value does not matter */
};
struct param {
    const char *name;
    uint32_t offset, bytes;
};
struct function {
    struct ptx_module *module;
    const char *name;
    bool entry, defined;
    uint32_t max_threads, required[3];
    struct symbol *symbols;
    size_t symbols_count;
    uint32_t *parents; /* of scopes */
    size_t scopes_count;
    struct statement *statements;
    size_t statements_count;
    struct register_info *registers; /* 0 is the constants' */
    size_t registers_count;
    struct param *params, *returns;
    size_t params_count, returns_count;
    uint32_t param_bytes, call_bytes, local_bytes, shared_bytes, shared_align;
    /* In the kernel being decoded: its instruction, registers, memory a lane. */
    uint32_t first, register_base, local_base, call_base;
    bool reached;
};
struct shared_place {
    const struct symbol *symbol;
    uint32_t address;
};
struct ptx_kernel {
    struct function *function;
    struct ptx_module *module;
    struct insn *code;
    const struct statement **statements; /* of each instruction */
    size_t code_count;
    uint32_t entry;                       /* the first of its instructions */
    uint32_t file_bytes, registers_count; /* a warp's registers */
    unsigned char *image;                 /* [image_bytes] constants, at image_at in the file */
    uint32_t image_bytes, image_room, image_at;
    uint32_t specials[64]; /* where special registers are; 0: not read */
    uint32_t local_bytes, call_bytes, shared_bytes, dynamic_base;
    struct shared_place *places;
    size_t places_count;
    uint32_t *undefined; /* registers that may be read unwritten */
    size_t undefined_count;
};
struct ptx_module {
    char *text;
    struct function **functions;
    size_t functions_count;
    struct symbol *symbols; /* of the module */
    size_t symbols_count;
    struct ptx_kernel *kernels;
    size_t kernels_count;
    const char **files; /* by .file's number */
    size_t files_count;
    uint32_t sm;
    void **owned; /* all that is freed with the module */
    size_t owned_count;
    uint64_t *globals; /* allocations of its variables */
    size_t globals_count;
    char *message;
    size_t errors;
};

enum ptx_special {
    SP_NONE,
    SP_TID_X,
    SP_TID_Y,
    SP_TID_Z,
    SP_NTID_X,
    SP_NTID_Y,
    SP_NTID_Z,
    SP_CTAID_X,
    SP_CTAID_Y,
    SP_CTAID_Z,
    SP_NCTAID_X,
    SP_NCTAID_Y,
    SP_NCTAID_Z,
    SP_LANEID,
    SP_WARPID,
    SP_NWARPID,
    SP_LANEMASK_EQ,
    SP_LANEMASK_LT,
    SP_LANEMASK_LE,
    SP_LANEMASK_GT,
    SP_LANEMASK_GE,
    SP_ZERO,
    SP_ONE,
    SP_DYNAMIC_SIZE,
    SP_TOTAL_SIZE,
    SP_CLOCK,
    SP_CLOCK64,
    SP_COUNT,
};

/* Memory that lives as long as the module. */
void *ptx_own(struct ptx_module *m, size_t bytes);
char *ptx_own_text(struct ptx_module *m, const char *text, size_t length);
/* Adds one to a growing array of owned memory: returns the new element, zeroed. */
void *ptx_append(struct ptx_module *m, void *array, size_t *count, size_t bytes);
void ptx_complain(struct ptx_module *m, uint32_t line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

bool ptx_parse(struct ptx_module *m);                        /* text to statements */
bool ptx_decode(struct ptx_module *m, struct ptx_kernel *k); /* statements to code */
const struct symbol *ptx_find(const struct ptx_module *m, const struct function *f, uint32_t scope,
                              const char *name, enum ptx_symbol_kind kind, uint32_t *index);
#endif
