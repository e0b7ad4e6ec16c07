/* When a rank dies, mdl-run says on the others what they were waiting for.
 *
 *     OpenMPI's launcher ends the others by SIGTERM: a handler speaks
 *     MPICH's by SIGKILL, at once: a child, which the launcher does not know, outlives its rank by a line
 *
 * The same when the launcher itself dies: no rank outlives it. */
#include "runtime/library_ranks.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static const struct library *volatile watched;
static volatile int watched_rank;
static volatile int *quiet; /* shared with the child: all is well, or the rank has spoken itself */

static size_t put(char *line, size_t at, size_t size, const char *text) {
    while (*text && at + 2 < size) line[at++] = *text++;
    return at;
}

static size_t put_rank(char *line, size_t at, size_t size) {
    char digits[12], *d = digits + sizeof digits;
    int n = watched_rank;
    *--d = 0;
    do *--d = (char)('0' + n % 10);
    while (n /= 10);
    return put(line, put(line, at, size, "rank "), size, d);
}

static void say(const char *why) {
    const struct library *l = watched;
    char line[512], what[400] = "";
    size_t at = put(line, 0, sizeof line, "mdl-run: ");
    uint64_t length = l && l->model ? l->descriptor->distributed->waiting(l->model, what, sizeof what) : 0;
    if (length)
        at = put(line, put(line, at, sizeof line, what), sizeof line, ": ended while it waited");
    else
        at = put(line, put_rank(line, at, sizeof line), sizeof line, ", in no collective: ended");
    at = put(line, at, sizeof line, why);
    ssize_t written = write(STDERR_FILENO, line, at);
    (void)written;
}

static void say_and_end(int signal_number) {
    if (!quiet || !*quiet) say(", as another rank is gone\n");
    if (quiet) *quiet = 1;
    nanosleep(&(struct timespec){0, 300000000},
              NULL); /* a launcher that sees the last rank go forwards no more */
    _exit(128 + signal_number);
}

/* In the child: the rank is gone. */
static void outlive(int signal_number) {
    (void)signal_number;
    if (!*quiet) say(": this process was killed, or another rank is gone\n");
    _exit(0);
}

/* Waits for the end of its parent with nothing open but the standard streams. */
static void watch(pid_t parent) {
    struct sigaction action = {.sa_handler = outlive};
    sigset_t none;
    prctl(PR_SET_NAME, "mdl-run-watcher");
    setsid();
    close_range(STDERR_FILENO + 1, ~0U, 0);
    sigaction(SIGTERM, &action, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(0);
    for (;;) pause();
}

static void leave_a_watcher(void) {
    pid_t parent = getpid();
    void *page = mmap(NULL, sizeof *quiet, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return;
    quiet = page;
    if (fork() == 0) watch(parent);
}

void ranks_watch(const struct library *l) {
    struct sigaction action = {.sa_handler = say_and_end};
    watched_rank = ranks_number(l);
    watched = l;
    sigaction(SIGTERM, &action, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
}

/* The model is open by now: the child knows it. */
void ranks_leave_a_watcher(const struct library *l) {
    if (l->ranks && getenv("PMI_RANK") && !getenv("OMPI_COMM_WORLD_SIZE")) leave_a_watcher();
}

void ranks_unwatch(void) {
    if (quiet) *quiet = 1;
    watched = NULL;
}
