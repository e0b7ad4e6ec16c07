/* Which steps must be finished by all threads before the next begins. Threads divide each kernel's work in
 * their own way, so a step waits exactly where it may meet what an earlier one, since the last barrier, wrote
 * (or where it would write what that one may still be reading). */
#include "backend/steps.h"

static bool writes(const struct tables *t, const struct mdl_step *s, uint32_t i) {
    return t->reaches[s->first_ref + i].written;
}

static bool overlap(const struct tables *t, uint32_t a, uint32_t b) {
    const struct mdl_ref *x = &t->refs[a], *y = &t->refs[b];
    if (x->space != y->space || x->space == MDL_WEIGHT || x->space == MDL_COUNTER) return false;
    if (x->space == MDL_INPUT || x->space == MDL_RESULT) return x->index == y->index;
    return t->reaches[a].begin < t->reaches[b].end && t->reaches[b].begin < t->reaches[a].end;
}

static bool conflict(const struct tables *t, const struct mdl_step *a, const struct mdl_step *b) {
    for (uint32_t i = 0; i < a->refs; i++)
        for (uint32_t j = 0; j < b->refs; j++)
            if ((writes(t, a, i) || writes(t, b, j)) && overlap(t, a->first_ref + i, b->first_ref + j))
                return true;
    return false;
}

/* Loops keep a barrier at both ends, so that what is compared is always one stretch of steps; a guard's
 * verdict is every thread's before anything it guards. */
static bool always(const struct mdl_step *s) { return s->kind != MDL_STEP_KERNEL; }

void barriers_place(const struct tables *t, struct steps *s) {
    int since = 0; /* the first step after the last barrier */
    for (int i = 1; i < s->count; i++) {
        bool needed = always(&s->at[i - 1]) || always(&s->at[i]);
        for (int j = since; j < i && !needed; j++) needed = conflict(t, &s->at[j], &s->at[i]);
        if (!needed) continue;
        s->at[i - 1].barrier = 1;
        since = i;
    }
}
