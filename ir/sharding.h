/* Where tensors live on a mesh of ranks.
 *
 *     mesh m = <data=2, tensor=3>          6 ranks; the last axis varies fastest: rank = data * 3 + tensor
 *     w : f32[192, 576] @m(tensor, _)      rank (d, t) holds rows 64*t .. 64*t + 63; equal for all d
 *     y : f32[S, 576] @m(data, _, tensor partial)     the value is the sum over t of what ranks (d, t) hold
 *
 * As in GSPMD (arXiv 2105.04663) and Shardy: each dimension has an ordered list of mesh axes, the first is
 * the major one; an axis that appears nowhere leaves the value whole on each of its ranks. Partial sums are a
 * state of their own. */
#ifndef IR_SHARDING_H
#define IR_SHARDING_H
#include "ir/diag.h"
#include "ir/extent.h"

struct graph;
struct type;

enum { MAX_MESH_AXES = 8, MAX_DIM_AXES = 4, SHARDING_RANK = 8 };
enum mesh_device { MESH_CPU, MESH_CUDA };

struct mesh_axis {
    const char *name;
    int64_t size;                 /* at least 1 */
    const struct dim *coordinate; /* a rank's place on the axis, 0..size-1: the dim `m.tensor` */
};
struct mesh {
    const char *name;
    int axes_count;
    struct mesh_axis axes[MAX_MESH_AXES];
    int64_t first_rank; /* its ranks are first_rank .. first_rank + mesh_ranks() - 1 */
    enum mesh_device device;
    struct loc loc;
    int id; /* dense in the graph */
    struct mesh *next;
};

struct dim_sharding {
    int count;
    uint8_t axes[MAX_DIM_AXES]; /* numbers of mesh axes, major first */
    bool open;                  /* `?`: the compiler may add axes behind these */
    int priority;               /* `!0`: the lowest number is propagated first; without one: MAX_PRIORITY */
};
enum { MAX_PRIORITY = 1000 };

struct sharding {
    const struct mesh *mesh;
    int rank;
    struct dim_sharding dims[SHARDING_RANK];
    uint32_t partial; /* bit a: a partial sum over mesh axis a */
    bool local;       /* the type beside it is one rank's piece, as after partitioning */
};

/* Which coordinate of an axis something runs at: `on m.pipeline(1)`. */
struct placement {
    const struct mesh *mesh;
    int axis;
    int64_t index;
};

/* Ranks that differ only in some axes of a mesh; members are counted with the first axis as the major one. */
struct rank_group {
    const struct mesh *mesh;
    int count;
    uint8_t axes[MAX_MESH_AXES];
};

int64_t mesh_ranks(const struct mesh *m);
int mesh_axis(const struct mesh *m, const char *name); /* its number, or -1 */
/* "m.tensor" or "m[data]"'s text form "m.data,m.tensor"; false with *why in `a` if it is none of the graph's.
 */
bool rank_group_parse(struct graph *g, struct arena *a, const char *text, struct rank_group *group,
                      const char **why);
const char *rank_group_text(struct arena *a, const struct rank_group *group);
int64_t rank_group_members(const struct rank_group *group);

/* Into how many pieces a dimension is cut: the product of its axes' sizes. */
int64_t sharding_pieces(const struct sharding *s, int dim);
uint32_t sharding_used(const struct sharding *s); /* bit a: axis a splits a dimension or is partial */
bool sharding_equal(const struct sharding *a,
                    const struct sharding *b);    /* the same place; open and priority aside */
bool sharding_is_whole(const struct sharding *s); /* no axis anywhere; true of NULL */
/* What is wrong, in words that live in `a`; NULL: nothing. */
const struct mesh *mesh_find(const struct graph *g,
                             const char *name); /* NULL: mesh_unknown() says what there is */
const char *mesh_unknown(struct arena *a, const struct graph *g, const char *name);
/* Splits a dimension by one more axis, inside the others; dim -1: makes it partial over the axis. */
const char *sharding_add(struct arena *a, struct sharding *s, int dim, const char *axis);
/* Whether a dimension of extent `e` comes out in equal pieces; for one that a caller gives, whether it can.
 */
const char *sharding_indivisible(struct arena *a, const struct sharding *s, int dim, const struct extent *e);
/* Invariants that every pass keeps. */
const char *sharding_invalid(struct arena *a, const struct graph *g, const struct sharding *s, int rank);
const char *placement_invalid(struct arena *a, const struct graph *g, const struct placement *p);

/* "@m(tensor, [data, x]!0, ?, data partial)", with " local" behind it where it is. */
const char *sharding_text(struct arena *a, const struct sharding *s);
bool placement_equal(const struct placement *a, const struct placement *b); /* NULL: everywhere */
const char *placement_text(struct arena *a, const struct placement *p); /* "on m.pipeline(1)" */

#endif
