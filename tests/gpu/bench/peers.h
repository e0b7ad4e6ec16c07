/* NVIDIA's libraries at the same work, on the same device and with the same steps around it: the inputs are
 * copied in, then the time between two events is that of the kernels. */
#ifndef GPU_BENCH_PEERS_H
#define GPU_BENCH_PEERS_H
#include <stdbool.h>
#include <stdint.h>

struct peer;
struct peer_gemm {
    int64_t m, n, k;
    bool bf16; /* f32 otherwise */
    bool tf32; /* f32 whose products are rounded to 10 bits */
};
struct peer_attention {
    int64_t length, heads, dim; /* bf16 [length, heads, dim] */
    bool causal;
};

/* NULL, with the reason in `why` (of 400 bytes), where there is no such peer here. */
struct peer *peer_gemm(const struct peer_gemm *work, int device, char *why);
struct peer *peer_attention(const struct peer_attention *work, int device, char *why);
const char *peer_name(const struct peer *p);
/* Seconds of its kernels; ends the program where one fails. */
double peer_run(struct peer *p);
/* Copies its last result out; false where it computes something else than ours. Of attention, all three
 * inputs are the numbers that ours_open gives them. */
bool peer_result(const struct peer *p, void *out);
void peer_free(struct peer *p);
#endif
