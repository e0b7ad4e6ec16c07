/* What contractions compute in, and how weights are stored: option precision = f32 | tf32 | bf16 | int8, option
 * quantize = q8_0 ... tf32 is f32 whose factors a GPU may cut to 10 bits of mantissa (schedule.c); elsewhere it is f32.
 *
 *     y = linear(x, w)      int8, w stored q4_1, inner extent a multiple of 32:
 *                               codes, scales, sums = quantize(x)
 *                               y = qlinear(codes, scales, sums, w)
 *                           bf16:
 *                               y = linear(x, w, compute=bf16)
 *     a = sdpa(q, k, v)     bf16, and int8 where the target multiplies bf16 faster than f32:
 *                               a = sdpa(q, k, v, compute=bf16)
 *
 * A weight keeps its file's format: a quantised one is never widened, and only `quantize` makes one narrower,
 * but for f32 weights of contractions, which bf16 stores as bf16. States that only attention reads are stored
 * as bf16 by bf16 and int8; others stay in their own type. */
#include "ir/format.h"
#include "passes/build.h"
#include "passes/caches.h"
#include "passes/passes.h"
#include <string.h>

enum { BLOCK = 32 };

enum precision { PRECISION_F32, PRECISION_TF32, PRECISION_BF16, PRECISION_INT8, PRECISIONS };
static const char *const precision_names[PRECISIONS] = {"f32", "tf32", "bf16", "int8"};

struct chooser {
    struct graph *g;
    enum precision precision;
    enum format quantize; /* FORMAT_COUNT: as they are */
    bool *weights;        /* [globals] used as the right side of a contraction, as it is stored */
    bool *transposed;     /* [globals] the same, through transposes */
    bool changed;
};

static const struct option *last_option(const struct graph *g, const char *name) {
    const struct option *last = NULL;
    for (const struct option *o = g->options; o; o = o->next)
        if (!strcmp(o->name, name)) last = o;
    return last;
}

static void read_options(struct chooser *c) {
    const struct option *o = last_option(c->g, "precision");
    c->quantize = FORMAT_COUNT;
    while (o && c->precision < PRECISIONS && strcmp(o->value, precision_names[c->precision])) c->precision++;
    if (c->precision == PRECISIONS) {
        diag_error(c->g->diag, o->loc, "precision is f32, tf32, bf16 or int8, not '%s'", o->value);
        c->precision = PRECISION_F32;
    }
    o = last_option(c->g, "quantize");
    if (!o || !strcmp(o->value, "none")) return;
    c->quantize = format_find(o->value);
    if (c->quantize != FORMAT_COUNT && format_info(c->quantize)->bits && format_info(c->quantize)->encodes)
        return;
    diag_error(c->g->diag, o->loc,
               "quantize: weights cannot be stored as '%s'; q4_0, q4_1, q5_0, q5_1 and q8_0 can", o->value);
    c->quantize = FORMAT_COUNT;
}

static bool is_contraction(const struct node *n) {
    enum op_family family = op_info(n->op)->family;
    return family == FAMILY_linear || family == FAMILY_matmul || family == FAMILY_einsum ||
           family == FAMILY_sdpa || family == FAMILY_qlinear;
}

/* The right side of a contraction, or NULL. */
static const struct value *right_side(const struct node *n) {
    int slot = n->op == OP_qlinear ? 3 : 1;
    if (n->op != OP_linear && n->op != OP_qlinear && n->op != OP_matmul && n->op != OP_einsum) return NULL;
    return n->operands_count > slot ? n->operands[slot] : NULL;
}

/* The param that is `w`, or NULL. */
static struct global *param_of(const struct value *w) {
    bool param = w && w->def && w->def->op == OP_param && w->def->global->kind == GLOBAL_PARAM;
    return param && !w->def->global->assigned ? w->def->global : NULL;
}

static const struct value *below_transposes(const struct value *w) {
    while (w && w->def && w->def->op == OP_transpose) w = w->def->operands[0];
    return w;
}

/* ---- Storage ---- */

static int bits_of(enum format f) {
    const struct format_info *i = format_info(f);
    return i->bits ? i->bits : 8 * i->bytes;
}

/* The one format for all tensors of a param: theirs, or where they differ the widest that can be written. */
static enum format stored_format(const struct global *w) {
    enum format plain = format_of_dtype(w->type.dtype), widest = w->stored ? w->stored[0].format : plain;
    bool differ = false;
    for (int64_t i = 0; w->stored && i < global_elements(w); i++) {
        differ |= w->stored[i].format != widest;
        if (bits_of(w->stored[i].format) > bits_of(widest)) widest = w->stored[i].format;
    }
    if (differ && format_info(widest)->bits && !format_info(widest)->encodes) return FORMAT_q8_0;
    if (!format_info(widest)->bits && bits_of(widest) >= bits_of(plain)) return plain;
    return widest;
}

