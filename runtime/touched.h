/* Which pages of anonymous memory were ever written to: the others are zeros, and need not be looked at. */
#ifndef RUNTIME_TOUCHED_H
#define RUNTIME_TOUCHED_H
#include <stdbool.h>
#include <stddef.h>

/* The pages that saved sessions are made of, whatever the system's are. */
#define SAVED_PAGE 4096

/* Clears touched[i] for pages of `base` (page-aligned) that nobody has written to since they were mapped; the
 * others may be zeros too. `pagemap`: PAGEMAP, except in tests; where it cannot be read, all are touched. */
#define PAGEMAP "/proc/self/pagemap"
void touched_pages(const char *pagemap, const void *base, size_t pages, bool *touched /* [pages] */);

#endif
