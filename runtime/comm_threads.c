/* Ranks that are threads of one process: messages are copied from buffer to buffer.
 *
 *     world:  lock │ seat of rank 0 │ seat of rank 1 │ …
 *     seat:   what others sent it, what it waits for, notes
 *
 * Whoever comes second to a message, sender or receiver, copies it, outside the lock. */
#include "runtime/comm.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_RANKS = 1024 };
enum state { POSTED, COPYING, DONE, GONE, WRONG_SIZE };

/* Lies in a struct mdl_transfer. */
struct message {
    struct message *next;
    char *data;
    uint64_t bytes;
    int32_t from, to;
    uint32_t channel;
    atomic_uint state;
};
_Static_assert(sizeof(struct message) <= sizeof(struct mdl_transfer), "a message fits a transfer");

struct letter {
    struct letter *next;
    struct mdl_note note;
};

struct seat {
    struct mdl_comm comm; /* first */
    struct world *world;
    pthread_cond_t changed;
    uint64_t events, seen;            /* what has happened here, and how much of it the last wait has seen */
    struct message *sends, *receives; /* to this rank, by this rank; oldest first */
    struct letter *notes;
    bool closed;
};

struct world {
    pthread_mutex_t lock;
    int32_t size, open;
    struct seat seats[];
};

static struct seat *seat_of(struct mdl_comm *comm) { return (struct seat *)comm; }

static void notify(struct seat *seat) {
    seat->events++;
    pthread_cond_broadcast(&seat->changed);
}

static void append(struct message **list, struct message *m) {
    while (*list) list = &(*list)->next;
    m->next = NULL;
    *list = m;
}

/* Takes the oldest message of this pair and channel out of the list, or NULL. */
static struct message *take_match(struct message **list, const struct message *m) {
    for (; *list; list = &(*list)->next) {
        struct message *other = *list;
        if (other->from != m->from || other->channel != m->channel) continue;
        *list = other->next;
        return other;
    }
    return NULL;
}

static bool take_out(struct message **list, const struct message *m) {
    for (; *list; list = &(*list)->next)
        if (*list == m) {
            *list = m->next;
            return true;
        }
    return false;
}

static void copy(struct world *w, struct message *from, struct message *to) {
    bool same = from->bytes == to->bytes;
    if (same && from->bytes) memcpy(to->data, from->data, from->bytes);
    struct seat *sender = &w->seats[from->from], *receiver = &w->seats[from->to];
    pthread_mutex_lock(&w->lock);
    atomic_store_explicit(&from->state, same ? DONE : WRONG_SIZE, memory_order_release);
    atomic_store_explicit(&to->state, same ? DONE : WRONG_SIZE, memory_order_release);
    notify(sender);
    notify(receiver);
    pthread_mutex_unlock(&w->lock);
}

/* A new message meets its other half, or waits for it in the receiver's seat. */
static void place(struct world *w, struct message *m, bool sending) {
    struct seat *to = &w->seats[m->to];
    pthread_mutex_lock(&w->lock);
    struct message *other = take_match(sending ? &to->receives : &to->sends, m);
    bool gone = !other && w->seats[sending ? m->to : m->from].closed;
    if (other) {
        atomic_store_explicit(&other->state, COPYING, memory_order_relaxed);
        atomic_store_explicit(&m->state, COPYING, memory_order_relaxed);
    } else if (gone) {
        atomic_store_explicit(&m->state, GONE, memory_order_relaxed);
    } else {
        append(sending ? &to->sends : &to->receives, m);
    }
    pthread_mutex_unlock(&w->lock);
    if (other) copy(w, sending ? m : other, sending ? other : m);
}

static int threads_send(struct mdl_comm *comm, int32_t to, uint32_t channel, const void *data, uint64_t bytes,
                        struct mdl_transfer *t) {
    struct message *m = (void *)t;
    *m = (struct message){
        .data = (char *)data, .bytes = bytes, .from = comm->rank, .to = to, .channel = channel};
    place(seat_of(comm)->world, m, true);
    return MDL_UNDER_WAY;
}

static int threads_receive(struct mdl_comm *comm, int32_t from, uint32_t channel, void *data, uint64_t bytes,
                           struct mdl_transfer *t) {
    struct message *m = (void *)t;
    *m = (struct message){.data = data, .bytes = bytes, .from = from, .to = comm->rank, .channel = channel};
    place(seat_of(comm)->world, m, false);
    return MDL_UNDER_WAY;
}

static int threads_test(struct mdl_comm *comm, struct mdl_transfer *t) {
    struct message *m = (void *)t;
    int32_t other = m->from == comm->rank ? m->to : m->from;
    switch ((enum state)atomic_load_explicit(&m->state, memory_order_acquire)) {
    case DONE:
        return MDL_FINISHED;
    case GONE:
        snprintf(comm->error, sizeof comm->error, "rank %d has closed its comm", other);
        return MDL_BROKEN;
    case WRONG_SIZE:
        snprintf(comm->error, sizeof comm->error,
                 "a message between rank %d and this one has another size there than here", other);
        return MDL_BROKEN;
    default:
        return MDL_UNDER_WAY;
    }
}

