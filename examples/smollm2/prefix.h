/* The model's state after a prompt, kept in a file: a later prompt that begins alike starts from there. */
#ifndef GENERATE_PREFIX_H
#define GENERATE_PREFIX_H
#include "../common/base.h"
#include "smollm2.h"

enum { CONTEXT = 8192 }; /* positions of the cache: MAX of smollm2.mdl */

/* What a file gave. */
struct prefix {
    size_t tokens; /* of the prompt whose rows the session now has */
    bool kept;     /* the prompt begins with all of the file's tokens: the file stays as it is */
};

/* Restores what the prompt and the file at `path` begin with alike, all but the prompt's last token, which is
 * left to be evaluated. A file that is not there, that is damaged or of another build of the model gives
 * nothing (the latter two with a word on standard error); anything else that is no such file is an error, so
 * that nobody else's file is written over. */
bool prefix_restore(smollm2_session *session, const char *path, const struct ids *prompt, struct prefix *p,
                    struct error *e);

/* Writes the session's state after the prompt. */
bool prefix_save(smollm2_session *session, const char *path, const struct ids *prompt, struct error *e);
#endif
