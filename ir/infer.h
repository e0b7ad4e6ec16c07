/* Shared by the files of inference, infer_*.c, and by nobody else: what a family's rule is made of.
 *
 * A rule, infer_<family>(f), checks the operands of f->n and its attributes, makes the attributes canonical,
 * and ends by giving each result its type. It returns false after reporting what is wrong. */
#ifndef IR_INFER_H
#define IR_INFER_H
#include "ir/graph.h"

struct infer {
    struct graph *g;
    struct extents *x;
    struct node *n;
    const struct op_info *info;
};

#define FAMILY(name) bool infer_##name(const struct infer *f);
#include "ir/families.def"
#undef FAMILY

/* Sets of operands, for notes: ABOUT(0) | ABOUT(1). */
#define ABOUT(operand) ((operand) < 32 ? 1u << (operand) : 0u)

/* Reports "linear: ..." at the node, and a note at the declaration of each operand in `about`. Returns false.
 */
bool infer_error(const struct infer *f, unsigned about, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static inline bool has(const struct infer *f, int operand) { return f->n->operands[operand] != NULL; }
static inline const struct type *type_of(const struct infer *f, int operand) {
    return &f->n->operands[operand]->type;
}
const char *operand_name(const struct infer *f, int operand);        /* "x"; of a variadic one "x[2]" */
const char *operand_text(const struct infer *f, int operand);        /* its type: "f32[S, 576]" */
const char *shape_text(const struct infer *f, const struct type *t); /* "[S, 576]" */
const char *text_of(const struct infer *f, const struct extent *e);

/* Each reports and returns false unless the operand is as asked. */
enum wanted { FLOATS, NUMBERS, IDS, LOGICALS };
bool check_dtype(const struct infer *f, int operand, enum wanted wanted);
bool check_same_dtype(const struct infer *f, int a, int b);
bool check_rank(const struct infer *f, int operand, int min, int max);
/* `what` ("inner extents") of a's axis and b's axis are provably equal. */
bool check_same_extent(const struct infer *f, const char *what, int a, int a_axis, int b, int b_axis);

/* An axis attribute within -rank..rank-1, made non-negative. */
bool check_axis(const struct infer *f, const char *attr, int rank);
/* A list of axes: `all` expanded, made non-negative, sorted, no axis twice. */
bool check_axes(const struct infer *f, const char *attr, int rank);
/* A list with one number (or pair) an axis, from a single one if need be; each within min..max. */
bool check_list(const struct infer *f, const char *attr, int count, int64_t min, int64_t max);

/* Types under construction. append: false after reporting more than MAX_RANK axes. */
bool append_extents(const struct infer *f, struct type *t, const struct extent *const *extents, int count);
bool join_types(const struct infer *f, struct type *t, const struct type *other);
/* Joins `operand`'s shape to `t` by numpy's rules; an extent stretches only where it is the constant 1. */
bool join_shape(const struct infer *f, struct type *t, int operand);
/* Whether shape `from` broadcasts to shape `to`, reporting nothing. */
bool broadcasts_to(const struct infer *f, const struct type *from, const struct type *to);
/* Result number `index` has type `t`: its extents must not be negative, its bytes must fit 63 bits. */
bool give(const struct infer *f, int index, const struct type *t);

#endif
