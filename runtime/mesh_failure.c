/* What can go wrong between ranks: time runs out, somebody gives up, somebody leaves.
 *
 *     timed out ──QUESTION──► members: "where are you?" ──ANSWER──► a message that names who has not come
 *     failed    ──FAILED────► all: each fails what it has under way, with the sender's reason */
#include "runtime/mesh.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum note_kind { NOTE_QUESTION, NOTE_ANSWER, NOTE_FAILED };
static const int64_t SECOND = 1000000000;

static void post(struct mesh *m, int32_t to, struct mdl_note *note) {
    m->comm->engine->post(m->comm, to, note);
    mesh_count(m, MDL_COLLECTIVE_KINDS, sizeof *note);
}

static void post_all(struct mesh *m, struct mdl_note *note) {
    for (int32_t i = 0; i < m->ranks; i++)
        if (i != m->rank) post(m, i, note);
}

/* Time for the bad news to leave: afterwards the engine is not called any more. */
static void push(struct mesh *m) {
    enum { TIMES = 20, PAUSE_US = 1000 };
    struct mdl_note note;
    for (int i = 0; i < TIMES; i++) {
        m->comm->engine->take(m->comm, &note);
        usleep(PAUSE_US);
    }
}

void mesh_fail(struct mesh *m, const char *text, bool tell) {
    struct mdl_note note = {.kind = NOTE_FAILED};
    struct operation *list;
    snprintf(note.text, sizeof note.text, "%s", text);
    pthread_mutex_lock(&m->lock);
    bool was = m->dead;
    pthread_mutex_unlock(&m->lock);
    if (was) return;
    if (tell) post_all(m, &note);
    push(m);
    for (struct operation *o = m->active; o; o = o->next)
        if (o->began) o->cancel(m, o);
    pthread_mutex_lock(&m->lock);
    m->dead = true;
    m->comm->broken = 1;
    m->inquiry.about = NULL;
    if (m->why != text) snprintf(m->why, sizeof m->why, "%s", text);
    for (list = m->active; list; list = list->next) list->state = OPERATION_FAILED;
    for (list = m->incoming; list; list = list->next) list->state = OPERATION_FAILED;
    m->active = m->incoming = NULL;
    pthread_cond_broadcast(&m->done);
    pthread_mutex_unlock(&m->lock);
}

/* --- time --- */

static uint64_t number_of(const struct mesh *m, const struct mesh_group *g) {
    return g == &m->everybody ? (uint64_t)m->groups_count : (uint64_t)(g - m->groups);
}

static bool is_message(const struct operation *o) { return o->what && o->what->kind >= MDL_SEND; }

static void ask(struct mesh *m, struct operation *o, int64_t now) {
    struct inquiry *q = &m->inquiry;
    struct mdl_note note = {.kind = NOTE_QUESTION, .words = {number_of(m, o->group), o->sequence}};
    o->asked = true;
    *q = (struct inquiry){.about = o, .until = now + SECOND, .heard = q->heard};
    memset(q->heard, 0, (size_t)m->ranks * sizeof *q->heard);
    for (int32_t i = 0; i < o->group->count; i++) {
        if (i == o->group->own || (is_message(o) && i != o->what->peers[0])) continue;
        q->wanted++;
        post(m, o->group->ranks[i], &note);
    }
}

/* The questioned ones that gave no answer. */
static void name_the_silent(const struct mesh *m, char *text, size_t size) {
    const struct operation *o = m->inquiry.about;
    size_t length = strlen(text);
    for (int32_t i = 0; i < o->group->count; i++) {
        int32_t rank = o->group->ranks[i];
        if (i == o->group->own || m->inquiry.heard[rank] || (is_message(o) && i != o->what->peers[0]))
            continue;
        int n = snprintf(text + length, size - length, "; rank %d does not answer", rank);
        length += n > 0 && (size_t)n < size - length ? (size_t)n : 0;
    }
}

static void conclude(struct mesh *m, int64_t now) {
    struct operation *o = m->inquiry.about;
    char text[512];
    size_t length = mesh_describe(m, o, text, sizeof text);
    snprintf(text + length, sizeof text - length, ": not done after %.1f s%s",
             (double)(now - o->began) * 1e-9, m->inquiry.text);
    name_the_silent(m, text, sizeof text);
    mesh_fail(m, text, true);
}

void mesh_look_at_clock(struct mesh *m, int64_t now) {
    struct inquiry *q = &m->inquiry;
    if (q->about) {
        if (q->answers == q->wanted || now > q->until) conclude(m, now);
        return;
    }
    for (struct operation *o = m->active; o; o = o->next)
        if (o->began && now - o->began > m->timeout) {
            ask(m, o, now);
            return;
        }
}

/* --- notes --- */

/* Where this rank is, for another whose operation has timed out. */
static void answer(struct mesh *m, const struct mdl_note *question) {
    struct mdl_note note = {.kind = NOTE_ANSWER, .words = {question->words[0], question->words[1]}};
    const struct operation *o = atomic_load(&m->awaited);
    char text[MESH_TEXT];
    uint64_t number = question->words[0];
    if (number > (uint64_t)m->groups_count) return;
    struct mesh_group *g = number == (uint64_t)m->groups_count ? &m->everybody : &m->groups[number];
    pthread_mutex_lock(&m->lock);
    note.words[2] = g->started;
    pthread_mutex_unlock(&m->lock);
    if (o) mesh_describe(m, o, text, sizeof text);
    snprintf(note.text, sizeof note.text, "%.400s", o ? strchr(text, ':') + 2 : "");
    post(m, question->from, &note);
}

static void note_answer(struct mesh *m, const struct mdl_note *note) {
    struct inquiry *q = &m->inquiry;
    const struct operation *o = q->about;
    if (!o || note->words[0] != number_of(m, o->group) || note->words[1] != o->sequence ||
        q->heard[note->from])
        return;
    q->heard[note->from] = true;
    q->answers++;
    if (!is_message(o) && note->words[2] >= o->sequence) return; /* it waits like us */
    size_t length = strlen(q->text);
    snprintf(q->text + length, sizeof q->text - length, "; rank %d has not come to it: it %s%.120s",
             note->from, *note->text ? "waits for " : "computes, or is outside of any call", note->text);
}

static void note_failed(struct mesh *m, const struct mdl_note *note) {
    char text[512];
    const struct operation *o = atomic_load(&m->awaited);
    size_t length = o ? mesh_describe(m, o, text, 250)
                      : (size_t)snprintf(text, sizeof text, "rank %d, in no collective", m->rank);
    snprintf(text + length, sizeof text - length, ": ended by %.400s", note->text);
    mesh_fail(m, text, false);
}

bool mesh_take_notes(struct mesh *m) {
    struct mdl_note note;
    bool any = false;
    while (m->comm->engine->take(m->comm, &note)) {
        any = true;
        if (note.kind == NOTE_QUESTION) answer(m, &note);
        if (note.kind == NOTE_ANSWER) note_answer(m, &note);
        if (note.kind == NOTE_FAILED) note_failed(m, &note);
    }
    return any;
}
