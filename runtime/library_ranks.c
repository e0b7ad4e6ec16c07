/* mdl-run over ranks: threads of this process, or processes of an MPI of which this is one. Inputs and
 * results are whole on the command line; each rank is given its pieces, and rank 0 puts the results together.
 *
 *     threads:    x ─► piece of each rank ─► N calls at once ─► pieces, straight into the whole results
 *     processes:  x (read by all) ─► own piece ─► call ─► pieces sent to rank 0 */
#include "runtime/library_ranks.h"
#include "runtime/elements.h"
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST_DIMS = 64, TOOL_CHANNEL = 32000 };

/* What a call of all ranks was asked for. */
struct request {
    uint32_t function;
    const int64_t *dims;
    const void *const *inputs;
    void *const *results;
};
struct rank {
    struct library *library;
    struct mdl_comm *comm, *bootstrap; /* bootstrap: of a comm that is NCCL's */
    struct mdl_model *model;
    struct mdl_session *session;
    int32_t number;
    int64_t coordinates[MDL_MAX_AXES];
    struct library_settings settings;
    const struct request *request;
    int (*work)(struct rank *);
    int status; /* enum mdl_status */
    char error[512];
    pthread_t thread;
};
struct ranks {
    int32_t count; /* in this process */
    bool processes;
    struct rank *at;
    struct ranks_settings settings;
};

/* --- pieces --- */

/* Where a rank's piece lies in the whole array. */
struct piece {
    uint32_t rank;
    size_t element;
    int64_t whole[NPY_MAX_RANK], local[NPY_MAX_RANK], start[NPY_MAX_RANK];
    bool first; /* of the ranks that have this same piece */
};

int64_t ranks_pieces(const struct mdl_descriptor *d, const struct mdl_tensor *t, uint32_t dim) {
    int64_t n = 1;
    for (uint32_t i = 0; t->splits && i < t->splits[dim].count; i++)
        n *= d->axes[t->splits[dim].axes[i]].size;
    return n;
}

static void find_coordinates(const struct mdl_descriptor *d, int32_t rank, int64_t *coordinates) {
    int64_t rest = rank;
    for (uint32_t i = d->axes_count; i-- > 0; rest /= d->axes[i].size)
        coordinates[i] = rest % d->axes[i].size;
}

static struct piece piece_of(const struct mdl_descriptor *d, const struct mdl_tensor *t, const int64_t *units,
                             int32_t rank) {
    struct piece p = {.rank = t->rank, .element = element_types[t->dtype].bytes, .first = true};
    int64_t coordinates[MDL_MAX_AXES];
    uint32_t used = 0;
    find_coordinates(d, rank, coordinates);
    for (uint32_t i = 0; i < t->rank; i++) {
        int64_t at = 0;
        for (uint32_t j = 0; t->splits && j < t->splits[i].count; j++) {
            uint32_t axis = t->splits[i].axes[j];
            at = at * d->axes[axis].size + coordinates[axis];
            used |= 1u << axis;
        }
        p.local[i] = d->extent(t->extents[i], units);
        p.whole[i] = p.local[i] * ranks_pieces(d, t, i);
        p.start[i] = at * p.local[i];
    }
    for (uint32_t a = 0; a < d->axes_count; a++)
        if (!(used >> a & 1) && coordinates[a]) p.first = false;
    return p;
}

static size_t piece_bytes(const struct piece *p) {
    size_t bytes = p->element;
    for (uint32_t i = 0; i < p->rank; i++) bytes *= p->local[i] > 0 ? (size_t)p->local[i] : 0;
    return bytes;
}

/* Copies dimension d and those inside it, out of the whole array or into it. */
static void move(const struct piece *p, uint32_t d, char *whole, char *local, bool out) {
    size_t whole_row = p->element, local_row = p->element;
    for (uint32_t i = d + 1; i < p->rank; i++) {
        whole_row *= (size_t)p->whole[i];
        local_row *= (size_t)p->local[i];
    }
    if (d == p->rank) {
        memcpy(out ? local : whole, out ? whole : local, p->element);
    } else if (whole_row == local_row) {
        whole += (size_t)p->start[d] * whole_row;
        memcpy(out ? local : whole, out ? whole : local, (size_t)p->local[d] * local_row);
    } else {
        for (int64_t i = 0; i < p->local[d]; i++)
            move(p, d + 1, whole + (size_t)(p->start[d] + i) * whole_row, local + (size_t)i * local_row, out);
    }
}

