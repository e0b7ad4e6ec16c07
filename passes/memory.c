/* A place for every buffer, at compile time.
 *
 *     q0 : f32[S, 576] = ...        q0 : f32[S, 576] in arena(0) = ...
 *     h0 : f32[S, 576] = ...        h0 : f32[S, 576] in arena(18874368) = ...
 *     w0 : f32[8192, 3, 64] = ...   w0 : f32[8192, 3, 64] in state over(1) = ...
 *     return r0                     r0 : f32[49152] in result(0) = ...
 *
 * Values returned are made in the caller's array; values assigned to a state in the state's buffer; results
 * that need an operand for the last time, element by element, in the operand's; the others share one arena,
 * laid out for the largest extents that the dims allow. */
#include "passes/memory.h"
#include "ir/collective.h"

bool made_by_kernel(const struct value *v) { return v->def && v->def->op == OP_kernel; }

struct value *plan_buffer(const struct plan *p, struct value *v) {
    while (p->same[v->id]) v = p->same[v->id];
    return v;
}

static void add_use(struct plan *p, const struct value *v, const struct node *n, int position) {
    if (!v) return;
    struct use *u = arena_new_object(p->scratch, struct use);
    *u = (struct use){n, position, p->uses[v->id]};
    p->uses[v->id] = u;
}

/* A collective under way still reads its operands, and writes its results, until it is waited for: at `end`
 * where nobody in the block does so before. */
static void hold_buffers(struct plan *p, const struct block *b, int end) {
    for (const struct node *n = b->first; n; n = n->next) {
        if (!collective_of(n)) continue;
        const struct node *waits = collective_end(n);
        int until = waits ? p->position[waits->id] : end;
        for (int i = 0; i < n->operands_count; i++) add_use(p, n->operands[i], n, until);
        for (int i = 0; i < n->results_count; i++) add_use(p, n->results[i], n, until);
    }
}

/* Kernels' bodies are not looked into: they see only their operands. */
static void number_block(struct plan *p, const struct block *b) {
    for (const struct node *n = b->first; n; n = n->next) {
        int at = p->position[n->id] = p->nodes++;
        for (int i = 0; i < n->operands_count; i++) add_use(p, n->operands[i], n, at);
        if (n->op == OP_guard) p->last_guard = at;
        if (n->op == OP_scan) {
            number_block(p, n->body);
            p->end[n->id] = p->nodes++;
            hold_buffers(p, n->body, p->end[n->id]);
            for (int i = 0; i < n->body->results_count; i++)
                add_use(p, n->body->results[i], NULL, p->end[n->id]);
        }
    }
}

void plan_number(struct plan *p) {
    p->nodes = 0;
    p->last_guard = -1;
    p->position = arena_new_array(p->scratch, int, (size_t)p->g->nodes + 1);
    p->end = arena_new_array(p->scratch, int, (size_t)p->g->nodes + 1);
    p->uses = arena_new_array(p->scratch, struct use *, (size_t)p->g->values + 1);
    number_block(p, p->f->body);
    hold_buffers(p, p->f->body, p->nodes);
    for (int i = 0; i < p->f->body->results_count; i++) add_use(p, p->f->body->results[i], NULL, p->nodes);
}

static void forget_places(struct function *f) {
    for (struct node *n = NULL; (n = node_walk(f->body, n));) {
        for (int i = 0; i < n->results_count; i++) n->results[i]->place = (struct place){0};
        for (int i = 0; n->op == OP_scan && i < n->body->args_count; i++)
            n->body->args[i]->place = (struct place){0};
    }
}

/* Room for values that plan_scans will add: three copies for each value carried, of three values each. */
static int values_to_come(const struct function *f) {
    int carried = 0;
    for (struct node *n = NULL; (n = node_walk(f->body, n));)
        if (n->op == OP_scan) carried += n->operands_count;
    return 12 * carried + 8;
}

bool pass_memory(struct graph *g) {
    for (struct function *f = g->functions; f; f = f->next) {
        struct plan p = {.g = g, .scratch = g->pass->scratch, .f = f};
        forget_places(f);
        p.same = arena_new_array(p.scratch, struct value *, (size_t)(g->values + values_to_come(f)));
        plan_scans(&p);
        plan_number(&p);
        plan_places(&p);
        if (!plan_offsets(&p)) return false;
        pass_explain(g, f->loc, "%s: the arena takes %lld bytes", f->name, (long long)f->arena_bytes);
    }
    return true;
}
