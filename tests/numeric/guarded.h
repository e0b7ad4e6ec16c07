/* Memory that ends at a page nobody may touch (or begins after one), so that code which reads or writes past
 * a buffer dies at once, whether or not a sanitizer sees it. */
#ifndef TESTS_GUARDED_H
#define TESTS_GUARDED_H
#include <stddef.h>

enum guard_side { GUARD_AFTER, GUARD_BEFORE };

/* `bytes` of memory filled with 0xff, next to a guard page; never NULL. The address is aligned to `align` (a
 * power of two): an element's size, since a model asks for no more of its callers. */
void *guarded_new(size_t bytes, size_t align, enum guard_side side);
void guarded_free(void *memory, size_t bytes, enum guard_side side);

#endif
