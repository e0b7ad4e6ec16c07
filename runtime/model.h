/* What an open model and its sessions are made of; inside the runtime only.
 *
 *     mdl_model: weights, pool, plans (one a variant)           shared, constant after opening
 *     mdl_session: arena, states, lanes (one a thread)          one call at a time
 *     lane: counters of loops, scratch, a table of pointers for each plan
 *
 * A model for a device has `device` in place of the pool, and its sessions theirs in place of arena, states and
 * lanes: what is in them is the device's own matter (cuda.h).
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
    mdl_kernel *kernel; /* NULL: LOOP or END, or a device's */
    uint32_t buffers;   /* the first of its buffers in the lane's table of pointers */
    uint32_t other;     /* LOOP, END: the step that it belongs with */
    bool barrier, guard;
    bool start, await; /* of a collective */
    bool meet;         /* start: all threads must have done what comes before */
    bool agree;        /* after the barrier: here the ranks agree to go on */
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
    bool agrees;    /* some step has `agree`; else the ranks agree before the first */
};

struct mdl_model {
    const struct mdl_descriptor *descriptor;
    struct weights weights;
    struct mesh *mesh;     /* NULL: the model has none (mesh.h) */
    struct device *device; /* NULL: it runs on the processor */
    struct pool *pool;     /* NULL: on a device */
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
    const struct mdl_function *function;
    const struct plan *plan;
    uint32_t plan_number;
    const int64_t *dims;
    const void *const *inputs;
    void *const *results;
    atomic_ullong failed; /* the first guard that failed, counted from 1; 0: none */
    int parted;           /* an enum mdl_status: the ranks could not go on together. Written by thread 0 before a barrier */
};

struct mdl_session {
    struct mdl_model *model;
    atomic_uint busy;
    char *arena, *states; /* the threads' scratch follows the arena */
    size_t arena_bytes, scratch_bytes, state_bytes; /* in whole pages; of the arena, of a thread */
    double touched;                                 /* of the arena since its pages were last given back */
    struct lane *lanes;
    int lanes_count;
    struct device_session *device; /* NULL: on the processor */
    struct call call;
    struct mdl_event *events;
    uint64_t events_capacity, *events_count;
    atomic_ullong events_used;
    bool poison;
    char error[512];
};

/* What the rest of the runtime asks of the part that only models with a mesh have (distributed.c). The calls of
 * one model are made one at a time. */
struct distributed_calls {
    int (*open)(struct mdl_model *, const struct mdl_options *);
    /* The rest of the model has been opened, or could not be (`status`): what all ranks together make of it. */
    int (*opened)(struct mdl_model *, const struct mdl_options *, int status);
    void (*close)(struct mdl_model *);
    int (*enter)(struct mdl_session *, uint32_t function);
    /* Checks the caller's dims; *dims: all of them, in units, with coordinates. */
    int (*dims)(struct mdl_session *, const struct mdl_function *, const int64_t *given, const int64_t **dims);
    int (*agree)(struct mdl_session *);
    void (*start)(struct mdl_session *, const struct mdl_step *, void *const *pointers);
    void (*await)(struct mdl_session *, const struct mdl_step *); /* a failure: call.parted */
    int (*leave)(struct mdl_session *, int status);               /* after enter, whatever has happened */
    const int64_t *(*coordinates)(const struct mdl_model *);
    int (*map_sections)(struct weights *, const struct mdl_descriptor *, const int64_t *coordinates, int fd, char *error,
                        size_t size);
    bool (*has_weights)(const struct mdl_descriptor *, const int64_t *coordinates, int64_t offset, int64_t bytes);
    int (*verify)(const struct weights *, const struct mdl_descriptor *, const int64_t *coordinates, char *error,
                  size_t size);
};
/* NULL: the model has no mesh. */
static inline const struct distributed_calls *others_of(const struct mdl_model *m) {
    return m->mesh ? m->descriptor->distributed->calls : NULL;
}

/* What the rest of the runtime asks of the part that only models for a device have (cuda.c). All but `close`,
 * `session_free` and `memory` give an enum mdl_status, with the reason in options.error or the session's error. */
struct device_calls {
    /* Of the programs from `first` on for this kind of device, the one for the device that is here; `first` where there is none,
     * or no way to tell. */
    const struct mdl_descriptor *(*choose)(const struct mdl_descriptor *first, const struct mdl_options *);
    /* Sets model->device, with the weights on it. */
    int (*open)(struct mdl_model *, const struct mdl_options *);
    void (*close)(struct mdl_model *); /* also after an open that failed */
    /* Sets session->device; the states have their initial values. */
    int (*session_new)(struct mdl_session *);
    void (*session_free)(struct mdl_session *); /* also after a session_new that failed */
    int (*session_reset)(struct mdl_session *);
    /* Makes the call that has been checked and stands in session->call. */
    int (*run)(struct mdl_session *);
    /* Copies all states, mdl_descriptor.state_bytes long. After a write that failed they are undefined. */
    int (*read_states)(struct mdl_session *, char *to);
    int (*write_states)(struct mdl_session *, const char *from);
    void (*memory)(const struct mdl_session *, struct mdl_memory *);
};
/* NULL: the model runs on the processor. */
static inline const struct device_calls *device_of(const struct mdl_model *m) {
    return m->descriptor->device ? m->descriptor->device->calls : NULL;
}

/* call.c: for whoever makes a call's steps. Writes the session's error and returns MDL_INVALID: what is wrong, in the
 * words of a guard's step, with the value that it found. */
int call_report(struct mdl_session *s, const struct mdl_step *guard, int64_t value);
int64_t call_now(void); /* ns, CLOCK_MONOTONIC */
/* LOOP, END: begins the loop, or skips it when it is not run at all; goes round, or on. Returns the step before the
 * next. counters, ends: [loops]. */
uint32_t call_turn(const struct mdl_session *s, uint32_t at, int32_t *counters, int64_t *ends);

/* session.c: zeroed pages that take memory when they are touched; NULL: refused. */
char *session_map(size_t bytes);
/* Memory of session_map, s->state_bytes long, becomes the states, at their address. False: the system
 * refused, errno says why, and the states are the initial ones. */
bool session_replace_states(struct mdl_session *s, char *fresh);

/* Over ranks, a state whose initial values are other ranks' is other ranks'. */
bool session_has_weights(const struct mdl_model *m, int64_t offset, int64_t bytes);

/* Plans for all variants of the model's functions; false: no memory. */
bool plans_new(struct mdl_model *m);
void plans_free(struct mdl_model *m);

/* Before a call of which about `bytes` of the arena will be written: gives the pages of far larger ones back. */
void session_trim(struct mdl_session *s, double bytes);
void session_memory(const struct mdl_session *s, struct mdl_memory *m);

/* Drops a reference to the model; the last one releases it. */
void model_release(struct mdl_model *m);

#endif
