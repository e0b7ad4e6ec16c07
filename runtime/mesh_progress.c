/* The thread that makes collectives progress while the others compute. */
#include "runtime/float.h"
#include "runtime/mesh.h"
#include "runtime/pool.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { IDLE_US = 20000, MOST_WAIT_US = 5000, NOTES_EVERY = 1000000 /* ns */ };

int64_t mesh_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void mesh_count(struct mesh *m, uint32_t kind, uint64_t bytes) {
    pthread_mutex_lock(&m->lock);
    if (kind < MDL_COLLECTIVE_KINDS)
        m->traffic.sent[kind] += bytes;
    else
        m->traffic.control += bytes;
    pthread_mutex_unlock(&m->lock);
}

bool mesh_is_dead(struct mesh *m, char *why, size_t size) {
    pthread_mutex_lock(&m->lock);
    bool dead = m->dead;
    if (dead) snprintf(why, size, "%s", m->why);
    pthread_mutex_unlock(&m->lock);
    return dead;
}

static void append(struct operation **list, struct operation *o) {
    while (*list) list = &(*list)->next;
    o->next = NULL;
    *list = o;
}

void operation_start(struct mesh *m, struct operation *o) {
    pthread_mutex_lock(&m->lock);
    o->state = m->dead ? OPERATION_FAILED : OPERATION_STARTED;
    o->sequence = ++o->group->started;
    o->began = 0;
    o->begun = o->asked = false;
    if (o->what) m->traffic.started[o->what->kind]++;
    if (!m->dead) append(&m->incoming, o);
    bool idle = !m->active;
    pthread_cond_signal(&m->work);
    pthread_mutex_unlock(&m->lock);
    if (!idle) m->comm->engine->wake(m->comm);
}

/* The progress thread watches the clock; only when it is stuck itself does this run out. */
static struct timespec give_time(const struct mesh *m) {
    enum { MORE = 4, FOR_EVER = 1 << 30 };
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += m->timeout == INT64_MAX ? FOR_EVER : m->timeout / 1000000000 + MORE;
    return until;
}

/* Under the lock. */
static void abandon(struct mesh *m, struct operation *o) {
    m->stuck = m->dead = true;
    m->comm->broken = 1;
    size_t length = mesh_describe(m, o, m->why, sizeof m->why);
    snprintf(m->why + length, sizeof m->why - length, ": %s does not come back", m->comm->engine->name);
    o->state = OPERATION_FAILED;
}

bool operation_await(struct mesh *m, struct operation *o) {
    struct timespec until = give_time(m);
    atomic_store(&m->awaited, o);
    pthread_mutex_lock(&m->lock);
    while (o->state == OPERATION_STARTED)
        if (pthread_cond_timedwait(&m->done, &m->lock, &until) == ETIMEDOUT && o->state == OPERATION_STARTED)
            abandon(m, o);
    bool good = o->state != OPERATION_FAILED;
    pthread_mutex_unlock(&m->lock);
    atomic_store(&m->awaited, NULL);
    return good;
}

void mesh_give_up(struct mesh *m, const char *text) {
    pthread_mutex_lock(&m->lock);
    if (!m->dead && !m->give_up) {
        snprintf(m->why, sizeof m->why, "%s", text);
        m->give_up = true;
    }
    pthread_cond_signal(&m->work);
    pthread_mutex_unlock(&m->lock);
    m->comm->engine->wake(m->comm);
    pthread_mutex_lock(&m->lock);
    while (!m->dead) pthread_cond_wait(&m->done, &m->lock);
    pthread_mutex_unlock(&m->lock);
}

static void finish(struct mesh *m, struct operation **at) {
    struct operation *o = *at;
    pthread_mutex_lock(&m->lock);
    *at = o->next;
    o->state = OPERATION_DONE;
    if (m->inquiry.about == o) m->inquiry.about = NULL;
    pthread_cond_broadcast(&m->done);
    pthread_mutex_unlock(&m->lock);
}

/* Whether nothing before it in the list must be done first. */
static bool may_begin(const struct mesh *m, const struct operation *o) {
    bool message = o->what && (o->what->kind == MDL_SEND || o->what->kind == MDL_RECEIVE);
    bool alone = message || (o->what && m->devices);
    for (const struct operation *before = m->active; before != o && !alone; before = before->next)
        if (before->group == o->group && !(before->what && before->what->kind >= MDL_SEND)) return false;
    return true;
}

static void broken(struct mesh *m, const struct operation *o) {
    char text[MESH_TEXT + sizeof m->comm->error];
    size_t length = mesh_describe(m, o, text, MESH_TEXT);
    snprintf(text + length, sizeof text - length, ": %s", m->comm->error);
    mesh_fail(m, text, true);
}

/* Whether anything was finished. */
static bool advance_all(struct mesh *m, int64_t now) {
    bool moved = false;
    for (struct operation **at = &m->active; *at;) {
        struct operation *o = *at;
        if (!o->began && may_begin(m, o)) o->began = now;
        int status = o->began ? o->advance(m, o) : MDL_UNDER_WAY;
        if (status == MDL_BROKEN) {
            broken(m, o);
            return true;
        }
        if (status == MDL_FINISHED)
            finish(m, at);
        else
            at = &o->next;
        moved |= status == MDL_FINISHED;
    }
    return moved;
}

/* Takes what has been started; sleeps when there is nothing at all. False: the thread shall end. */
static bool take_work(struct mesh *m) {
    struct timespec until;
    char why[sizeof m->why];
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += IDLE_US * 1000L;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_mutex_lock(&m->lock);
    while (!m->incoming && !m->active && !m->stop && !m->give_up)
        if (pthread_cond_timedwait(&m->work, &m->lock, &until) == ETIMEDOUT) break;
    bool stop = m->stop, give_up = m->give_up && !m->dead;
    struct operation **end = &m->active;
    while (*end) end = &(*end)->next;
    *end = m->incoming;
    m->incoming = NULL;
    memcpy(why, m->why, sizeof why);
    pthread_mutex_unlock(&m->lock);
    if (give_up) mesh_fail(m, why, true);
    return !stop;
}

static void *progress(void *argument) {
    struct mesh *m = argument;
    int64_t moved = mesh_now(), notes = 0;
    set_float_control(FLOAT_DEFAULT);
    while (take_work(m)) {
        int64_t now = mesh_now();
        if (advance_all(m, now)) moved = now;
        if (now - notes > NOTES_EVERY && !m->comm->broken) {
            if (mesh_take_notes(m)) moved = now;
            notes = now;
        }
        mesh_look_at_clock(m, now);
        if (m->active)
            m->comm->engine->wait(m->comm, MOST_WAIT_US, (now - moved) / 1000);
        else
            moved = mesh_now();
    }
    return NULL;
}

bool progress_start(struct mesh *m) {
    m->has_thread = pool_start_thread(&m->thread, progress, m);
    return m->has_thread;
}

void progress_stop(struct mesh *m) {
    if (!m->has_thread) return;
    pthread_mutex_lock(&m->lock);
    m->stop = true;
    pthread_cond_signal(&m->work);
    pthread_mutex_unlock(&m->lock);
    if (m->stuck)
        pthread_detach(m->thread);
    else
        pthread_join(m->thread, NULL);
    m->has_thread = false;
}
