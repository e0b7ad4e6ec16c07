/* The tables of runtime/abi.h while they are being made, as plain arrays. */
#ifndef BACKEND_STEPS_H
#define BACKEND_STEPS_H
#include "backend/code.h"

struct extent_entry { /* an extent, over the dims of a function's signature */
    const struct extent *extent;
    const struct function *function;
};
struct reach { /* bytes that a ref may touch, for deciding barriers: all there are of one that a loop's variable moves */
    int64_t begin, end;
    bool written;
};
struct collective_entry { /* struct mdl_collective */
    uint32_t kind, group, dtype, reduction;
    int tensors, peers_count;
    uint32_t *elements;   /* [tensors] */
    const int32_t *peers; /* [peers_count], or NULL */
};
struct ref_row { /* the refs of a step, wherever they were first needed */
    uint64_t hash;
    int first, count;
};
struct tables {
    struct code *code;
    struct extent_entry *extents;
    int extents_count, extents_capacity;
    struct mdl_ref *refs;
    struct reach *reaches; /* [refs] */
    int refs_count, refs_capacity, reaches_count, reaches_capacity;
    struct ref_row *rows;
    int rows_count, rows_capacity;
    struct collective_entry *collectives;
    int collectives_count, collectives_capacity;
    struct rank_group *groups;
    int groups_count, groups_capacity;
};
struct steps { /* of one variant */
    struct mdl_step *at;
    int count, capacity;
    int64_t scratch, arena;
    uint32_t loops;
};

/* The number of an extent; NULL extent: zero. */
uint32_t tables_extent(struct tables *t, const struct function *f, const struct extent *x);
/* The number of a group of ranks. */
uint32_t tables_group(struct tables *t, const struct rank_group *group);
/* The steps of a function, with barriers. */
struct steps steps_of(struct tables *t, const struct function *f);
/* Sets `barrier` where the next step may touch what was written, or write what was read, since the last
 * barrier. */
void barriers_place(const struct tables *t, struct steps *s);

#endif
