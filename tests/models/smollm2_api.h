/* Compiled SmolLM2 behind pointers, so that one program can open it in two precisions; the types are those of
 * the generated header. */
#ifndef TESTS_SMOLLM2_API_H
#define TESTS_SMOLLM2_API_H
#include "smollm2.h"
#include "tests/models/golden.h"

enum { VOCABULARY = 49152 };

struct smollm2 {
    __typeof__(smollm2_open) *open;
    __typeof__(smollm2_session_new) *session_new;
    __typeof__(smollm2_session_reset) *session_reset;
    __typeof__(smollm2_session_free) *session_free;
    __typeof__(smollm2_forward) *forward;
    __typeof__(smollm2_choices) *choices;
    __typeof__(smollm2_error) *error;
    __typeof__(smollm2_close) *close;
    smollm2_model *model;
};

/* Opens a library and its model for so many threads, on $MDL_DEVICE if it is set; gives up where that fails.
 * smollm2_unload releases it. */
struct smollm2 smollm2_load(const char *path, int threads);
void smollm2_unload(struct smollm2 *m);

/* A session; gives up where that fails. */
smollm2_session *smollm2_start(const struct smollm2 *m);

/* Runs tokens from `position` on; gives up with the model's words where that fails. */
void smollm2_run(const struct smollm2 *m, smollm2_session *session, const int32_t *tokens, size_t count,
                 size_t position, float *logits /* [VOCABULARY] */);
#endif
