/* Our own collectives, made of messages between two ranks: a machine that is advanced until it is done.
 *
 *     all_reduce, N = 3: [a0 b0 c0] [a1 b1 c1] [a2 b2 c2]     in each step every rank sends a chunk to the
 *                                                             right and gets one from the left
 *     N-1 steps: what arrives is added to the own chunk       then each rank has the sum of one chunk
 *     N-1 steps: what arrives is the sum                      2 (S - chunk) bytes leave each rank
 *
 * Chunks are as even as whole elements let them be. The order of additions depends on N and the place in the
 * tensor alone, and all ranks get the same bits. */
#ifndef RUNTIME_RING_H
#define RUNTIME_RING_H
#include "runtime/abi.h"
#include "runtime/comm.h"
#include <stdbool.h>

struct ring {
    /* Set by who starts it. */
    struct mdl_comm *comm;
    const int32_t *members; /* [count] their ranks */
    int32_t count, own;     /* which of them this rank is */
    uint32_t channel;
    uint32_t kind, dtype, reduction; /* as in struct mdl_collective */
    uint64_t elements;               /* d of enum mdl_collective_kind */
    const void *in;                  /* must not overlap `out`; ALL_REDUCE: or be the same */
    void *out;
    const int32_t *peers;
    void *scratch; /* ring_scratch of it */
    /* Its state. */
    int32_t step;
    bool sending, receiving, begun;
    uint64_t sent; /* bytes that have left */
    struct mdl_transfer out_transfer, in_transfer;
};

uint64_t ring_scratch(const struct ring *r); /* bytes of scratch that it needs */
void ring_begin(struct ring *r);
/* Does what can be done now: an enum mdl_progress. */
int ring_advance(struct ring *r);
void ring_cancel(struct ring *r);

/* Bytes of the operand, of the result. */
uint64_t ring_in_bytes(const struct ring *r);
uint64_t ring_out_bytes(const struct ring *r);

#endif
