/* A function's nodes as the runtime's steps: which kernel, on which buffers; copies where a value is not
 * where it must end. */
#include "backend/steps.h"
#include "backend/device.h"
#include "backend/pack.h"
#include "ir/collective.h"
#include "ir/imap.h"
#include <string.h>

static bool same_dims(const struct function *a, const struct function *b) {
    if (a->dims_count != b->dims_count) return false;
    for (int i = 0; i < a->dims_count; i++)
        if (a->dims[i] != b->dims[i]) return false;
    return true;
}

uint32_t tables_extent(struct tables *t, const struct function *f, const struct extent *x) {
    if (!x) x = extent_const(t->code->graph->extents, 0);
    bool constant = extent_is_const(x, NULL);
    for (int i = 0; i < t->extents_count; i++)
        if (t->extents[i].extent == x && (constant || same_dims(t->extents[i].function, f)))
            return (uint32_t)i;
    arena_push(t->code->arena, t->extents, t->extents_count, t->extents_capacity,
               ((struct extent_entry){x, f}));
    return (uint32_t)t->extents_count - 1;
}

static int64_t most_bytes(struct code *c, const struct home *h, const struct value *v) {
    if (h->global) return home_bytes(h->global);
    const struct extent *bytes = type_bytes(c->graph->extents, &v->type);
    int64_t most = bytes ? extent_max(bytes) : INT64_MAX;
    return most < INT64_MAX / 2 ? most : INT64_MAX / 2;
}

static void add_ref(struct tables *t, const struct function *f, const struct value *v, bool written) {
    struct code *c = t->code;
    struct home h = home_of(c, f, v);
    struct mdl_ref r = {.space = (uint16_t)h.space,
                        .loop = (uint16_t)h.loop,
                        .index = h.index,
                        .offset = h.offset,
                        .stride = h.stride};
    struct reach reach = {h.offset, h.offset + most_bytes(c, &h, v), written};
    if (h.stride) reach.begin = INT64_MIN, reach.end = INT64_MAX;
    arena_push(c->arena, t->refs, t->refs_count, t->refs_capacity, r);
    arena_push(c->arena, t->reaches, t->reaches_count, t->reaches_capacity, reach);
}

static bool has_family(const struct node *n, enum op_family family) {
    return op_info(n->op)->family == family;
}

/* Bytes read of a kernel's operand: all of it, but only the rows that a gather takes, and none of a buffer
 * that is written over. */
static const struct extent *operand_bytes(struct tables *t, const struct function *f, const struct node *n,
                                          int operand) {
    struct extents *x = t->code->graph->extents;
    const struct value *argument = n->op == OP_kernel ? n->body->args[operand] : NULL;
    const struct extent *some = extent_const(x, 0);
    bool whole = !argument;
    for (const struct node *m = argument ? n->body->first : NULL; m; m = m->next)
        for (int i = 0; i < m->operands_count; i++) {
            if (m->operands[i] != argument) continue;
            if (i == 0 && has_family(m, FAMILY_gather))
                some = extent_add(x, some, type_bytes(x, &m->results[0]->type));
            else if (i != 0 || !has_family(m, FAMILY_write))
                whole = true;
        }
    if (!whole) return some;
    struct home h = home_of(t->code, f, n->operands[operand]);
    return h.global ? extent_const(x, packed_bytes(h.global)) : type_bytes(x, &n->operands[operand]->type);
}

/* Bytes written of a result: where it overwrites its buffer by a write, what is written. */
static const struct extent *result_bytes(struct tables *t, const struct node *n, int result) {
    const struct value *v = n->results[result], *inside = n->body->results[result];
    bool over =
        row_write(n, result) || (v->place.in_place && inside->def && has_family(inside->def, FAMILY_write));
    return type_bytes(t->code->graph->extents, over ? &inside->def->operands[1]->type : &v->type);
}

/* What a kernel's operations and buffers cost, for --bench and --trace. */
static void count_work(struct tables *t, const struct function *f, const struct node *n, struct mdl_step *s) {
    struct extents *x = t->code->graph->extents;
    const struct extent *flops = extent_const(x, 0), *bytes = flops;
    for (const struct node *m = n->op == OP_kernel ? n->body->first : NULL; m; m = m->next) {
        const struct extent *more = m->op == OP_constant ? extent_const(x, 0) : node_flops(t->code->graph, m);
        flops = extent_add(x, flops, more);
    }
    for (int i = 0; i < n->operands_count; i++) bytes = extent_add(x, bytes, operand_bytes(t, f, n, i));
    for (int i = 0; i < n->results_count; i++) bytes = extent_add(x, bytes, result_bytes(t, n, i));
    s->flops = tables_extent(t, f, flops);
    s->bytes = tables_extent(t, f, bytes);
}

