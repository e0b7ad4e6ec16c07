/* Expansion: from syntax tree to graph. What the files of it share.
 *
 *     declare.c    top-level names: constants, dims, params, states, options
 *     function.c   signatures, calls, results      statement.c  assignments, effects
 *     loop.c       for, scan                       kernel.c     kernel blocks of dumps
 *     expression.c names and operators             subscript.c  x[a:b, 0, t]
 *     mesh.c       meshes                          sharding.c   @m(tensor, _)       placement.c  stage, on
 *     operation.c  calls of ops                    attribute.c  their attributes      sugar.c  ops that are others
 *     constant.c   arithmetic on what is known     literal.c    constants as nodes    scope.c  names in force
 *
 * An expression evaluates to an item: a value of the graph, or something known at compile time. */
#ifndef FRONTEND_EXPAND_H
#define FRONTEND_EXPAND_H
#include "frontend/ast.h"
#include "frontend/frontend.h"
#include "frontend/table.h"
#include "ir/graph.h"

enum {
    MAX_STEPS = 4000000, /* expressions and statements evaluated */
    MAX_NODES = 400000,  /* nodes made */
    MAX_DEPTH = 1000,    /* expressions, blocks and calls inside each other */
    MAX_GLOBALS = 20000, /* params and states declared */
    MAX_RESULTS = 64     /* results of one function or call */
};

enum item_kind {
    ITEM_ERROR, /* reported already */
    ITEM_INT,   /* literals, constants, index: take the type of what they meet */
    ITEM_REAL,
    ITEM_BOOL,
    ITEM_EXTENT, /* over dims; as a value, an i32 */
    ITEM_LIST,   /* [1, 2, [3]] */
    ITEM_VALUE,
    ITEM_GLOBAL /* an array of params or states with indices still missing */
};
struct item {
    enum item_kind kind;
    int64_t integer; /* INT, BOOL */
    double real;     /* REAL */
    const struct extent *extent;
    struct item *items; /* LIST */
    int count;
    struct value *value;
    struct element { /* GLOBAL: which tensor of it, as far as known */
        struct global *global;
        int indices;           /* given so far */
        int64_t number;        /* row-major */
        struct value *running; /* plus this times 1: a scan variable; NULL: none */
    } element;
};

/* A top-level name with a value. Evaluated when first needed, so that order is free. */
struct declared {
    struct decl *decl;
    enum { UNKNOWN, BUSY, KNOWN } progress;
    struct item item; /* consts and dims */
    struct dim *dim;
    struct global *global; /* params and states */
    bool broken;           /* its declaration was reported: uses stay silent */
};

struct local {
    struct item item;
    struct loc loc;            /* where it was bound first */
    const struct marks *marks; /* of `h1 : f32[4] in arena(0) = h0`: for the loop that will carry h1 */
};
enum scope_kind {
    SCOPE_BLOCK,    /* a loop's body */
    SCOPE_FUNCTION, /* outer names end here */
    SCOPE_KERNEL    /* as FUNCTION, and globals are seen only through the kernel's list */
};
struct scope {
    enum scope_kind kind;
    struct table names; /* of struct local */
    struct scope *outer;
    struct arg *list; /* KERNEL: what it takes, as written, and the block's arguments for it */
    struct block *block;
};

struct frame { /* a function being expanded */
    struct decl *function;
    struct loc call; /* source NULL: the graph's own function */
    struct frame *outer;
    struct item *results;
    struct loc *results_locs;
    int results_count;
    int first_node; /* of the body */
    bool returned, failed;
    int loops; /* blocks open around the statement: no return there */
};

struct expander {
    struct arena *arena;
    struct diag *diag;
    struct graph *graph;
    const struct frontend_options *options;
    struct tree *tree;
    const char *folder;             /* of the .mdl file, for the weights' paths */
    struct table values, functions; /* top level: struct declared, struct decl */
    struct block *block;            /* where nodes go; NULL: only constants may be evaluated */
    const char *constant_of;        /* then: what for ("a constant", "an extent") */
    struct scope *scope;
    struct frame *frame;
    struct function *function;  /* of the graph, whose body is expanded; NULL while signatures are read */
    const struct placement *on; /* where statements run; NULL: everywhere */
    bool staged;                /* in a `stage` */
    struct loc at;              /* loc("file":…) of the statement; source NULL: none */
    int depth, frames, first_node, noted; /* noted: errors when calls were last reported */
    int64_t steps;
    bool stopped; /* a limit was passed and reported */
};

