/* Calls of mix and scan (handmade.h), and whether their results are right: for tests of the runtime on any
 * device. */
#ifndef TESTS_HANDMADE_CALLS_H
#define TESTS_HANDMADE_CALLS_H
#include "tests/run/handmade.h"

/* Buffers of a call of mix, for any S. */
struct handmade_call {
    float x[1000], y[1000], a;
    int32_t ids[1000], count;
};

void handmade_inputs(struct handmade_call *c);
/* Both return mdl_call's status. */
int handmade_mix(struct mdl_session *session, struct handmade_call *c, int64_t extent);
int handmade_scan(struct mdl_session *session, const float *x /* [extent] */, int64_t extent,
                  float *y /* [4, 2, 8] */, int32_t *count);
bool handmade_mix_is_right(const struct handmade_call *c, int64_t extent);
bool handmade_scan_is_right(const float *x, int64_t extent, const float *y, int32_t count);

#endif
