/* mdl-run's ranks: how many, where, and what they do together. */
#ifndef RUNTIME_LIBRARY_RANKS_H
#define RUNTIME_LIBRARY_RANKS_H
#include "runtime/comm.h"
#include "runtime/library.h"

struct ranks_settings {
    int32_t ranks;    /* threads of this process; 0: not given */
    const char *comm; /* auto, threads, mpi, openmpi, mpich, nccl; NULL: auto */
    uint32_t algorithm;
    int32_t timeout_ms;
};

/* Opens the model on all ranks of this process. An exit status after a message; ranks_close in any case. */
int ranks_start(struct library *l, const struct run_request *r, const struct ranks_settings *ranks,
                const struct library_settings *s);
void ranks_close(struct library *l, int status);

/* As the calls of struct run_executor. */
int ranks_call(struct library *l, uint32_t function, const int64_t *dims, const void *const *inputs,
               void *const *results);
const char *ranks_error(const struct library *l);
int64_t ranks_pieces(const struct mdl_descriptor *d, const struct mdl_tensor *t, uint32_t dim);

/* Whether this process prints and writes: rank 0, or there are no ranks. */
bool ranks_speaks(const struct library *l);
int ranks_number(const struct library *l); /* of this process's first rank */
/* Whether any rank says so. */
bool ranks_any(struct library *l, bool value);
/* Bytes sent, a row a rank. */
void ranks_stats(struct library *l);

/* library_signals.c: when the launcher ends this process, a line says what it was waiting for. */
void ranks_watch(const struct library *l);
void ranks_leave_a_watcher(const struct library *l); /* once the model is open */
void ranks_unwatch(void);

#endif
