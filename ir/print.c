/* Prints a graph as a .mdl program that parses again to the same graph.
 *
 *     model m                                          header, options, dims, params, states
 *     export fn f(x: f32[S]) -> f32[S] {
 *         y : f32[S] = x + 1.0 loc("m.mdl":3:9)        a statement a node, params and literals in place
 *         return y
 *     }
 *
 * Nothing here knows single ops: ops.def says how each is written; only structure has printers of its own. */
#include "ir/print.h"
#include "ir/literal.h"
#include "ir/names.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct printer {
    FILE *out;
    struct arena *arena;
    struct names *names;
    int depth;
};

static void print_block(struct printer *p, const struct block *b);

static void indent(const struct printer *p) { fprintf(p->out, "%*s", 4 * p->depth, ""); }

static void print_loc(const struct printer *p, struct loc loc) {
    if (!loc.source) return;
    fprintf(p->out, " loc(%s:%d:%d)", string_text(p->arena, loc.source->path), loc.line, loc.column);
}

static void print_sharding(const struct printer *p, const struct sharding *s) {
    if (s) fprintf(p->out, " %s", sharding_text(p->arena, s));
}

/* on m.pipeline(1) loc("m.mdl":3:9). What is inside a kernel or loop runs where that runs, if not said
 * otherwise. */
static void print_end(const struct printer *p, const struct node *n) {
    const struct placement *around = NULL;
    for (const struct block *b = n->parent; b && b->owner && !around; b = b->owner->parent) around = b->owner->on;
    if (n->on && !placement_equal(n->on, around)) fprintf(p->out, " %s", placement_text(p->arena, n->on));
    print_loc(p, n->loc);
    fputc('\n', p->out);
}

/* @m(data, _) layout("...") in arena(64) over(1) */
static void print_suffixes(const struct printer *p, const struct value *v) {
    long long offset = (long long)v->place.offset;
    print_sharding(p, v->sharding);
    if (v->layout) fprintf(p->out, " layout(\"%s\")", layout_text(p->arena, v->layout));
    if (v->place.space == SPACE_ARENA) fprintf(p->out, " in arena(%lld)", offset);
    if (v->place.space == SPACE_STATE) fputs(" in state", p->out);
    if (v->place.space == SPACE_RESULT) fprintf(p->out, " in result(%lld)", offset);
    if (v->place.in_place) fprintf(p->out, " over(%d)", v->place.in_place - 1);
}

static const char *name_of(const struct printer *p, struct value *v) { return names_value(p->names, v); }

/* name : type suffixes */
static void print_typed(const struct printer *p, struct value *v) {
    fprintf(p->out, "%s : %s", name_of(p, v), type_text(p->arena, &v->type));
    print_suffixes(p, v);
}

static void print_operand(const struct printer *p, const struct node *n, int k, bool left) {
    struct value *v = value_now(n->operands[k]);
    if (!literal_in_place(n, k)) {
        fputs(name_of(p, v), p->out);
        return;
    }
    const char *text = tensor_text(p->arena, v->def->constant);
    fprintf(p->out, left && *text == '-' ? "(%s)" : "%s", text); /* -2.0 ** x is -(2.0 ** x) */
}

static void print_infix(const struct printer *p, const struct node *n, const char *sign) {
    if (n->operands_count == 1)
        fprintf(p->out, "%s ", sign);
    else {
        print_operand(p, n, 0, true);
        fprintf(p->out, " %s ", sign);
    }
    print_operand(p, n, n->operands_count - 1, false);
}

static void separate(const struct printer *p, bool *first) {
    if (!*first) fputs(", ", p->out);
    *first = false;
}

/* The operands of one entry of the signature: one, none if absent, or all that are left. Returns how many. */
static int print_operands(const struct printer *p, const struct node *n, const struct operand_spec *spec,
                          int from, bool *first) {
    int last = spec->variadic ? n->operands_count : from + 1;
    for (int k = from; k < last && k < n->operands_count; k++) {
        if (!n->operands[k]) continue;
        separate(p, first);
        if (spec->by_name) fprintf(p->out, "%s=", spec->name);
        print_operand(p, n, k, false);
    }
    return last - from;
}

static void print_attr(const struct printer *p, const struct node *n, int k, bool *first) {
    const struct attr_spec *spec = &op_info(n->op)->attrs[k];
    if (attr_is_default(n, k)) return;
    separate(p, first);
    if (spec->by_name && spec->kind != ATTR_FLAG) fprintf(p->out, "%s=", spec->name);
    fputs(attr_text(p->arena, n, k), p->out);
}

