/* CRC-32C, eight bytes at a time by eight tables (the "slicing" of M. Kounavis and F. Berry, 2005). The
 * runtime has its own, which a compiled model carries; a test keeps them equal. */
#include "backend/checksum.h"
#include <pthread.h>
#include <string.h>

static uint32_t tables[8][256]; /* [k][b]: what byte b does when k bytes follow it */

static void fill(void) {
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t sum = b;
        for (int i = 0; i < 8; i++) sum = sum >> 1 ^ (sum & 1 ? 0x82f63b78u : 0);
        tables[0][b] = sum;
    }
    for (int k = 1; k < 8; k++)
        for (int b = 0; b < 256; b++)
            tables[k][b] = tables[k - 1][b] >> 8 ^ tables[0][tables[k - 1][b] & 255];
}

static uint32_t eight(uint32_t sum, const unsigned char *p) {
    uint32_t lo, hi;
    memcpy(&lo, p, 4);
    memcpy(&hi, p + 4, 4);
    lo ^= sum;
    return tables[7][lo & 255] ^ tables[6][lo >> 8 & 255] ^ tables[5][lo >> 16 & 255] ^ tables[4][lo >> 24] ^
           tables[3][hi & 255] ^ tables[2][hi >> 8 & 255] ^ tables[1][hi >> 16 & 255] ^ tables[0][hi >> 24];
}

uint32_t checksum(const void *data, size_t bytes) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fill);
    const unsigned char *p = data;
    uint32_t sum = ~0u;
    for (; bytes >= 8; bytes -= 8, p += 8) sum = eight(sum, p);
    for (; bytes; bytes--, p++) sum = sum >> 8 ^ tables[0][(sum ^ *p) & 255];
    return ~sum;
}
