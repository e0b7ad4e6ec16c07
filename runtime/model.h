/* What an open model and its sessions are made of; inside the runtime only.
 *
 *     mdl_model: weights, pool, plans (one a variant)           shared, constant after opening
 *     mdl_session: arena, states, lanes (one a thread)          one call at a time
 *     lane: counters of loops, scratch, a table of pointers for each plan
 */
#ifndef RUNTIME_MODEL_H
#define RUNTIME_MODEL_H
#include "runtime/abi.h"
#include "runtime/pool.h"
#include "runtime/weights.h"
#include <stdatomic.h>
#include <stdbool.h>

/* A step, ready to be run. */
struct plan_step {
    mdl_kernel *kernel; /* NULL: LOOP or END */
    uint32_t buffers;   /* the first of its buffers in the lane's table of pointers */
    uint32_t other;     /* LOOP, END: the step that it belongs with */
    bool barrier, guard;
    bool dynamic; /* some buffer depends on a loop's counter: resolved each time */
    bool end;     /* END, not LOOP */
};

/* A variant, ready to be run. Pointers stand in a lane's table as their refs stand in the descriptor's, from
 * `first_ref` on; those to the caller's buffers (`patches`) are set again in each call. */
struct plan {
    const struct mdl_variant *variant;
    struct plan_step *steps;
    uint32_t *patches;
    uint32_t first_ref, refs_count, patches_count;
    uint64_t table; /* where its pointers begin among all of a lane's */
};

struct mdl_model {
    const struct mdl_descriptor *descriptor;
    struct weights weights;
    struct pool *pool;
    struct plan **plans; /* [function]: its variants' plans */
    struct plan *all_plans;
    uint32_t plans_count, most_loops;
    uint64_t pointers; /* of all plans */
    int64_t arena_bytes, scratch_bytes;
    atomic_uint references; /* the open itself and each session */
};

struct lane {
    char *scratch;
    void **pointers;
    bool *bound;       /* [plan]: its table has been filled but for the patches */
    int32_t *counters; /* [most_loops] */
    int64_t *ends;     /* [most_loops] */
    uint64_t guards;   /* run so far in this call */
    struct {
        uint64_t serial; /* which guard of the call failed first here; 0: none */
        const struct mdl_step *step;
        int64_t value;
    } failure;
};

/* One call, as its threads see it. */
struct call {
    const struct plan *plan;
    uint32_t plan_number;
    const int64_t *dims;
    const void *const *inputs;
    void *const *results;
    atomic_ullong failed; /* the first guard that failed, counted from 1; 0: none */
};

struct mdl_session {
    struct mdl_model *model;
    atomic_uint busy;
    char *arena, *states; /* the threads' scratch follows the arena */
    size_t arena_bytes, scratch_bytes, state_bytes; /* in whole pages; of the arena, of a thread */
    double touched;                                 /* of the arena since its pages were last given back */
    struct lane *lanes;
    int lanes_count;
    struct call call;
    struct mdl_event *events;
    uint64_t events_capacity, *events_count;
    atomic_ullong events_used;
    bool poison;
    char error[512];
};

/* session.c: zeroed pages that take memory when they are touched; NULL: refused. */
char *session_map(size_t bytes);
/* Memory of session_map, s->state_bytes long, becomes the states, at their address. False: the system
 * refused, errno says why, and the states are the initial ones. */
bool session_replace_states(struct mdl_session *s, char *fresh);

/* Plans for all variants of the model's functions; false: no memory. */
bool plans_new(struct mdl_model *m);
void plans_free(struct mdl_model *m);

/* Before a call of which about `bytes` of the arena will be written: gives the pages of far larger ones back. */
void session_trim(struct mdl_session *s, double bytes);
void session_memory(const struct mdl_session *s, struct mdl_memory *m);

/* Drops a reference to the model; the last one releases it. */
void model_release(struct mdl_model *m);

#endif