/* op(operands and attributes in the order of the signature) */
static void print_call(const struct printer *p, const struct node *n) {
    const struct op_info *op = op_info(n->op);
    int attr = 0, operand = 0, given = 0;
    bool first = true;
    fprintf(p->out, "%s(", op->name);
    for (int at = 0; at < op->operands_count + op->attrs_count; at++) {
        if (attr < op->attrs_count && op->attrs[attr].position == at)
            print_attr(p, n, attr++, &first);
        else
            given += print_operands(p, n, &op->operands[operand++], given, &first);
    }
    fputc(')', p->out);
}

static void print_expression(const struct printer *p, const struct node *n) {
    const struct op_info *op = op_info(n->op);
    if (op->infix)
        print_infix(p, n, op->infix);
    else
        print_call(p, n);
}

static struct value *index_of(const struct node *n, int k) {
    return n->operands_count > k ? n->operands[k] : NULL;
}

static void print_param(const struct printer *p, const struct node *n) {
    fputs(names_global(p->names, n->global, n->element, index_of(n, 0)), p->out);
}

static void print_constant(const struct printer *p, const struct node *n) {
    fputs(tensor_text(p->arena, n->constant), p->out);
}

/* One statement: v0 : f32[2], i0 : i32[2] = topk(x, k=2) loc(...) */
static void print_statement(const struct printer *p, const struct node *n,
                            void (*expression)(const struct printer *, const struct node *)) {
    for (int k = 0; k < n->results_count; k++) {
        if (k) fputs(", ", p->out);
        print_typed(p, n->results[k]);
    }
    if (n->results_count) fputs(" = ", p->out);
    expression(p, n);
    print_end(p, n);
}

static void print_assign(struct printer *p, const struct node *n) {
    fprintf(p->out, "%s = %s", names_global(p->names, n->global, n->element, index_of(n, 1)),
            name_of(p, n->operands[0]));
    print_end(p, n);
}

static void close_body(struct printer *p, const struct node *n) {
    p->depth--;
    indent(p);
    fputc('}', p->out);
    print_end(p, n);
}

/* Binds results of a kernel's body that are not made by a statement with the result's name: arguments, and
 * values given twice. */
static void print_rebindings(struct printer *p, const struct node *n) {
    for (int k = 0; k < n->results_count; k++) {
        const char *outer = name_of(p, n->results[k]), *inner = name_of(p, n->body->results[k]);
        if (!strcmp(outer, inner)) continue;
        indent(p);
        fprintf(p->out, "%s : %s = %s\n", outer, type_text(p->arena, &n->results[k]->type), inner);
    }
}

/* kernel k0 (x, wq[0]) -> q : f32[S, 576] schedule(...) { */
static void print_kernel(struct printer *p, const struct node *n) {
    fprintf(p->out, "kernel %s (", names_node(p->names, n));
    for (int k = 0; k < n->operands_count; k++)
        fprintf(p->out, "%s%s", k ? ", " : "", name_of(p, n->operands[k]));
    fputc(')', p->out);
    for (int k = 0; k < n->results_count; k++) {
        fputs(k ? ", " : " -> ", p->out);
        print_typed(p, n->results[k]);
    }
    if (n->schedule) fprintf(p->out, " schedule(%s)", schedule_text(p->arena, n->schedule));
    fputs(" {\n", p->out);
    p->depth++;
    print_block(p, n->body);
    print_rebindings(p, n);
    close_body(p, n);
}

/* Whether `v` is a carried value of the scan other than number `k`: it must be read before it is assigned. */
static bool is_other_carried(const struct node *n, const struct value *v, int k) {
    const struct block *b = n->body;
    return v->index != k + 1 && v->index > 0 && v->index < b->args_count && b->args[v->index] == v;
}

/* The assignments at the end of a scan's body happen at once, so values that change places go by way of a
 * name. */
static void print_carried(struct printer *p, const struct node *n) {
    const char **sources = arena_new_array(p->arena, const char *, n->results_count);
    for (int k = 0; k < n->results_count; k++) {
        struct value *v = value_now(n->body->results[k]);
        sources[k] = name_of(p, v);
        if (!is_other_carried(n, v, k)) continue;
        indent(p);
        const char *kept = names_fresh(p->names, "kept");
        fprintf(p->out, "%s : %s = %s\n", kept, type_text(p->arena, &v->type), sources[k]);
        sources[k] = kept;
    }
    for (int k = 0; k < n->results_count; k++) {
        indent(p);
        fprintf(p->out, "%s = %s\n", name_of(p, n->results[k]), sources[k]);
    }
}