/* --- one rank --- */

static void set_units(const struct rank *r, const struct mdl_function *f, int64_t *units) {
    for (uint32_t i = 0; i < f->dims_count && i < MOST_DIMS; i++)
        units[i] =
            f->dims[i].axis >= 0 ? r->coordinates[f->dims[i].axis] : r->request->dims[i] / f->dims[i].unit;
}

static int out_of_memory(struct rank *r) {
    snprintf(r->error, sizeof r->error, "rank %d: out of memory", r->number);
    return MDL_NO_MEMORY;
}

static int no_session(struct rank *r, int status) {
    const struct mdl_api *api = r->library->descriptor->api;
    snprintf(r->error, sizeof r->error, "rank %d: no session: %s", r->number, api->error(NULL));
    return status;
}

/* A model on GPUs moves its tensors by NCCL; its comm is made by the rank's own thread. */
static int take_nccl(struct rank *r) {
    const struct mdl_descriptor *d = r->library->descriptor;
    struct mdl_comm *nccl;
    if (!d->device || !d->collectives_count) return MDL_OK;
    int status = d->distributed->comm_nccl(r->comm, r->error, sizeof r->error, &nccl);
    if (status) return status;
    r->bootstrap = r->comm;
    r->comm = nccl;
    return MDL_OK;
}

static int open_rank(struct rank *r) {
    int nccl = take_nccl(r);
    if (nccl) return nccl;
    const struct ranks_settings *s = &r->library->ranks->settings;
    const struct mdl_api *api = r->library->descriptor->api;
    struct mdl_options options = {.size = sizeof options,
                                  .threads = r->settings.threads,
                                  .error = r->error,
                                  .error_size = sizeof r->error,
                                  .comm = r->comm,
                                  .timeout_ms = s->timeout_ms,
                                  .algorithm = s->algorithm,
                                  .device = r->settings.device};
    int status = api->open(r->library->descriptor, r->settings.weights, &options, &r->model);
    if (status) return status;
    status = api->session_new(r->model, &r->session);
    return status ? no_session(r, status) : MDL_OK;
}

static int close_rank(struct rank *r) {
    const struct mdl_api *api = r->library->descriptor->api;
    if (r->session) api->session_free(r->session);
    if (r->model) api->close(r->model);
    r->session = NULL;
    r->model = NULL;
    return MDL_OK;
}

/* The pieces of a call, all in one block; the caller frees *block. */
static bool make_pieces(struct rank *r, const struct mdl_function *f, const int64_t *units, void **buffers,
                        char **block) {
    const struct mdl_descriptor *d = r->library->descriptor;
    uint32_t count = f->inputs_count + f->results_count;
    size_t bytes = MDL_ALIGN;
    for (int pass = 0; pass < 2; pass++) {
        size_t at = 0;
        if (pass && !(*block = aligned_alloc(MDL_ALIGN, bytes))) return false;
        for (uint32_t i = 0; i < count; i++) {
            const struct mdl_tensor *t =
                i < f->inputs_count ? &f->inputs[i] : &f->results[i - f->inputs_count];
            struct piece p = piece_of(d, t, units, r->number);
            if (pass) buffers[i] = *block + at;
            if (pass && i < f->inputs_count && piece_bytes(&p))
                move(&p, 0, (char *)r->request->inputs[i], buffers[i], true);
            at += (piece_bytes(&p) + MDL_ALIGN - 1) / MDL_ALIGN * MDL_ALIGN;
        }
        bytes += at;
    }
    return true;
}

static void keep_error(struct rank *r, int status) {
    if (status) snprintf(r->error, sizeof r->error, "%s", r->library->descriptor->api->error(r->session));
}

/* Waits for a transfer; false: it failed or took too long. */
static bool finish(struct rank *r, struct mdl_transfer *t) {
    const struct mdl_comm_engine *e = r->comm->engine;
    int32_t ms = r->library->ranks->settings.timeout_ms;
    time_t until = time(NULL) + (ms > 0 ? ms / 1000 + 1 : ms < 0 ? 1 << 30 : 60);
    int status;
    while (!(status = e->test(r->comm, t)) && time(NULL) < until) e->wait(r->comm, 1000, 0);
    if (!status) snprintf(r->comm->error, sizeof r->comm->error, "it took too long");
    return status == MDL_FINISHED;
}