static const char *guard_message(struct code *c, const struct node *n) {
    const char *what = node_attr(n, "what")->s;
    return arena_printf(c->arena, "%s %%lld is not in %s..%s", what ? what : "value",
                        extent_text(c->arena, node_attr(n, "lo")->e),
                        extent_text(c->arena, node_attr(n, "hi")->e));
}

static void add_step(struct tables *t, struct steps *s, const struct function *f, struct mdl_step step,
                     const struct node *n) {
    step.line = n->loc.line > 0 ? (uint32_t)n->loc.line : 0;
    step.column = n->loc.line > 0 ? (uint32_t)n->loc.column : 0;
    bool kernel = step.kind == MDL_STEP_KERNEL || step.kind == MDL_STEP_GUARD;
    if (kernel) count_work(t, f, n, &step);
    if (kernel && t->code->device) step.blocks = tables_extent(t, f, device_blocks(t->code, n));
    arena_push(t->code->arena, s->at, s->count, s->capacity, step);
}

static bool same_ref(const struct tables *t, int a, int b) {
    const struct mdl_ref *x = &t->refs[a], *y = &t->refs[b];
    const struct reach *p = &t->reaches[a], *q = &t->reaches[b];
    return x->space == y->space && x->index == y->index && x->offset == y->offset && x->stride == y->stride &&
           x->loop == y->loop && p->begin == q->begin && p->end == q->end && p->written == q->written;
}

/* Where the refs from `first` on stand: as they are, or earlier, if a step has had the same ones. Functions
 * that run the same layers then share most of the table. */
static uint32_t share_refs(struct tables *t, int first) {
    int count = t->refs_count - first;
    uint64_t hash = (uint64_t)count;
    for (int i = first; i < t->refs_count; i++)
        hash = (hash ^ t->refs[i].space ^ (uint64_t)t->refs[i].offset) * 0x9e3779b97f4a7c15u;
    for (int i = 0; i < t->rows_count; i++) {
        const struct ref_row *r = &t->rows[i];
        int same = 0;
        while (r->hash == hash && r->count == count && same < count &&
               same_ref(t, r->first + same, first + same))
            same++;
        if (r->hash != hash || r->count != count || same < count) continue;
        t->refs_count = t->reaches_count = first;
        return (uint32_t)r->first;
    }
    arena_push(t->code->arena, t->rows, t->rows_count, t->rows_capacity,
               ((struct ref_row){hash, first, count}));
    return (uint32_t)first;
}

static void add_kernel(struct tables *t, struct steps *s, const struct function *f, const struct node *n) {
    const struct kernel_code *k = kernel_of(t->code, f, n);
    int first = t->refs_count;
    struct mdl_step step = {.kind = n->op == OP_guard ? MDL_STEP_GUARD : MDL_STEP_KERNEL,
                            .kernel = (uint32_t)k->number,
                            .refs = (uint32_t)(n->operands_count + n->results_count),
                            .name = n->op == OP_guard ? guard_message(t->code, n) : k->name};
    for (int i = 0; i < n->operands_count; i++) add_ref(t, f, n->operands[i], false);
    for (int i = 0; i < n->results_count; i++) add_ref(t, f, n->results[i], true);
    step.first_ref = share_refs(t, first);
    if (k->scratch > s->scratch) s->scratch = k->scratch;
    add_step(t, s, f, step, n);
}

/* A kernel whose result is its operand: v, moved to where `place` says. */
static struct node *copy_node(struct graph *g, struct value *v, struct place place, struct loc loc) {
    struct node *n = node_new(g, OP_kernel, 1, &v, loc);
    n->name = "k";
    n->body = block_new(g, n);
    block_argument(g, n->body, &v->type, NULL, loc);
    n->body->results = n->body->args;
    n->body->results_count = 1;
    node_add_result(g, n, &v->type)->place = place;
    return n;
}

