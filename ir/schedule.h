/* Schedules: how a kernel is carried out, as plain data that the emitter follows and a dump shows:
 *
 *     kernel k0 (n0, w) -> q0 : f32[S, 576] schedule(contract, atom=dot_int8, tile=[6, 32], block=[96, 0, 0]) {
 *         ...
 *     } */
#ifndef IR_SCHEDULE_H
#define IR_SCHEDULE_H
#include "ir/arena.h"
#include "ir/type.h"

/* What drives a kernel's loops. DOMAIN(name, meaning) */
#define DOMAINS(_)                                                                                           \
    _(loops, "elements of the results, each made alone: elementwise, views, reductions over any axes")       \
    _(rows, "rows along the last axis, reduced and used again while they are in registers or L1")            \
    _(contract, "a contraction in register tiles, with prologue and epilogue")                               \
    _(attention, "scaled dot-product attention with online softmax")                                         \
    _(ordered, "ops whose iterations depend on each other: sort, topk, cumsum, scatter")
enum domain {
#define DOMAIN_ENUM(name, meaning) DOMAIN_##name,
    DOMAINS(DOMAIN_ENUM)
#undef DOMAIN_ENUM
        DOMAIN_COUNT
};
const char *domain_name(enum domain d);

enum atom {
#define ATOM(name, unit, k, a, b, sum, meaning) ATOM_##name,
#include "ir/atoms.def"
#undef ATOM
    ATOM_COUNT
};
enum atom_unit { UNIT_lane, UNIT_tile /* of a processor's matrix registers */, UNIT_warp, UNIT_group /* of four warps */, UNIT_block /* of threads */ }; /* who makes one */
struct atom_info {
    const char *name, *meaning;
    enum atom_unit unit;
    int k; /* inputs multiplied for one sum by one atom */
    enum dtype a, b, sum;
};
const struct atom_info *atom_info(enum atom a);
bool atom_of_gpu(enum atom a); /* made by a warp, or more threads */

struct schedule {
    enum domain domain;
    enum atom atom; /* contract, attention */
    int tile[2]; /* contract: rows by outputs held in registers; attention: queries (of a GPU, rows: of the heads that share a key head)
                    by keys that are worked on together; rows, loops: 1 by lanes */
    int64_t block[3]; /* contract: rows, outputs, inputs kept in cache at a time; 0: all; of a GPU, the inputs of a
                         part, where blocks share few rows'. attention: rows by scores held in registers, 0; of a
                         GPU, parts of the keys, at most, 0, 0 */
    int unroll;       /* steps of the inner loop written out; 0: 1 */
    int warps;        /* of a GPU's thread block; 0: the backend's choice */
    int stages;       /* of copies to shared memory under way at a time; 0: none, or the backend's choice */
    int64_t scratch;  /* bytes of scratch a thread needs (filled by the backend's planner; 0: none) */
};
const char *schedule_text(struct arena *a, const struct schedule *s);
/* Parses what schedule_text prints (the part between the brackets). NULL and *error in words if malformed. */
const struct schedule *schedule_parse(struct arena *a, const char *text, const char **error);

#endif
