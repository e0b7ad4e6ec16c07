/* When a rank dies, its launcher ends the others by SIGTERM: then mdl-run says, in the handler, what this
 * rank was waiting for. The same when the launcher itself dies. */
#include "runtime/library_ranks.h"
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static const struct library *volatile watched;
static volatile int watched_rank;

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

static void say_and_end(int signal_number) {
    const struct library *l = watched;
    char line[512], what[400] = "";
    size_t at = put(line, 0, sizeof line, "mdl-run: ");
    uint64_t length = l && l->model ? l->descriptor->distributed->waiting(l->model, what, sizeof what) : 0;
    if (length)
        at = put(line, put(line, at, sizeof line, what), sizeof line,
                 ": ended while it waited, as another rank is gone\n");
    else
        at = put(line, put_rank(line, at, sizeof line), sizeof line,
                 ", in no collective: ended, as another rank is gone\n");
    ssize_t written = write(STDERR_FILENO, line, at);
    (void)written;
    _exit(128 + signal_number);
}

void ranks_watch(const struct library *l) {
    struct sigaction action = {.sa_handler = say_and_end};
    watched_rank = l->ranks ? ranks_number(l) : 0;
    watched = l;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL); /* MPICH's mpirun -disable-auto-cleanup, of a rank that is gone */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
}

void ranks_unwatch(void) { watched = NULL; }
