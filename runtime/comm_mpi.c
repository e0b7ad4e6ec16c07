/* The engine that is an MPI; compiled once for each, by its own mpicc, as their ABIs differ.
 *
 * MPI is called by one thread at a time (MPI_THREAD_SERIALIZED), under a lock, and never waits: requests are
 * tested. Notes travel on a communicator of their own. */
#include "runtime/abi.h"
#include "runtime/comm.h"
#include <limits.h>
#include <mpi.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NOTE_TAG = 1, LARGE = 1 << 30, CANCEL_TRIES = 100 };

struct sent_note {
    struct mdl_note note;
    MPI_Request request;
    struct sent_note *next;
};
struct mpi_comm {
    struct mdl_comm comm; /* first */
    pthread_mutex_t lock;
    MPI_Comm messages, notes;
    struct sent_note *sent; /* whose request is not done yet */
    bool ours;              /* MPI was initialised here */
};
/* Lies in a struct mdl_transfer. */
struct pending {
    MPI_Request request;
    bool receiving;
};
_Static_assert(sizeof(struct pending) <= sizeof(struct mdl_transfer), "a request fits a transfer");

int mdl_comm_mpi(struct mdl_comm **comm, char *error, uint64_t size);

static struct mpi_comm *of(struct mdl_comm *comm) { return (struct mpi_comm *)comm; }

/* An enum mdl_progress of MPI's answer. */
static int checked(struct mdl_comm *comm, int code, const char *what) {
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    if (code == MPI_SUCCESS) return MDL_UNDER_WAY;
    MPI_Error_string(code, text, &length);
    snprintf(comm->error, sizeof comm->error, "%s: %.180s", what, text);
    return MDL_BROKEN;
}

/* `bytes` as one element of a type, where they are too many for a count. */
static MPI_Datatype type_of(uint64_t bytes, int *count) {
    MPI_Datatype block, many, all;
    *count = (int)bytes;
    if (bytes < LARGE) return MPI_BYTE;
    int lengths[] = {1, (int)(bytes % LARGE)};
    MPI_Aint places[] = {0, (MPI_Aint)(bytes - bytes % LARGE)};
    MPI_Type_contiguous(LARGE, MPI_BYTE, &block);
    MPI_Type_contiguous((int)(bytes / LARGE), block, &many);
    MPI_Type_create_struct(2, lengths, places, (MPI_Datatype[]){many, MPI_BYTE}, &all);
    MPI_Type_commit(&all);
    MPI_Type_free(&block);
    MPI_Type_free(&many);
    *count = 1;
    return all;
}

static int mpi_send(struct mdl_comm *comm, int32_t to, uint32_t channel, const void *data, uint64_t bytes,
                    struct mdl_transfer *t) {
    struct pending *p = (void *)t;
    int count;
    pthread_mutex_lock(&of(comm)->lock);
    MPI_Datatype type = type_of(bytes, &count);
    p->receiving = false;
    int code = MPI_Isend(data, count, type, to, (int)channel, of(comm)->messages, &p->request);
    if (type != MPI_BYTE) MPI_Type_free(&type);
    pthread_mutex_unlock(&of(comm)->lock);
    return checked(comm, code, "MPI_Isend");
}

static int mpi_receive(struct mdl_comm *comm, int32_t from, uint32_t channel, void *data, uint64_t bytes,
                       struct mdl_transfer *t) {
    struct pending *p = (void *)t;
    int count;
    pthread_mutex_lock(&of(comm)->lock);
    MPI_Datatype type = type_of(bytes, &count);
    p->receiving = true;
    int code = MPI_Irecv(data, count, type, from, (int)channel, of(comm)->messages, &p->request);
    if (type != MPI_BYTE) MPI_Type_free(&type);
    pthread_mutex_unlock(&of(comm)->lock);
    return checked(comm, code, "MPI_Irecv");
}

static int mpi_test(struct mdl_comm *comm, struct mdl_transfer *t) {
    struct pending *p = (void *)t;
    int done = 0;
    pthread_mutex_lock(&of(comm)->lock);
    int code = MPI_Test(&p->request, &done, MPI_STATUS_IGNORE);
    pthread_mutex_unlock(&of(comm)->lock);
    if (code != MPI_SUCCESS) return checked(comm, code, "MPI_Test");
    return done ? MDL_FINISHED : MDL_UNDER_WAY;
}

/* A receive is cancelled. What else MPI still has of the buffer it touches in its calls only, and there will
 * be none: the comm is broken when something has to be cancelled. */
