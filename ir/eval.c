/* Shared parts of the interpreter: operands and results, attributes, walks. */
#include "ir/eval.h"
#include "ir/tensor.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST_BITS = 40 }; /* no array of 2^40 elements or more: its extents must be an error */

bool eval_fail(struct eval *e, const struct node *n, const char *format, ...) {
    struct arena *a = e->interp->arena;
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(a, format, args);
    va_end(args);
    text = arena_printf(a, "%s: %s", op_info(n->op)->name, text);
    if (n->loc.source)
        text = arena_printf(a, "%s:%d:%d: %s", n->loc.source->path, n->loc.line, n->loc.column, text);
    e->error = text;
    return false;
}

static struct cell *cell_of(struct eval *e, const struct node *n, int k) {
    struct value *v = k < n->operands_count ? value_now(n->operands[k]) : NULL;
    return v ? &e->cells[v->id] : NULL;
}

static void decode(struct array *x, const struct stored *stored, int64_t first, int64_t count, void *out) {
    if (dtype_class(x->dtype) != CLASS_FLOAT) {
        format_decode_integer(stored->format, stored->data, first, count, out);
        return;
    }
    double *floats = out;
    format_decode(stored->format, stored->data, first, count, floats);
    for (int64_t i = 0; i < count; i++) floats[i] = dtype_round_float(x->dtype, floats[i]);
}

struct array *eval_decoded(struct arena *a, const struct cell *cell) {
    const struct array *x = cell->array;
    struct array *made = array_new(a, x->dtype, x->rank, x->extents);
    decode(made, cell->stored, 0, made->elements, made->floats ? (void *)made->floats : made->integers);
    return made;
}

const struct array *eval_operand(struct eval *e, const struct node *n, int k) {
    const struct cell *cell = cell_of(e, n, k);
    if (!cell) return NULL;
    if (!cell->array) ice("%s reads a value that was not computed", op_info(n->op)->name);
    return cell->stored ? eval_decoded(e->arena, cell) : cell->array;
}

const struct array *eval_shape_of(struct eval *e, const struct node *n, int k) {
    const struct cell *cell = cell_of(e, n, k);
    return cell ? cell->array : NULL;
}

static bool narrows(const struct node *n, enum dtype *compute) {
    const struct attr *attr = node_attr(n, "compute");
    *compute = attr->dtype;
    return attr->set && (*compute == DTYPE_BF16 || *compute == DTYPE_F16 || *compute == DTYPE_F32);
}

const struct array *eval_factor(struct eval *e, const struct node *n, int k) {
    const struct array *x = eval_operand(e, n, k);
    enum dtype compute;
    if (!x || !x->floats || !narrows(n, &compute) || compute == x->dtype) return x;
    struct array *rounded = array_new(e->arena, x->dtype, x->rank, x->extents);
    for (int64_t i = 0; i < x->elements; i++) rounded->floats[i] = dtype_round_float(compute, x->floats[i]);
    return rounded;
}

const double *eval_floats(struct eval *e, const struct node *n, int k, int64_t first, int64_t count,
                          double *buffer) {
    const struct cell *cell = cell_of(e, n, k);
    if (!cell->stored) return cell->array->floats + first;
    decode(cell->array, cell->stored, first, count, buffer);
    return buffer;
}

int64_t eval_length(const struct eval *e, const struct extent *extent) {
    return extent_eval(extent, e->dims);
}

struct array *eval_result(struct eval *e, const struct node *n, int k) {
    const struct type *t = &n->results[k]->type;
    int64_t extents[MAX_RANK], elements = 1;
    for (int i = 0; i < t->rank; i++) {
        extents[i] = eval_length(e, t->extents[i]);
        bool fits =
            extents[i] >= 0 && !__builtin_mul_overflow(elements, extents[i] ? extents[i] : 1, &elements);
        if (fits && elements >> LARGEST_BITS == 0) continue;
        eval_fail(e, n, "a result of type %s with an extent of %lld", type_text(e->interp->arena, t),
                  (long long)extents[i]);
        return NULL;
    }
    struct array *made = array_new(e->arena, t->dtype, t->rank, extents);
    e->cells[n->results[k]->id] = (struct cell){made, NULL};
    return made;
}

/* The attribute's slot if it is set, and else its default as text in *fallback. */
static const struct attr *attr_or_fallback(const struct node *n, const char *name, const char **fallback) {
    int k = op_attr(n->op, name);
    *fallback = op_info(n->op)->attrs[k].fallback;
    if (n->attrs[k].set) return &n->attrs[k];
    if (!*fallback) ice("%s: attribute %s is not set", op_info(n->op)->name, name);
    return NULL;
}

int64_t attr_int(const struct node *n, const char *name) {
    const char *fallback;
    const struct attr *attr = attr_or_fallback(n, name, &fallback);
    return attr ? attr->i : strtoll(fallback, NULL, 10);
}

double attr_float(const struct node *n, const char *name) {
    const char *fallback;
    const struct attr *attr = attr_or_fallback(n, name, &fallback);
    return attr ? attr->f : strtod(fallback, NULL);
}