/* Once taken out nobody else knows of it; who copies it already is waited for. */
static void threads_cancel(struct mdl_comm *comm, struct mdl_transfer *t) {
    struct message *m = (void *)t;
    struct world *w = seat_of(comm)->world;
    struct seat *to = &w->seats[m->to];
    pthread_mutex_lock(&w->lock);
    if (!take_out(&to->sends, m)) take_out(&to->receives, m);
    pthread_mutex_unlock(&w->lock);
    while (atomic_load_explicit(&m->state, memory_order_acquire) == COPYING) sched_yield();
    pthread_mutex_lock(&w->lock); /* the copier has let go of it, too */
    pthread_mutex_unlock(&w->lock);
}

static void threads_post(struct mdl_comm *comm, int32_t to, const struct mdl_note *note) {
    struct world *w = seat_of(comm)->world;
    struct letter *letter = malloc(sizeof *letter), **at;
    if (!letter) return;
    letter->note = *note;
    letter->note.from = comm->rank;
    letter->next = NULL;
    pthread_mutex_lock(&w->lock);
    for (at = &w->seats[to].notes; *at; at = &(*at)->next) continue;
    *at = letter;
    notify(&w->seats[to]);
    pthread_mutex_unlock(&w->lock);
}

static int threads_take(struct mdl_comm *comm, struct mdl_note *note) {
    struct seat *seat = seat_of(comm);
    pthread_mutex_lock(&seat->world->lock);
    struct letter *letter = seat->notes;
    if (letter) seat->notes = letter->next;
    pthread_mutex_unlock(&seat->world->lock);
    if (!letter) return 0;
    *note = letter->note;
    free(letter);
    return 1;
}

static void threads_wait(struct mdl_comm *comm, int32_t most_us, int64_t idle_us) {
    struct seat *seat = seat_of(comm);
    struct timespec until;
    (void)idle_us;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + (int64_t)most_us * 1000;
    until.tv_sec += ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    pthread_mutex_lock(&seat->world->lock);
    while (seat->events == seat->seen &&
           pthread_cond_timedwait(&seat->changed, &seat->world->lock, &until) != ETIMEDOUT)
        continue;
    seat->seen = seat->events;
    pthread_mutex_unlock(&seat->world->lock);
}

static void threads_wake(struct mdl_comm *comm) {
    struct seat *seat = seat_of(comm);
    pthread_mutex_lock(&seat->world->lock);
    notify(seat);
    pthread_mutex_unlock(&seat->world->lock);
}

/* Messages of `list` that come from rank `from` will never be met. */
static void leave(struct message **list, int32_t from) {
    while (*list) {
        struct message *m = *list;
        if (from >= 0 && m->from != from) {
            list = &m->next;
            continue;
        }
        *list = m->next;
        atomic_store_explicit(&m->state, GONE, memory_order_release);
    }
}

static void world_free(struct world *w) {
    for (int32_t i = 0; i < w->size; i++) {
        for (struct letter *l = w->seats[i].notes, *next; l; l = next) {
            next = l->next;
            free(l);
        }
        pthread_cond_destroy(&w->seats[i].changed);
    }
    pthread_mutex_destroy(&w->lock);
    free(w);
}

static void threads_close(struct mdl_comm *comm) {
    struct seat *seat = seat_of(comm);
    struct world *w = seat->world;
    pthread_mutex_lock(&w->lock);
    seat->closed = true;
    leave(&seat->sends, -1);
    for (int32_t i = 0; i < w->size; i++) {
        leave(&w->seats[i].receives, comm->rank);
        notify(&w->seats[i]);
    }
    bool last = --w->open == 0;
    pthread_mutex_unlock(&w->lock);
    if (last) world_free(w);
}

/* The other ranks are this process's: its caller ends them. */
static void threads_abort(struct mdl_comm *comm, int status) { (void)comm, (void)status; }

static const struct mdl_comm_engine threads_engine = {
    .size = sizeof threads_engine,
    .name = "threads",
    .send = threads_send,
    .receive = threads_receive,
    .test = threads_test,
    .cancel = threads_cancel,
    .post = threads_post,
    .take = threads_take,
    .wait = threads_wait,
    .wake = threads_wake,
    .abort = threads_abort,
    .close = threads_close,
};

int mdl_comm_threads(int32_t ranks, struct mdl_comm **comms) {
    if (ranks < 1 || ranks > MOST_RANKS) return MDL_INVALID;
    struct world *w = calloc(1, sizeof *w + (size_t)ranks * sizeof *w->seats);
    if (!w) return MDL_NO_MEMORY;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&w->lock, NULL);
    w->size = w->open = ranks;
    for (int32_t i = 0; i < ranks; i++) {
        struct seat *seat = &w->seats[i];
        seat->world = w;
        seat->comm = (struct mdl_comm){.engine = &threads_engine, .rank = i, .size = ranks};
        pthread_cond_init(&seat->changed, &monotonic);
        comms[i] = &seat->comm;
    }
    pthread_condattr_destroy(&monotonic);
    return MDL_OK;
}
