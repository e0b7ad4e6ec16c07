/* CRC-32C by the processor's instruction (SSE 4.2) where there is one, else four bits at a time by a small
 * table. */
#include "runtime/crc32c.h"
#include <string.h>
#ifdef __x86_64__
#include <cpuid.h>
#endif

/* Remainders of the 16 values of four bits by the reflected polynomial 0x82f63b78. */
static const uint32_t nibble[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t crc32c_portable(uint32_t sum, const void *data, size_t bytes) {
    const uint8_t *p = data;
    sum = ~sum;
    for (size_t i = 0; i < bytes; i++) {
        sum ^= p[i];
        sum = sum >> 4 ^ nibble[sum & 15];
        sum = sum >> 4 ^ nibble[sum & 15];
    }
    return ~sum;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t sum, const void *data, size_t bytes) {
    const uint8_t *p = data;
    uint64_t s = ~sum, word;
    for (; bytes >= sizeof word; bytes -= sizeof word, p += sizeof word) {
        memcpy(&word, p, sizeof word);
        s = __builtin_ia32_crc32di(s, word);
    }
    for (; bytes; bytes--) s = __builtin_ia32_crc32qi((uint32_t)s, *p++);
    return ~(uint32_t)s;
}

static int has_sse42(void) {
    unsigned a, b, c = 0, d;
    return __get_cpuid(1, &a, &b, &c, &d) && c & bit_SSE4_2;
}
#endif

uint32_t crc32c(uint32_t sum, const void *data, size_t bytes) {
#ifdef __x86_64__
    if (bytes >= 64 && has_sse42()) return crc32c_sse42(sum, data, bytes);
#endif
    return crc32c_portable(sum, data, bytes);
}