/* The last dimension in whole blocks. */
static bool whole_blocks(const struct global *w, enum format f) {
    int64_t columns;
    return w->type.rank >= 2 && extent_is_const(w->type.extents[w->type.rank - 1], &columns) &&
           columns % format_info(f)->elements == 0;
}

static enum format chosen_format(const struct chooser *c, const struct global *w) {
    enum format format = stored_format(w);
    if (dtype_class(w->type.dtype) != CLASS_FLOAT || w->type.dtype == DTYPE_F64) return format;
    if (!c->weights[w->id] && !c->transposed[w->id]) return format;
    bool quantize = c->weights[w->id] && c->quantize != FORMAT_COUNT && whole_blocks(w, c->quantize);
    if (quantize && bits_of(format) > bits_of(c->quantize)) return c->quantize;
    return c->precision == PRECISION_BF16 && format == FORMAT_f32 ? FORMAT_bf16 : format;
}

static void choose_storage(struct chooser *c) {
    const unsigned *caches = find_caches(c->g, c->g->pass->scratch);
    bool narrow = c->precision >= PRECISION_BF16;
    for (struct global *w = c->g->globals; w; w = w->next) {
        enum format plain = format_of_dtype(w->type.dtype);
        enum format format = w->kind == GLOBAL_STATE || w->assigned ? plain : chosen_format(c, w);
        if (narrow && w->type.dtype == DTYPE_F32 && caches[w->id]) format = FORMAT_bf16;
        if (w->store || w->store == format) continue; /* chosen by hand; or f64 */
        w->store = format;
        c->changed = true;
        pass_explain(c->g, w->loc, "%s is stored as %s", w->name, format_name(format));
    }
}

/* ---- Computing ---- */

static bool divisible(const struct value *x) {
    int64_t inner;
    return x->type.rank && extent_is_const(x->type.extents[x->type.rank - 1], &inner) && inner % BLOCK == 0;
}

/* With `compute` the result is f32, so contractions of narrower types stay as they are. */
static void use_bf16(struct chooser *c, struct node *n) {
    struct attr *compute = n->op == OP_qlinear ? NULL : node_attr(n, "compute");
    if (!compute || n->results[0]->type.dtype != DTYPE_F32 || compute->dtype == DTYPE_BF16) return;
    *compute = (struct attr){.set = true, .dtype = DTYPE_BF16};
    c->changed = true;
    pass_explain(c->g, n->loc, "%s computes in bf16", op_info(n->op)->name);
}

/* linear(x, w, b?) = qlinear(quantize(x), w) + b, where w lies in blocks. */
static void use_int8(struct chooser *c, struct node *n) {
    struct global *w = n->op == OP_linear ? param_of(right_side(n)) : NULL;
    struct value *x = n->operands[0];
    if (!w || !format_info(w->store)->bits || !divisible(x) || n->results[0]->type.dtype != DTYPE_F32) return;
    struct builder b = {c->g, n, n->loc};
    struct node *q = node_new(c->g, OP_quantize, 1, &x, n->loc);
    build_finish(&b, q);
    struct value *operands[4] = {q->results[0], q->results[1], q->results[2], n->operands[1]};
    struct value *y = build_finish(&b, node_new(c->g, OP_qlinear, 4, operands, n->loc));
    if (n->operands_count > 2 && n->operands[2]) y = build2(&b, OP_add, y, n->operands[2]);
    y->name = n->results[0]->name;
    value_replace(n->results[0], y);
    node_remove(n);
    c->changed = true;
    pass_explain(c->g, n->loc, "linear by %s computes in int8", w->name);
}

static void choose_computing(struct chooser *c, struct function *f) {
    for (struct node *n = node_walk(f->body, NULL), *next; n; n = next) {
        next = node_walk(f->body, n);
        for (int i = 0; i < n->operands_count; i++) n->operands[i] = value_now(n->operands[i]);
        if (!is_contraction(n)) continue;
        const struct target *t = c->g->target;
        bool pays = op_info(n->op)->family == FAMILY_sdpa && t && (t->dot_bf16 || t->amx);
        if (c->precision == PRECISION_BF16 || (c->precision == PRECISION_INT8 && pays)) use_bf16(c, n);
        if (c->precision == PRECISION_INT8) use_int8(c, n);
    }
}

bool pass_precision(struct graph *g) {
    struct chooser c = {.g = g};
    read_options(&c);
    c.weights = arena_new_array(g->pass->scratch, bool, (size_t)g->globals_count + 1);
    c.transposed = arena_new_array(g->pass->scratch, bool, (size_t)g->globals_count + 1);
    for (struct function *f = g->functions; f; f = f->next)
        for (struct node *n = NULL; (n = node_walk(f->body, n));) {
            const struct value *right = right_side(n);
            const struct global *w = param_of(right), *below = param_of(below_transposes(right));
            if (w) c.weights[w->id] = true;
            if (below) c.transposed[below->id] = true;
        }
    choose_storage(&c);
    for (struct function *f = g->functions; c.precision != PRECISION_F32 && f; f = f->next)
        choose_computing(&c, f);
    return c.changed;
}
