/* The runtime's threads against each other, for ThreadSanitizer (which does not run under Criterion):
 * sessions of one model in several threads, each with calls that succeed, are refused by a guard, and loop;
 * opening and closing. make check-races */
#include "tests/run/handmade.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { USERS = 3, CALLS = 200, S = 64 };

struct user {
    struct mdl_model *model;
    struct mdl_session *shared; /* all users call it too: most find it busy */
    const char *wrong;
};

static int mix(struct mdl_session *session, int32_t bad, float *y, int32_t *count) {
    float x[S], a = 2;
    int32_t ids[S] = {0};
    for (int i = 0; i < S; i++) x[i] = (float)i;
    ids[S / 2] = bad;
    return mdl_call(session, HANDMADE_MIX, (int64_t[]){S}, (const void *[]){x, ids, &a},
                    (void *[]){y, count});
}

static const char *check_session(struct mdl_session *session) {
    float y[S], rows[64];
    int32_t count = 0, loops = 0;
    for (int call = 0; call < CALLS; call++) {
        if (mix(session, 0, y, &count) != MDL_OK || count != 8 + call || y[0] != 2 * (S - 1)) return "mix";
        if (mix(session, 4, y, &count) != MDL_INVALID || !strstr(mdl_error(session), "id 4")) return "guard";
        int status =
            mdl_call(session, HANDMADE_SCAN, (int64_t[]){S}, (const void *[]){y}, (void *[]){rows, &loops});
        if (status != MDL_OK || loops != S - 1 || rows[63] != 1107 + y[0]) return "scan";
    }
    return NULL;
}

static void *use(void *argument) {
    struct user *u = argument;
    struct mdl_session *own;
    float y[S];
    int32_t count;
    if (mdl_session_new(u->model, &own)) {
        u->wrong = "session_new";
        return NULL;
    }
    for (int i = 0; i < CALLS; i++) {
        int status = mix(u->shared, 0, y, &count);
        if (status != MDL_OK && status != MDL_BUSY) u->wrong = "shared session";
    }
    const char *wrong = check_session(own);
    if (wrong) u->wrong = wrong;
    mdl_session_free(own);
    return NULL;
}

static int run(const char *weights, int threads) {
    struct mdl_options options = {.size = sizeof options, .threads = threads};
    struct mdl_model *model;
    struct mdl_session *shared;
    struct user users[USERS];
    pthread_t ids[USERS];
    if (mdl_open(&mdl_descriptor, weights, &options, &model) || mdl_session_new(model, &shared)) return 1;
    for (int i = 0; i < USERS; i++) {
        users[i] = (struct user){model, shared, NULL};
        pthread_create(&ids[i], NULL, use, &users[i]);
    }
    mdl_close(model); /* sessions keep it */
    int failures = 0;
    for (int i = 0; i < USERS; i++) {
        pthread_join(ids[i], NULL);
        if (users[i].wrong)
            fprintf(stderr, "races: %d threads, user %d: wrong %s\n", threads, i, users[i].wrong);
        failures += users[i].wrong != NULL;
    }
    mdl_session_free(shared);
    return failures;
}

int main(void) {
    char weights[] = "/tmp/mdl-races-XXXXXX";
    int fd = mkstemp(weights), failures = 0;
    if (fd < 0 || !handmade_write_weights(weights, SOUND)) return 1;
    for (int threads = 1; threads <= 3; threads++) failures += run(weights, threads);
    close(fd);
    unlink(weights);
    return failures != 0;
}