/* scope.c */
struct local *scope_find(const struct expander *x, const char *name);
void scope_define(struct expander *x, const char *name, struct item item, struct loc loc);
/* Rebinds a name that exists in this function, else defines it in the innermost scope. */
void scope_assign(struct expander *x, const char *name, struct item item, struct loc loc);
void scope_push(struct expander *x, struct scope *s, enum scope_kind kind);
void scope_pop(struct expander *x);
/* "unknown name 'foo'", with the nearest name in force. */
void report_unknown_name(struct expander *x, const char *name, struct loc loc);
void report_unknown_function(struct expander *x, const char *name, struct loc loc);
/* ", did you mean 'axis'?" for what is nearest to `word`, or "". */
const char *did_you_mean(struct expander *x, const char *word, const char *const *candidates, int count);

/* declare.c */
void declare(struct expander *x);
struct declared *declared_find(struct expander *x, const char *name);
/* The item of a constant or dim, evaluated now if it was not yet. */
struct item declared_item(struct expander *x, struct declared *d, struct loc use);
/* override.c: --const */
bool override_find(const struct expander *x, const char *name, struct item *item);
void check_overrides(struct expander *x); /* reports those that the file has not */
/* initializer.c */
bool initializer(struct expander *x, const struct expr *e, const struct type *type, struct init *init);

/* constant.c: arithmetic on what is known at compile time. */
struct item item_int(int64_t value);
struct item item_real(double value);
struct item item_bool(bool value);
struct item item_value(struct value *v);
struct item item_error(void);
struct item item_extent(const struct extent *e);                 /* INT where it is a constant */
bool item_known(const struct item *i);                           /* INT, REAL, BOOL, EXTENT */
bool item_number(const struct item *i);                          /* INT, REAL, BOOL */
const char *item_text(struct expander *x, const struct item *i); /* in words, for messages */
/* False where the operation on these needs a node: a comparison of extents, an extent with a real. */
bool constant_unary(struct expander *x, const char *op, const struct item *a, struct loc loc,
                    struct item *result);
bool constant_binary(struct expander *x, const char *op, const struct item *a, const struct item *b,
                     struct loc loc, struct item *result);
bool constant_call(struct expander *x, const char *name, const struct item *a, struct loc loc,
                   struct item *result);
bool report_large_extent(struct expander *x, struct loc loc); /* false */
/* Conversions; report and return false where the item is something else. `what` begins the message. */
bool item_to_extent(struct expander *x, const struct item *i, const char *what, struct loc loc,
                    const struct extent **e);
bool item_to_int(struct expander *x, const struct item *i, const char *what, struct loc loc, int64_t *value);
bool item_to_real(struct expander *x, const struct item *i, const char *what, struct loc loc, double *value);

/* expression.c */
struct item evaluate(struct expander *x, const struct expr *e);
/* As evaluate, where no nodes can be made: extents, bounds, attributes. `what`: for the message. */
struct item evaluate_constant(struct expander *x, const struct expr *e, const char *what);
bool evaluate_extent(struct expander *x, const struct expr *e, const char *what,
                     const struct extent **extent);
bool evaluate_int(struct expander *x, const struct expr *e, const char *what, int64_t *value);
/* One more step; false once a limit is passed. */
bool step(struct expander *x, struct loc loc);
bool enter(struct expander *x, struct loc loc); /* one level deeper, and a step; pair with leave() if true */
void leave(struct expander *x);

/* literal.c: items as values of the graph. */
enum { DTYPE_ANY = -1 };
/* The value of an item. Numbers, lists take `dtype`; DTYPE_ANY: f32 or i32. NULL: reported. */
struct value *item_as_value(struct expander *x, const struct item *i, int dtype, struct loc loc);
/* A constant tensor of a number or list; NULL: reported. */
const struct tensor *literal_tensor(struct expander *x, const struct item *i, enum dtype dtype,
                                    struct loc loc);
