/* Where configure did not find CUDA's toolkit: no peers. */
#include "tests/gpu/bench/peers.h"
#include <stdio.h>

static struct peer *none(char *why) {
    snprintf(why, 400, "configure did not find cuBLAS and cuDNN");
    return NULL;
}

struct peer *peer_gemm(const struct peer_gemm *work, int device, char *why) {
    (void)work, (void)device;
    return none(why);
}
struct peer *peer_attention(const struct peer_attention *work, int device, char *why) {
    (void)work, (void)device;
    return none(why);
}
const char *peer_name(const struct peer *p) { return p ? "?" : "none"; }
double peer_run(struct peer *p) { return p ? -1 : 0; }
bool peer_result(const struct peer *p, void *out) { return p && out; }
void peer_free(struct peer *p) { (void)p; }
