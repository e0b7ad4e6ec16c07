/* Tables of names: a hash table in an arena that keeps the order of insertion. */
#ifndef FRONTEND_TABLE_H
#define FRONTEND_TABLE_H
#include "ir/arena.h"

struct table {
    struct table_entry {
        const char *name;
        void *data;
    } * entries; /* in order of insertion */
    int count, capacity;
    int *slots, slots_count; /* index into entries plus 1; 0: free */
};

void *table_find(const struct table *t, const char *name); /* NULL: absent */
/* Adds a name, or gives it new data. `name` is kept, not copied. */
void table_set(struct arena *a, struct table *t, const char *name, void *data);

#endif