enum dtype literal_dtype(const struct item *i); /* what it is on its own */
/* A node, checked, at the end of the current block. Results are its results. NULL: reported. */
struct node *place_node(struct expander *x, struct node *n);
struct node *new_node(struct expander *x, enum op op, int operands, struct value *const *given,
                      struct loc loc);
struct value *extent_value(struct expander *x, const struct extent *e, struct loc loc);

/* type.c */
bool evaluate_type(struct expander *x, const struct type_expr *t, struct type *type);
/* An item as a value of this type; literals take it. `what` begins the message. NULL: reported. */
struct value *value_of_type(struct expander *x, const struct item *i, const struct type *type,
                            const char *what, struct loc loc);

/* operation.c */
int call_operation(struct expander *x, enum op op, const struct expr *call, struct item *results);
struct item operate(struct expander *x, enum op op, int count, const struct item *operands, struct loc loc);
/* Operands of `op` as values: literals take the others' type. */
bool operands_as_values(struct expander *x, enum op op, int count, const struct item *items,
                        const struct loc *locs, struct value **values);

/* attribute.c */
bool attribute(struct expander *x, const struct op_info *op, const struct attr_spec *spec,
               const struct expr *e, struct attr *attr);

/* sugar.c: an op that users write and passes never see. */
struct sugar_call {
    enum op op;
    struct loc loc;
    int count; /* operands */
    struct value **operands;
    struct attr *attrs; /* as given */
};
/* Fills results (at most MAX_RESULTS), returns their number or -1 after reporting. */
int expand_sugar(struct expander *x, const struct sugar_call *c, struct value **results);

/* subscript.c */
struct item subscript(struct expander *x, const struct expr *e);
/* The tensor of a param or state that `indices` name, one bracket each. */
bool element_index(struct expander *x, struct element *element, const struct arg *index);
struct item element_read(struct expander *x, const struct element *element, struct loc loc);
/* x sliced to [start, start + extent) by step in each dimension. NULL: reported. */
struct value *slice_value(struct expander *x, struct value *v, const struct extent *const *start,
                          const struct extent *const *extent, const int64_t *steps, struct loc loc);
struct value *reshape_value(struct expander *x, struct value *v, int rank, const struct extent *const *shape,
                            struct loc loc);

/* statement.c */
void expand_statements(struct expander *x, struct stmt *s);
/* What a call gives, all its results; -1 after reporting. */
int evaluate_call(struct expander *x, const struct expr *e, struct item *results);
void bind_target(struct expander *x, const struct assignee *t, struct item item, struct loc loc);

/* mesh.c */
void declare_mesh(struct expander *x, const struct decl *d);
/* The coordinate named "m.tensor"; NULL after reporting that there is none. */
const struct dim *axis_coordinate(struct expander *x, const char *name, struct loc loc);

/* sharding.c */
/* What `e` says for a value of this type. `whole`: what it is for, if that cannot be a partial sum; else
 * NULL. False after reporting. */
bool evaluate_sharding(struct expander *x, const struct sharding_expr *e, const struct type *type,
                       const char *whole, const struct sharding **sharding);
/* The value has this sharding; nothing where `e` is NULL. */
void mark_sharding(struct expander *x, struct value *v, const struct sharding_expr *e, const char *whole);
/* `v` where `e` says: itself, if a node from number `first` on made it, else reshard(v). NULL: reported. */
struct value *place_value(struct expander *x, struct value *v, const struct sharding_expr *e, int first,
                          struct loc loc);

/* placement.c */
bool evaluate_placement(struct expander *x, const struct placement_expr *e, const struct placement **on);
void expand_stage(struct expander *x, struct stmt *s);

/* loop.c, kernel.c */
void expand_for(struct expander *x, struct stmt *s);
void expand_scan(struct expander *x, struct stmt *s);
void expand_kernel(struct expander *x, struct stmt *s);
/* Marks beside a value's type: layout, in, over. */
void mark_value(struct expander *x, struct value *v, const struct marks *m);
/* What `layout("…")` says; false after reporting. */
bool find_layout(struct expander *x, const struct marks *m, const struct layout **layout);

/* function.c */
int call_function(struct expander *x, struct decl *f, const struct expr *call, struct item *results);
void expand_functions(struct expander *x);
void report_calls(struct expander *x); /* notes that say through which calls the last error was reached */

#endif
