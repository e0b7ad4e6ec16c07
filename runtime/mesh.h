/* A model's place among its ranks; only models with a mesh link what is declared here.
 *
 *     calling thread ── operation ──► incoming │ active ── advanced by the progress thread ──► done
 *                                                          rings, the library's collectives, agreement
 *
 * Of each group one collective is under way at a time, in the order of starts; single messages (send,
 * receive) go past them, on a channel of their own. When one operation fails the mesh is dead: all that is
 * under way is cancelled, the other ranks are told, and every later call says why. */
#ifndef RUNTIME_MESH_H
#define RUNTIME_MESH_H
#include "runtime/comm.h"
#include "runtime/model.h"
#include "runtime/ring.h"
#include <pthread.h>

enum { MESH_MOST_DIMS = 32, MESH_TEXT = 384 };
/* In place of a function's number. */
#define MESH_OPENING UINT32_MAX
#define MESH_CLOSING (UINT32_MAX - 1)

struct mesh_group {
    int32_t *ranks; /* [count] of its members, in order */
    int32_t count, own;
    uint32_t channel; /* of its collectives; of single messages: the next */
    void *library;    /* the engine's */
    uint64_t started; /* operations so far; under mesh.lock */
};

/* What ranks tell each other at the start of a call. */
struct record {
    uint64_t serial; /* calls so far */
    uint32_t function, dims_count;
    uint32_t refused; /* this rank cannot do the call: `text` says why */
    uint32_t kind;    /* 0 */
    int64_t dims[MESH_MOST_DIMS];
    uint8_t build_id[32];
    char text[MESH_TEXT];
};

enum operation_state { OPERATION_IDLE, OPERATION_STARTED, OPERATION_DONE, OPERATION_FAILED };
struct operation {
    int (*advance)(struct mesh *, struct operation *); /* an enum mdl_progress */
    void (*cancel)(struct mesh *, struct operation *);
    uint32_t state;              /* enum operation_state; under mesh.lock */
    const struct mdl_step *step; /* NULL: agreement */
    struct mesh_group *group;
    uint64_t sequence; /* of the group's operations */
    int64_t began;     /* ns; 0: it waits for another of its group */
    bool begun, asked;
    struct operation *next;
    /* A collective. */
    const struct mdl_collective *what;
    struct ring ring;
    bool library; /* the engine's own is under way */
    struct mdl_transfer transfer;
    void *const *pointers; /* operands, results */
    uint64_t *elements;    /* [tensors] */
    char *memory;          /* scratch of the ring, staging of bundles */
    size_t memory_bytes;
};

/* Messages of one agreement, with every other rank. */
struct agreement {
    struct operation operation;     /* first */
    struct record *records;         /* [ranks] */
    struct mdl_transfer *transfers; /* [2 * ranks] */
    bool *under_way;                /* [2 * ranks] */
};

/* Asking ranks where they are, once something has timed out. */
struct inquiry {
    struct operation *about; /* NULL: none */
    int64_t until;
    int32_t answers, wanted;
    bool *heard; /* [ranks] */
    char text[MESH_TEXT];
};

struct mesh {
    struct mdl_model *model;
    struct mdl_comm *comm, *own_comm;
    int32_t rank, ranks, groups_count;
    int64_t coordinates[MDL_MAX_AXES];
    int64_t timeout;           /* ns; INT64_MAX: none */
    bool use_library, devices; /* as in struct mdl_comm_engine */
    struct mesh_group *groups, everybody;
    struct operation *operations; /* [collectives] */
    struct operation grouping;    /* makes the library's groups */
    struct agreement agreement;
    struct inquiry inquiry;
    int64_t dims[MESH_MOST_DIMS]; /* of the call */
    atomic_uint function;         /* of the call */
    bool agreed, opened;
    uint64_t serial;
    atomic_uint busy;
    int pid;
    _Atomic(const struct operation *) awaited; /* by the call */

    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    struct operation *incoming, *active;
    struct mdl_traffic traffic;
    bool stop, give_up, dead;
    bool stuck; /* the progress thread does not come back from the engine: it is left alone */
    char why[512];
};

/* mesh.c */
int mesh_open(struct mdl_model *model, const struct mdl_options *o);
int mesh_opened(struct mdl_model *model, const struct mdl_options *o, int status);
void mesh_close(struct mdl_model *model);

/* mesh_progress.c */
bool progress_start(struct mesh *m);
void progress_stop(struct mesh *m);
/* Hands the operation to the progress thread. */
void operation_start(struct mesh *m, struct operation *o);
/* Waits until it is done; false: it failed, mesh.why says why. */
bool operation_await(struct mesh *m, struct operation *o);
/* Tells all ranks that this one cannot go on, and returns when nothing is under way any more. */
void mesh_give_up(struct mesh *m, const char *text);
bool mesh_is_dead(struct mesh *m, char *why, size_t size);
void mesh_count(struct mesh *m, uint32_t kind, uint64_t bytes); /* MDL_COLLECTIVE_KINDS: control */
int64_t mesh_now(void);

/* mesh_failure.c: what the progress thread does about time and notes. */
void mesh_fail(struct mesh *m, const char *text, bool tell);
void mesh_look_at_clock(struct mesh *m, int64_t now);
bool mesh_take_notes(struct mesh *m);

/* mesh_collective.c */
void collective_start(struct mesh *m, const struct mdl_step *s, void *const *pointers, const int64_t *dims);

/* mesh_agree.c: whether all ranks make the same call. MDL_OK; MDL_INVALID, MDL_PEER with the reason in
 * `error`. */
int mesh_agree(struct mesh *m, uint32_t function, const char *refused, char *error, size_t size);

/* mesh_text.c: safe in signal handlers. "rank 1: collective 3 (all_reduce over tensor), m.mdl:7:9"; its
 * length. */
size_t mesh_describe(const struct mesh *m, const struct operation *o, char *text, size_t size);

#endif
