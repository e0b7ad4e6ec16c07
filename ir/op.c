/* Reads ops.def: signatures become lists of operands and attributes, bodies become scalar expressions. */
#include "ir/op.h"
#include "ir/diag.h"
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    enum op_level level;
    enum op_family family;
    int results;
    const char *signature, *body, *meaning;
} rows[] = {
#define OP(name, level, family, results, signature, body, meaning)                                           \
    {#name, LEVEL_##level, FAMILY_##family, results, signature, body, meaning},
#include "ir/ops.def"
#undef OP
};

static struct op_info infos[OP_COUNT];

static const struct {
    const char *name;
    enum attr_kind kind;
} kinds[] = {{"int", ATTR_INT},     {"float", ATTR_FLOAT},   {"flag", ATTR_FLAG}, {"string", ATTR_STRING},
             {"dtype", ATTR_DTYPE}, {"extent", ATTR_EXTENT}, {"ints", ATTR_INTS}, {"extents", ATTR_EXTENTS},
             {"axes", ATTR_AXES},   {"pairs", ATTR_PAIRS}};

static bool by_name(const char *name) {
    static const char *const names[] = {"axis", "at", "k", "size"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i], name)) return true;
    return false;
}

/* "halves|interleaved" */
static void read_words(struct arena *a, struct attr_spec *attr, char *text) {
    int count = 0;
    attr->kind = ATTR_WORD;
    for (char *word = strtok(text, "|"); word; word = strtok(NULL, "|")) {
        if (count + 1 >= (int)(sizeof attr->words / sizeof *attr->words))
            ice("attribute %s has too many words", attr->name);
        attr->words[count++] = arena_strdup(a, word);
    }
}

/* "eps:float=1e-5", split at its colon and equals sign. */
static void read_attr(struct arena *a, struct op_info *op, char *name, char *kind, char *fallback,
                      int position) {
    if (op->attrs_count == MAX_ATTRS) ice("op %s has too many attributes", op->name);
    struct attr_spec *attr = &op->attrs[op->attrs_count++];
    bool flag = !strcmp(kind, "flag"), automatic = fallback && !strcmp(fallback, "auto");
    *attr = (struct attr_spec){.name = name, .position = position, .required = !fallback && !flag};
    attr->by_name = by_name(name) || fallback;
    attr->fallback = automatic ? NULL : flag ? "0" : fallback;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kind, kinds[i].name)) {
            attr->kind = kinds[i].kind;
            return;
        }
    read_words(a, attr, kind);
}

/* "x", "x...", "b?=none" */
static void read_operand(struct op_info *op, char *name, char *fallback) {
    if (op->operands_count == MAX_OPERANDS) ice("op %s has too many operands", op->name);
    struct operand_spec *operand = &op->operands[op->operands_count++];
    size_t length = strlen(name);
    if (length > 3 && !strcmp(name + length - 3, "...")) operand->variadic = true, name[length - 3] = 0;
    if (name[length - 1] == '?') operand->optional = true, name[length - 1] = 0;
    operand->name = name;
    operand->fallback = fallback;
    /* k is a key here, not a count */
    operand->by_name = !strcmp(name, "at") || !strcmp(name, "mask") || !strcmp(name, "rows");
}

static char *cut(char *text, char at) {
    char *p = strchr(text, at);
    if (!p) return NULL;
    *p = 0;
    return p + 1;
}

/* "a + b" and "not a": ops that are written as operators. */
static bool read_infix(struct arena *a, struct op_info *op, const char *signature) {
    char *text = arena_strdup(a, signature), *words[4] = {0};
    int count = 0;
    if (strchr(signature, ',') || strchr(signature, ':')) return false;
    for (char *word = strtok(text, " "); word && count < 4; word = strtok(NULL, " ")) words[count++] = word;
    if (count == 3)
        read_operand(op, words[0], NULL), read_operand(op, words[2], NULL);
    else if (count == 2)
        read_operand(op, words[1], NULL);
    else
        return false;
    op->infix = words[count - 2];
    return true;
}

static void read_signature(struct arena *a, struct op_info *op) {
    if (read_infix(a, op, op->signature)) return;
    char *text = arena_strdup(a, op->signature);
    int position = 0;
    while (text && *text) {
        char *entry = text, *next = strstr(text, ", ");
        if (next) *next = 0, next += 2;
        char *fallback = cut(entry, '='), *kind = cut(entry, ':');
        if (kind)
            read_attr(a, op, entry, kind, fallback, position++);
        else
            read_operand(op, entry, fallback), position++;
        text = next;
    }
}

/* Not thread-safe the first time: graph_new() makes the table, before any thread. */
const struct op_info *op_info(enum op op) {
    static struct arena *arena;
    if (!arena) {
        arena = arena_new(); /* for the life of the process */
        for (int i = 0; i < OP_COUNT; i++) {
            infos[i] = (struct op_info){.name = rows[i].name,
                                        .meaning = rows[i].meaning,
                                        .level = rows[i].level,
                                        .family = rows[i].family,
                                        .results = rows[i].results,
                                        .signature = rows[i].signature};
            read_signature(arena, &infos[i]);
            if (*rows[i].body) infos[i].body = scalar_parse(arena, rows[i].body);
        }
    }
    return &infos[op];
}

enum op op_find(const char *name) {
    for (int i = 0; i < OP_COUNT; i++)
        if (rows[i].level != LEVEL_STRUCTURE && !strcmp(rows[i].name, name)) return (enum op)i;
    return OP_COUNT;
}

int op_attr(enum op op, const char *name) {
    const struct op_info *info = op_info(op);
    for (int i = 0; i < info->attrs_count; i++)
        if (!strcmp(info->attrs[i].name, name)) return i;
    ice("op %s has no attribute %s", info->name, name);
}
