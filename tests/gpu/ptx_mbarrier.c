/* x */
#include "tests/gpu/ptx_exec.h"
void ptx_async_reset(struct block *b) { (void)b; }
void ptx_async_free(struct block *b) { (void)b; }
