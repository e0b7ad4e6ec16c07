#include "tests/run/handmade_calls.h"

static const float table[] = {1, 10, 100, 1000};

void handmade_inputs(struct handmade_call *c) {
    c->a = 2;
    for (int i = 0; i < 1000; i++) {
        c->x[i] = (float)i;
        c->ids[i] = i % 4;
    }
}

int handmade_mix(struct mdl_session *session, struct handmade_call *c, int64_t extent) {
    const void *inputs[] = {c->x, c->ids, &c->a};
    void *results[] = {c->y, &c->count};
    return mdl_call(session, HANDMADE_MIX, &extent, inputs, results);
}

bool handmade_mix_is_right(const struct handmade_call *c, int64_t extent) {
    for (int64_t i = 0; i < extent; i++) {
        int64_t j = extent - 1 - i;
        if (c->y[i] != c->x[j] * c->a * table[c->ids[j]]) return false;
    }
    return true;
}

int handmade_scan(struct mdl_session *session, const float *x, int64_t extent, float *y, int32_t *count) {
    return mdl_call(session, HANDMADE_SCAN, &extent, (const void *[]){x}, (void *[]){y, count});
}

bool handmade_scan_is_right(const float *x, int64_t extent, const float *y, int32_t count) {
    for (int i = 0; i < 64; i++)
        if (y[i] != table[i / 16] + (float)(100 * (i / 8 % 2) + i % 8) + x[0]) return false;
    return count == extent - 1;
}
