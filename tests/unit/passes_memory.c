/* Places are safe: random programs are run symbolically, each buffer remembering whose contents it holds.
 * Whatever a kernel reads must still be there, results must be where the caller looks, and no state may have
 * changed when a guard fails. */
#include "frontend/frontend.h"
#include "passes/passes.h"
#include "random_program.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { PROGRAMS = 300, STATEMENTS = 16, ROUNDS = 3 };

/* Contents are numbers, new for each result made. A state or result is one region; the arena a list of
 * intervals, the last written first. */
struct interval {
    int64_t begin, end;
    int contents;
    struct interval *below;
};
struct machine {
    struct arena *a;
    struct graph *g;
    const char *text;
    int *contents; /* [values] what each value is */
    int *states;   /* [globals] contents of its buffer (arrays of states are not in the random programs) */
    int *results;  /* [function's results] */
    struct interval *arena;
    int next;
    bool changed; /* some state is not what it was at the call */
};

static int64_t bytes_of(const struct machine *m, const struct value *v) {
    return extent_max(type_bytes(m->g->extents, &v->type));
}

/* The state that a value placed in one is in: what it is assigned to. */
static const struct global *state_of(const struct function *f, const struct value *v) {
    for (struct node *n = NULL; (n = node_walk(f->body, n));)
        if (n->op == OP_assign && n->operands[0] == v) return n->global;
    cr_assert_fail("a value in a state is assigned to none");
    return NULL;
}

static bool arena_holds(const struct machine *m, int64_t begin, int64_t end, int contents) {
    for (const struct interval *i = m->arena; i; i = i->below) {
        if (i->end <= begin || i->begin >= end) continue;
        return i->contents == contents && i->begin <= begin && i->end >= end;
    }
    return false;
}

static bool holds(const struct machine *m, const struct function *f, const struct value *v) {
    int contents = m->contents[v->id];
    const struct node *n = v->def;
    if (n && n->op == OP_param && n->global->kind == GLOBAL_STATE)
        return m->states[n->global->id] == contents;
    if (n && (n->op == OP_param || n->op == OP_constant)) return true;
    if (v->place.space == SPACE_ARENA)
        return arena_holds(m, v->place.offset, v->place.offset + bytes_of(m, v), contents);
    if (v->place.space == SPACE_STATE) return m->states[state_of(f, v)->id] == contents;
    if (v->place.space == SPACE_RESULT) return m->results[v->place.offset] == contents;
    return !n; /* the function's arguments, a loop's variable */
}

static void store(struct machine *m, const struct function *f, const struct value *v) {
    int contents = m->contents[v->id] = m->next++;
    if (v->place.space == SPACE_STATE) {
        m->states[state_of(f, v)->id] = contents;
        m->changed = true;
    } else if (v->place.space == SPACE_RESULT) {
        m->results[v->place.offset] = contents;
    } else {
        struct interval *i = arena_new_object(m->a, struct interval);
        cr_assert_eq(v->place.space, SPACE_ARENA);
        cr_assert_eq(v->place.offset % 64, 0);
        *i = (struct interval){v->place.offset, v->place.offset + bytes_of(m, v), contents, m->arena};
        cr_assert_leq(i->end, f->arena_bytes);
        m->arena = i;
    }
}

static void expect(const struct machine *m, const struct function *f, const struct value *v,
                   const char *what) {
    cr_assert(holds(m, f, v), "%s: value %d is gone\n%s", what, v->id, m->text);
}

static void run_block(struct machine *m, const struct function *f, const struct block *b);

static void run_scan(struct machine *m, const struct function *f, const struct node *n) {
    for (int i = 0; i < n->operands_count; i++) {
        m->contents[n->body->args[i + 1]->id] = m->contents[n->operands[i]->id];
        expect(m, f, n->body->args[i + 1], "the start of a loop");
    }
    for (int round = 0; round < ROUNDS; round++) {
        run_block(m, f, n->body);
        for (int i = 0; i < n->operands_count; i++) expect(m, f, n->body->results[i], "the end of a round");
        int *made = arena_new_array(m->a, int, (size_t)n->operands_count + 1);
        for (int i = 0; i < n->operands_count; i++) made[i] = m->contents[n->body->results[i]->id];
        for (int i = 0; i < n->operands_count; i++) {
            m->contents[n->body->args[i + 1]->id] = made[i];
            expect(m, f, n->body->args[i + 1], "the next round");
        }
    }
    for (int i = 0; i < n->results_count; i++)
        m->contents[n->results[i]->id] = m->contents[n->body->args[i + 1]->id];
}

static void run_node(struct machine *m, const struct function *f, const struct node *n) {
    if (n->op == OP_param && n->global->kind == GLOBAL_STATE)
        m->contents[n->results[0]->id] = m->states[n->global->id];
    if (n->op == OP_kernel || n->op == OP_guard || n->op == OP_assign)
        for (int i = 0; i < n->operands_count; i++)
            if (n->operands[i]) expect(m, f, n->operands[i], op_info(n->op)->name);
    if (n->op == OP_kernel)
        for (int i = 0; i < n->results_count; i++) store(m, f, n->results[i]);
    if (n->op == OP_guard) cr_assert_not(m->changed, "a guard comes after a change\n%s", m->text);
    if (n->op == OP_scan) run_scan(m, f, n);
    if (n->op != OP_assign) return;
    m->states[n->global->id] = m->contents[n->operands[0]->id]; /* copied if it is not there yet */
    m->changed = true;
}

static void run_block(struct machine *m, const struct function *f, const struct block *b) {
    for (const struct node *n = b->first; n; n = n->next) run_node(m, f, n);
}

static void check_program(uint64_t seed, const char *passes) {
    struct arena *a = arena_new();
    const char *text = random_program(a, seed, STATEMENTS);
    struct diag d;
    const struct frontend_options options = {0};
    diag_init(&d, a, stderr);
    struct graph *g = frontend_parse(a, &d, "t.mdl", text, strlen(text), &options);
    struct pipeline p = {.passes = passes, .bisect_limit = -1, .out = stdout};
    cr_assert(!d.errors && pipeline_run(g, &p));
    const struct function *f = g->functions;
    struct machine m = {.a = a, .g = g, .text = text, .next = 1};
    m.contents = arena_new_array(a, int, (size_t)g->values);
    m.states = arena_new_array(a, int, (size_t)g->globals_count);
    m.results = arena_new_array(a, int, (size_t)f->body->results_count);
    for (int i = 0; i < g->globals_count; i++) m.states[i] = m.next++;
    for (int i = 0; i < f->body->args_count; i++) m.contents[f->body->args[i]->id] = m.next++;
    run_block(&m, f, f->body);
    for (int i = 0; i < f->body->results_count; i++) expect(&m, f, f->body->results[i], "return");
    arena_release(a);
}

Test(passes_memory, default_pipeline) {
    for (uint64_t seed = 1; seed <= PROGRAMS; seed++) check_program(seed, NULL);
}

Test(passes_memory, kernels_of_one_node) {
    for (uint64_t seed = 1; seed <= PROGRAMS; seed++)
        check_program(seed, "cse,decompose,guards,fuse{max=1},schedule,layout,memory");
}
