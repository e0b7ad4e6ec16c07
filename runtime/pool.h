/* The threads of one opened model: created once, asleep between calls, given a whole call at a time.
 *
 *     caller = thread 0 ──body──┬─barrier─┬─ … ─barrier─ returns
 *     worker 1          ──body──┤         ├─ … ─┘        spins a little, then sleeps
 */
#ifndef RUNTIME_POOL_H
#define RUNTIME_POOL_H
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { POOL_MAX_THREADS = 256 };

struct pool;

/* What each thread of the pool runs; `thread` counts from 0 (the caller). */
typedef void pool_body(void *context, int64_t thread, int64_t threads);

/* A pool of `threads`, the caller's included; 0: as many as the process may run on. Where the system refuses
 * a thread, the pool is smaller. NULL: no memory. */
struct pool *pool_new(int threads);
void pool_free(struct pool *p); /* no call may be running */
int pool_threads(const struct pool *p);

/* Runs `body` in all threads and returns when all are done. When another thread has the pool, or this is a
 * child that was forked (threads are not inherited), runs it in the caller alone, with threads = 1. */
void pool_run(struct pool *p, pool_body *body, void *context);

/* Starts a thread of the runtime, which takes no signals but those of its own faults: the program's handlers run in the program's
 * threads. False: the system refuses. */
bool pool_start_thread(pthread_t *id, void *(*run)(void *), void *with);

/* Returns when all `threads` of the body have called it, and what they wrote before is seen by all. `thread`: which one
 * calls. */
void pool_barrier(struct pool *p, int64_t thread, int64_t threads);

#endif