/* Where a result is a write's buffer and does not overwrite it, its buffer becomes a copy first. */
static void add_buffers(struct tables *t, struct steps *s, const struct function *f, const struct node *n) {
    for (int i = 0; n->op == OP_kernel && i < n->results_count; i++) {
        const struct node *write = row_write(n, i);
        if (!write || n->results[i]->place.in_place) continue;
        struct value *old = n->operands[write->operands[0]->index];
        struct node *copy = copy_node(t->code->graph, old, n->results[i]->place, n->loc);
        copy->results[0] = n->results[i];
        add_kernel(t, s, f, copy);
    }
}

static bool same_home(const struct home *a, const struct home *b) {
    return a->space == b->space && a->index == b->index && a->offset == b->offset && a->stride == b->stride &&
           a->loop == b->loop;
}

/* Returned values belong in the caller's arrays; most are made there. */
static void add_returns(struct tables *t, struct steps *s, const struct function *f) {
    for (int i = 0; i < f->body->results_count; i++) {
        struct value *v = f->body->results[i];
        struct home h = home_of(t->code, f, v), wanted = {.space = MDL_RESULT, .index = (uint32_t)i};
        if (same_home(&h, &wanted)) continue;
        struct place place = {.space = SPACE_RESULT, .offset = i};
        add_kernel(t, s, f, copy_node(t->code->graph, v, place, f->loc));
    }
}

static void add_block(struct tables *t, struct steps *s, const struct function *f, const struct block *b);

static void add_assign(struct tables *t, struct steps *s, const struct function *f, struct node *n) {
    struct code *c = t->code;
    struct value *v = n->operands[0];
    struct home from = home_of(c, f, v);
    struct node *copy = copy_node(c->graph, v, (struct place){.space = SPACE_STATE}, n->loc);
    copy->parent = n->parent;
    /* The copy's result stands for the state as the assignment names it. */
    n->operands[0] = copy->results[0];
    struct home to = home_of(c, f, copy->results[0]);
    if (!same_home(&to, &from)) add_kernel(t, s, f, copy);
    n->operands[0] = v;
}

static void add_scan(struct tables *t, struct steps *s, const struct function *f, struct node *n) {
    uint32_t loop = home_loop(f, n);
    if (loop > UINT16_MAX)
        emit_error(t->code->emitters[0], n->loc, "a function may have up to %d loops", UINT16_MAX + 1);
    struct mdl_step step = {.kind = MDL_STEP_LOOP, .loop = loop, .count = tables_extent(t, f, n->count)};
    add_step(t, s, f, step, n);
    add_block(t, s, f, n->body);
    step.kind = MDL_STEP_END;
    add_step(t, s, f, step, n);
    if (loop + 1 > s->loops) s->loops = loop + 1;
}

/* ---- Collectives ---- */

static const int32_t *peers_of(struct tables *t, const struct node *n) {
    const char *attr = n->op == OP_send      ? "to"
                       : n->op == OP_receive ? "from"
                       : n->op == OP_permute ? "to"
                                             : NULL;
    if (!attr) return NULL;
    const struct attr *a = node_attr(n, attr);
    int count = n->op == OP_permute ? a->count : 1;
    int32_t *peers = arena_new_array(t->code->arena, int32_t, (size_t)count);
    for (int i = 0; i < count; i++) peers[i] = (int32_t)(n->op == OP_permute ? a->ints[i] : a->i);
    return peers;
}

static uint32_t reduction_of(const struct node *n) {
    static const char *const words[] = {
        [MDL_SUM] = "sum", [MDL_MAX] = "max", [MDL_MIN] = "min", [MDL_PROD] = "prod"};
    for (uint32_t i = 0; n->op == OP_all_reduce && i < sizeof words / sizeof *words; i++)
        if (!strcmp(words[i], node_attr(n, "reduce")->s)) return i;
    return MDL_SUM;
}

/* Elements of one member's part: of what is [members, d], d. */
static uint32_t part_of(struct tables *t, const struct function *f, const struct node *n,
                        const struct type *type) {
    struct type part = *type;
    bool parts = n->op == OP_reduce_scatter || n->op == OP_all_to_all;
    for (int d = 1; parts && d < type->rank; d++) part.extents[d - 1] = type->extents[d];
    if (parts) part.rank--;
    return tables_extent(t, f, type_elements(t->code->graph->extents, &part));
}

