/* The graph: functions of straight-line nodes over values, and the params and states they use.
 *
 *     graph ─ functions ─ block ─ nodes ─ operands/results (values)
 *           ─ globals (params, states)   kernel and scan nodes hold a block of their own
 *
 * Everything lives in the graph's arena; ids are dense, so a side table is an array. A block's order is the
 * order of effects. A pass replaces a value by value_replace(), which costs nothing; the pass manager then
 * rewires operands.
 *
 * Whose values a block may use: a scan's body sees the values around it; a kernel's body sees only its own
 * arguments, which stand for the kernel's operands one by one. */
#ifndef IR_GRAPH_H
#define IR_GRAPH_H
#include "ir/diag.h"
#include "ir/format.h"
#include "ir/layout.h"
#include "ir/op.h"
#include "ir/schedule.h"
#include "ir/sharding.h"
#include "ir/target.h"
#include "ir/type.h"

struct tensor { /* a constant's data, row-major, in its dtype's own bytes */
    enum dtype dtype;
    int rank;
    int64_t extents[MAX_RANK];
    const void *data;
};

struct attr {
    bool set;                            /* given, or filled in by inference */
    int64_t i;                           /* INT, FLAG */
    double f;                            /* FLOAT */
    const char *s;                       /* WORD, STRING */
    enum dtype dtype;                    /* DTYPE */
    const struct extent *e;              /* EXTENT */
    int count;                           /* of the lists; AXES: -1 means all, until inferred */
    const int64_t *ints;                 /* INTS, AXES, PAIRS (2 * count numbers) */
    const struct extent *const *extents; /* EXTENTS; NULL entry: -1 */
};

struct value {
    int id; /* dense in the graph */
    struct type type;
    struct node *def;                /* NULL: an argument of a function or block */
    int index;                       /* among def's results, or among the arguments */
    const char *name;                /* wished for in dumps; the printer makes names unique; may be NULL */
    struct value *replaced;          /* set by value_replace; value_now() follows it */
    const struct layout *layout;     /* NULL: row-major */
    const struct sharding *sharding; /* NULL: not said */
    struct place place;              /* where its buffer is, once the memory pass has run */
    struct loc loc;
};

struct block {
    struct node *owner; /* the kernel or scan, or NULL: a function's body */
    struct node *first, *last;
    int args_count, results_count;
    struct value **args, **results; /* results: what the block gives to its owner, or the function returns */
};

struct node {
    int id; /* dense in the graph */
    enum op op;
    struct loc loc;
    int operands_count, results_count;
    struct value **operands; /* an absent optional operand is NULL */
    struct value **results;
    struct attr *attrs;    /* [op_info(op)->attrs_count], canonical after inference */
    struct global *global; /* param, assign: which; */
    int64_t element; /* and which of its tensors (row-major over its counts); plus operand `i` if present */
    const struct tensor *constant;   /* constant */
    const char *name;                /* kernel: k0; scan: its variable */
    const struct extent *count;      /* scan: iterations */
    const struct schedule *schedule; /* kernel, once scheduled */
    const struct placement *on;      /* the ranks that run it; NULL: all */
    struct block *body; /* kernel, scan. scan: args = variable, carried; operands = carried at the start;
                           results = carried */
    struct block *parent;
    struct node *prev, *next;
    void *rewriting; /* for the pass at work; undefined between passes */
};

enum init_kind { INIT_FILE, INIT_FILL, INIT_NORMAL, INIT_UNIFORM, INIT_LIST };
struct init { /* where a global's first contents come from */
    enum init_kind kind;
    const char *file;          /* FILE: path as written; resolved against `folder` */
    const char *folder;        /* of the .mdl file */
    const char *tensor;        /* FILE: name in it, with {i}, {j} */
    struct loc loc;            /* FILE: where the file is named */
    double a, b;               /* FILL: value; NORMAL: std; UNIFORM: lo, hi */
    const struct tensor *list; /* LIST; of rank 0: every element */
};

/* One tensor of a param as it lies in its file: format_decode() reads it. `data` is mapped for the whole
 * compile. */
struct stored {
    enum format format;
    const void *data;
    size_t bytes;
};

enum global_kind { GLOBAL_PARAM, GLOBAL_STATE };
struct global { /* a param or state, or an array of equal ones: wq[L], expert[L][E] */
    enum global_kind kind;
    const char *name;
    struct type type; /* of one element; extents are constants */
    int counts_rank;  /* 0: one tensor; 1: name[c0]; 2: name[c0][c1] */
    int64_t counts[2];
    struct init init;
    struct stored *stored; /* params: [global_elements()], once bound to their files; NULL before, and for
                              initialisers */
    const struct layout
        *layout; /* packed form, chosen by the layout pass; NULL: row-major in `store` format */
    const struct sharding *sharding; /* of each element; NULL: not said */
    enum format store;               /* how elements are stored by the compiled model */
    bool assigned;                   /* some function assigns it */
    struct loc loc;
    int id;
    struct global *next;
};

