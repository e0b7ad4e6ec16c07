/* The value at a point: from the memo, a binding, an operand's buffer, or computed by its op's family from
 * its operands. */
#include "backend/emit_family.h"
#include "backend/emit_memo.h"
#include "backend/simt.h"

LLVMValueRef unsupported(struct emitter *e, const struct node *n, int result, const struct point *p) {
    (void)result, (void)p;
    emit_error(e, n->loc, "no lowering for op %s on this target", op_info(n->op)->name);
    return NULL;
}

/* Families that another level takes care of: sugar and normalisations are gone before kernels are made,
 * structure is walked by tables.c, and what sorts has a kernel of its own. */
#define emit_family_cumsum unsupported
#define emit_family_topk unsupported
#define emit_family_sort unsupported
#define emit_family_scatter unsupported
#define emit_family_normalize unsupported
#define emit_family_cross_entropy unsupported
#define emit_family_sdpa unsupported
#define emit_family_guard unsupported
#define emit_family_collective unsupported
#define emit_family_send unsupported
#define emit_family_receive unsupported
#define emit_family_sugar unsupported
#define emit_family_param unsupported
#define emit_family_assign unsupported
#define emit_family_kernel unsupported
#define emit_family_scan unsupported

static emit_family *const families[FAMILY_COUNT] = {
#define FAMILY(name) [FAMILY_##name] = emit_family_##name,
#include "ir/families.def"
#undef FAMILY
};

void emit_bind(struct emitter *e, struct binding *b) {
    b->next = e->bindings;
    e->bindings = b;
}

void emit_unbind(struct emitter *e, struct binding *b) {
    if (e->bindings != b) ice("bindings end in the order they began");
    e->bindings = b->next;
}

static bool is_uniform(const struct point *p) {
    for (int i = 0; i < p->rank; i++)
        if (!index_is_uniform(&p->at[i])) return false;
    return true;
}

/* One lane in place of equal ones; they count as one if any of them is wanted. */
static struct point one_lane(struct emitter *e, const struct point *p) {
    struct point one = *p;
    one.lanes = 1;
    one.mask = one.tail = NULL;
    if (p->mask && p->mask != p->tail && e->threaded) {
        one.mask = simt_any(e, p->mask);
    } else if (p->mask && p->mask != p->tail) {
        LLVMTypeRef type = LLVMTypeOf(p->mask);
        LLVMValueRef mask = p->mask;
        one.mask = emit_intrinsic(e, "llvm.vector.reduce.or", &type, 1, &mask, 1);
    }
    return one;
}

/* With one lane a stride means nothing. */
static struct point plain(const struct point *p) {
    struct point q = *p;
    for (int i = 0; i < p->rank; i++) q.at[i].stride = 0;
    return q;
}

static LLVMValueRef compute(struct emitter *e, struct value *v, const struct point *p) {
    if (!v->def) return emit_load(e, &e->operands[v->index], p);
    emit_location(e, v->def->loc);
    return families[op_info(v->def->op)->family](e, v->def, v->index, p);
}

static LLVMValueRef bound_or_computed(struct emitter *e, struct value *v, const struct point *p) {
    const struct binding *b = e->bindings;
    while (b && b->value != v) b = b->next;
    LLVMValueRef made = b ? b->load(e, b, p) : NULL;
    if (made) return made;
    made = compute(e, v, p);
    if (b && b->made && made) b->made(e, b, p, made);
    return made;
}

LLVMValueRef emit_value(struct emitter *e, struct value *v, const struct point *p) {
    struct point q = p->lanes == 1 ? plain(p) : *p;
    LLVMValueRef made = memo_find_value(e, v, &q);
    if (made) return made;
    if (q.lanes > 1 && is_uniform(&q)) {
        struct point one = one_lane(e, &q);
        made = emit_value(e, v, &one);
    } else {
        made = bound_or_computed(e, v, &q);
    }
    if (!made) return NULL;
    made = emit_splat(e, made, q.lanes);
    emit_remember(e, v, &q, made);
    return made;
}

LLVMValueRef emit_index_value(struct emitter *e, struct value *v, const struct point *p) {
    LLVMValueRef made = emit_value(e, v, p);
    return made ? emit_cast(e, v->type.dtype, DTYPE_I64, made) : NULL;
}

struct point point_broadcast(struct emitter *e, const struct type *operand, const struct type *result,
                             const struct point *p) {
    struct point q = *p;
    q.rank = operand->rank;
    for (int i = 0; i < operand->rank; i++) {
        int j = i + result->rank - operand->rank;
        q.at[i] = operand->extents[i] == result->extents[j] ? p->at[j] : index_constant(e, 0);
    }
    return q;
}

