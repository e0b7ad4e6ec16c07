/* Threads, and how they wait: a while by spinning, as the next step of a call is under a microsecond away,
 * then in a futex, so that an idle model and a machine with other work lose little. */
#include "runtime/pool.h"
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A pause of the processor is 15 to 50 ns. In a virtual machine a sleeper wakes after some tens of microseconds, and threads' shares of a kernel
 * end as far apart: so a wait spins for some hundreds, unless there are fewer processors than threads. */
enum {
    CACHE_LINE = 64,
    MOST_PAUSES = 8192,
    CROWDED_PAUSES = 1024,
    LEAST_PAUSES = 64,
    FEW_FAILURES = 2,
    FULL_TRY_EVERY = 32
};

/* One thread's own; thread 0 is whoever calls. */
struct seat {
    _Alignas(CACHE_LINE) unsigned failures; /* waits in a row that spinning did not end */
    int number;
    struct pool *pool;
    pthread_t id;
};

/* Fields that different threads write stand on lines of their own; those that threads wait for are counters.
 */
struct pool {
    int threads, most_pauses;
    atomic_int *in_parent; /* 1; on a page that fork() zeroes in the child */
    pool_body *body;       /* of the current job; NULL tells workers to end */
    void *context;
    _Alignas(CACHE_LINE) atomic_uint in_use;
    _Alignas(CACHE_LINE) atomic_uint job;     /* jobs so far */
    _Alignas(CACHE_LINE) atomic_uint arrived; /* threads at the barrier */
    _Alignas(CACHE_LINE) atomic_uint phase;   /* barriers so far */
    _Alignas(CACHE_LINE) atomic_uint sleepers;
    struct seat seats[];
};

static inline void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Whether `word` left `old` within so many pauses. */
static bool spin_while(atomic_uint *word, unsigned old, int pauses) {
    for (; pauses; pauses--) {
        if (atomic_load_explicit(word, memory_order_acquire) != old) return true;
        relax();
    }
    return false;
}

/* Sleeps until `word` is no longer `old`. A sleeper counts itself before it looks at the word for the last
 * time, and `advance` looks for sleepers after it has changed the word, so one of the two sees the other. */
static void sleep_while(struct pool *p, atomic_uint *word, unsigned old) {
    atomic_fetch_add(&p->sleepers, 1);
    while (atomic_load(word) == old) syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
    atomic_fetch_sub(&p->sleepers, 1);
}

static void advance(struct pool *p, atomic_uint *word) {
    atomic_fetch_add(word, 1);
    if (atomic_load(&p->sleepers)) syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* Waits for the phase to change. Where spinning was in vain twice in a row, some thread has no
 * processor, and spinning may be what keeps it from one: then this thread spins little, but for a full try
 * now and again, as a sleeper wakes so slowly that the others would never see it in time. */
static void wait_for_phase(struct pool *p, unsigned phase, unsigned *failures) {
    bool full = *failures < FEW_FAILURES || *failures % FULL_TRY_EVERY == 0;
    if (spin_while(&p->phase, phase, full ? p->most_pauses : LEAST_PAUSES)) {
        *failures = 0;
    } else {
        ++*failures;
        sleep_while(p, &p->phase, phase);
    }
}

void pool_barrier(struct pool *p, int64_t thread, int64_t threads) {
    if (threads == 1) return;
    unsigned phase = atomic_load_explicit(&p->phase, memory_order_relaxed);
    if (atomic_fetch_add(&p->arrived, 1) + 1 < (unsigned)threads) {
        wait_for_phase(p, phase, &p->seats[thread].failures);
    } else {
        atomic_store_explicit(&p->arrived, 0, memory_order_relaxed);
        advance(p, &p->phase);
    }
}

static void *work(void *argument) {
    struct seat *seat = argument;
    struct pool *p = seat->pool;
    for (unsigned job = 0;; job++) {
        if (!spin_while(&p->job, job, p->most_pauses)) sleep_while(p, &p->job, job);
        if (!p->body) return NULL;
        p->body(p->context, seat->number, p->threads);
        pool_barrier(p, seat->number, p->threads);
    }
}

static void start_job(struct pool *p, pool_body *body, void *context) {
    p->body = body;
    p->context = context;
    advance(p, &p->job);
}

void pool_run(struct pool *p, pool_body *body, void *context) {
    bool alone = p->threads == 1 || !atomic_load_explicit(p->in_parent, memory_order_relaxed);
    if (alone || atomic_exchange_explicit(&p->in_use, 1, memory_order_acquire)) {
        body(context, 0, 1);
        return;
    }
    start_job(p, body, context);
    body(context, 0, p->threads);
    pool_barrier(p, 0, p->threads);
    atomic_store_explicit(&p->in_use, 0, memory_order_release);
}

int pool_threads(const struct pool *p) { return p->threads; }

static int processors(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 && online < INT_MAX ? (int)online : 1;
}

/* A fault whose signal is blocked ends the process before any handler can say where it was. */
bool pool_start_thread(pthread_t *id, void *(*run)(void *), void *with) {
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    sigset_t others, before;
    sigfillset(&others);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigdelset(&others, faults[i]);
    pthread_sigmask(SIG_SETMASK, &others, &before);
    bool started = pthread_create(id, NULL, run, with) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static void start_workers(struct pool *p, int threads) {
    int started = 1;
    for (; started < threads; started++) {
        struct seat *seat = &p->seats[started];
        seat->pool = p;
        seat->number = started;
        if (!pool_start_thread(&seat->id, work, seat)) break;
    }
    p->threads = started; /* read by workers only after the first job has been published */
}

static size_t page_bytes(void) { return (size_t)sysconf(_SC_PAGESIZE); }

struct pool *pool_new(int threads) {
    if (threads <= 0) threads = processors();
    if (threads > POOL_MAX_THREADS) threads = POOL_MAX_THREADS;
    size_t bytes = sizeof(struct pool) + (size_t)threads * sizeof(struct seat);
    struct pool *p = aligned_alloc(CACHE_LINE, bytes);
    if (!p) return NULL;
    memset(p, 0, bytes);
    p->threads = 1;
    p->most_pauses = threads > processors() ? CROWDED_PAUSES : MOST_PAUSES;
    p->in_parent = mmap(NULL, page_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p->in_parent == MAP_FAILED) {
        free(p);
        return NULL;
    }
    if (threads > 1) start_workers(p, threads);
    madvise(p->in_parent, page_bytes(), MADV_WIPEONFORK); /* before Linux 4.14 a forked child must not call */
    atomic_store(p->in_parent, 1);
    return p;
}

void pool_free(struct pool *p) {
    if (!p) return;
    if (atomic_load(p->in_parent) && p->threads > 1) {
        start_job(p, NULL, NULL);
        for (int i = 1; i < p->threads; i++) pthread_join(p->seats[i].id, NULL);
    }
    munmap(p->in_parent, page_bytes());
    free(p);
}
