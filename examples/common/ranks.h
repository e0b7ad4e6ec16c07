/* Running a program on all ranks of a compiled model: threads of this process, or processes under mpirun of
 * which this is one. Programs that include it are linked with one such model. */
#ifndef EXAMPLES_RANKS_H
#define EXAMPLES_RANKS_H
#include "base.h"
#include "runtime/abi.h"
#include "runtime/comm.h"

/* One rank's part of the work; its message goes to *e. Calls that other ranks fail, fail here too. */
typedef bool ranks_work(void *context, struct mdl_comm *comm, struct error *e);

/* Runs `work` on each rank: as `threads` threads, or where that is 0, as the process of an mpirun; a model
 * without a mesh, or with a mesh of one rank, runs with comm NULL. False: *e says what the rank says that
 * failed first. Under mpirun a failure ends all ranks. */
bool ranks_run(const struct mdl_descriptor *model, int32_t threads, ranks_work *work, void *context,
               struct error *e);

/* The number of a rank, and rank 0's bytes for all. Comm NULL: there is one rank. */
int32_t ranks_number(const struct mdl_comm *comm);
bool ranks_share(struct mdl_comm *comm, void *data, size_t bytes, struct error *e);

/* Ranks of the model's mesh. */
int32_t ranks_count(const struct mdl_descriptor *model);
#endif
