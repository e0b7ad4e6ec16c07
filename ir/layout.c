/* Layouts as text: "0/32 1/4 0:32 1:4" and back. */
#include "ir/layout.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

bool layout_equal(const struct layout *a, const struct layout *b) {
    if (!a || !b) return a == b;
    if (a->count != b->count) return false;
    for (int i = 0; i < a->count; i++) {
        const struct layout_part *p = &a->parts[i], *q = &b->parts[i];
        if (p->dim != q->dim || p->step != q->step || p->count != q->count) return false;
    }
    return true;
}

bool layout_covers(const struct layout *l, int dim) {
    int64_t step = 1;
    bool whole = false;
    for (int i = l->count - 1; i >= 0; i--) {
        const struct layout_part *p = &l->parts[i];
        if (p->dim != dim) continue;
        if (whole || p->step != step) return false;
        whole = !p->count;
        if (p->count && __builtin_mul_overflow(step, p->count, &step)) return false;
    }
    return whole;
}

void layout_add(struct layout *l, int dim, int64_t step, int64_t count) {
    l->parts[l->count++] = (struct layout_part){dim, step, count};
}

struct layout layout_of_chunks(int rank, int outputs, int inputs, int chunk) {
    struct layout l = {0};
    for (int i = 0; i < rank; i++)
        if (i != outputs && i != inputs) layout_add(&l, i, 1, 0);
    layout_add(&l, inputs, 8 * chunk, 0);
    layout_add(&l, inputs, chunk, 8);
    layout_add(&l, outputs, 1, 0);
    layout_add(&l, inputs, 1, chunk);
    return l;
}

struct layout layout_of_registers(int rank, int outputs, int inputs) {
    enum { ROWS = 16, OUTPUTS = 2 * ROWS, INPUTS = 32, PAIR = 2 };
    struct layout l = {0};
    for (int i = 0; i < rank; i++)
        if (i != outputs && i != inputs) layout_add(&l, i, 1, 0);
    layout_add(&l, outputs, OUTPUTS, 0);
    layout_add(&l, inputs, INPUTS, 0);
    layout_add(&l, outputs, ROWS, OUTPUTS / ROWS);
    layout_add(&l, inputs, PAIR, INPUTS / PAIR);
    layout_add(&l, outputs, 1, ROWS);
    layout_add(&l, inputs, 1, PAIR);
    return l;
}

struct layout layout_of_keys(int rank, int group) {
    struct layout l = {0};
    int tokens = rank - 3, dims = rank - 1;
    if (rank == 4) layout_add(&l, 0, 1, 0);
    layout_add(&l, rank - 2, 1, 0);
    layout_add(&l, tokens, PANEL_KEYS, 0);
    layout_add(&l, dims, group, 0);
    layout_add(&l, tokens, 1, PANEL_KEYS);
    if (group > 1) layout_add(&l, dims, 1, group);
    return l;
}

struct layout layout_of_values(int rank, int group) {
    struct layout l = {0};
    int tokens = rank - 3;
    if (rank == 4) layout_add(&l, 0, 1, 0);
    layout_add(&l, rank - 2, 1, 0);
    layout_add(&l, tokens, group, 0);
    layout_add(&l, rank - 1, 1, 0);
    if (group > 1) layout_add(&l, tokens, 1, group);
    return l;
}

/* d, d/step, d:count, d/step:count */
const char *layout_text(struct arena *a, const struct layout *l) {
    const char *text = "";
    for (int i = 0; i < l->count; i++) {
        const struct layout_part *p = &l->parts[i];
        text = arena_printf(a, "%s%s%d", text, i ? " " : "", p->dim);
        if (p->step != 1) text = arena_printf(a, "%s/%lld", text, (long long)p->step);
        if (p->count) text = arena_printf(a, "%s:%lld", text, (long long)p->count);
    }
    return text;
}

/* A positive number at *at after `mark`, or `fallback` where the mark is not there; -1: malformed. */
static int64_t read_number(const char **at, char mark, int64_t fallback) {
    if (**at != mark) return fallback;
    char *end;
    if (!isdigit((unsigned char)(*at)[1])) return -1;
    long long value = strtoll(*at + 1, &end, 10);
    *at = end;
    return value > 0 && value <= INT32_MAX ? value : -1;
}

const struct layout *layout_parse(struct arena *a, const char *text) {
    struct layout *l = arena_new_object(a, struct layout);
    while (*text) {
        if (*text == ' ') {
            text++;
            continue;
        }
        if (!isdigit((unsigned char)*text) || l->count == MAX_LAYOUT) return NULL;
        struct layout_part part = {.dim = *text++ - '0'};
        part.step = read_number(&text, '/', 1);
        part.count = read_number(&text, ':', 0);
        if (part.step < 0 || part.count < 0 || (*text && *text != ' ')) return NULL;
        l->parts[l->count++] = part;
    }
    return l->count ? l : NULL;
}
