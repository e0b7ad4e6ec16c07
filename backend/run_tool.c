/* Programs that finish what the backend begins: the C compiler's driver, NVIDIA's assembler. */
#include "backend/code.h"
#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

bool code_run(struct code *c, char *const *arguments, const char *purpose) {
    struct loc nowhere = {0};
    pid_t child;
    int status, failed = posix_spawnp(&child, arguments[0], NULL, NULL, arguments, environ);
    c->io_failed = true;
    if (failed) {
        emit_error(c->emitters[0], nowhere, "%s could not be run to %s: %s", arguments[0], purpose,
                   strerror(failed));
        return false;
    }
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) ice("waitpid: %s", strerror(errno));
    if (WIFEXITED(status) && !WEXITSTATUS(status)) return c->io_failed = false, true;
    emit_error(c->emitters[0], nowhere, "%s exited with status %d: it was to %s", arguments[0],
               WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), purpose);
    return false;
}
