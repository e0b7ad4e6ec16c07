/* The op table: what ops.def says, as data. Nothing else lists ops. */
#ifndef IR_OP_H
#define IR_OP_H
#include "ir/scalar.h"
#include "ir/type.h"

enum op {
#define OP(name, level, family, results, signature, body, meaning) OP_##name,
#include "ir/ops.def"
#undef OP
    OP_COUNT
};

enum op_level {
    LEVEL_CORE,     /* users write it, passes see it */
    LEVEL_SUGAR,    /* users write it, the frontend expands it */
    LEVEL_INTERNAL, /* passes make it, dumps show it, users may */
    LEVEL_STRUCTURE /* has a syntax of its own: params, constants, kernels, loops */
};

/* Families share rules for types, index maps and evaluation; each is a row of infer.c, imap.c,
 * eval_structure.c, and of tables of passes/ and backend/. */
enum op_family {
#define FAMILY(name) FAMILY_##name,
#include "ir/families.def"
#undef FAMILY
    FAMILY_COUNT
};

enum attr_kind {
    ATTR_INT,     /* 3 */
    ATTR_FLOAT,   /* 1e-5 */
    ATTR_FLAG,    /* bare word, its own name: causal */
    ATTR_WORD,    /* bare word of a list: halves */
    ATTR_STRING,  /* "bqd,bkd->bqk" */
    ATTR_DTYPE,   /* bf16 */
    ATTR_EXTENT,  /* S - 1 */
    ATTR_INTS,    /* [1, 2] or 1 */
    ATTR_EXTENTS, /* [S, -1] */
    ATTR_AXES,    /* -1, [0, 2] or all */
    ATTR_PAIRS    /* 1, [1, 1] or [[0, 1], [2, 3]] */
};

enum { MAX_OPERANDS = 8, MAX_ATTRS = 8 };

struct operand_spec {
    const char *name;
    bool optional, by_name, variadic; /* variadic: the last, any number from one */
    const char *fallback;             /* what its absence means, for documentation: "0", "none" */
};
struct attr_spec {
    const char *name;
    enum attr_kind kind;
    bool required, by_name;
    const char *fallback; /* default as text, or NULL: required, or found by infer ("auto") */
    const char *words[5]; /* ATTR_WORD: allowed ones, NULL-terminated */
    int position;         /* among operands and attributes as written, for positional ones */
};
struct op_info {
    const char *name, *meaning;
    enum op_level level;
    enum op_family family;
    int results;           /* number of results; -1: varies */
    const char *signature; /* as in ops.def */
    const char *infix;     /* "+" for ops written as operators, else NULL */
    int operands_count, attrs_count;
    struct operand_spec operands[MAX_OPERANDS];
    struct attr_spec attrs[MAX_ATTRS];
    const struct scalar *body; /* of pointwise ops, else NULL */
};

const struct op_info *op_info(enum op op);
/* Number of the op with this name at any level but LEVEL_STRUCTURE, or OP_COUNT. */
enum op op_find(const char *name);
/* Attribute's slot in node->attrs; dies with ice() if the op has none of this name. */
int op_attr(enum op op, const char *name);

#endif