struct function {
    const char *name;
    bool exported;
    struct block *body; /* args: the function's; results: what it returns */
    int dims_count;
    const struct dim **dims; /* dims of its signature, in order of first use: the C function's leading
                                arguments; then the coordinates that it uses, by id */
    const struct sharding **result_shardings; /* [results], NULL where not said; NULL: of none */
    int64_t *fixed;      /* NULL, or for a version made by --dim: [graph dims] value or -1 */
    int64_t arena_bytes; /* peak of the buffers in the arena, once the memory pass has run */
    struct loc loc;
    struct function *next;
};

struct option { /* `option remat = selective`, and --remat=selective */
    const char *name, *value;
    struct loc loc;
    struct option *next;
};

struct graph {
    struct arena *arena;
    struct diag *diag;
    struct extents *extents;
    const char *name;
    struct dim **dims;
    int dims_count, dims_capacity;
    struct mesh *meshes;    /* in order of declaration */
    struct global *globals; /* in order of declaration */
    struct function *functions;
    struct option *options;
    uint64_t seed; /* --seed */
    const struct target
        *target; /* what code is made for; NULL: nothing chosen (interpreting, mdl-opt without --mcpu) */
    const struct measured *measured; /* schedules of --schedules (passes/measured.h); NULL: none */
    const struct pass_run
        *pass; /* the pass at work: its options and scratch arena (passes/pass.h); NULL between passes */
    int nodes, values, globals_count; /* ids given out so far */
};

struct graph *graph_new(struct arena *a, struct diag *d);
struct dim *graph_dim(struct graph *g, const char *name, int64_t min, int64_t max, struct loc loc);
/* A mesh without axes yet; graph_mesh_axis() adds one, with its coordinate. */
struct mesh *graph_mesh(struct graph *g, const char *name, struct loc loc);
void graph_mesh_axis(struct graph *g, struct mesh *m, const char *name, int64_t size);
struct global *graph_global(struct graph *g, enum global_kind kind, const char *name, struct loc loc);
struct function *graph_function(struct graph *g, const char *name, struct loc loc);
/* Whether a call gives it: an extent of an argument depends on it, or it is a coordinate that the function
 * uses. */
bool function_has_dim(const struct function *f, const struct dim *d);
/* The function uses a rank's coordinate. */
void function_add_coordinate(struct graph *g, struct function *f, const struct dim *coordinate);
const char *graph_option(const struct graph *g, const char *name); /* the last one given, or NULL */
int64_t
global_elements(const struct global *global); /* tensors in it: product of counts, 1 for a single one */
/* "wq[3]": of tensor number i of it. */
const char *global_element_name(struct arena *a, const struct global *global, int64_t i);

struct block *block_new(struct graph *g, struct node *owner);
struct value *block_argument(struct graph *g, struct block *b, const struct type *type, const char *name,
                             struct loc loc);
void block_append(struct block *b, struct node *n);
/* A copy of a list of operands or results [count], v behind them. */
struct value **value_list_with(struct graph *g, struct value **list, int count, struct value *v);
void node_insert_before(struct node *n, struct node *before);
/* Node n makes a new value, which is returned, in place of its result; what that was is from now on the result of
 * `behind`, a node without results, which is put behind it. */
struct value *node_put_behind(struct graph *g, struct node *n, int result, struct node *behind);
void node_remove(struct node *n); /* out of its block; its results must be unused or replaced */

/* A node of `op`, not in any block, with empty attributes and no results yet: set operands' order as in the
 * table. */
struct node *node_new(struct graph *g, enum op op, int operands, struct value *const *given, struct loc loc);
struct value *node_add_result(struct graph *g, struct node *n, const struct type *type);
struct attr *node_attr(const struct node *n, const char *name); /* its slot */
/* Checks operands and attributes, makes the attributes canonical and the results' types (infer.c). Returns
 * false after reporting what is wrong at the node's place. Call again after changing operands: results keep
 * their identity. */
bool node_infer(struct graph *g, struct node *n);

/* From now on every use of `old` means `new` (same type), which lives where `old` did if nothing else is said
 * of it. value_now() gives what a reference means today. */
void value_replace(struct value *old, struct value *new);
struct value *value_now(struct value *v);
/* Rewires every operand and block result to value_now(); the pass manager calls it after each pass. */
void graph_settle(struct graph *g);

/* Every node of a function, outer before inner, in order. Pass NULL to start:
 *     for (struct node *n = NULL; (n = node_walk(f->body, n));) ... */
struct node *node_walk(struct block *root, struct node *n);

/* How many operands and block results refer to each value, [g->values], in `scratch`. Call after
 * graph_settle. */
int *graph_uses(struct graph *g, struct arena *scratch);

bool node_has_effect(
    const struct node *n); /* assign, guard, send, receive, or a body with one: never removed or reordered */

#endif