static bool pass_on(struct rank *r, int32_t from, int32_t to, void *data, size_t bytes) {
    const struct mdl_comm_engine *e = r->comm->engine;
    struct mdl_transfer t;
    int status = MDL_UNDER_WAY;
    if (!bytes || (r->number != from && r->number != to)) return true;
    if (r->number == from) status = e->send(r->comm, to, TOOL_CHANNEL, data, bytes, &t);
    if (r->number == to) status = e->receive(r->comm, from, TOOL_CHANNEL, data, bytes, &t);
    if (status == MDL_UNDER_WAY && finish(r, &t)) return true;
    snprintf(r->error, sizeof r->error, "rank %d: results from rank %d to rank %d: %.200s", r->number, from,
             to, r->comm->error);
    r->comm->broken = 1;
    return false;
}

/* The whole result at rank 0: pieces from the first of each that has it. */
static int gather(struct rank *r, const struct mdl_tensor *t, const int64_t *units, char *whole,
                  void *local) {
    const struct mdl_descriptor *d = r->library->descriptor;
    for (int32_t from = 0; from < r->comm->size; from++) {
        struct piece p = piece_of(d, t, units, from);
        if (!p.first || !piece_bytes(&p)) continue;
        char *room = from && !r->number ? malloc(piece_bytes(&p)) : local;
        if (!room) return out_of_memory(r);
        bool good = !from || pass_on(r, from, 0, room, piece_bytes(&p));
        if (good && !r->number) move(&p, 0, whole, room, false);
        if (room != local) free(room);
        if (!good) return MDL_PEER;
    }
    return MDL_OK;
}

static int take_results(struct rank *r, const struct mdl_function *f, const int64_t *units,
                        void *const *results) {
    const struct mdl_descriptor *d = r->library->descriptor;
    int status = MDL_OK;
    for (uint32_t i = 0; i < f->results_count && !status; i++) {
        struct piece p = piece_of(d, &f->results[i], units, r->number);
        if (r->library->ranks->processes)
            status = gather(r, &f->results[i], units, r->request->results[i], results[i]);
        else if (p.first && piece_bytes(&p))
            move(&p, 0, r->request->results[i], results[i], false);
    }
    return status;
}

static int call_rank(struct rank *r) {
    const struct mdl_descriptor *d = r->library->descriptor;
    const struct mdl_function *f = &d->functions[r->request->function];
    int64_t units[MOST_DIMS] = {0};
    char *block = NULL;
    void **buffers = calloc((size_t)f->inputs_count + f->results_count + 1, sizeof *buffers);
    set_units(r, f, units);
    int status = buffers && make_pieces(r, f, units, buffers, &block) ? MDL_OK : out_of_memory(r);
    if (!status) {
        const void *const *inputs = (const void *const *)buffers;
        status = d->api->call(r->session, r->request->function, r->request->dims, inputs,
                              buffers + f->inputs_count);
        keep_error(r, status);
        if (!status) status = take_results(r, f, units, buffers + f->inputs_count);
    }
    free(block);
    free(buffers);
    return status;
}

/* --- all ranks of this process --- */

static void *work(void *argument) {
    struct rank *r = argument;
    r->status = r->work(r);
    return NULL;
}

/* Rank 0's message counts; others' are printed as well, where they say something else. */
static int worst(struct ranks *all, const struct run_request *request) {
    struct rank *first = NULL;
    for (int32_t i = 0; i < all->count; i++) {
        struct rank *r = &all->at[i];
        if (r->status && (!first || (first->status == MDL_PEER && r->status != MDL_PEER))) first = r;
    }
    for (int32_t i = 0; i < all->count && first && request; i++) {
        struct rank *r = &all->at[i];
        if (r->status && r != first && strcmp(r->error, first->error)) run_error(request, 0, "%s", r->error);
    }
    if (first && first != all->at) memcpy(all->at->error, first->error, sizeof first->error);
    return first ? first->status : MDL_OK;
}

static int each(struct library *l, int (*what)(struct rank *), const struct request *request) {
    struct ranks *all = l->ranks;
    int32_t started = 1;
    for (int32_t i = 0; i < all->count; i++) {
        all->at[i].work = what;
        all->at[i].request = request;
        all->at[i].error[0] = 0;
        all->at[i].status = MDL_OK;
    }
    while (started < all->count && !pthread_create(&all->at[started].thread, NULL, work, &all->at[started]))
        started++;
    if (started < all->count)
        return out_of_memory(all->at); /* those that were started find that one is missing */
    work(all->at);
    for (int32_t i = 1; i < started; i++) pthread_join(all->at[i].thread, NULL);
    return worst(all, l->request);
}

