/* Types of elementwise ops, found from their scalar bodies: a body that divides or takes a root needs floats,
 * one that compares gives bool.
 *
 *     "a / (1 + exp(neg(a)))"      f32 -> f32, not of integers
 *     "select(a, b, c)"            bool, T, T -> T */
#include "ir/infer.h"

/* What each primitive asks of its operands. */
enum need { NEED_NUMBER, NEED_FLOAT, NEED_BOOL, NEED_ALIKE, NEED_CHOICE };
static const struct {
    enum need need;
    bool gives_bool;
} primitives[SCALAR_COUNT] = {
    [SCALAR_sqrt] = {NEED_FLOAT, false},    [SCALAR_exp] = {NEED_FLOAT, false},
    [SCALAR_exp2] = {NEED_FLOAT, false},    [SCALAR_expm1] = {NEED_FLOAT, false},
    [SCALAR_log] = {NEED_FLOAT, false},     [SCALAR_log1p] = {NEED_FLOAT, false},
    [SCALAR_sin] = {NEED_FLOAT, false},     [SCALAR_cos] = {NEED_FLOAT, false},
    [SCALAR_tanh] = {NEED_FLOAT, false},    [SCALAR_erf] = {NEED_FLOAT, false},
    [SCALAR_gelu] = {NEED_FLOAT, false},
    [SCALAR_div] = {NEED_FLOAT, false},     [SCALAR_not] = {NEED_BOOL, true},
    [SCALAR_and] = {NEED_BOOL, true},       [SCALAR_or] = {NEED_BOOL, true},
    [SCALAR_eq] = {NEED_ALIKE, true},       [SCALAR_ne] = {NEED_ALIKE, true},
    [SCALAR_lt] = {NEED_NUMBER, true},      [SCALAR_le] = {NEED_NUMBER, true},
    [SCALAR_select] = {NEED_CHOICE, false},
};

static bool is_choice(const struct scalar *s, int operand) {
    const struct scalar *c = s->op == SCALAR_select ? s->operands[0] : NULL;
    return c && c->op == SCALAR_ARGUMENT && c->argument == operand;
}

/* Whether operand number `operand` chooses between others somewhere in `s`: where's c. */
static bool chooses(const struct scalar *s, int operand) {
    if (s->op == SCALAR_ARGUMENT || s->op == SCALAR_CONSTANT) return false;
    if (is_choice(s, operand)) return true;
    for (int i = 0; i < scalar_arity(s->op); i++)
        if (chooses(s->operands[i], operand)) return true;
    return false;
}

static bool check_argument(const struct infer *f, int operand, enum need need) {
    if (need == NEED_FLOAT) return check_dtype(f, operand, FLOATS);
    if (need == NEED_NUMBER) return check_dtype(f, operand, NUMBERS);
    return need != NEED_BOOL || check_dtype(f, operand, LOGICALS);
}

/* Checks the operands that each primitive of `s` meets, directly or through others. */
static bool check_body(const struct infer *f, const struct scalar *s, enum need need) {
    if (s->op == SCALAR_CONSTANT) return true;
    if (s->op == SCALAR_ARGUMENT) return check_argument(f, s->argument, need);
    enum need own = primitives[s->op].need;
    for (int i = 0; i < scalar_arity(s->op); i++) {
        enum need inner = own != NEED_CHOICE ? own : i == 0 ? NEED_BOOL : need;
        if (inner == NEED_NUMBER && need == NEED_FLOAT && !primitives[s->op].gives_bool) inner = need;
        if (!check_body(f, s->operands[i], inner)) return false;
    }
    return true;
}

static bool gives_bool(const struct infer *f, const struct scalar *s) {
    if (s->op == SCALAR_ARGUMENT) return type_of(f, s->argument)->dtype == DTYPE_BOOL;
    if (s->op == SCALAR_select) return gives_bool(f, s->operands[1]);
    return s->op != SCALAR_CONSTANT && primitives[s->op].gives_bool;
}

bool infer_pointwise(const struct infer *f) {
    const struct scalar *body = f->info->body;
    struct type t = {0};
    int first = -1;
    if (!check_body(f, body, NEED_ALIKE)) return false;
    for (int i = 0; i < f->n->operands_count; i++) {
        if (!chooses(body, i)) {
            if (first < 0) first = i;
            if (!check_same_dtype(f, first, i)) return false;
        }
        if (!join_shape(f, &t, i)) return false;
    }
    t.dtype = gives_bool(f, body) ? DTYPE_BOOL : type_of(f, first)->dtype;
    return give(f, 0, &t);
}

bool infer_cast(const struct infer *f) {
    struct type t = *type_of(f, 0);
    t.dtype = node_attr(f->n, "to")->dtype;
    return give(f, 0, &t);
}
