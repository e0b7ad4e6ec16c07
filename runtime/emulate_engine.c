/* What a block has others do: copies in bulk, products of tcgen05. Nothing is done before all warps wait for
 * something; then as little as lets one go on. Copies come in any order; products and commits keep theirs. */
#include "runtime/emulate_block.h"
#include <string.h>

enum { CHUNK = 16 };

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
    case TASK_PRODUCT:
        tensor_multiply(&t->product);
        return;
    case TASK_COMMIT:
        mbarrier_arrive(t->of, t->arrives, 1, 0);
        return;
    }
}

bool engine_is_idle(const struct block *b) { return b->tasks_count == 0; }

bool engine_step(struct block *b) {
    if (engine_is_idle(b)) return false;
    int64_t next = emulate_random(b) % (uint64_t)b->tasks_count;
    if (b->tasks[next].kind != TASK_COPY)
        for (next = 0; b->tasks[next].kind == TASK_COPY;) next++;
    struct task t = b->tasks[next];
    b->tasks_count--;
    memmove(&b->tasks[next], &b->tasks[next + 1], (size_t)(b->tasks_count - next) * sizeof t);
    perform(&t);
    return true;
}
