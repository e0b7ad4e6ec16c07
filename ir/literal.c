/* Writes literals and attributes so that they parse again to the same bits. */
#include "ir/literal.h"
#include "ir/tensor.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *float_text(struct arena *a, enum dtype t, double value) {
    if (isnan(value)) return "nan";
    if (isinf(value)) return value < 0 ? "-inf" : "inf";
    char text[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (dtype_round_float(t, strtod(text, NULL)) == value) break;
    }
    return arena_printf(a, strpbrk(text, ".e") ? "%s" : "%s.0", text);
}

const char *string_text(struct arena *a, const char *text) {
    char *escaped = arena_new_array(a, char, strlen(text) * 2 + 3), *p = escaped;
    *p++ = '"';
    for (; *text; *p++ = *text++)
        if (*text == '"' || *text == '\\') *p++ = '\\';
    *p = '"';
    return escaped;
}

static void print_element(FILE *out, struct arena *a, const struct tensor *t, int64_t i) {
    switch (dtype_class(t->dtype)) {
    case CLASS_FLOAT:
        fputs(float_text(a, t->dtype, element_float(t->dtype, t->data, i)), out);
        break;
    case CLASS_INTEGER:
        fprintf(out, "%lld", (long long)element_integer(t->dtype, t->data, i));
        break;
    case CLASS_LOGICAL:
        fputs(element_integer(t->dtype, t->data, i) ? "true" : "false", out);
    }
}

/* The part of `t` at dimension `depth` that begins at element *at. */
static void print_nested(FILE *out, struct arena *a, const struct tensor *t, int depth, int64_t *at) {
    if (depth == t->rank) {
        print_element(out, a, t, (*at)++);
        return;
    }
    fputc('[', out);
    for (int64_t i = 0; i < t->extents[depth]; i++) {
        if (i) fputs(", ", out);
        print_nested(out, a, t, depth + 1, at);
    }
    fputc(']', out);
}

/* What `out` collected, in `a`. */
static const char *collected(struct arena *a, FILE *out, char **text, size_t *length) {
    fclose(out);
    const char *copy = arena_strndup(a, *text, *length);
    free(*text);
    return copy;
}

const char *tensor_text(struct arena *a, const struct tensor *t) {
    char *text;
    size_t length;
    int64_t at = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out) ice("no memory for a literal");
    struct arena *scratch = arena_new();
    print_nested(out, scratch, t, 0, &at);
    arena_release(scratch);
    return collected(a, out, &text, &length);
}

const char *ints_text(struct arena *a, const int64_t *ints, int count) {
    const char *text = "[";
    for (int i = 0; i < count; i++)
        text = arena_printf(a, "%s%s%lld", text, i ? ", " : "", (long long)ints[i]);
    return arena_printf(a, "%s]", text);
}

static const char *axes_text(struct arena *a, const struct attr *attr) {
    if (attr->count < 0) return "all";
    if (attr->count == 1) return arena_printf(a, "%lld", (long long)attr->ints[0]);
    return ints_text(a, attr->ints, attr->count);
}

static const char *pairs_text(struct arena *a, const struct attr *attr) {
    const char *text = "[";
    for (int i = 0; i < attr->count; i++)
        text = arena_printf(a, "%s%s%s", text, i ? ", " : "", ints_text(a, attr->ints + 2 * i, 2));
    return arena_printf(a, "%s]", text);
}

static const char *extents_text(struct arena *a, const struct attr *attr) {
    const char *text = "[";
    for (int i = 0; i < attr->count; i++)
        text = arena_printf(a, "%s%s%s", text, i ? ", " : "",
                            attr->extents[i] ? extent_text(a, attr->extents[i]) : "-1");
    return arena_printf(a, "%s]", text);
}

const char *attr_text(struct arena *a, const struct node *n, int k) {
    const struct attr_spec *spec = &op_info(n->op)->attrs[k];
    const struct attr *attr = &n->attrs[k];
    switch (spec->kind) {
    case ATTR_INT:
        return arena_printf(a, "%lld", (long long)attr->i);
    case ATTR_FLOAT:
        return float_text(a, DTYPE_F64, attr->f);
    case ATTR_FLAG:
        return spec->name;
    case ATTR_WORD:
        return attr->s;
    case ATTR_STRING:
        return string_text(a, attr->s);
    case ATTR_DTYPE:
        return dtype_name(attr->dtype);
    case ATTR_EXTENT:
        return extent_text(a, attr->e);
    case ATTR_INTS:
        return ints_text(a, attr->ints, attr->count);
    case ATTR_EXTENTS:
        return extents_text(a, attr);
    case ATTR_AXES:
        return axes_text(a, attr);
    case ATTR_PAIRS:
        return pairs_text(a, attr);
    }
    ice("attribute kind %d", (int)spec->kind);
}

/* Whether all numbers of a list are the default's one number. */
static bool all_equal(const int64_t *ints, int count, int64_t value) {
    for (int i = 0; i < count; i++)
        if (ints[i] != value) return false;
    return true;
}

/* Whether axis number `axis` of the first operand is the default, which may count from the end. */
static bool same_axis(const struct node *n, int64_t axis, int64_t value) {
    int rank = n->operands_count && n->operands[0] ? n->operands[0]->type.rank : 0;
    return axis == value || (value < 0 && axis == value + rank);
}

bool attr_is_default(const struct node *n, int k) {
    const struct attr_spec *spec = &op_info(n->op)->attrs[k];
    const struct attr *attr = &n->attrs[k];
    if (!attr->set) return true;
    if (spec->kind == ATTR_FLAG) return !attr->i;
    if (!spec->fallback) return false;
    long long number = strtoll(spec->fallback, NULL, 10);
    switch (spec->kind) {
    case ATTR_INT:
        return strcmp(spec->name, "axis") ? attr->i == number : same_axis(n, attr->i, number);
    case ATTR_FLOAT:
        return attr->f == strtod(spec->fallback, NULL);
    case ATTR_WORD:
        return !strcmp(attr->s, spec->fallback);
    case ATTR_INTS:
        return all_equal(attr->ints, attr->count, number);
    case ATTR_PAIRS:
        return all_equal(attr->ints, 2 * attr->count, number);
    case ATTR_AXES:
        return attr->count == 1 && same_axis(n, attr->ints[0], number);
    default:
        return false;
    }
}
