/* Plain rows as boxes of a tensor map: the GPU's engine brings a tile's lines of 128 bytes by one request, and zeros where the
 * rows or the inputs end.
 *
 *     x: bf16[batch, rows, 576]     map: 576, rows, batch     a box: 64, 128, 1     from: 64 step, first row, batch at hand
 */
#include "backend/simt.h"
#include "backend/simt_mma.h"

static bool is_plain(const struct axis_map *axis) {
    return axis->count == 1 && axis->terms[0].coefficient == 1 && !axis->whole && !axis->guarded &&
           !axis->offset;
}

static bool is_line(const struct mma_operand *o, int loop) {
    for (int i = 0; i < o->lines.count; i++)
        if (o->lines.loops[i] == loop) return true;
    return false;
}

/* What axis number `axis` walks becomes a dimension of the map. Loops of lines are one dimension; *left of them, the first ones, are
 * still to come, and they must follow each other. */
static bool add_axis(struct emitter *e, const struct mma_operand *o, int axis, int *left,
                     struct operand_map *m, int *loops) {
    const struct axis_map *a = &o->access->axes[axis];
    const struct extent *n = o->value->type.extents[axis];
    int loop = a->terms[0].loop;
    if (!is_plain(a) || o->c->map->loops[loop].extent != n) return false;
    bool lines = is_line(o, loop), inside = m->rank && loops[m->rank - 1] == MMA_LINES;
    if (lines && (!*left || o->lines.loops[*left - 1] != loop || (*left < o->lines.count && !inside)))
        return false;
    *left -= lines;
    if (lines && inside)
        return (m->extents[m->rank - 1] = extent_mul(e->graph->extents, m->extents[m->rank - 1], n)) != NULL;
    if (m->rank == MDL_MAP_DIMS) return false;
    m->extents[m->rank] = n;
    m->box[m->rank] = 1;
    loops[m->rank++] = loop == o->c->inputs.loops[0] ? MMA_INPUTS : lines ? MMA_LINES : loop;
    return true;
}

/* What cuTensorMapEncodeTiled allows, and coordinates in 32 bits. */
static bool is_small(struct emitter *e, const struct mma_operand *o, const struct operand_map *m) {
    const struct extent *bytes = type_bytes(e->graph->extents, &o->value->type);
    for (int i = 0; i < m->rank; i++)
        if (extent_max(m->extents[i]) > INT32_MAX || m->box[i] > 256) return false;
    return bytes && extent_max(bytes) < INT64_C(1) << 40;
}

/* The map of boxes of `lines` lines, and which loop walks which of its dimensions. */
static bool describe(struct emitter *e, const struct mma_operand *o, int lines, struct operand_map *m,
                     int *loops) {
    int left = o->lines.count;
    if (!o->buffer || o->packed || !left) return false;
    *m = (struct operand_map){.buffer = (int)(o->buffer - e->operands), .dtype = atom_info(o->atom)->a};
    for (int axis = o->access->rank - 1; axis >= 0; axis--)
        if (!add_axis(e, o, axis, &left, m, loops)) return false;
    for (int i = 0; i < m->rank; i++)
        if (loops[i] == MMA_LINES) m->box[i] = lines;
    m->box[0] = STEP_CHUNKS * chunk_inputs(o->atom);
    return !left && is_small(e, o, m);
}

static struct operand_map *find(struct emitter *e, const struct operand_map *wanted) {
    for (int i = 0; i < e->maps_count; i++) {
        struct operand_map *m = &e->maps[i];
        bool same = m->buffer == wanted->buffer && m->rank == wanted->rank;
        for (int d = 0; same && d < m->rank; d++)
            same = m->extents[d] == wanted->extents[d] && m->box[d] == wanted->box[d];
        if (same) return m;
    }
    return NULL;
}

static void plan(struct emitter *e, const struct mma_operand *o, int lines) {
    struct operand_map m;
    int loops[MDL_MAP_DIMS];
    if (describe(e, o, lines, &m, loops) && !find(e, &m))
        arena_push(e->arena, e->maps, e->maps_count, e->maps_capacity, m);
}

/* Of tiles whose products read shared memory by themselves. A tile of outputs is one or more of the schedule's. */
void mma_plan_boxes(struct emitter *e) {
    const struct schedule *s = e->kernel->schedule;
    if (!s || s->domain != DOMAIN_contract || !e->target->simt) return;
    enum atom_unit unit = atom_info(s->atom)->unit;
    if (unit != UNIT_group && unit != UNIT_block) return;
    for (struct node *n = e->kernel->body->first; n; n = n->next) {
        struct contraction c;
        if (!contraction_of(e->arena, e->graph, n, &c)) continue;
        struct mma_operand a = mma_operand_a(e, &c, s->atom), b = mma_operand_b(e, &c, s->atom);
        plan(e, &a, s->tile[0]);
        plan(e, &b, s->tile[1]);
    }
}

void mma_find_box(struct emitter *e, struct mma_operand *o, int lines) {
    struct operand_map m;
    o->box.map = describe(e, o, lines, &m, o->box.loops) ? find(e, &m) : NULL;
}

int mma_box_lines(const struct mma_operand *o) {
    int i = 0;
    while (o->box.loops[i] != MMA_LINES) i++;
    return o->box.map->box[i];
}

void mma_copy_box(struct emitter *e, const struct mma_operand *o, const struct index *at, LLVMValueRef line,
                  LLVMValueRef chunk, LLVMValueRef to, LLVMValueRef barrier) {
    const struct operand_map *m = o->box.map;
    LLVMValueRef first[MDL_MAP_DIMS];
    for (int i = 0; i < m->rank; i++) {
        int loop = o->box.loops[i];
        first[i] = loop == MMA_INPUTS  ? emit_mul(e, chunk, emit_i64(e, chunk_inputs(o->atom)))
                   : loop == MMA_LINES ? line
                                       : at[loop].base;
    }
    simt_copy_box(e, m, first, to, barrier);
}