bool attr_flag(const struct node *n, const char *name) {
    const struct attr *attr = node_attr(n, name);
    return attr->set && attr->i;
}

bool attr_is_word(const struct node *n, const char *name, const char *word) {
    const char *fallback;
    const struct attr *attr = attr_or_fallback(n, name, &fallback);
    return !strcmp(attr ? attr->s : fallback, word);
}

int attr_axis(const struct node *n, int rank) {
    int64_t axis = attr_int(n, "axis");
    return (int)(axis < 0 ? axis + rank : axis);
}

int64_t attr_list(const struct node *n, const char *name, int i) {
    const char *fallback;
    const struct attr *attr = attr_or_fallback(n, name, &fallback);
    return attr ? attr->ints[attr->count == 1 ? 0 : i] : strtoll(fallback, NULL, 10);
}

int64_t attr_pair(const struct node *n, const char *name, int i, int side) {
    const char *fallback;
    const struct attr *attr = attr_or_fallback(n, name, &fallback);
    return attr ? attr->ints[2 * (attr->count == 1 ? 0 : i) + side] : strtoll(fallback, NULL, 10);
}

struct walk walk_over(int rank, const int64_t *extents) {
    struct walk w = {.rank = rank};
    if (rank) memcpy(w.extents, extents, (size_t)rank * sizeof *extents);
    return w;
}

int walk_add(struct walk *w, const int64_t *strides) {
    if (w->streams == WALK_STREAMS) ice("a walk over too many arrays");
    if (w->rank) memcpy(w->strides[w->streams], strides, (size_t)w->rank * sizeof *strides);
    return w->streams++;
}

bool walk_start(struct walk *w) {
    memset(w->index, 0, sizeof w->index);
    memset(w->at, 0, sizeof w->at);
    for (int d = 0; d < w->rank; d++)
        if (w->extents[d] <= 0) return false;
    return true;
}

bool walk_next(struct walk *w) {
    for (int d = w->rank - 1; d >= 0; d--) {
        for (int s = 0; s < w->streams; s++) w->at[s] += w->strides[s][d];
        if (++w->index[d] < w->extents[d]) return true;
        for (int s = 0; s < w->streams; s++) w->at[s] -= w->strides[s][d] * w->extents[d];
        w->index[d] = 0;
    }
    return false;
}

void array_strides(const struct array *x, int64_t *strides) {
    int64_t stride = 1;
    for (int d = x->rank - 1; d >= 0; d--) strides[d] = stride, stride *= x->extents[d];
}

void array_broadcast_strides(const struct array *x, int rank, const int64_t *extents, int64_t *strides) {
    int64_t own[MAX_RANK];
    array_strides(x, own);
    for (int d = 0; d < rank; d++) {
        int mine = d - (rank - x->rank);
        bool repeated = mine < 0 || (x->extents[mine] == 1 && extents[d] != 1);
        strides[d] = repeated ? 0 : own[mine];
    }
}

int64_t array_outer(const struct array *x, int axis) {
    int64_t product = 1;
    for (int d = 0; d < axis; d++) product *= x->extents[d];
    return product;
}

int64_t array_inner(const struct array *x, int axis) {
    int64_t product = 1;
    for (int d = axis + 1; d < x->rank; d++) product *= x->extents[d];
    return product;
}

void array_copy(struct array *to, int64_t to_first, const struct array *from, int64_t from_first,
                int64_t count) {
    if (count <= 0) return;
    if (to->floats)
        memcpy(to->floats + to_first, from->floats + from_first, (size_t)count * sizeof *to->floats);
    else
        memcpy(to->integers + to_first, from->integers + from_first, (size_t)count * sizeof *to->integers);
}

struct array *array_copy_of(struct arena *a, const struct array *x) {
    struct array *copy = array_new(a, x->dtype, x->rank, x->extents);
    array_copy(copy, 0, x, 0, x->elements);
    return copy;
}

/* Towards zero; what does not fit becomes the nearest that does; NaN becomes 0. */
static int64_t integer_of_float(enum dtype t, double value) {
    int bits = 8 * dtype_bytes(t) - (t != DTYPE_U8);
    double above = ldexp(1, bits), least = t == DTYPE_U8 ? 0 : -above;
    if (isnan(value)) return 0;
    if (value >= above) return bits == 63 ? INT64_MAX : ((int64_t)1 << bits) - 1;
    return (int64_t)(value < least ? least : value);
}

void array_cast_element(struct array *to, int64_t i, const struct array *from, int64_t j) {
    if (to->floats)
        to->floats[i] = array_float(from, j);
    else if (to->dtype == DTYPE_BOOL)
        to->integers[i] = from->floats ? from->floats[j] != 0 : from->integers[j] != 0;
    else if (from->floats)
        to->integers[i] = integer_of_float(to->dtype, from->floats[j]);
    else
        to->integers[i] = dtype_wrap_integer(to->dtype, from->integers[j]);
}
