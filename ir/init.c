/* Computes what initialisers say, any range of any tensor. */
#include "ir/init.h"
#include "ir/random.h"
#include "ir/tensor.h"

/* Element `i` of tensor `stream`, before rounding. A list serves every tensor of an array. */
static double value_at(const struct init *init, struct random_key key, uint64_t stream, int64_t i) {
    switch (init->kind) {
    case INIT_FILL:
        return init->a;
    case INIT_NORMAL:
        return random_normal(key, stream, (uint64_t)i, init->a);
    case INIT_UNIFORM:
        return random_uniform(key, stream, (uint64_t)i, init->a, init->b);
    case INIT_LIST:
        return element_float(init->list->dtype, init->list->data, init->list->rank ? i : 0);
    case INIT_FILE:
        break;
    }
    ice("a global read from a file has no initialiser");
}

void init_floats(const struct graph *g, const struct global *global, int64_t element, int64_t first,
                 int64_t count, double *out) {
    struct random_key key = random_key(g->seed, global->name);
    for (int64_t i = 0; i < count; i++)
        out[i] =
            dtype_round_float(global->type.dtype, value_at(&global->init, key, (uint64_t)element, first + i));
}

void init_integers(const struct graph *g, const struct global *global, int64_t element, int64_t first,
                   int64_t count, int64_t *out) {
    const struct init *init = &global->init;
    struct random_key key = random_key(g->seed, global->name);
    for (int64_t i = 0; i < count; i++) {
        int64_t value = init->kind == INIT_LIST ? element_integer(init->list->dtype, init->list->data,
                                                                  init->list->rank ? first + i : 0)
                                                : (int64_t)value_at(init, key, (uint64_t)element, first + i);
        out[i] = dtype_wrap_integer(global->type.dtype, value);
    }
}