static LLVMValueRef body(struct emitter *e, const struct scalar *s, enum dtype t, LLVMTypeRef like,
                         LLVMValueRef *arguments) {
    if (s->op == SCALAR_ARGUMENT) return arguments[s->argument];
    if (s->op == SCALAR_CONSTANT) return emit_constant_like(like, s->value);
    LLVMValueRef operands[3] = {0};
    for (int i = 0; i < scalar_arity(s->op); i++) operands[i] = body(e, s->operands[i], t, like, arguments);
    return emit_scalar(e, s->op, t, operands);
}

/* The type a pointwise op computes in: that of its operands which are not conditions. */
static enum dtype working_type(const struct node *n) {
    for (int i = n->operands_count - 1; i >= 0; i--)
        if (n->operands[i]->type.dtype != DTYPE_BOOL) return n->operands[i]->type.dtype;
    return DTYPE_BOOL;
}

/* Whether the smallest change of an operand may change the result by much: no choice that is continuous. */
static bool jumps(const struct scalar *s) {
    switch (s->op) {
    case SCALAR_floor:
    case SCALAR_ceil:
    case SCALAR_round:
    case SCALAR_rem:
    case SCALAR_lt:
    case SCALAR_le:
    case SCALAR_eq:
    case SCALAR_ne:
        return true;
    default:
        break;
    }
    for (int i = s->op == SCALAR_select; i < scalar_arity(s->op); i++)
        if (jumps(s->operands[i])) return true;
    return false;
}

LLVMValueRef emit_family_pointwise(struct emitter *e, const struct node *n, int result,
                                   const struct point *p) {
    const struct type *to = &n->results[result]->type;
    LLVMValueRef arguments[MAX_OPERANDS];
    for (int i = 0; i < n->operands_count; i++) {
        struct point q = point_broadcast(e, &n->operands[i]->type, to, p);
        if (!(arguments[i] = emit_value(e, n->operands[i], &q))) return NULL;
    }
    emit_location(e, n->loc);
    enum dtype t = working_type(n);
    bool exact = dtype_class(to->dtype) != CLASS_FLOAT || jumps(op_info(n->op)->body);
    for (int i = 0; exact && i < n->operands_count; i++)
        arguments[i] = emit_round(e, n->operands[i]->type.dtype, arguments[i]);
    LLVMTypeRef like = emit_vector(e, emit_compute_type(e, t), p->lanes);
    LLVMValueRef made = body(e, op_info(n->op)->body, t, like, arguments);
    LLVMTypeRef have = emit_element(LLVMTypeOf(made)), want = emit_compute_type(e, to->dtype);
    if (have == e->i1 && want != e->i1) made = emit_cast(e, DTYPE_BOOL, to->dtype, made);
    if (have != e->i1 && want == e->i1)
        made = LLVMBuildICmp(e->builder, LLVMIntNE, made, LLVMConstNull(LLVMTypeOf(made)), "");
    return emit_wrap(e, to->dtype, made);
}

LLVMValueRef emit_family_cast(struct emitter *e, const struct node *n, int result, const struct point *p) {
    enum dtype from = n->operands[0]->type.dtype, to = n->results[result]->type.dtype;
    LLVMValueRef v = emit_value(e, n->operands[0], p);
    if (v && dtype_class(to) != CLASS_FLOAT) v = emit_round(e, from, v);
    return v ? emit_cast(e, from, to, v) : NULL;
}

static bool all_equal(const struct tensor *t, int64_t elements) {
    const char *data = t->data;
    size_t bytes = (size_t)dtype_bytes(t->dtype);
    for (int64_t i = 1; i < elements; i++)
        if (__builtin_memcmp(data, data + (size_t)i * bytes, bytes)) return false;
    return true;
}

LLVMValueRef emit_family_constant(struct emitter *e, const struct node *n, int result,
                                  const struct point *p) {
    const struct tensor *t = n->constant;
    int64_t elements = 1;
    for (int i = 0; i < t->rank; i++) elements *= t->extents[i];
    if (!elements) return LLVMConstNull(emit_vector(e, emit_compute_type(e, t->dtype), p->lanes));
    struct point at = *p;
    if (all_equal(t, elements)) {
        for (int i = 0; i < at.rank; i++) at.at[i] = index_constant(e, 0);
        at.mask = at.tail = NULL;
        elements = 1;
    }
    LLVMValueRef table = emit_table(e, t->data, (size_t)elements * (size_t)dtype_bytes(t->dtype));
    struct buffer b = {.base = table, .type = n->results[result]->type, .constant = true};
    return emit_load(e, &b, &at);
}
