/* Reads the one-line cases of the IR's tests. */
#include "cases.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct test *test_new(void) {
    struct arena *a = arena_new();
    struct test *t = arena_new_object(a, struct test);
    t->arena = a;
    diag_init(&t->diag, a, open_memstream(&t->messages, &t->length));
    t->g = graph_new(a, &t->diag);
    const struct source *source = diag_source(&t->diag, "t.mdl", NULL, 0);
    t->loc = (struct loc){source, 7, 5};
    graph_dim(t->g, "S", 1, 100, (struct loc){source, 1, 1});
    graph_dim(t->g, "T", 2, 50, (struct loc){source, 2, 1});
    graph_dim(t->g, "E", 0, 9, (struct loc){source, 3, 1});
    struct mesh *m = graph_mesh(t->g, "m", (struct loc){source, 3, 9});
    graph_mesh_axis(t->g, m, "data", 2);
    graph_mesh_axis(t->g, m, "tensor", 3);
    t->body = graph_function(t->g, "f", (struct loc){source, 4, 1})->body;
    return t;
}

const char *test_messages(struct test *t) {
    fflush(t->diag.out);
    return t->messages;
}

static void skip(const char **p) {
    while (**p == ' ') ++*p;
}

static bool take(const char **p, const char *word) {
    skip(p);
    if (strncmp(*p, word, strlen(word))) return false;
    *p += strlen(word);
    return true;
}

static void expect(const char **p, const char *word) {
    if (!take(p, word)) ice("test case: '%s' expected before '%s'", word, *p);
}

static const struct extent *read_sum(struct test *t, const char **p);

static const struct extent *read_atom(struct test *t, const char **p) {
    struct extents *x = t->g->extents;
    if (take(p, "(")) {
        const struct extent *e = read_sum(t, p);
        expect(p, ")");
        return e;
    }
    for (int i = 0; i < t->g->dims_count; i++)
        if (take(p, t->g->dims[i]->name)) return extent_dim(x, t->g->dims[i]);
    char *end;
    int64_t value = strtoll(*p, &end, 10);
    if (end == *p) ice("test case: extent expected before '%s'", *p);
    *p = end;
    return extent_const(x, value);
}

static const struct extent *read_product(struct test *t, const char **p) {
    const struct extent *e = read_atom(t, p), *by;
    int64_t divisor = 0;
    for (;;) {
        if (take(p, "//")) {
            by = read_atom(t, p);
            extent_is_const(by, &divisor);
            e = extent_floordiv(t->g->extents, e, divisor);
        } else if (take(p, "*"))
            e = extent_mul(t->g->extents, e, read_atom(t, p));
        else
            return e;
    }
}

static const struct extent *read_sum(struct test *t, const char **p) {
    const struct extent *e = read_product(t, p);
    for (;;) {
        if (take(p, "+"))
            e = extent_add(t->g->extents, e, read_product(t, p));
        else if (take(p, "- "))
            e = extent_sub(t->g->extents, e, read_product(t, p));
        else
            return e;
    }
}

const struct extent *test_extent(struct test *t, const char *text) { return read_sum(t, &text); }

static enum dtype read_dtype(const char **p) {
    skip(p);
    size_t length = 0;
    while (isalnum((unsigned char)(*p)[length])) length++;
    char name[16];
    enum dtype d;
    snprintf(name, sizeof name, "%.*s", (int)length, *p);
    if (!dtype_from_name(name, &d)) ice("test case: no element type '%s'", *p);
    *p += length;
    return d;
}

static struct type read_type(struct test *t, const char **p) {
    struct type type = {.dtype = read_dtype(p)};
    if (!take(p, "[")) return type;
    do type.extents[type.rank++] = read_sum(t, p);
    while (take(p, ","));
    expect(p, "]");
    return type;
}

struct type test_type(struct test *t, const char *text) {
    return read_type(t, &text);
}

static struct value *argument(struct test *t, const struct type *type) {
    const char *name = arena_printf(t->arena, "x%d", t->body->args_count);
    struct loc loc = {t->loc.source, 4, 10 + t->body->args_count};
    return block_argument(t->g, t->body, type, name, loc);
}

struct value *test_argument(struct test *t, const char *text) {
    struct type type = test_type(t, text);
    return argument(t, &type);
}

