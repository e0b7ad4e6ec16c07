/* Gives values their names in dumps.
 *
 * A name is the wished one if it is legal and free, else its stem with the next free number. What a dump
 * prints is therefore kept when it is parsed and printed again. Some values share a name, because the text
 * says so: the arguments of a kernel's body with the kernel's operands, the values a kernel's body gives with
 * the kernel's results, and the carried values of a scan with its results. */
#include "ir/names.h"
#include <ctype.h>
#include <string.h>

struct entry {
    const char *name;
    int next; /* number to try for the next value that wishes this stem */
};
struct names {
    struct arena *arena;
    const struct graph *graph;
    struct entry *entries; /* open addressing; capacity is a power of two */
    int count, capacity;
    const char **values; /* [graph->values] */
    const char **nodes;  /* [graph->nodes]: kernels */
    bool *wanted;        /* [graph->values]: constants that need a statement */
};

/* Words that the language or a dump gives a meaning where a name may stand. */
static const char *const reserved[] = {
    "fn",    "return", "for",   "in",    "and",     "or",     "not",    "true",  "false",  "inf",
    "nan",   "_",      "f64",   "f32",   "f16",     "bf16",   "i64",    "i32",   "i16",    "i8",
    "u8",    "bool",   "index", "scan",  "kernel",  "param",  "state",  "const", "dim",    "weights",
    "model", "option", "mesh",  "loc",   "on",      "layout", "store",  "over",  "export", "from",
    "none",  "all",    "grad",  "zeros", "ones",    "auto",   "params", "ranks", "arena",  "result",
    "dev",   "input",  "fixed", "exact", "schedule"};

static uint32_t hash(const char *text) {
    uint32_t h = 2166136261u; /* FNV-1a */
    for (; *text; text++) h = (h ^ (unsigned char)*text) * 16777619u;
    return h;
}

static struct entry *slot(struct entry *entries, int capacity, const char *name) {
    uint32_t mask = (uint32_t)capacity - 1, i = hash(name) & mask;
    while (entries[i].name && strcmp(entries[i].name, name)) i = (i + 1) & mask;
    return &entries[i];
}

static void rehash(struct names *names) {
    int capacity = names->capacity ? names->capacity * 2 : 256;
    struct entry *entries = arena_new_array(names->arena, struct entry, capacity);
    for (int i = 0; i < names->capacity; i++)
        if (names->entries[i].name) *slot(entries, capacity, names->entries[i].name) = names->entries[i];
    names->entries = entries;
    names->capacity = capacity;
}

/* The entry of a name, made if new; `*taken` says whether it was there. */
static struct entry *take(struct names *names, const char *name, bool *taken) {
    if (names->count * 2 >= names->capacity) rehash(names);
    struct entry *e = slot(names->entries, names->capacity, name);
    *taken = e->name;
    if (!e->name) *e = (struct entry){name, 0}, names->count++;
    return e;
}

static void reserve(struct names *names, const char *name) {
    bool taken;
    if (name) take(names, name, &taken);
}

static void reserve_words_of(struct names *names, const struct op_info *op) {
    for (int i = 0; i < op->attrs_count; i++) {
        if (op->attrs[i].kind == ATTR_FLAG) reserve(names, op->attrs[i].name);
        for (int k = 0; k < 4 && op->attrs[i].words[k]; k++) reserve(names, op->attrs[i].words[k]);
    }
}

static void reserve_all(struct names *names) {
    const struct graph *g = names->graph;
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) reserve(names, reserved[i]);
    for (int op = 0; op < OP_COUNT; op++) reserve_words_of(names, op_info((enum op)op));
    for (int i = 0; i < g->dims_count; i++) reserve(names, g->dims[i]->name);
    for (const struct global *global = g->globals; global; global = global->next)
        reserve(names, global->name);
    for (const struct function *f = g->functions; f; f = f->next) reserve(names, f->name);
}

/* The wish as an identifier: other characters become '_', and a letter comes first. */
static const char *legal(struct arena *a, const char *wish) {
    bool good = isalpha((unsigned char)*wish) || *wish == '_';
    char *text = arena_printf(a, good ? "%s" : "v%s", wish);
    for (char *p = text; *p; p++)
        if (!isalnum((unsigned char)*p)) *p = '_';
    return text;
}

/* `stem` ends in its last character that is not a digit; a stem of a name without one is the name itself. */
static const char *stem_of(struct arena *a, const char *name) {
    size_t length = strlen(name);
    while (length > 1 && isdigit((unsigned char)name[length - 1])) length--;
    return arena_strndup(a, name, length);
}

static const char *numbered(struct names *names, const char *stem) {
    for (;;) {
        bool taken;
        int number = take(names, stem, &taken)->next++;
        const char *name = arena_printf(names->arena, "%s%d", stem, number);
        take(names, name, &taken);
        if (!taken) return name;
    }
}

const char *names_fresh(struct names *names, const char *wish) {
    bool taken;
    if (!wish || !*wish) return numbered(names, "v");
    const char *name = legal(names->arena, wish);
    take(names, name, &taken);
    return taken ? numbered(names, stem_of(names->arena, name)) : name;
}