/* h1 : f32[4] = h0
 * for t scan 0..T { ... h1 = v } */
static void print_scan(struct printer *p, const struct node *n) {
    for (int k = 0; k < n->results_count; k++) {
        if (k) indent(p);
        print_typed(p, n->results[k]);
        fprintf(p->out, " = %s\n", name_of(p, n->operands[k]));
    }
    if (n->results_count) indent(p);
    fprintf(p->out, "for %s scan 0..%s {\n", name_of(p, n->body->args[0]), extent_text(p->arena, n->count));
    p->depth++;
    print_block(p, n->body);
    print_carried(p, n);
    close_body(p, n);
}

static void print_node(struct printer *p, const struct node *n) {
    if (n->op == OP_kernel)
        print_kernel(p, n);
    else if (n->op == OP_scan)
        print_scan(p, n);
    else if (n->op == OP_assign)
        print_assign(p, n);
    else
        print_statement(p, n,
                        n->op == OP_param      ? print_param
                        : n->op == OP_constant ? print_constant
                                               : print_expression);
}

static void print_block(struct printer *p, const struct block *b) {
    for (const struct node *n = b->first; n; n = n->next) {
        if (!names_has_statement(p->names, n)) continue;
        indent(p);
        print_node(p, n);
    }
}

/* export fn forward(tokens: i32[S], pos: i32) -> f32[49152] { */
static void print_signature(struct printer *p, const struct graph *g, const struct function *f) {
    const struct block *b = f->body;
    fprintf(p->out, "%sfn %s(", f->exported ? "export " : "", f->name);
    for (int k = 0; k < b->args_count; k++) {
        fprintf(p->out, "%s%s: %s", k ? ", " : "", name_of(p, b->args[k]),
                type_text(p->arena, &b->args[k]->type));
        print_suffixes(p, b->args[k]);
    }
    fputc(')', p->out);
    for (int k = 0; k < b->results_count; k++) {
        fprintf(p->out, "%s%s", k ? ", " : " -> ", type_text(p->arena, &b->results[k]->type));
        if (f->result_shardings) print_sharding(p, f->result_shardings[k]);
    }
    bool first = true;
    for (int i = 0; f->fixed && i < g->dims_count; i++) {
        if (f->fixed[i] < 0) continue;
        fprintf(p->out, "%s%s=%lld", first ? " fixed(" : ", ", g->dims[i]->name, (long long)f->fixed[i]);
        first = false;
    }
    fputs(first ? " {\n" : ") {\n", p->out);
}

static void print_return(struct printer *p, const struct block *b) {
    if (!b->results_count) return;
    indent(p);
    for (int k = 0; k < b->results_count; k++)
        fprintf(p->out, "%s%s", k ? ", " : "return ", name_of(p, b->results[k]));
    fputc('\n', p->out);
}

static void print_function(struct printer *p, const struct graph *g, const struct function *f) {
    struct arena *whole = p->arena;
    p->arena = arena_new(); /* texts of one function at a time */
    p->names = names_new(p->arena, g, f->body);
    fputc('\n', p->out);
    print_signature(p, g, f);
    p->depth = 1;
    print_block(p, f->body);
    print_return(p, f->body);
    p->depth = 0;
    fputc('}', p->out);
    print_loc(p, f->loc);
    fputc('\n', p->out);
    arena_release(p->arena);
    p->arena = whole;
}

static const char *number_text(struct arena *a, enum dtype t, double value) {
    if (dtype_class(t) == CLASS_FLOAT) return float_text(a, t, value);
    if (dtype_class(t) == CLASS_LOGICAL) return value != 0 ? "true" : "false";
    return arena_printf(a, "%.0f", value);
}

/* What stands after a global's type: from "name", or = initialiser. */
static void print_init(struct printer *p, const struct global *global) {
    const struct init *init = &global->init;
    const char *a = float_text(p->arena, DTYPE_F64, init->a), *b = float_text(p->arena, DTYPE_F64, init->b);
    if (init->kind == INIT_FILE)
        fprintf(p->out, " from %s", string_text(p->arena, init->tensor ? init->tensor : global->name));
    else if (init->kind == INIT_NORMAL)
        fprintf(p->out, " = normal(std=%s)", a);
    else if (init->kind == INIT_UNIFORM)
        fprintf(p->out, " = uniform(lo=%s, hi=%s)", a, b);
    else if (init->kind == INIT_LIST)
        fprintf(p->out, " = %s", tensor_text(p->arena, init->list));
    else if (init->a == 0 && !signbit(init->a))
        fputs(" = zeros", p->out);
    else if (init->a == 1)
        fputs(" = ones", p->out);
    else
        fprintf(p->out, " = %s", number_text(p->arena, global->type.dtype, init->a));
}

