/* Opening and running compiled SmolLM2 for the tests. */
#include "tests/models/smollm2_api.h"
#include <stdlib.h>

struct smollm2 smollm2_load(const char *path, int threads) {
    void *library = open_library(path);
    struct smollm2 m = {0};
    *(void **)&m.open = symbol(library, "smollm2_open");
    *(void **)&m.session_new = symbol(library, "smollm2_session_new");
    *(void **)&m.session_reset = symbol(library, "smollm2_session_reset");
    *(void **)&m.session_free = symbol(library, "smollm2_session_free");
    *(void **)&m.forward = symbol(library, "smollm2_forward");
    *(void **)&m.choices = symbol(library, "smollm2_choices");
    *(void **)&m.error = symbol(library, "smollm2_error");
    *(void **)&m.close = symbol(library, "smollm2_close");
    char why[400] = "";
    struct mdl_options options = MDL_OPTIONS;
    options.threads = threads;
    options.device = getenv("MDL_DEVICE");
    options.error = why;
    options.error_size = sizeof why;
    if (m.open(NULL, &options, &m.model) != MDL_OK) give_up("%s: %s", path, why);
    return m;
}

void smollm2_unload(struct smollm2 *m) { m->close(m->model); }

smollm2_session *smollm2_start(const struct smollm2 *m) {
    smollm2_session *session;
    if (m->session_new(m->model, &session) != MDL_OK) give_up("no session");
    return session;
}

void smollm2_run(const struct smollm2 *m, smollm2_session *session, const int32_t *tokens, size_t count,
                 size_t position, float *logits) {
    if (m->forward(session, (int64_t)count, tokens, (int32_t)position, logits) != MDL_OK)
        give_up("forward of %zu tokens at %zu: %s", count, position, m->error(session));
}
