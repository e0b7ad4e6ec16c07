/* What the interpreter's parts share: the state of one call, arrays, walks over index spaces, attributes.
 *
 * Each family of ops has one function here, eval_FAMILY(e, n): it reads its operands, makes its results with
 * eval_result() and returns whether its checks held (else after eval_fail()). */
#ifndef IR_EVAL_H
#define IR_EVAL_H
#include "ir/graph.h"
#include "ir/interp.h"

struct cell {                    /* what a value is during a call */
    struct array *array;         /* without numbers where `stored` holds them */
    const struct stored *stored; /* a large param, decoded by those who use it */
};
struct slot {              /* one tensor of a global */
    struct array *now;     /* NULL: not made yet */
    struct array *pending; /* assigned in this call; becomes `now` if it succeeds */
    bool reusable;         /* no value of the call shares the numbers of `pending` */
};
struct interp {
    struct arena *arena;
    struct graph *graph;
    bool exact;
    struct slot **slots;   /* [global][element] */
    struct interp **ranks; /* a partitioned graph's: those that do the work, [ranks_count]; else NULL */
    int ranks_count;
    const struct mesh *mesh;   /* one of several ranks: of which, and */
    int64_t rank;              /* its number, from the mesh's first */
    struct exchange *exchange; /* during a call of several ranks: where they meet (exchange.h) */
};
struct eval {
    struct interp *interp;
    struct graph *graph;
    struct arena *call;  /* for what lasts as long as the call */
    struct arena *arena; /* for what is made now: the call's, or of a loop's one iteration */
    int depth;           /* loops around */
    int64_t *dims;       /* [graph->dims_count] */
    struct cell *cells;  /* [graph->values] */
    const char *error;
};

#define FAMILY(name) bool eval_##name(struct eval *e, const struct node *n);
#include "ir/families.def"
#undef FAMILY

/* A call in parts: states change at its end, if it is good. */
struct eval interp_begin(struct interp *p);
bool interp_run(struct eval *e, const struct function *f, struct array *const *inputs,
                struct array **results);
void interp_end(struct eval *e, bool good);
/* Slots for all globals, empty; false after a diagnostic. */
bool interp_globals(struct interp *p);
void interp_globals_reset(struct interp *p);
struct array *interp_global_array(struct arena *a, const struct global *global); /* of its type, zeroed */

bool eval_block(struct eval *e, const struct block *b);
/* What a global holds now: assigned in this call, or before, or as it starts. */
struct cell interp_global(struct interp *p, const struct global *global, int64_t element);
/* The whole of a stored param as an array. */
struct array *eval_decoded(struct arena *a, const struct cell *cell);
/* Notes what is wrong, with the node's place and op; always false. */
bool eval_fail(struct eval *e, const struct node *n, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The operand's array, or NULL where an optional one is absent. */
const struct array *eval_operand(struct eval *e, const struct node *n, int k);
/* The same for a contraction's factor: rounded to the op's compute type, if that is narrower. */
const struct array *eval_factor(struct eval *e, const struct node *n, int k);
/* The operand's shape only; numbers may be missing. */
const struct array *eval_shape_of(struct eval *e, const struct node *n, int k);
/* Floats first ... first + count - 1 of an operand: in place, or decoded into `buffer`. */
const double *eval_floats(struct eval *e, const struct node *n, int k, int64_t first, int64_t count,
                          double *buffer);
/* A zeroed array of the type of result number `k`; NULL after eval_fail() if its size makes no sense. */
struct array *eval_result(struct eval *e, const struct node *n, int k);
int64_t eval_length(const struct eval *e, const struct extent *extent);

/* Attributes, or their defaults where they are not set. Axes count from the start. */
int64_t attr_int(const struct node *n, const char *name);
double attr_float(const struct node *n, const char *name);
bool attr_flag(const struct node *n, const char *name);
bool attr_is_word(const struct node *n, const char *name, const char *word);
int attr_axis(const struct node *n, int rank);
int64_t attr_list(const struct node *n, const char *name, int i);           /* INTS; one number serves all */
int64_t attr_pair(const struct node *n, const char *name, int i, int side); /* PAIRS; the same */

/* A walk over an index space in row-major order, which keeps an offset for each of several arrays:
 *     struct walk w = walk_over(rank, extents);
 *     walk_add(&w, strides) ...
 *     for (bool more = walk_start(&w); more; more = walk_next(&w)) ... w.at[0] ... w.at[1] ... */
enum { WALK_RANK = 32, WALK_STREAMS = 10 };
struct walk {
    int rank, streams;
    int64_t extents[WALK_RANK], index[WALK_RANK];
    int64_t strides[WALK_STREAMS][WALK_RANK], at[WALK_STREAMS];
};
struct walk walk_over(int rank, const int64_t *extents);
int walk_add(struct walk *w, const int64_t *strides); /* which stream it is */
bool walk_start(struct walk *w);                      /* false: the space is empty */
bool walk_next(struct walk *w);

void array_strides(const struct array *x, int64_t *strides); /* row-major, in elements */
/* Strides that repeat `x` over a larger shape, aligned at the right. */
void array_broadcast_strides(const struct array *x, int rank, const int64_t *extents, int64_t *strides);
/* Products of the extents before and after an axis. */
int64_t array_outer(const struct array *x, int axis), array_inner(const struct array *x, int axis);
/* `count` elements; both of the same class. */
void array_copy(struct array *to, int64_t to_first, const struct array *from, int64_t from_first,
                int64_t count);
struct array *array_copy_of(struct arena *a, const struct array *x);
/* Element `j` of `from`, as cast() converts it to the type of `to`. */
void array_cast_element(struct array *to, int64_t i, const struct array *from, int64_t j);
static inline double array_float(const struct array *x, int64_t i) {
    return x->floats ? x->floats[i] : (double)x->integers[i];
}

#endif
