/* What has been computed so far and may be used again here: index arithmetic by operation and operands,
 * values by their point. A scope covers code whose start dominates its end, such as a loop's body; what was
 * computed inside is forgotten with it. */
#include "backend/emit_memo.h"
#include <string.h>

enum { BUCKETS = 64 };

struct memo {
    uint64_t hash;
    const struct value *value; /* NULL: arithmetic */
    struct point point;
    int op;
    LLVMValueRef a, b, made;
    struct memo *next;
};
struct memo_scope {
    struct memo *buckets[BUCKETS];
    struct memo_scope *outer;
};

void emit_scope_begin(struct emitter *e) {
    struct memo_scope *s = arena_new_object(e->arena, struct memo_scope);
    s->outer = e->memo;
    e->memo = s;
}

void emit_scope_end(struct emitter *e) { e->memo = e->memo->outer; }

struct memo_scope *memo_root(struct emitter *e) {
    struct memo_scope *s = e->memo;
    while (s->outer) s = s->outer;
    return s;
}

static uint64_t mix(uint64_t h, uint64_t x) { return (h ^ x) * 0x9e3779b97f4a7c15u ^ h >> 29; }

static uint64_t hash_point(const struct value *v, const struct point *p) {
    uint64_t h = mix((uint64_t)v->id, (uint64_t)p->lanes);
    h = mix(h, (uintptr_t)p->mask);
    for (int i = 0; i < p->rank; i++) {
        h = mix(h, (uintptr_t)(p->at[i].vector ? p->at[i].vector : p->at[i].base));
        h = mix(h, (uint64_t)p->at[i].stride);
    }
    return h;
}

static bool same_index(const struct index *a, const struct index *b) {
    if (a->vector || b->vector) return a->vector == b->vector;
    return a->base == b->base && a->stride == b->stride;
}

static bool same_point(const struct point *a, const struct point *b) {
    if (a->rank != b->rank || a->lanes != b->lanes || a->mask != b->mask) return false;
    for (int i = 0; i < a->rank; i++)
        if (!same_index(&a->at[i], &b->at[i])) return false;
    return true;
}

LLVMValueRef memo_find_value(struct emitter *e, const struct value *v, const struct point *p) {
    uint64_t hash = hash_point(v, p);
    for (struct memo_scope *s = e->memo; s; s = s->outer)
        for (struct memo *m = s->buckets[hash % BUCKETS]; m; m = m->next)
            if (m->hash == hash && m->value == v && same_point(&m->point, p)) return m->made;
    return NULL;
}

void emit_remember(struct emitter *e, const struct value *v, const struct point *p, LLVMValueRef made) {
    struct memo *m = arena_new_object(e->arena, struct memo);
    *m = (struct memo){.hash = hash_point(v, p), .value = v, .point = *p, .made = made};
    m->next = e->memo->buckets[m->hash % BUCKETS];
    e->memo->buckets[m->hash % BUCKETS] = m;
}

static uint64_t hash_arithmetic(int op, LLVMValueRef a, LLVMValueRef b) {
    return mix(mix((uint64_t)op, (uintptr_t)a), (uintptr_t)b);
}

LLVMValueRef memo_find_arithmetic(struct emitter *e, int op, LLVMValueRef a, LLVMValueRef b) {
    uint64_t hash = hash_arithmetic(op, a, b);
    for (struct memo_scope *s = e->memo; s; s = s->outer)
        for (struct memo *m = s->buckets[hash % BUCKETS]; m; m = m->next)
            if (m->hash == hash && !m->value && m->op == op && m->a == a && m->b == b) return m->made;
    return NULL;
}

void memo_add_arithmetic(struct emitter *e, int op, LLVMValueRef a, LLVMValueRef b, LLVMValueRef made) {
    struct memo *m = arena_new_object(e->arena, struct memo);
    *m = (struct memo){.hash = hash_arithmetic(op, a, b), .op = op, .a = a, .b = b, .made = made};
    m->next = e->memo->buckets[m->hash % BUCKETS];
    e->memo->buckets[m->hash % BUCKETS] = m;
}
