/* CRC-32C (Castagnoli; RFC 3720, section 12.1) of what goes into a weights file. */
#ifndef BACKEND_CHECKSUM_H
#define BACKEND_CHECKSUM_H
#include <stddef.h>
#include <stdint.h>

uint32_t checksum(const void *data, size_t bytes);

#endif
