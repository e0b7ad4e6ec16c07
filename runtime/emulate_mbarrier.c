/* Barriers in shared memory: mbarrier. */
#include "runtime/emulate_block.h"

bool polled_is_over(const struct coroutine *c) { return (c->polled->phase & 1) != c->parity; }

void mbarrier_arrive(const struct coroutine *c, struct mdl_mbarrier *m, int arrivals, int32_t bytes) {
    if (m->pending < arrivals) emulate_fail(c, "more arrivals than an mbarrier waits for");
    m->pending = (uint8_t)(m->pending - arrivals);
    m->bytes += bytes;
    if (m->pending || m->bytes) return;
    m->pending = m->arrivals;
    m->phase++;
}

void mdl_emulate_mbarrier_init(struct mdl_warp *w, struct mdl_mbarrier *m, int32_t arrivals) {
    (void)w;
    *m = (struct mdl_mbarrier){.arrivals = (uint8_t)arrivals, .pending = (uint8_t)arrivals};
}

void mdl_emulate_mbarrier_arrive(struct mdl_warp *w, struct mdl_mbarrier *m, int32_t arrivals) {
    mbarrier_arrive((const struct coroutine *)w, m, arrivals, 0);
}

void mdl_emulate_mbarrier_expect(struct mdl_warp *w, struct mdl_mbarrier *m, int32_t bytes) {
    mbarrier_arrive((const struct coroutine *)w, m, 1, bytes);
}

void mdl_emulate_mbarrier_wait(struct mdl_warp *w, const struct mdl_mbarrier *m, int32_t parity) {
    struct coroutine *c = (struct coroutine *)w;
    c->polled = m;
    c->parity = parity;
    emulate_pause(c, POLLING);
}