static void print_global(struct printer *p, const struct global *global) {
    fprintf(p->out, "%s %s", global->kind == GLOBAL_PARAM ? "param" : "state", global->name);
    for (int i = 0; i < global->counts_rank; i++) fprintf(p->out, "[%lld]", (long long)global->counts[i]);
    fprintf(p->out, " : %s", type_text(p->arena, &global->type));
    print_sharding(p, global->sharding);
    print_init(p, global);
    if (global->store) fprintf(p->out, " store(%s)", format_name(global->store)); /* the first: not chosen */
    if (global->layout) fprintf(p->out, " layout(\"%s\")", layout_text(p->arena, global->layout));
    print_loc(p, global->loc);
    fputc('\n', p->out);
}

static void print_globals(struct printer *p, const struct graph *g) {
    const char *file = NULL;
    for (const struct global *global = g->globals; global; global = global->next) {
        const struct init *init = &global->init;
        if (init->kind == INIT_FILE && init->file && (!file || strcmp(file, init->file))) {
            file = init->file;
            fprintf(p->out, "weights %s\n", string_text(p->arena, file));
        }
        print_global(p, global);
    }
}

/* Coordinates are declared by their mesh. */
static void print_dim(const struct printer *p, const struct dim *d) {
    if (d->axis) return;
    fprintf(p->out, "dim %s in %lld..%lld", d->name, (long long)d->min, (long long)d->max);
    if (d->unit > 1) fprintf(p->out, " unit %lld", (long long)d->unit);
    fputc('\n', p->out);
}

/* mesh m = <data=2, tensor=3> ranks 6..11 on cuda */
static void print_mesh(const struct printer *p, const struct mesh *m) {
    long long first = (long long)m->first_rank;
    fprintf(p->out, "mesh %s = <", m->name);
    for (int i = 0; i < m->axes_count; i++)
        fprintf(p->out, "%s%s=%lld", i ? ", " : "", m->axes[i].name, (long long)m->axes[i].size);
    fputc('>', p->out);
    if (first) fprintf(p->out, " ranks %lld..%lld", first, first + (long long)mesh_ranks(m) - 1);
    fputs(m->device == MESH_CUDA ? " on cuda\n" : "\n", p->out);
}

void graph_print(const struct graph *g, FILE *out) {
    struct printer p = {.out = out, .arena = arena_new()};
    if (g->name) fprintf(out, "model %s\n", g->name);
    for (const struct option *o = g->options; o; o = o->next)
        fprintf(out, "option %s = %s\n", o->name, o->value);
    for (int i = 0; i < g->dims_count; i++) print_dim(&p, g->dims[i]);
    for (const struct mesh *m = g->meshes; m; m = m->next) print_mesh(&p, m);
    print_globals(&p, g);
    for (const struct function *f = g->functions; f; f = f->next) print_function(&p, g, f);
    arena_release(p.arena);
}

const char *graph_text(struct arena *a, const struct graph *g) {
    char *text;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    if (!out) ice("no memory for a dump");
    graph_print(g, out);
    fclose(out);
    const char *copy = arena_strndup(a, text, length);
    free(text);
    return copy;
}

static const struct block *root_of(const struct node *n) {
    const struct block *b = n->parent;
    while (b && b->owner) b = b->owner->parent;
    return b;
}

/* Prints into memory; a body of a kernel or scan is printed too. */
const char *node_text(struct arena *a, const struct graph *g, const struct node *n) {
    char *text;
    size_t length;
    struct block alone = {.first = (struct node *)n, .last = (struct node *)n};
    const struct block *root = root_of(n);
    FILE *out = open_memstream(&text, &length);
    if (!out) ice("no memory for a statement");
    struct arena *scratch = arena_new();
    struct printer p = {out, scratch, names_new(scratch, g, root ? root : &alone), 0};
    print_node(&p, n);
    arena_release(scratch);
    fclose(out);
    while (length && text[length - 1] == '\n') length--;
    const char *copy = arena_strndup(a, text, length);
    free(text);
    return copy;
}
