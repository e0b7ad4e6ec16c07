/* A word is a linked list of symbols; a heap holds the pairs that a rule applies to, by (rule, place). A pair
 * taken from the heap is stale, and dropped, when one of its symbols has changed since.
 *
 *     h e l l o   rules: l l, e ll     heap: (0, "l l" at 2)
 *     h e ll o                         heap: (1, "e ll" at 1)
 *     h ell o
 */
#include "merge.h"
#include <stdlib.h>

enum { NONE = -1 };

struct rule {
    uint64_t pair; /* left << 32 | right */
    int32_t rank;  /* NONE: a free slot */
    int32_t merged;
};
struct symbol {
    int32_t id;
    int64_t before, after; /* places, or NONE */
};
struct candidate {
    int32_t rank, left_id, right_id, merged;
    int64_t left;
};
struct merges {
    struct rule *rules; /* [mask + 1] */
    size_t mask;
    int32_t count;
    struct symbol *symbols; /* of the word at hand */
    struct candidate *heap;
    size_t symbol_room, heap_room, heap_count;
};

struct merges *merges_new(size_t most) {
    struct merges *m = allocate(1, sizeof *m);
    size_t slots = 16;
    while (slots / 2 <= most) slots *= 2;
    m->mask = slots - 1;
    m->rules = allocate(slots, sizeof *m->rules);
    for (size_t i = 0; i < slots; i++) m->rules[i].rank = NONE;
    return m;
}

static struct rule *slot(const struct merges *m, int32_t left, int32_t right) {
    uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    size_t at = (pair * 0x9e3779b97f4a7c15u >> 32) & m->mask;
    while (m->rules[at].rank != NONE && m->rules[at].pair != pair) at = (at + 1) & m->mask;
    m->rules[at].pair = pair;
    return &m->rules[at];
}

void merges_add(struct merges *m, int32_t left, int32_t right, int32_t merged) {
    struct rule *rule = slot(m, left, right);
    if (rule->rank != NONE) return;
    rule->rank = m->count++;
    rule->merged = merged;
}

static bool earlier(const struct candidate *a, const struct candidate *b) {
    return a->rank != b->rank ? a->rank < b->rank : a->left < b->left;
}

static void heap_push(struct merges *m, struct candidate c) {
    m->heap = grow(m->heap, &m->heap_room, m->heap_count + 1, sizeof *m->heap);
    size_t at = m->heap_count++;
    for (; at && earlier(&c, &m->heap[(at - 1) / 2]); at = (at - 1) / 2) m->heap[at] = m->heap[(at - 1) / 2];
    m->heap[at] = c;
}

static struct candidate heap_pop(struct merges *m) {
    struct candidate first = m->heap[0], moved = m->heap[--m->heap_count];
    size_t at = 0;
    for (size_t child = 1; child < m->heap_count; child = 2 * at + 1) {
        if (child + 1 < m->heap_count && earlier(&m->heap[child + 1], &m->heap[child])) child++;
        if (!earlier(&m->heap[child], &moved)) break;
        m->heap[at] = m->heap[child];
        at = child;
    }
    m->heap[at] = moved;
    return first;
}

/* Puts the pair that begins at `left` on the heap if a rule applies to it. */
static void consider(struct merges *m, int64_t left) {
    if (left == NONE || m->symbols[left].after == NONE) return;
    int32_t left_id = m->symbols[left].id, right_id = m->symbols[m->symbols[left].after].id;
    if (left_id < 0 || right_id < 0) return;
    const struct rule *rule = slot(m, left_id, right_id);
    if (rule->rank != NONE)
        heap_push(m, (struct candidate){rule->rank, left_id, right_id, rule->merged, left});
}

static bool stale(const struct merges *m, const struct candidate *c) {
    int64_t right = m->symbols[c->left].after;
    return m->symbols[c->left].id != c->left_id || right == NONE || m->symbols[right].id != c->right_id;
}

static void merge(struct merges *m, const struct candidate *c) {
    struct symbol *left = &m->symbols[c->left], *right = &m->symbols[left->after];
    left->id = c->merged;
    right->id = NONE;
    left->after = right->after;
    if (left->after != NONE) m->symbols[left->after].before = c->left;
    consider(m, left->before);
    consider(m, c->left);
}

size_t merges_apply(struct merges *m, int32_t *word, size_t count) {
    m->symbols = grow(m->symbols, &m->symbol_room, count, sizeof *m->symbols);
    for (size_t i = 0; i < count; i++)
        m->symbols[i] = (struct symbol){word[i], (int64_t)i - 1, i + 1 < count ? (int64_t)i + 1 : NONE};
    for (size_t i = 0; i < count; i++) consider(m, (int64_t)i);
    while (m->heap_count) {
        struct candidate c = heap_pop(m);
        if (!stale(m, &c)) merge(m, &c);
    }
    size_t left = 0;
    for (int64_t at = count ? 0 : NONE; at != NONE; at = m->symbols[at].after)
        word[left++] = m->symbols[at].id;
    return left;
}

void merges_free(struct merges *m) {
    if (!m) return;
    free(m->rules);
    free(m->symbols);
    free(m->heap);
    free(m);
}
