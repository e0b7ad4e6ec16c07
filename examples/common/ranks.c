/* Ranks as threads or processes: starting them, ending them, rank 0's bytes for all. */
#include "ranks.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { CHANNEL = 32000, PATIENCE = 60 /* seconds */, MOMENT_US = 700000 };

struct rank {
    ranks_work *work;
    void *context;
    struct mdl_comm *comm;
    pthread_t thread;
    struct error error;
    bool good;
};

int32_t ranks_number(const struct mdl_comm *comm) { return comm ? comm->rank : 0; }

int32_t ranks_count(const struct mdl_descriptor *model) {
    int64_t count = 1;
    for (uint32_t i = 0; i < model->axes_count; i++) count *= model->axes[i].size;
    return (int32_t)count;
}

/* Waits for a transfer, until rank 0 has had time enough to get ready. */
static bool finish(struct mdl_comm *comm, struct mdl_transfer *t, int status) {
    time_t until = time(NULL) + PATIENCE;
    while (status == MDL_UNDER_WAY && time(NULL) < until) {
        status = comm->engine->test(comm, t);
        if (status == MDL_UNDER_WAY) comm->engine->wait(comm, 1000, 0);
    }
    if (status == MDL_UNDER_WAY) comm->engine->cancel(comm, t);
    return status == MDL_FINISHED;
}

bool ranks_share(struct mdl_comm *comm, void *data, size_t bytes, struct error *e) {
    struct mdl_transfer t;
    if (!comm || !bytes) return true;
    if (comm->rank)
        return finish(comm, &t, comm->engine->receive(comm, 0, CHANNEL, data, bytes, &t)) ||
               fail(e, "rank %d hears nothing of rank 0", comm->rank);
    for (int32_t to = 1; to < comm->size; to++)
        if (!finish(comm, &t, comm->engine->send(comm, to, CHANNEL, data, bytes, &t)))
            return fail(e, "rank %d does not listen", to);
    return true;
}

static void *run_thread(void *argument) {
    struct rank *r = argument;
    r->good = r->work(r->context, r->comm, &r->error);
    return NULL;
}

/* Rank 0's words, or those of the first that failed where it did not. */
static bool all_good(const struct rank *ranks, int32_t count, struct error *e) {
    for (int32_t i = 0; i < count; i++)
        if (!ranks[i].good) {
            *e = ranks[i].error;
            return false;
        }
    return true;
}

static bool run_threads(const struct mdl_descriptor *model, int32_t count, ranks_work *work, void *context,
                        struct error *e) {
    struct rank *ranks = allocate((size_t)count, sizeof *ranks);
    struct mdl_comm **comms = allocate((size_t)count, sizeof *comms);
    int32_t started = 0;
    bool good = model->distributed->comm_threads(count, comms) == MDL_OK ||
                fail(e, "%d ranks cannot be threads of one process", count);
    for (int32_t i = 0; good && i < count; i++)
        ranks[i] = (struct rank){.work = work, .context = context, .comm = comms[i]};
    while (good && started < count &&
           !pthread_create(&ranks[started].thread, NULL, run_thread, &ranks[started]))
        started++;
    for (int32_t i = 0; i < started; i++) pthread_join(ranks[i].thread, NULL);
    for (int32_t i = 0; i < count; i++)
        if (comms[i]) model->distributed->comm_close(comms[i]);
    if (good) good = started == count ? all_good(ranks, count, e) : fail(e, "a thread cannot be started");
    free(comms);
    free(ranks);
    return good;
}

/* Where ranks have parted, the others are given a moment for their own words before all are ended. */
static bool run_process(const struct mdl_descriptor *model, ranks_work *work, void *context,
                        struct error *e) {
    struct mdl_comm *comm;
    if (model->distributed->comm_open("mpi", e->text, sizeof e->text, &comm) != MDL_OK) return false;
    bool good = work(context, comm, e);
    if (!good) {
        if (*e->text) fprintf(stderr, "rank %d: %s\n", comm->rank, e->text);
        usleep(MOMENT_US);
        comm->engine->abort(comm, 1);
    }
    model->distributed->comm_close(comm);
    return good;
}

bool ranks_run(const struct mdl_descriptor *model, int32_t threads, ranks_work *work, void *context,
               struct error *e) {
    int32_t count = ranks_count(model);
    if (threads && threads != count) return fail(e, "the model is for %d ranks, not %d", count, threads);
    if (count == 1) return work(context, NULL, e);
    return threads ? run_threads(model, threads, work, context, e) : run_process(model, work, context, e);
}
