/* Attention in three steps, a lower peer: for where cuDNN has no fused one. */
#ifndef GPU_BENCH_PEER_UNFUSED_H
#define GPU_BENCH_PEER_UNFUSED_H
#include "tests/gpu/bench/peers.h"

/* It knows no causal mask: all keys are computed then too. NULL, with the reason in `why`, where it cannot be
 * had. */
struct peer *peer_unfused(const struct peer_attention *work, int device, char *why);
#endif