int ranks_call(struct library *l, uint32_t function, const int64_t *dims, const void *const *inputs,
               void *const *results) {
    struct request request = {function, dims, inputs, results};
    return each(l, call_rank, &request);
}

const char *ranks_error(const struct library *l) { return l->ranks->at[0].error; }

/* --- finding each other --- */

static bool under_launcher(void) { return getenv("OMPI_COMM_WORLD_SIZE") || getenv("PMI_RANK"); }

static bool make_ranks(struct library *l, int32_t count, const struct ranks_settings *s) {
    struct ranks *all = calloc(1, sizeof *all);
    l->ranks = all;
    if (all) all->at = calloc((size_t)count, sizeof *all->at);
    if (!all || !all->at) return false;
    all->count = count;
    all->settings = *s;
    for (int32_t i = 0; i < count; i++) all->at[i] = (struct rank){.library = l, .number = i};
    return true;
}

static int thread_ranks(struct library *l, const struct run_request *r, const struct ranks_settings *s) {
    struct mdl_comm **comms = calloc((size_t)s->ranks, sizeof *comms);
    if (!comms || !make_ranks(l, s->ranks, s)) return run_error(r, RUN_INTERNAL, "out of memory");
    int status = l->descriptor->distributed->comm_threads(s->ranks, comms);
    for (int32_t i = 0; i < s->ranks && !status; i++) l->ranks->at[i].comm = comms[i];
    free(comms);
    return status ? run_error(r, RUN_FAILED, "--ranks=%d: so many ranks cannot be threads of one process",
                              s->ranks)
                  : RUN_DONE;
}

static int process_ranks(struct library *l, const struct run_request *r, const struct ranks_settings *s) {
    char why[512] = "";
    struct mdl_comm *comm;
    const char *engine = !s->comm || !strcmp(s->comm, "auto") ? "mpi" : s->comm;
    int status = l->descriptor->distributed->comm_open(engine, why, sizeof why, &comm);
    if (status) return run_error(r, run_exit_status(status), "%s", why);
    if (!make_ranks(l, 1, s)) return run_error(r, RUN_INTERNAL, "out of memory");
    l->ranks->processes = true;
    l->ranks->at[0].comm = comm;
    l->ranks->at[0].number = comm->rank;
    ranks_watch(l);
    if (comm->rank && !freopen("/dev/null", "w", stdout))
        return run_error(r, RUN_IO, "/dev/null cannot be opened");
    return RUN_DONE;
}

static int32_t mesh_size(const struct mdl_descriptor *d) {
    int64_t ranks = 1;
    for (uint32_t i = 0; i < d->axes_count; i++) ranks *= d->axes[i].size;
    return (int32_t)ranks;
}

static int find_ranks(struct library *l, const struct run_request *r, const struct ranks_settings *s) {
    bool automatic = !s->comm || !strcmp(s->comm, "auto");
    if (automatic ? s->ranks > 0 : !strcmp(s->comm, "threads")) {
        struct ranks_settings all = *s;
        if (!s->ranks) all.ranks = mesh_size(l->descriptor);
        return thread_ranks(l, r, &all);
    }
    if (!automatic || under_launcher()) return process_ranks(l, r, s);
    return make_ranks(l, 1, s)
               ? RUN_DONE
               : run_error(r, RUN_INTERNAL, "out of memory"); /* opening says what is missing */
}

/* What is wrong with the options; NCCL is taken behind whatever comm there is. */
static int check_settings(const struct library *l, const struct run_request *r, struct ranks_settings *ranks,
                          const struct library_settings *s) {
    bool nccl = ranks->comm && !strcmp(ranks->comm, "nccl"), devices = l->descriptor->device != NULL;
    if (nccl && !devices)
        return run_error(r, RUN_FAILED,
                         "--comm=nccl: it moves memory of GPUs, but this model was compiled for CPUs");
    if (devices && s->device && strchr(s->device, ':'))
        return run_error(r, RUN_USAGE, "--device=%s: over ranks each takes the GPU of its number", s->device);
    if (nccl) ranks->comm = NULL;
    return RUN_DONE;
}

