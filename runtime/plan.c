/* From the descriptor's steps to what a call walks: once a model, so that a step costs a call and a barrier.
 */
#include "runtime/model.h"
#include <stdlib.h>

static const struct mdl_ref *ref_of(const struct mdl_model *m, const struct mdl_step *s, uint32_t i) {
    return &m->descriptor->refs[s->first_ref + i];
}

static bool runs_kernel(const struct mdl_step *s) {
    return s->kind == MDL_STEP_KERNEL || s->kind == MDL_STEP_GUARD;
}
static bool has_buffers(const struct mdl_step *s) { return runs_kernel(s) || s->kind == MDL_STEP_COLLECTIVE; }
static bool is_dynamic(const struct mdl_ref *r) { return r->stride != 0 || r->space == MDL_COUNTER; }
static bool is_callers(const struct mdl_ref *r) { return r->space == MDL_INPUT || r->space == MDL_RESULT; }

/* The range of the descriptor's refs that the variant uses. */
static void find_range(struct plan *p) {
    uint32_t first = UINT32_MAX, end = 0;
    for (uint32_t i = 0; i < p->variant->steps_count; i++) {
        const struct mdl_step *s = &p->variant->steps[i];
        if (!has_buffers(s) || !s->refs) continue;
        if (s->first_ref < first) first = s->first_ref;
        if (s->first_ref + s->refs > end) end = s->first_ref + s->refs;
    }
    p->first_ref = end ? first : 0;
    p->refs_count = end - p->first_ref;
}

static void plan_buffers(const struct mdl_model *m, struct plan *p, uint32_t at) {
    const struct mdl_step *s = &p->variant->steps[at];
    struct plan_step *out = &p->steps[at];
    out->buffers = s->refs ? s->first_ref - p->first_ref : 0;
    for (uint32_t i = 0; i < s->refs; i++) {
        const struct mdl_ref *r = ref_of(m, s, i);
        if (is_dynamic(r))
            out->dynamic = true;
        else if (is_callers(r))
            p->patches[p->patches_count++] = s->first_ref + i;
    }
}

static void plan_kernel(const struct mdl_model *m, struct plan *p, uint32_t at) {
    const struct mdl_step *s = &p->variant->steps[at];
    if (m->descriptor->kernels) p->steps[at].kernel = m->descriptor->kernels[s->kernel];
    p->steps[at].guard = s->kind == MDL_STEP_GUARD;
    plan_buffers(m, p, at);
}

/* A step behind which all threads stand together, and which is always run before the next. */
static bool gathers(const struct plan *p, uint32_t at) {
    uint32_t kind = p->variant->steps[at].kind;
    if (kind == MDL_STEP_LOOP || kind == MDL_STEP_END) return false;
    return p->steps[at].barrier || p->steps[at].start || p->steps[at].await;
}

static void plan_collective(const struct mdl_model *m, struct plan *p, uint32_t at) {
    struct plan_step *out = &p->steps[at];
    out->await = p->variant->steps[at].kind == MDL_STEP_AWAIT;
    out->start = !out->await;
    out->meet = out->start && (!at || !gathers(p, at - 1));
    if (out->start) plan_buffers(m, p, at);
}

/* Matches LOOP with END by a chain of the loops that are open, kept in their own `other`. */
static void plan_steps(const struct mdl_model *m, struct plan *p) {
    uint32_t open = 0; /* 1 + the innermost open LOOP */
    for (uint32_t i = 0; i < p->variant->steps_count; i++) {
        const struct mdl_step *s = &p->variant->steps[i];
        p->steps[i].barrier = s->barrier != 0;
        if (runs_kernel(s)) {
            plan_kernel(m, p, i);
        } else if (s->kind == MDL_STEP_COLLECTIVE || s->kind == MDL_STEP_AWAIT) {
            plan_collective(m, p, i);
        } else if (s->kind == MDL_STEP_LOOP) {
            p->steps[i].other = open;
            open = i + 1;
        } else {
            uint32_t start = open - 1;
            open = p->steps[start].other;
            p->steps[start].other = i;
            p->steps[i] = (struct plan_step){.other = start, .end = true, .barrier = s->barrier != 0};
        }
    }
}

/* A step after guards must not see what they have not checked: the last guard of a row has a barrier. */
static void fence_guards(struct plan *p) {
    for (uint32_t i = 0, n = p->variant->steps_count; i < n; i++)
        if (p->steps[i].guard && (i + 1 == n || !p->steps[i + 1].guard)) p->steps[i].barrier = true;
}

/* Ranks agree behind the guards that come before anything else is said or repeated; no state has changed
 * there. */
static void place_agreement(const struct mdl_model *m, struct plan *p) {
    uint32_t last = UINT32_MAX;
    for (uint32_t i = 0; m->mesh && i < p->variant->steps_count; i++) {
        if (!runs_kernel(&p->variant->steps[i])) break;
        if (p->steps[i].guard) last = i;
    }
    if (last == UINT32_MAX) return;
    p->steps[last].agree = p->agrees = true;
}

static bool make_plan(struct mdl_model *m, struct plan *p, const struct mdl_variant *v) {
    size_t refs = 0;
    for (uint32_t i = 0; i < v->steps_count; i++)
        if (has_buffers(&v->steps[i])) refs += v->steps[i].refs;
    p->variant = v;
    p->steps = calloc((size_t)v->steps_count + 1, sizeof *p->steps);
    p->patches = calloc(refs + 1, sizeof *p->patches);
    if (!p->steps || !p->patches) return false;
    find_range(p);
    plan_steps(m, p);
    fence_guards(p);
    place_agreement(m, p);
    p->table = m->pointers;
    m->pointers += p->refs_count;
    if (v->loops > m->most_loops) m->most_loops = v->loops;
    if (v->arena_bytes > m->arena_bytes) m->arena_bytes = v->arena_bytes;
    if (v->scratch_bytes > m->scratch_bytes) m->scratch_bytes = v->scratch_bytes;
    return true;
}

bool plans_new(struct mdl_model *m) {
    const struct mdl_descriptor *d = m->descriptor;
    for (uint32_t f = 0; f < d->functions_count; f++) m->plans_count += d->functions[f].variants_count;
    m->all_plans = calloc((size_t)m->plans_count + 1, sizeof *m->all_plans);
    m->plans = calloc((size_t)d->functions_count + 1, sizeof *m->plans);
    if (!m->all_plans || !m->plans) return false;
    struct plan *next = m->all_plans;
    for (uint32_t f = 0; f < d->functions_count; f++) {
        m->plans[f] = next;
        for (uint32_t v = 0; v < d->functions[f].variants_count; v++)
            if (!make_plan(m, next++, &d->functions[f].variants[v])) return false;
    }
    return true;
}

void plans_free(struct mdl_model *m) {
    for (uint32_t i = 0; m->all_plans && i < m->plans_count; i++) {
        free(m->all_plans[i].steps);
        free(m->all_plans[i].patches);
    }
    free(m->all_plans);
    free(m->plans);
}
