/* Open addressing with linear probing, at most half full; FNV-1a as the hash. */
#include "names.h"
#include <stdlib.h>

struct entry {
    struct text name; /* bytes NULL: free */
    int32_t id;
};
struct names {
    size_t mask;
    struct entry *entries; /* [mask + 1] */
};

struct names *names_new(size_t most) {
    struct names *names = allocate(1, sizeof *names);
    size_t slots = 16;
    while (slots / 2 <= most) slots *= 2;
    names->mask = slots - 1;
    names->entries = allocate(slots, sizeof *names->entries);
    return names;
}

static struct entry *slot(const struct names *names, struct text name) {
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < name.length; i++) hash = (hash ^ (unsigned char)name.bytes[i]) * 1099511628211u;
    size_t at = (hash ^ hash >> 32) & names->mask;
    while (names->entries[at].name.bytes && !text_equal(names->entries[at].name, name))
        at = (at + 1) & names->mask;
    return &names->entries[at];
}

bool names_add(struct names *names, struct text name, int32_t id) {
    struct entry *entry = slot(names, name);
    if (entry->name.bytes) return false;
    *entry = (struct entry){name, id};
    return true;
}

int32_t names_find(const struct names *names, struct text name) {
    const struct entry *entry = slot(names, name);
    return entry->name.bytes ? entry->id : -1;
}

void names_free(struct names *names) {
    if (!names) return;
    free(names->entries);
    free(names);
}