static void add_collective(struct tables *t, struct steps *s, const struct function *f,
                           const struct node *n) {
    static const struct {
        enum op op;
        uint32_t kind;
    } kinds[] = {{OP_all_reduce, MDL_ALL_REDUCE},
                 {OP_all_gather, MDL_ALL_GATHER},
                 {OP_reduce_scatter, MDL_REDUCE_SCATTER},
                 {OP_all_to_all, MDL_ALL_TO_ALL},
                 {OP_permute, MDL_PERMUTE},
                 {OP_send, MDL_SEND},
                 {OP_receive, MDL_RECEIVE}};
    struct code *c = t->code;
    struct rank_group over = collective_group(c->graph, n);
    struct value *const *tensors = n->operands_count ? n->operands : n->results;
    struct collective_entry made = {.tensors = n->operands_count ? n->operands_count : n->results_count};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].op == n->op) made.kind = kinds[i].kind;
    made.group = tables_group(t, &over);
    made.dtype = (uint32_t)tensors[0]->type.dtype;
    made.reduction = reduction_of(n);
    made.peers = peers_of(t, n);
    made.peers_count = n->op == OP_permute ? node_attr(n, "to")->count : made.peers ? 1 : 0;
    made.elements = arena_new_array(c->arena, uint32_t, (size_t)made.tensors);
    for (int i = 0; i < made.tensors; i++) made.elements[i] = part_of(t, f, n, &tensors[i]->type);
    struct mdl_step step = {.kind = MDL_STEP_COLLECTIVE,
                            .kernel = (uint32_t)t->collectives_count,
                            .refs = (uint32_t)(n->operands_count + n->results_count),
                            .name = op_info(n->op)->name};
    int first = t->refs_count;
    for (int i = 0; i < n->operands_count; i++) add_ref(t, f, n->operands[i], false);
    for (int i = 0; i < n->results_count; i++) add_ref(t, f, n->results[i], true);
    step.first_ref = share_refs(t, first);
    arena_push(c->arena, t->collectives, t->collectives_count, t->collectives_capacity, made);
    add_step(t, s, f, step, n);
}

/* Waits before `n` (NULL: the block's end) for collectives of the block that must have ended there. */
static void add_awaits(struct tables *t, struct steps *s, const struct function *f, const struct block *b,
                       const struct node *n, const int *numbers) {
    for (const struct node *m = b->first; m != n; m = m->next) {
        if (!collective_of(m) || collective_end(m) != n) continue;
        struct mdl_step step = {
            .kind = MDL_STEP_AWAIT, .kernel = (uint32_t)numbers[m->id], .name = op_info(m->op)->name};
        add_step(t, s, f, step, m);
    }
}

static void add_block(struct tables *t, struct steps *s, const struct function *f, const struct block *b) {
    int *numbers =
        arena_new_array(t->code->arena, int, (size_t)t->code->graph->nodes + 1); /* of collectives */
    for (struct node *n = b->first; n; n = n->next) {
        if (t->code->mesh) add_awaits(t, s, f, b, n, numbers);
        add_buffers(t, s, f, n);
        if (collective_of(n)) {
            numbers[n->id] = t->collectives_count;
            add_collective(t, s, f, n);
            continue;
        }
        if (n->op == OP_kernel || n->op == OP_guard)
            add_kernel(t, s, f, n);
        else if (n->op == OP_assign)
            add_assign(t, s, f, n);
        else if (n->op == OP_scan)
            add_scan(t, s, f, n);
        else if (n->op != OP_param && n->op != OP_constant)
            emit_error(t->code->emitters[0], n->loc, "%s stands outside of a kernel", op_info(n->op)->name);
    }
    if (t->code->mesh) add_awaits(t, s, f, b, NULL, numbers);
}

/* The arena's end: past every buffer that is in it. */
static int64_t arena_bytes(const struct tables *t, const struct steps *s) {
    int64_t most = 0;
    for (int i = 0; i < s->count; i++)
        for (uint32_t r = s->at[i].first_ref; r < s->at[i].first_ref + s->at[i].refs; r++)
            if (t->refs[r].space == MDL_ARENA && t->reaches[r].end > most) most = t->reaches[r].end;
    return (most + MDL_ALIGN - 1) / MDL_ALIGN * MDL_ALIGN;
}

struct steps steps_of(struct tables *t, const struct function *f) {
    struct steps s = {0};
    add_block(t, &s, f, f->body);
    add_returns(t, &s, f);
    s.arena = arena_bytes(t, &s);
    barriers_place(t, &s);
    return s;
}
