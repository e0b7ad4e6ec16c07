/* Shared by the files of the verifier, and by nobody else. */
#ifndef IR_VERIFY_PARTS_H
#define IR_VERIFY_PARTS_H
#include "ir/graph.h"

struct verify {
    struct graph *g;
    int errors;
    const struct block **home; /* [values] the block that defines it, once it is defined */
    bool *seen_nodes, *seen_values;
};

/* Reports and counts; returns false. */
bool verify_error(struct verify *v, struct loc loc, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
const char *verify_name(const struct verify *v, const struct value *value);

/* Dims, globals and functions are well-formed, and their names differ. */
void verify_globals(struct verify *v);
bool verify_has_global(const struct verify *v, const struct global *global);
/* Meshes, and where params and states live; where a value lives; where a node runs and its results live. */
void verify_meshes(struct verify *v);
void verify_sharding(struct verify *v, const struct sharding *s, const struct value *value);
void verify_places(struct verify *v, const struct node *n);
/* Blocks and nodes hang together, ids are dense and different. False if anything is wrong. */
bool verify_links(struct verify *v);

#endif