static void mpi_cancel(struct mdl_comm *comm, struct mdl_transfer *t) {
    struct pending *p = (void *)t;
    int done = 0;
    pthread_mutex_lock(&of(comm)->lock);
    if (p->receiving && MPI_Cancel(&p->request) == MPI_SUCCESS)
        for (int i = 0; i < CANCEL_TRIES && !done; i++)
            if (MPI_Test(&p->request, &done, MPI_STATUS_IGNORE)) break;
    pthread_mutex_unlock(&of(comm)->lock);
}

/* Frees notes that have left. */
static void sweep(struct mpi_comm *c) {
    for (struct sent_note **at = &c->sent; *at;) {
        struct sent_note *n = *at;
        int done = 0;
        if (MPI_Test(&n->request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && !done) {
            at = &n->next;
            continue;
        }
        *at = n->next;
        free(n);
    }
}

static void mpi_post(struct mdl_comm *comm, int32_t to, const struct mdl_note *note) {
    struct mpi_comm *c = of(comm);
    struct sent_note *n = malloc(sizeof *n);
    if (!n) return;
    n->note = *note;
    n->note.from = comm->rank;
    pthread_mutex_lock(&c->lock);
    sweep(c);
    if (MPI_Isend(&n->note, sizeof n->note, MPI_BYTE, to, NOTE_TAG, c->notes, &n->request) == MPI_SUCCESS) {
        n->next = c->sent;
        c->sent = n;
    } else {
        free(n);
    }
    pthread_mutex_unlock(&c->lock);
}

static int mpi_take(struct mdl_comm *comm, struct mdl_note *note) {
    struct mpi_comm *c = of(comm);
    MPI_Status status;
    int there = 0;
    pthread_mutex_lock(&c->lock);
    int code = MPI_Iprobe(MPI_ANY_SOURCE, NOTE_TAG, c->notes, &there, &status);
    if (code == MPI_SUCCESS && there)
        code =
            MPI_Recv(note, sizeof *note, MPI_BYTE, status.MPI_SOURCE, NOTE_TAG, c->notes, MPI_STATUS_IGNORE);
    pthread_mutex_unlock(&c->lock);
    return code == MPI_SUCCESS && there;
}

/* MPI makes progress in its calls only, so waits are short; the longer nothing has happened, the longer. */
static void mpi_wait(struct mdl_comm *comm, int32_t most_us, int64_t idle_us) {
    (void)comm;
    int32_t us = idle_us < 2000 ? 0 : idle_us < 100000 ? 20 : 200;
    if (us)
        usleep((unsigned)(us < most_us ? us : most_us));
    else
        sched_yield();
}

static void mpi_wake(struct mdl_comm *comm) { (void)comm; }

static int mpi_group(struct mdl_comm *comm, const int32_t *ranks, int32_t count, void **group) {
    MPI_Comm *made = malloc(sizeof *made);
    int place = 0;
    if (!made) {
        snprintf(comm->error, sizeof comm->error, "out of memory");
        return MDL_BROKEN;
    }
    while (place < count && ranks[place] != comm->rank) place++;
    pthread_mutex_lock(&of(comm)->lock);
    int code = MPI_Comm_split(of(comm)->messages, ranks[0], place, made);
    if (code == MPI_SUCCESS) MPI_Comm_set_errhandler(*made, MPI_ERRORS_RETURN);
    pthread_mutex_unlock(&of(comm)->lock);
    *group = made;
    return checked(comm, code, "MPI_Comm_split");
}

static void mpi_group_free(struct mdl_comm *comm, void *group) {
    pthread_mutex_lock(&of(comm)->lock);
    if (!comm->broken) MPI_Comm_free(group);
    pthread_mutex_unlock(&of(comm)->lock);
    free(group);
}

/* Halves are not MPI's. */
static bool type_and_op(const struct mdl_library_collective *c, MPI_Datatype *type, MPI_Op *op) {
    const MPI_Datatype types[MDL_BOOL + 1] = {MPI_DOUBLE,  MPI_FLOAT,   MPI_DATATYPE_NULL, MPI_DATATYPE_NULL,
                                              MPI_INT64_T, MPI_INT32_T, MPI_INT16_T,       MPI_INT8_T,
                                              MPI_UINT8_T, MPI_UINT8_T};
    const MPI_Op ops[] = {MPI_SUM, MPI_MAX, MPI_MIN, MPI_PROD};
    const MPI_Op of_bool[] = {MPI_MAX, MPI_MAX, MPI_MIN, MPI_MIN};
    *type = types[c->dtype];
    *op = c->dtype == MDL_BOOL ? of_bool[c->reduction] : ops[c->reduction];
    return *type != MPI_DATATYPE_NULL;
}

static int element_bytes(uint32_t dtype) {
    static const int bytes[MDL_BOOL + 1] = {8, 4, 2, 2, 8, 4, 2, 1, 1, 1};
    return bytes[dtype];
}

static int start(const struct mdl_library_collective *c, MPI_Comm group, MPI_Request *request, bool *has) {
    int n = (int)c->elements, bytes = n * element_bytes(c->dtype);
    MPI_Datatype type;
    MPI_Op op;
    bool reduces = c->kind == MDL_ALL_REDUCE || c->kind == MDL_REDUCE_SCATTER;
    const void *in = c->in == c->out ? MPI_IN_PLACE : c->in;
    *has = !reduces || type_and_op(c, &type, &op);
    if (!*has) return MPI_SUCCESS;
    if (c->kind == MDL_ALL_REDUCE) return MPI_Iallreduce(in, c->out, n, type, op, group, request);
    if (c->kind == MDL_REDUCE_SCATTER)
        return MPI_Ireduce_scatter_block(in, c->out, n, type, op, group, request);
    if (c->kind == MDL_ALL_GATHER)
        return MPI_Iallgather(in, bytes, MPI_BYTE, c->out, bytes, MPI_BYTE, group, request);
    return MPI_Ialltoall(in, bytes, MPI_BYTE, c->out, bytes, MPI_BYTE, group, request);
}

static int mpi_collective(struct mdl_comm *comm, void *group, const struct mdl_library_collective *c,
                          struct mdl_transfer *t) {
    struct pending *p = (void *)t;
    bool has;
    if (c->kind > MDL_ALL_TO_ALL || c->elements > INT_MAX / 8) return MDL_FINISHED;
    p->receiving = false;
    pthread_mutex_lock(&of(comm)->lock);
    int code = start(c, *(MPI_Comm *)group, &p->request, &has);
    pthread_mutex_unlock(&of(comm)->lock);
    return has ? checked(comm, code, "MPI's collective") : MDL_FINISHED;
}

/* Launchers end all when one process ends without MPI_Finalize. MPICH's MPI_Abort may spin for ever when a
 * rank has been stopped; OpenMPI's is given some seconds. */
static void mpi_abort(struct mdl_comm *comm, int status) {
#ifdef OPEN_MPI
    enum { SECONDS = 4 };
    signal(SIGALRM, SIG_DFL);
    alarm(SECONDS);
    MPI_Abort(of(comm)->messages, status);
#else
    (void)comm;
#endif
    _exit(status);
}

static void mpi_close(struct mdl_comm *comm) {
    struct mpi_comm *c = of(comm);
    if (comm->broken) return; /* finalising would wait for who is gone */
    while (c->sent) sweep(c);
    MPI_Comm_free(&c->messages);
    MPI_Comm_free(&c->notes);
    if (c->ours) MPI_Finalize();
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static const struct mdl_comm_engine engine = {
    .size = sizeof engine,
#ifdef OPEN_MPI
    .name = "openmpi",
#else
    .name = "mpich",
#endif
    .send = mpi_send,
    .receive = mpi_receive,
    .test = mpi_test,
    .cancel = mpi_cancel,
    .post = mpi_post,
    .take = mpi_take,
    .wait = mpi_wait,
    .wake = mpi_wake,
    .group = mpi_group,
    .group_free = mpi_group_free,
    .collective = mpi_collective,
    .abort = mpi_abort,
    .close = mpi_close,
};

static int initialise(struct mpi_comm *c, char *error, uint64_t size) {
    int before = 0, level = 0;
    MPI_Initialized(&before);
    c->ours = !before;
    int code = before ? MPI_Query_thread(&level) : MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &level);
    if (code == MPI_SUCCESS && level >= MPI_THREAD_SERIALIZED) return MDL_OK;
    snprintf(error, size, "%s: %s", engine.name,
             code == MPI_SUCCESS ? "was initialised without MPI_THREAD_SERIALIZED"
                                 : "MPI_Init_thread failed");
    return MDL_UNSUPPORTED;
}

__attribute__((visibility("default"))) int mdl_comm_mpi(struct mdl_comm **comm, char *error, uint64_t size) {
    struct mpi_comm *c = calloc(1, sizeof *c);
    int rank, ranks;
    if (!c) return MDL_NO_MEMORY;
    int status = initialise(c, error, size);
    if (status) {
        free(c);
        return status;
    }
    pthread_mutex_init(&c->lock, NULL);
    MPI_Comm_dup(MPI_COMM_WORLD, &c->messages);
    MPI_Comm_dup(MPI_COMM_WORLD, &c->notes);
    MPI_Comm_set_errhandler(c->messages, MPI_ERRORS_RETURN);
    MPI_Comm_set_errhandler(c->notes, MPI_ERRORS_RETURN);
    MPI_Comm_rank(c->messages, &rank);
    MPI_Comm_size(c->messages, &ranks);
    c->comm = (struct mdl_comm){.engine = &engine, .rank = rank, .size = ranks};
    *comm = &c->comm;
    return MDL_OK;
}
