/* Accesses that hit a page nobody may touch, while emulated code runs: said with kernel, block and warp. */
#include "runtime/emulate_block.h"
#include <pthread.h>
#include <signal.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int watchers;
static struct sigaction before[2];
static const int signals[] = {SIGSEGV, SIGBUS};

/* The code at fault is generated or our own copying, never inside of stdio or malloc: messages may be made
 * here. */
static void tell(int number, siginfo_t *info, void *context) {
    const struct coroutine *c = emulate_current();
    uintptr_t at = (uintptr_t)info->si_addr;
    ptrdiff_t by;
    (void)context;
    if (c && region_around(&c->stack, at, &by)) emulate_fail(c, "its code needs more stack than it has here");
    if (c && region_around(&c->block->shared, at, &by))
        emulate_fail(c, "an access %td bytes %s shared memory", by < 0 ? -by : by,
                     by < 0 ? "before" : "behind");
    if (c && region_around(&c->scratch, at, &by))
        emulate_fail(c, "an access %td bytes %s its scratch", by < 0 ? -by : by,
                     by < 0 ? "before" : "behind");
    if (c && region_around(&c->block->parts, at, &by))
        emulate_fail(c, "an access outside of the grid's parts");
    if (c) emulate_fail(c, "an access outside of all buffers, at %p", info->si_addr);
    signal(number, SIG_DFL); /* not ours: it happens again, and ends as ever */
}

void faults_watch(void) {
    pthread_mutex_lock(&lock);
    if (!watchers++) {
        struct sigaction ours = {.sa_sigaction = tell, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
        sigemptyset(&ours.sa_mask);
        for (int i = 0; i < 2; i++) sigaction(signals[i], &ours, &before[i]);
    }
    pthread_mutex_unlock(&lock);
}

void faults_leave(void) {
    pthread_mutex_lock(&lock);
    if (!--watchers)
        for (int i = 0; i < 2; i++) sigaction(signals[i], &before[i], NULL);
    pthread_mutex_unlock(&lock);
}
