/* Tables of names, open addressing over FNV-1a. */
#include "frontend/table.h"
#include <stdint.h>
#include <string.h>

static uint32_t hash(const char *name) {
    uint32_t h = 2166136261u;
    for (; *name; name++) h = (h ^ (unsigned char)*name) * 16777619u;
    return h;
}

/* The slot that holds `name`, or where it would go. */
static int *slot_of(const struct table *t, const char *name) {
    uint32_t mask = (uint32_t)t->slots_count - 1, i = hash(name) & mask;
    while (t->slots[i] && strcmp(t->entries[t->slots[i] - 1].name, name)) i = (i + 1) & mask;
    return &t->slots[i];
}

void *table_find(const struct table *t, const char *name) {
    if (!t->slots_count) return NULL;
    int at = *slot_of(t, name);
    return at ? t->entries[at - 1].data : NULL;
}

static void rehash(struct arena *a, struct table *t) {
    t->slots_count = t->slots_count ? 4 * t->slots_count : 16;
    t->slots = arena_new_array(a, int, t->slots_count);
    for (int i = 0; i < t->count; i++) *slot_of(t, t->entries[i].name) = i + 1;
}

void table_set(struct arena *a, struct table *t, const char *name, void *data) {
    if (2 * t->count >= t->slots_count) rehash(a, t);
    int *slot = slot_of(t, name);
    if (*slot) {
        t->entries[*slot - 1].data = data;
        return;
    }
    arena_push(a, t->entries, t->count, t->capacity, ((struct table_entry){name, data}));
    *slot = t->count;
}
