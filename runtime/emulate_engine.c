/* What a block has others do: copies in bulk, products of tcgen05. Nothing is done before all warps wait for
 * something; then as little as lets one go on. Copies come in any order; products and commits keep theirs. */
#include "runtime/emulate_block.h"
#include <string.h>

enum { CHUNK = 16, LINE = 128, SWIZZLED = 8 * LINE /* what swizzled lines are aligned to */ };

static struct task *add(struct coroutine *c, enum task_kind kind, struct mdl_mbarrier *arrives) {
    struct block *b = c->block;
    b->tasks = emulate_grow(b->tasks, b->tasks_count, &b->tasks_room, sizeof *b->tasks);
    struct task *t = &b->tasks[b->tasks_count++];
    *t = (struct task){.kind = kind, .of = c, .arrives = arrives};
    return t;
}

void mdl_emulate_copy_bulk(struct mdl_warp *w, char *to, const char *from, int32_t bytes,
                           struct mdl_mbarrier *m) {
    struct coroutine *c = (struct coroutine *)w;
    if (bytes <= 0 || bytes % CHUNK) emulate_fail(c, "a copy in bulk of %d bytes", (int)bytes);
    for (int32_t at = 0; at < bytes; at += CHUNK) chunk_begin(c, to + at, from + at);
    struct task *t = add(c, TASK_COPY, m);
    t->to = to;
    t->from = from;
    t->bytes = bytes;
}

/* Each 16 bytes of a box, from where they lie (NULL: outside) to their place. */
typedef void move(const struct coroutine *c, char *to, const char *from);

static const char *piece_at(const struct mdl_box *b, const int64_t *at) {
    int64_t element = 0;
    for (int d = MDL_MAP_DIMS - 1; d >= 0; d--) {
        if (at[d] < 0 || at[d] >= b->extents[d]) return NULL;
        element = element * b->extents[d] + at[d];
    }
    return b->base + element * b->bytes;
}

static void each_piece(const struct coroutine *c, const struct mdl_box *b, char *to, move *f) {
    int64_t index[MDL_MAP_DIMS] = {0}, at[MDL_MAP_DIMS], piece = CHUNK / b->bytes;
    for (ptrdiff_t n = to - c->warp.shared;; n += CHUNK) {
        int d = 0;
        for (int i = 0; i < MDL_MAP_DIMS; i++) at[i] = b->first[i] + index[i];
        f(c, c->warp.shared + swizzled(n), piece_at(b, at));
        for (index[0] += piece; d < MDL_MAP_DIMS && index[d] == b->box[d];) {
            index[d++] = 0;
            if (d < MDL_MAP_DIMS) index[d]++;
        }
        if (d == MDL_MAP_DIMS) return;
    }
}

static void deliver(const struct coroutine *c, char *to, const char *from) { chunk_deliver(c, to, from, 0); }

void mdl_emulate_copy_box(struct mdl_warp *w, char *to, const struct mdl_box *b, struct mdl_mbarrier *m) {
    struct coroutine *c = (struct coroutine *)w;
    if (b->extents[0] * b->bytes % CHUNK || b->box[0] * b->bytes != LINE)
        emulate_fail(c, "a box of lines of %d bytes, of rows of %d", (int)(b->box[0] * b->bytes), (int)(b->extents[0] * b->bytes));
    if ((to - w->shared) % SWIZZLED) emulate_fail(c, "a box at %td of shared memory", to - w->shared);
    each_piece(c, b, to, chunk_begin);
    struct task *t = add(c, TASK_BOX, m);
    t->to = to;
    t->box = *b;
    t->bytes = LINE;
    for (int i = 1; i < MDL_MAP_DIMS; i++) t->bytes *= (int32_t)b->box[i];
}

void engine_multiply(struct coroutine *c, const struct tensor_product *p) {
    if (!c->warp.tensor) emulate_fail(c, "a product without tensor memory");
    product_check(&p->a);
    product_check(&p->b);
    add(c, TASK_PRODUCT, NULL)->product = *p;
}

void mdl_emulate_tcgen05_commit(struct mdl_warp *w, struct mdl_mbarrier *m, int32_t arrivals) {
    (void)arrivals; /* one */
    add((struct coroutine *)w, TASK_COMMIT, m);
}

static void perform(const struct task *t) {
    switch (t->kind) {
    case TASK_COPY:
        for (int32_t at = 0; at < t->bytes; at += CHUNK) chunk_deliver(t->of, t->to + at, t->from + at, 0);
        mbarrier_arrive(t->of, t->arrives, 0, -t->bytes);
        return;
    case TASK_BOX:
        each_piece(t->of, &t->box, t->to, deliver);
        mbarrier_arrive(t->of, t->arrives, 0, -t->bytes);
        return;
    case TASK_PRODUCT:
        tensor_multiply(&t->product);
        return;
    case TASK_COMMIT:
        mbarrier_arrive(t->of, t->arrives, 1, 0);
        return;
    }
}

bool engine_is_idle(const struct block *b) { return b->tasks_count == 0; }

static bool is_copy(const struct task *t) { return t->kind == TASK_COPY || t->kind == TASK_BOX; }

bool engine_step(struct block *b) {
    if (engine_is_idle(b)) return false;
    int64_t next = emulate_random(b) % (uint64_t)b->tasks_count;
    if (!is_copy(&b->tasks[next]))
        for (next = 0; is_copy(&b->tasks[next]);) next++;
    struct task t = b->tasks[next];
    b->tasks_count--;
    memmove(&b->tasks[next], &b->tasks[next + 1], (size_t)(b->tasks_count - next) * sizeof t);
    perform(&t);
    return true;
}
