/* CRC-32C (Castagnoli; RFC 3720, section 12.1), the checksum of a weights file. */
#ifndef RUNTIME_CRC32C_H
#define RUNTIME_CRC32C_H
#include <stddef.h>
#include <stdint.h>

/* The sum of `bytes` at `data` that follow data whose sum is `sum` (0 at the beginning). */
uint32_t crc32c(uint32_t sum, const void *data, size_t bytes);
/* The same without the processor's instruction; for its test. */
uint32_t crc32c_portable(uint32_t sum, const void *data, size_t bytes);

#endif