static const char *read_word(struct test *t, const char **p) {
    skip(p);
    size_t length = 0;
    while (isalnum((unsigned char)(*p)[length]) || (*p)[length] == '_') length++;
    *p += length;
    return arena_strndup(t->arena, *p - length, length);
}

enum { MAX_LIST = 64 };

/* 3, [1, 2], [[0, 1], [2, 3]]: the numbers in order. */
static int64_t *read_numbers(struct test *t, const char **p, int *count) {
    int64_t *list = arena_new_array(t->arena, int64_t, MAX_LIST);
    int depth = 0;
    *count = 0;
    do {
        while (take(p, "[")) depth++;
        if (depth && take(p, "]")) {
            depth--;
            continue;
        }
        list[(*count)++] = strtoll(*p, (char **)p, 10);
        while (depth && take(p, "]")) depth--;
    } while (depth && (take(p, ",") || depth));
    return list;
}

static void read_pairs(struct test *t, const char **p, struct attr *a) {
    bool pairs = !strncmp(*p, "[[", 2);
    int count;
    int64_t *given = read_numbers(t, p, &count), *ints = arena_new_array(t->arena, int64_t, 2 * MAX_LIST);
    a->count = pairs ? count / 2 : count;
    for (int i = 0; i < 2 * a->count; i++) ints[i] = given[pairs ? i : i / 2];
    a->ints = ints;
}

static void read_extents(struct test *t, const char **p, struct attr *a) {
    const struct extent **list = arena_new_array(t->arena, const struct extent *, MAX_LIST);
    expect(p, "[");
    while (!take(p, "]")) {
        bool rest = !strncmp(*p, "-1", 2);
        list[a->count++] = rest ? NULL : read_sum(t, p);
        if (rest) *p += 2;
        take(p, ","), skip(p);
    }
    a->extents = list;
}

static void read_value(struct test *t, const char **p, enum attr_kind kind, struct attr *a) {
    switch (kind) {
    case ATTR_INT:
        a->i = strtoll(*p, (char **)p, 10);
        break;
    case ATTR_FLOAT:
        a->f = strtod(*p, (char **)p);
        break;
    case ATTR_STRING: {
        size_t length = strcspn(++*p, "\"");
        a->s = arena_strndup(t->arena, *p, length);
        *p += length + 1;
        break;
    }
    case ATTR_DTYPE:
        a->dtype = read_dtype(p);
        break;
    case ATTR_EXTENT:
        a->e = read_sum(t, p);
        break;
    case ATTR_AXES:
        if (take(p, "all")) {
            a->count = -1;
            break;
        } /* fall through */
    case ATTR_INTS:
        a->ints = read_numbers(t, p, &a->count);
        break;
    case ATTR_PAIRS:
        read_pairs(t, p, a);
        break;
    case ATTR_EXTENTS:
        read_extents(t, p, a);
        break;
    default:
        a->s = read_word(t, p);
    }
}

static void read_attrs(struct test *t, struct node *n, const char *p) {
    for (skip(&p); *p; skip(&p)) {
        int slot = op_attr(n->op, read_word(t, &p));
        struct attr *a = &n->attrs[slot];
        a->set = true;
        a->i = 1;
        if (take(&p, "=")) read_value(t, &p, op_info(n->op)->attrs[slot].kind, a);
    }
}

struct node *test_node(struct test *t, const char *op, const char *operands, const char *attrs) {
    struct value *given[MAX_LIST];
    int count = 0;
    for (const char *p = operands; *p;) {
        struct type type;
        bool absent = take(&p, "-");
        if (!absent) type = read_type(t, &p);
        given[count++] = absent ? NULL : argument(t, &type);
        take(&p, ";");
    }
    enum op number = op_find(op);
    if (number == OP_COUNT) ice("test case: no op '%s'", op);
    struct node *n = node_new(t->g, number, count, given, t->loc);
    read_attrs(t, n, attrs);
    block_append(t->body, n);
    return n;
}

const char *test_results(struct test *t, const struct node *n) {
    const char *text = "";
    for (int i = 0; i < n->results_count; i++)
        text =
            arena_printf(t->arena, "%s%s%s", text, i ? "; " : "", type_text(t->arena, &n->results[i]->type));
    return text;
}
