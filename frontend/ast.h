/* The syntax tree: what a .mdl text says, before any name has a meaning.
 *
 *     tree ─ decls (model, const, dim, param, state, fn, …) ─ stmts ─ exprs
 *
 * Everything lives in the arena of the parse. Lists are linked by `next`, in the order written. */
#ifndef FRONTEND_AST_H
#define FRONTEND_AST_H
#include "ir/diag.h"
#include "ir/type.h"

enum { MAX_EXPR_DEPTH = 200, MAX_BLOCK_DEPTH = 64 };

enum expr_kind {
    EXPR_ERROR, /* reported already; evaluates to nothing, silently */
    EXPR_INT,   /* integer; INT64_MIN: written 9223372036854775808, good only after a minus */
    EXPR_FLOAT,
    EXPR_BOOL, /* integer: 0 or 1 */
    EXPR_STRING,
    EXPR_NAME,
    EXPR_DTYPE,
    EXPR_LIST,  /* args: elements */
    EXPR_CALL,  /* left: callee; args */
    EXPR_INDEX, /* left: base; args: subscripts */
    EXPR_UNARY, /* text: "-" "+" "not" */
    EXPR_BINARY /* text: "+" "<=" "and" … */
};
struct expr {
    enum expr_kind kind;
    struct loc loc; /* operator or callee; else the first token */
    int depth;
    bool parenthesised;
    const char *text;
    int64_t integer;
    double real;
    enum dtype dtype;
    struct expr *left, *right;
    struct arg *args;
    int count;
};
/* An argument, an element of a list, or a subscript (`value:stop:step`, any of them NULL, where `range`). */
struct arg {
    const char *name; /* NULL: positional */
    struct loc loc;
    struct expr *value, *stop, *step;
    bool range;
    struct arg *next;
};

/* Where a value lives: @m(tensor, [data, ?]!0, data partial) local */
struct sharding_entry {
    struct loc loc;
    struct arg *axes; /* their names, major first; none: `_`, or `?` where open */
    bool open;        /* `?`, alone or last in its brackets */
    bool partial;     /* `data partial` */
    int64_t priority; /* -1: not given */
    struct sharding_entry *next;
};
struct sharding_expr {
    struct loc loc;
    const char *mesh;
    struct sharding_entry *entries;
    bool local;
};
struct placement_expr { /* on pipeline(i) */
    struct loc loc;
    const char *name;
    struct expr *index;
};

/* What may stand beside a type or at the end of a statement. */
struct marks {
    const char *store, *layout, *space;
    int64_t offset, over;                 /* in arena(4096), result(0), over(1); -1: not given */
    const char *from;                     /* of params */
    const struct sharding_expr *sharding; /* NULL: not given */
    const struct placement_expr *on;
    struct loc store_loc, layout_loc, space_loc, over_loc, from_loc, loc_loc;
    struct loc loc; /* loc("file":3:9); source NULL: not given */
};

struct type_expr {
    struct loc loc;
    bool index;      /* `index`: a compile-time integer */
    const char *bad; /* neither: the word found */
    enum dtype dtype;
    int rank; /* may exceed MAX_RANK, which is reported when the type is evaluated */
    struct arg *extents;
    const struct sharding_expr *sharding; /* of a function's result */
    struct type_expr *next;               /* in a list of result types */
};

struct assignee { /* left of `=`: x, x : f32[2], k_cache[i] */
    const char *name;
    struct loc loc;
    struct arg *subscripts;
    int subscripts_count; /* subscripts across all brackets */
    struct type_expr *type;
    struct marks marks;
    struct assignee *next;
};

enum stmt_kind { STMT_ASSIGN, STMT_CALL, STMT_RETURN, STMT_FOR, STMT_SCAN, STMT_STAGE, STMT_KERNEL };
struct stmt {
    enum stmt_kind kind;
    struct loc loc;
    struct assignee *targets; /* ASSIGN; KERNEL: its results */
    struct expr *value;       /* ASSIGN, CALL */
    struct arg *values;       /* RETURN; KERNEL: what it takes */
    const char *name;         /* FOR, SCAN: variable; KERNEL */
    struct expr *from, *to;   /* FOR, SCAN; STAGE: from is its number */
    const char *schedule;     /* KERNEL: text between its brackets, or NULL */
    struct loc schedule_loc;
    struct stmt *body;
    struct marks marks;
    bool failed; /* errors in it were reported; expanding it again stays silent */
    struct stmt *next;
};

struct param_expr { /* of a function */
    const char *name;
    struct loc loc;
    struct type_expr *type;
    struct expr *fallback;
    struct marks marks;
    struct param_expr *next;
};

enum decl_kind {
    DECL_MODEL,   /* name */
    DECL_CONST,   /* name, value */
    DECL_DIM,     /* name, value..to, unit */
    DECL_MESH,    /* name, counts: axes with their sizes; ranks value..to or NULL; text: device or NULL */
    DECL_WEIGHTS, /* text */
    DECL_PARAM,   /* name, counts, type, marks, value */
    DECL_STATE,
    DECL_FUNCTION, /* name, exported, params, types, value or body */
    DECL_OPTION    /* name, text */
};
struct decl {
    enum decl_kind kind;
    struct loc loc; /* of the name, or the word if it has none */
    struct loc at;  /* MESH: of its device */
    const char *name, *text;
    struct expr *value, *to, *unit;
    struct arg *counts;
    struct type_expr *type; /* FUNCTION: list of result types, NULL: inferred */
    bool exported, called;  /* called: by some function of the file */
    bool assigned;          /* PARAM, STATE: by some function of the file */
    bool busy,
        broken; /* being expanded: a call of it now is recursion; results were wrong, which was reported */
    struct arg *fixed; /* fixed(S=1), or NULL */
    struct param_expr *params;
    struct stmt *body; /* an `= expr` body is a return statement */
    struct marks marks;
    struct decl *next;
};

struct tree {
    struct decl *decls;
    struct loc first_loc; /* first loc("file":…) in the text; source NULL: none */
};

/* A list under construction; elements are linked by `next`, `last` is where the next one goes. */
struct arg_list {
    struct arg *first, **last;
    int count;
};

struct parser;
struct expr *ast_expr(struct parser *p, enum expr_kind kind, struct loc loc);
struct expr *ast_unary(struct parser *p, const char *op, struct expr *x, struct loc loc);
struct expr *ast_binary(struct parser *p, const char *op, struct expr *a, struct expr *b, struct loc loc);
/* A call, list or index expression over `args`. */
struct expr *ast_apply(struct parser *p, enum expr_kind kind, struct expr *left, struct arg *args,
                       struct loc loc);
struct arg *ast_arg(struct parser *p, const char *name, struct expr *value, struct loc loc);
struct sharding_entry *ast_entry(struct parser *p, struct loc loc);
/* Adds an axis, or `?` where `name` is NULL. */
void ast_entry_axis(struct parser *p, struct sharding_entry *e, const char *name, struct loc loc);
struct arg *ast_range(struct parser *p, struct expr *start, struct expr *stop, struct expr *step,
                      struct loc loc);
struct assignee *ast_target(struct parser *p, struct expr *left, struct type_expr *type, struct marks marks);
struct stmt *ast_stmt(struct parser *p, enum stmt_kind kind, struct loc loc);
struct decl *ast_decl(struct parser *p, enum decl_kind kind, const char *name, struct loc loc);
struct marks ast_marks(void);
/* Whether two expressions are spelled alike: wq[0] and wq[ 0 ]. */
bool ast_same(const struct expr *a, const struct expr *b);

#endif