const char *names_global(const struct names *names, const struct global *global, int64_t element,
                         struct value *index) {
    struct arena *a = names->arena;
    if (!global->counts_rank) return global->name;
    int64_t inner = global->counts_rank == 2 ? global->counts[1] : INT64_MAX;
    long long rest = (long long)(inner ? element % inner : 0);
    const char *at = global->name;
    if (global->counts_rank == 2)
        at = arena_printf(a, "%s[%lld]", at, (long long)(inner ? element / inner : 0));
    if (!index) return arena_printf(a, "%s[%lld]", at, rest);
    if (!rest) return arena_printf(a, "%s[%s]", at, names_value(names, index));
    return arena_printf(a, "%s[%lld + %s]", at, rest, names_value(names, index));
}

bool node_in_place(const struct node *n) {
    if (n->op != OP_param || n->global->kind != GLOBAL_PARAM || n->global->assigned) return false;
    const struct value *v = n->results[0];
    return !v->layout && (v->place.space == SPACE_NONE || v->place.space == SPACE_WEIGHT);
}

static bool is_literal(const struct value *v) {
    return v && v->def && v->def->op == OP_constant && !v->type.rank && !v->layout &&
           v->place.space == SPACE_NONE;
}

/* A literal's own type, where nothing else gives it one. */
static bool own_type(enum dtype t) { return t == DTYPE_F32 || t == DTYPE_I32 || t == DTYPE_BOOL; }

bool literal_in_place(const struct node *n, int k) {
    const struct value *v = value_now(n->operands[k]);
    const struct op_info *op = op_info(n->op);
    if (!is_literal(v)) return false;
    if (op->family != FAMILY_pointwise)
        return k < op->operands_count && op->operands[k].by_name && own_type(v->type.dtype);
    bool others = false, same = false;
    for (int i = 0; i < n->operands_count; i++) {
        const struct value *other = value_now(n->operands[i]);
        if (is_literal(other)) continue;
        others = true;
        same |= other->type.dtype == v->type.dtype;
    }
    return others && (same || own_type(v->type.dtype));
}

static void want(struct names *names, struct value *v) {
    v = value_now(v);
    if (v && v->def && v->def->op == OP_constant) names->wanted[v->id] = true;
}

static void find_wanted(struct names *names, const struct block *b) {
    for (const struct node *n = b->first; n; n = n->next) {
        for (int k = 0; k < n->operands_count; k++)
            if (!literal_in_place(n, k)) want(names, n->operands[k]);
        if (n->body) find_wanted(names, n->body);
    }
    for (int k = 0; k < b->results_count; k++) want(names, b->results[k]);
}

bool names_has_statement(const struct names *names, const struct node *n) {
    if (n->op == OP_constant) return names->wanted[n->results[0]->id];
    return !node_in_place(n);
}

static void name_block(struct names *names, const struct block *b);

static void name_value(struct names *names, const struct value *v) {
    if (!names->values[v->id]) names->values[v->id] = names_fresh(names, v->name);
}

static void share(struct names *names, const struct value *v, const char *name) {
    if (!names->values[v->id]) names->values[v->id] = name;
}

static void name_kernel(struct names *names, const struct node *n) {
    names->nodes[n->id] = names_fresh(names, n->name ? n->name : "k0");
    for (int k = 0; k < n->operands_count; k++)
        share(names, n->body->args[k], names_value(names, n->operands[k]));
    for (int k = 0; k < n->results_count; k++) {
        name_value(names, n->results[k]);
        const struct value *inner = value_now(n->body->results[k]);
        share(names, inner, names->values[n->results[k]->id]);
    }
    name_block(names, n->body);
}

static void name_scan(struct names *names, const struct node *n) {
    const struct value *variable = n->body->args[0];
    share(names, variable, names_fresh(names, variable->name ? variable->name : n->name));
    for (int k = 0; k < n->results_count; k++) {
        const struct value *carried = n->body->args[k + 1];
        share(names, n->results[k],
              names_fresh(names, n->results[k]->name ? n->results[k]->name : carried->name));
        share(names, carried, names->values[n->results[k]->id]);
    }
    name_block(names, n->body);
}

static void name_block(struct names *names, const struct block *b) {
    for (const struct node *n = b->first; n; n = n->next) {
        if (n->op == OP_kernel)
            name_kernel(names, n);
        else if (n->op == OP_scan)
            name_scan(names, n);
        else if (names_has_statement(names, n))
            for (int k = 0; k < n->results_count; k++) name_value(names, n->results[k]);
    }
}

struct names *names_new(struct arena *a, const struct graph *g, const struct block *root) {
    struct names *names = arena_new_object(a, struct names);
    names->arena = a;
    names->graph = g;
    names->values = arena_new_array(a, const char *, g->values);
    names->nodes = arena_new_array(a, const char *, g->nodes);
    names->wanted = arena_new_array(a, bool, g->values);
    reserve_all(names);
    find_wanted(names, root);
    for (int k = 0; k < root->args_count; k++) name_value(names, root->args[k]);
    name_block(names, root);
    return names;
}

const char *names_value(const struct names *names, struct value *v) {
    v = value_now(v);
    if (v->def && node_in_place(v->def)) {
        const struct node *n = v->def;
        return names_global(names, n->global, n->element, n->operands_count ? n->operands[0] : NULL);
    }
    if (names->values[v->id]) return names->values[v->id];
    return v->name ? v->name : "?"; /* not in this function: a node that a message is about, not yet placed */
}

const char *names_node(const struct names *names, const struct node *n) { return names->nodes[n->id]; }