int ranks_start(struct library *l, const struct run_request *r, const struct ranks_settings *given,
                const struct library_settings *s) {
    struct ranks_settings ranks = *given;
    int status = check_settings(l, r, &ranks, s);
    if (!status) status = find_ranks(l, r, &ranks);
    if (status) return status;
    for (int32_t i = 0; i < l->ranks->count; i++) {
        struct rank *rank = &l->ranks->at[i];
        rank->settings = *s;
        find_coordinates(l->descriptor, rank->number, rank->coordinates);
    }
    int opened = each(l, open_rank, NULL);
    l->model = l->ranks->at[0].model;
    l->session = l->ranks->at[0].session;
    if (!opened && l->ranks->processes) ranks_leave_a_watcher(l);
    return opened ? run_error(r, run_exit_status(opened), "%s", ranks_error(l)) : RUN_DONE;
}

/* Where ranks have parted, the others are given a moment for their own words before all are ended. */
static void close_comm(struct library *l, struct rank *r, int status) {
    enum { MOMENT_US = 700000 };
    if (!r->comm) return;
    if (l->ranks->processes && r->comm->broken) {
        usleep(MOMENT_US);
        r->comm->engine->abort(r->comm, status ? status : RUN_FAILED);
    }
    l->descriptor->distributed->comm_close(r->comm);
    l->descriptor->distributed->comm_close(r->bootstrap);
}

void ranks_close(struct library *l, int status) {
    struct ranks *all = l->ranks;
    if (all && all->at && all->count) {
        each(l, close_rank, NULL);
        ranks_unwatch();
        for (int32_t i = 0; i < all->count; i++) close_comm(l, &all->at[i], status);
    }
    if (all) free(all->at);
    free(all);
    l->ranks = NULL;
    l->model = NULL;
    l->session = NULL;
}

/* --- what ranks tell each other for the tool --- */

bool ranks_speaks(const struct library *l) { return !l->ranks || l->ranks->at[0].number == 0; }

int ranks_number(const struct library *l) { return l->ranks->at[0].number; }

bool ranks_any(struct library *l, bool value) {
    if (!l->ranks || !l->ranks->processes) return value;
    struct rank *r = &l->ranks->at[0];
    char all = value, one;
    for (int32_t i = 1; i < r->comm->size; i++) {
        one = (char)value;
        if (!pass_on(r, i, 0, &one, 1)) return false;
        all = (char)(all | one);
    }
    for (int32_t i = 1; i < r->comm->size; i++)
        if (!pass_on(r, 0, i, &all, 1)) return false;
    return all;
}

/* Bytes of the weights that the rank maps: the sections that are its own. */
static int64_t mapped_bytes(const struct mdl_descriptor *d, int32_t rank) {
    int64_t coordinates[MDL_MAX_AXES], bytes = d->sections_count ? 0 : d->weights_bytes;
    find_coordinates(d, rank, coordinates);
    for (uint32_t i = 0; i < d->sections_count; i++) {
        const struct mdl_section *s = &d->sections[i];
        bool own = true;
        for (uint32_t a = 0; a < d->axes_count; a++) own &= !s->only[a] || (s->only[a] >> coordinates[a] & 1);
        bytes += own ? s->bytes : 0;
    }
    return bytes;
}

static void print_traffic(int32_t rank, const struct mdl_traffic *t) {
    static const char *const kinds[MDL_COLLECTIVE_KINDS] = {MDL_COLLECTIVE_NAMES};
    printf("rank %d sent:", rank);
    for (int k = 0; k < MDL_RECEIVE; k++)
        if (t->started[k])
            printf(" %s %" PRIu64 " bytes in %" PRIu64 ",", kinds[k], t->sent[k], t->started[k]);
    printf(" control %" PRIu64 " bytes\n", t->control);
}

void ranks_stats(struct library *l) {
    struct mdl_traffic t;
    const struct mdl_distributed *d = l->descriptor->distributed;
    int32_t size = l->ranks->processes ? l->ranks->at[0].comm->size : l->ranks->count;
    for (int32_t i = 0; i < size; i++) {
        struct rank *r = &l->ranks->at[l->ranks->processes ? 0 : i];
        d->traffic(r->model, &t);
        if (i && l->ranks->processes && !pass_on(r, i, 0, &t, sizeof t)) return;
        print_traffic(i, &t);
    }
    for (int32_t i = 0; i < size; i++)
        printf("rank %d maps: %" PRId64 " bytes of weights\n", i, mapped_bytes(l->descriptor, i));
}
