/* How the ranks of a model with a mesh speak to each other. Installed; C and C++.
 *
 *     struct mdl_comm = one rank's end: rank, size, and the functions of an engine
 *         threads     ranks are threads of one process                            mdl_comm_threads
 *         openmpi     ranks are processes under mpirun; shims that are opened     mdl_comm_open
 *         mpich       at run time, so that no program is linked with an MPI
 *         nccl        buffers are a GPU's; needs another comm to find each other  mdl_comm_nccl
 *
 * A rank opens a comm, then the model with it (mdl_options.comm), and closes the comm after the model. A comm
 * serves one open model at a time. The functions below are in the library of each model that has a mesh: model m
 * exports m_comm_threads, m_comm_open, m_comm_nccl, m_comm_close, and tools reach them through its descriptor
 * (mdl_descriptor.distributed).
 *
 * An engine moves messages; rings, deadlines and agreement are made of those, for all engines alike. Anybody
 * may write an engine: a struct that begins with struct mdl_comm. Any thread may call its functions at any
 * time. They return at once, but for `wait`, `group`, `close` and `abort`; none exits (but `abort`) or
 * prints. */
#ifndef MDL_COMM_H
#define MDL_COMM_H
#include "runtime/mdl.h"
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mdl_comm;

/* A message under way on this side; the engine's own. It must stay in place until it is done or cancelled. */
struct mdl_transfer {
    uint64_t engine[8];
};

/* A short message outside the order of all others: bad news, questions after a rank, answers. */
struct mdl_note {
    int32_t from;  /* rank; set by `post` */
    uint32_t kind; /* the runtime's */
    uint64_t words[6];
    char text[456];
};

/* A collective for the engine's own library. Buffers as abi.h says at enum mdl_collective_kind. */
struct mdl_library_collective {
    uint32_t kind, dtype, reduction; /* enums mdl_collective_kind, mdl_dtype, mdl_reduction */
    int32_t count, own;              /* members of the group; which of them this rank is */
    uint32_t reserved;
    uint64_t elements; /* d of enum mdl_collective_kind */
    const void *in;
    void *out;
    const int32_t *peers; /* as in struct mdl_collective */
};

enum mdl_progress { MDL_UNDER_WAY = 0, MDL_FINISHED = 1, MDL_BROKEN = -1 /* comm->error says why */ };

struct mdl_comm_engine {
    uint32_t size;    /* sizeof(struct mdl_comm_engine) */
    uint32_t devices; /* 1: a model's buffers are a device's: all its collectives go to `collective`, in the
                         program's order, without waiting for the one before */
    const char *name; /* "threads" */
    /* Begin to send or receive exactly `bytes`; `data` is the engine's until the transfer is done. Messages
     * of one pair of ranks and one channel arrive in order. MDL_UNDER_WAY or MDL_BROKEN. Channels are numbers
     * below 32768. */
    int (*send)(struct mdl_comm *, int32_t to, uint32_t channel, const void *data, uint64_t bytes,
                struct mdl_transfer *);
    int (*receive)(struct mdl_comm *, int32_t from, uint32_t channel, void *data, uint64_t bytes,
                   struct mdl_transfer *);
    /* An enum mdl_progress; a transfer that is not MDL_UNDER_WAY any more is not tested again. */
    int (*test)(struct mdl_comm *, struct mdl_transfer *);
    void (*cancel)(struct mdl_comm *,
                   struct mdl_transfer *); /* afterwards `data` is the caller's, what is there undefined */
    void (*post)(struct mdl_comm *, int32_t to,
                 const struct mdl_note *);             /* copies the note; may lose it if `to` is gone */
    int (*take)(struct mdl_comm *, struct mdl_note *); /* 1: there was one; 0: none */
    /* Sleeps until something may have happened, a wake, or so long; `idle_us`: for how long nothing has
     * happened. */
    void (*wait)(struct mdl_comm *, int32_t most_us, int64_t idle_us);
    void (*wake)(struct mdl_comm *);
    /* The library's own communicator of these ranks, in this order; called by all ranks of the comm, each
     * with the group that it is in, in the same order. *group NULL: none is needed. NULL functions: the
     * engine has no such library. */
    int (*group)(struct mdl_comm *, const int32_t *ranks, int32_t count, void **group);
    void (*group_free)(struct mdl_comm *, void *group);
    /* MDL_UNDER_WAY, MDL_BROKEN, or MDL_FINISHED without having done anything: the library does not have it.
     */
    int (*collective)(struct mdl_comm *, void *group, const struct mdl_library_collective *,
                      struct mdl_transfer *);
    void (*abort)(struct mdl_comm *,
                  int status); /* ends all ranks' processes; returns only if that cannot be */
    void (*close)(struct mdl_comm *);
};

struct mdl_comm {
    const struct mdl_comm_engine *engine;
    int32_t rank, size;
    uint32_t next_channel; /* channels below it are taken; the runtime's */
    uint32_t broken; /* 1: the ranks have parted for good; nothing but `abort` and `close` will be called */
    char error[256]; /* why the engine's last function failed */
};

/* Comms of `ranks` ranks that are threads of this process; each is used and closed by one rank. MDL_OK,
 * MDL_INVALID, MDL_NO_MEMORY. */
int mdl_comm_threads(int32_t ranks, struct mdl_comm **comms /* [ranks] */);

/* This process's comm under mpirun. engine: "openmpi", "mpich"; "mpi" or NULL: that of the launcher which
 * started the process. The shim libmdl-ENGINE.so is looked for in $MDL_COMM_PATH (folders, separated by
 * colons), then where this was installed. MDL_OK; MDL_INVALID: there is no such engine, or no launcher;
 * MDL_IO: the shim cannot be opened; why, in `error`. */
int mdl_comm_open(const char *engine, char *error, uint64_t error_size, struct mdl_comm **comm);

/* NCCL's comm of the same ranks as `bootstrap`, which it uses for the first meeting and for notes, and which
 * must outlive it. Buffers are memory of the device that is current in the calling thread; where none is, of
 * the GPU of the rank's number (modulo how many there are), which becomes current, and so that of a model
 * opened next. libnccl.so.2 is opened, or $MDL_NCCL. */
int mdl_comm_nccl(struct mdl_comm *bootstrap, char *error, uint64_t error_size, struct mdl_comm **comm);

/* NULL is fine. Under MPI all ranks do so, or one ends all by
 * comm->engine->abort; that of a broken comm leaves MPI as it is. */
void mdl_comm_close(struct mdl_comm *comm);

#ifdef __cplusplus
}
#endif
#endif
