/* What a test asks of watched_cuda.c, by dlsym: the runtime has it open under the same name. */
#ifndef TESTS_GPU_WATCHED_CUDA_H
#define TESTS_GPU_WATCHED_CUDA_H

/* From now on call number `call` (from 1) of the function fails with `code`; NULL: none does. All counts are
 * 0 again. */
void watched_fail(const char *name, long call, int code);
/* How often the function was called; and went well. */
long watched_calls(const char *name);
long watched_done(const char *name);
/* NULL past the last. */
const char *watched_name(int number);

#endif
