/* A saved session whose note is the tokens. A row of the cache depends on the tokens up to its own only, so
 * the rows of any common beginning serve; those behind it, of the other prompt, are seen by no row and
 * written over as the text goes on. */
#include "prefix.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char tag[8] = "tokens";

struct note {
    char tag[8];
    int32_t tokens[CONTEXT];
};
#define NOTE_BYTES(count) (sizeof tag + (count) * sizeof(int32_t))

static size_t common_beginning(const int32_t *a, size_t a_count, const struct ids *b) {
    size_t n = 0;
    while (n < a_count && n < b->count && a[n] == b->data[n]) n++;
    return n;
}

/* Reads the file into the session; *count: its tokens. */
static bool load(smollm2_session *session, const char *path, struct note *note, size_t *count,
                 struct error *e) {
    uint64_t bytes;
    int status = smollm2_session_load(session, path, note, sizeof *note, &bytes);
    *count = 0;
    if (status == MDL_MISMATCH) {
        fprintf(stderr, "generate: %s: it is written anew\n", smollm2_error(session));
        return true;
    }
    if (status != MDL_OK) return fail(e, "%s", smollm2_error(session));
    if (bytes < sizeof tag || bytes % sizeof(int32_t) || memcmp(note->tag, tag, sizeof tag))
        return fail(e, "%s: not a file that --prefix has written", path);
    *count = (bytes - sizeof tag) / sizeof(int32_t);
    return true;
}

bool prefix_restore(smollm2_session *session, const char *path, const struct ids *prompt, struct prefix *p,
                    struct error *e) {
    *p = (struct prefix){0};
    if (access(path, F_OK) && errno == ENOENT) return true;
    struct note *note = allocate(1, sizeof *note);
    size_t count;
    bool ok = load(session, path, note, &count, e);
    size_t alike = ok ? common_beginning(note->tokens, count, prompt) : 0;
    p->kept = count > 0 && alike == count;
    p->tokens = alike < prompt->count ? alike : prompt->count - 1;
    if (!p->tokens) smollm2_session_reset(session);
    free(note);
    return ok;
}

bool prefix_save(smollm2_session *session, const char *path, const struct ids *prompt, struct error *e) {
    if (prompt->count > CONTEXT) return fail(e, "%s: the prompt is longer than the model's context", path);
    struct note *note = allocate(1, sizeof *note);
    memcpy(note->tag, tag, sizeof tag);
    memcpy(note->tokens, prompt->data, prompt->count * sizeof *prompt->data);
    int status = smollm2_session_save(session, path, note, NOTE_BYTES(prompt->count));
    free(note);
    return status == MDL_OK || fail(e, "%s", smollm2_error(session));
}
