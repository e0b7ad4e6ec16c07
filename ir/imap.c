/* Index maps by family: imap_of() makes room, then asks the op's family. imap_build.h says what a map is made
 * of.
 *
 *     matmul(a: f32[S, 4], b: f32[4, T])    loops s, t parallel, k reduction
 *     a [s, k]   b [k, t]   result [s, t] */
#include "ir/imap_build.h"

static void (*const makers[])(struct map *) = {
#define FAMILY(name) map_##name,
#include "ir/families.def"
#undef FAMILY
};

int add_loop(struct map *b, const struct extent *extent, enum loop_kind kind) {
    if (b->m->loops_count == MAX_LOOPS) ice("%s has too many loops", op_info(b->n->op)->name);
    b->m->loops[b->m->loops_count] = (struct loop){extent, kind};
    return b->m->loops_count++;
}

void walk(struct axis_map *axis, int loop, int64_t coefficient) {
    if (axis->count == MAX_AXIS_TERMS) ice("an axis is walked by too many loops");
    axis->terms[axis->count++] = (struct axis_term){loop, coefficient};
}

void walk_both(struct axis_map *axis, int outer, int64_t step, int inner) {
    walk(axis, outer, step);
    walk(axis, inner, 1);
}

void walk_axes(struct access_map *access, int first, int loop, int count) {
    for (int i = 0; i < count; i++) walk(&access->axes[first + i], loop + i, 1);
}

void walk_broadcast(struct map *b, int operand, int rank) {
    const struct type *t = type_of(b, operand);
    for (int i = 0; i < t->rank; i++) {
        int loop = rank - t->rank + i;
        if (t->extents[i] == b->m->loops[loop].extent) walk(operand_axis(b, operand, i), loop, 1);
    }
}

void loops_of_result(struct map *b) {
    const struct type *t = result_of(b, 0);
    for (int i = 0; i < t->rank; i++) add_loop(b, t->extents[i], LOOP_PARALLEL);
    walk_axes(&b->m->results[0], 0, 0, t->rank);
}

void loops_around(struct map *b, int64_t axis) {
    loops_of_result(b);
    b->m->loops[axis].kind = LOOP_ORDERED;
}

static struct access_map *accesses(struct arena *a, struct value *const *values, int count) {
    struct access_map *list = arena_new_array(a, struct access_map, count);
    for (int i = 0; i < count; i++) list[i].rank = values[i] ? values[i]->type.rank : 0;
    return list;
}

const struct imap *imap_of(struct arena *a, struct graph *g, const struct node *n) {
    const struct op_info *info = op_info(n->op);
    if (info->level == LEVEL_STRUCTURE) return NULL;
    struct imap *m = arena_new_object(a, struct imap);
    m->operands_count = n->operands_count;
    m->results_count = n->results_count;
    m->operands = accesses(a, n->operands, n->operands_count);
    m->results = accesses(a, n->results, n->results_count);
    struct map b = {a, g->extents, n, m};
    makers[info->family](&b);
    return m;
}
