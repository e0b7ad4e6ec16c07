/* Small functions that build graphs in unit tests: types from text, nodes with their results' types. */
#ifndef TESTS_UNIT_BUILD_H
#define TESTS_UNIT_BUILD_H
#include "ir/graph.h"
#include "ir/tensor.h"
#include <string.h>

struct build {
    struct arena *arena;
    struct diag diag;
    struct graph *graph;
    struct function *function;
    struct block *block; /* where nodes go */
    struct loc loc;
};

static inline struct build *build_new(void) {
    struct arena *a = arena_new();
    struct build *b = arena_new_object(a, struct build);
    b->arena = a;
    diag_init(&b->diag, a, stderr);
    b->graph = graph_new(a, &b->diag);
    b->graph->name = "m";
    b->function = graph_function(b->graph, "f", b->loc);
    b->function->exported = true;
    b->block = b->function->body;
    return b;
}

/* A type of constant extents; -1 - d stands for dim number d. */
static inline struct type build_type(struct build *b, enum dtype dtype, int rank, const int64_t *extents) {
    struct type t = {.dtype = dtype, .rank = rank};
    for (int i = 0; i < rank; i++)
        t.extents[i] = extents[i] >= 0 ? extent_const(b->graph->extents, extents[i])
                                       : extent_dim(b->graph->extents, b->graph->dims[-1 - extents[i]]);
    return t;
}
#define TYPE(b, dtype, ...)                                                                                  \
    build_type((b), DTYPE_##dtype, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),                \
               (int64_t[]){__VA_ARGS__})
#define SCALAR_TYPE(b, dtype) build_type((b), DTYPE_##dtype, 0, NULL)

static inline struct value *build_argument(struct build *b, struct type type, const char *name) {
    return block_argument(b->graph, b->block, &type, name, b->loc);
}

/* A node of one result, at the end of the block. */
static inline struct value *build_node(struct build *b, enum op op, struct type type, int count,
                                       struct value *const *operands) {
    struct node *n = node_new(b->graph, op, count, operands, b->loc);
    struct value *result = node_add_result(b->graph, n, &type);
    block_append(b->block, n);
    return result;
}
#define NODE(b, op, type, ...)                                                                               \
    build_node((b), OP_##op, (type),                                                                         \
               (int)(sizeof((struct value *[]){__VA_ARGS__}) / sizeof(struct value *)),                      \
               (struct value *[]){__VA_ARGS__})

/* A node without results, not yet in the block: set its attributes, then build_inferred(). */
static inline struct node *build_open(struct build *b, enum op op, int count, struct value *const *operands) {
    return node_new(b->graph, op, count, operands, b->loc);
}
#define OPEN(b, op, ...)                                                                                     \
    build_open((b), OP_##op, (int)(sizeof((struct value *[]){__VA_ARGS__}) / sizeof(struct value *)),        \
               (struct value *[]){__VA_ARGS__})
static inline struct attr *open_attr(struct node *n, const char *name) {
    struct attr *attr = node_attr(n, name);
    attr->set = true;
    return attr;
}
/* Puts it into the block with the results that inference gives it; the first of them, NULL if it is wrong. */
static inline struct value *build_inferred(struct build *b, struct node *n) {
    if (!node_infer(b->graph, n)) return NULL;
    block_append(b->block, n);
    return n->results_count ? n->results[0] : NULL;
}

static inline struct attr *build_attr(struct value *v, const char *name) {
    struct attr *attr = node_attr(v->def, name);
    attr->set = true;
    return attr;
}

/* A list for an attribute, copied into the arena. */
static inline void open_ints(struct build *b, struct node *n, const char *name, int count,
                             const int64_t *ints) {
    struct attr *attr = open_attr(n, name);
    int numbers = op_info(n->op)->attrs[op_attr(n->op, name)].kind == ATTR_PAIRS ? 2 * count : count;
    int64_t *copy = arena_new_array(b->arena, int64_t, (size_t)(numbers < 0 ? 0 : numbers) + 1);
    for (int i = 0; i < numbers; i++) copy[i] = ints[i]; /* none: all axes */
    attr->count = count;
    attr->ints = copy;
}

static inline void build_ints(struct build *b, struct value *v, const char *name, int count,
                              const int64_t *ints) {
    open_ints(b, v->def, name, count, ints);
}

static inline void open_extents(struct build *b, struct node *n, const char *name, int count,
                                const int64_t *ints) {
    struct attr *attr = open_attr(n, name);
    const struct extent **copy = arena_new_array(b->arena, const struct extent *, count + 1);
    for (int i = 0; i < count; i++) copy[i] = extent_const(b->graph->extents, ints[i]);
    attr->count = count;
    attr->extents = copy;
}

static inline void build_extents(struct build *b, struct value *v, const char *name, int count,
                                 const int64_t *ints) {
    open_extents(b, v->def, name, count, ints);
}

/* A constant tensor from doubles. */
static inline struct value *build_constant(struct build *b, enum dtype dtype, int rank,
                                           const int64_t *extents, const double *values) {
    struct tensor *t = arena_new_object(b->arena, struct tensor);
    t->dtype = dtype;
    t->rank = rank;
    for (int i = 0; i < rank; i++) t->extents[i] = extents[i];
    int64_t count = tensor_elements(t);
    char *data = arena_new_array(b->arena, char, (size_t)(count * dtype_bytes(dtype)) + 1);
    for (int64_t i = 0; i < count; i++) element_set_float(dtype, data, i, values[i]);
    t->data = data;
    struct value *v = build_node(b, OP_constant, build_type(b, dtype, rank, extents), 0, NULL);
    v->def->constant = t;
    return v;
}

static inline struct value *build_scalar(struct build *b, enum dtype dtype, double value) {
    return build_constant(b, dtype, 0, NULL, &value);
}

/* The value of a param or state. */
static inline struct value *build_read(struct build *b, struct global *global, int64_t element) {
    struct value *v = build_node(b, OP_param, global->type, 0, NULL);
    v->def->global = global;
    v->def->element = element;
    return v;
}

static inline void build_write_state(struct build *b, struct global *global, int64_t element,
                                     struct value *v) {
    struct node *n = node_new(b->graph, OP_assign, 1, &v, b->loc);
    n->global = global;
    n->element = element;
    global->assigned = true;
    block_append(b->block, n);
}

static inline struct global *build_global(struct build *b, enum global_kind kind, const char *name,
                                          struct type type, double fill) {
    struct global *global = graph_global(b->graph, kind, name, b->loc);
    global->type = type;
    global->init = (struct init){.kind = INIT_FILL, .a = fill};
    return global;
}

static inline void build_return(struct build *b, int count, struct value *const *results) {
    b->block->results_count = count;
    b->block->results = arena_new_array(b->arena, struct value *, count + 1);
    for (int i = 0; i < count; i++) b->block->results[i] = results[i];
}
#define RETURN(b, ...)                                                                                       \
    build_return((b), (int)(sizeof((struct value *[]){__VA_ARGS__}) / sizeof(struct value *)),               \
                 (struct value *[]){__VA_ARGS__})

#endif
