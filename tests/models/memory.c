/* What a process holds while a language model decodes.
 *     memory LIBRARY ARENA [THREADS]      ARENA: bytes, as the compiler printed them
 *
 * The model has `forward(tokens: i32[S], pos: i32)`, and states that are caches: a row for each of the dim's
 * maximum of tokens. For a short prompt and for a long one:
 *
 *     resident <= weights + sum over caches of round_up(tokens held * bytes of a row, page) + 16 MiB
 *
 * where all of the process counts, its code and libraries too, after each step from the first on (the long
 * prompt's own step aside, which needs its part of the arena), and at its peak for the short one. */
#include "runtime/abi.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SHORT = 16, LONG = 1500, STEPS = 64, ALLOWED = 16 << 20, MOST_RESULT = 1 << 16 };

static int failures;

static void expect(int good, const char *what, long long have, long long most) {
    printf("%s - %s: %lld of %lld bytes\n", good ? "ok" : "FAILED", what, have, most);
    failures += !good;
}

static long long status_bytes(const char *name) {
    char line[200];
    long long value = -1;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, name, strlen(name))) value = strtoll(line + strlen(name) + 1, NULL, 10) * 1024;
    if (f) fclose(f);
    return value;
}

struct run {
    const struct mdl_descriptor *d;
    struct mdl_session *session;
    long long held, rest; /* the most resident so far; what may be beside the caches' rows */
};

static long long cache_bytes(const struct mdl_descriptor *d, long long tokens) {
    long long page = sysconf(_SC_PAGESIZE), sum = 0, rows = d->functions[0].dims[0].max;
    for (uint32_t i = 0; i < d->states_count; i++)
        sum += (tokens * (d->states[i].bytes / rows) + page - 1) / page * page;
    return sum;
}

static void step(struct run *r, int64_t count, int32_t position) {
    static int32_t tokens[LONG];
    static float result[MOST_RESULT];
    const void *inputs[] = {tokens, &position};
    void *results[] = {result};
    for (int64_t i = 0; i < count; i++) tokens[i] = (int32_t)((position + i) * 37 % 101);
    if (r->d->api->call(r->session, 0, &count, inputs, results)) {
        printf("FAILED - %s\n", r->d->api->error(r->session));
        exit(1);
    }
}

/* A prompt, then STEPS tokens one by one; how much was resident after any of these, less the caches' rows. */
static long long decode(struct run *r, int prompt) {
    long long most = 0;
    step(r, prompt, 0);
    for (int i = 0; i < STEPS; i++) {
        step(r, 1, prompt + i);
        long long rest = status_bytes("VmRSS") - cache_bytes(r->d, prompt + i + 1);
        if (rest > most) most = rest;
    }
    return most;
}

int main(int argc, char **argv) {
    char why[300] = "";
    struct mdl_options o = MDL_OPTIONS;
    struct mdl_model *model;
    struct mdl_memory m;
    struct run r = {0};
    o.error = why, o.error_size = sizeof why;
    if (argc < 3) return 2;
    if (argc > 3) o.threads = atoi(argv[3]);
    void *library = dlopen(argv[1], RTLD_NOW);
    r.d = library ? dlsym(library, "mdl_descriptor") : NULL;
    if (!r.d || r.d->api->open(r.d, NULL, &o, &model) || r.d->api->session_new(model, &r.session)) {
        printf("FAILED - %s%s\n", why, library ? "" : dlerror());
        return 1;
    }
    long long printed = atoll(argv[2]), page = sysconf(_SC_PAGESIZE), weights = r.d->weights_bytes;
    r.d->api->memory(r.session, &m);
    expect(m.arena >= printed && m.arena - printed < page, "the arena is what the compiler printed", m.arena,
           printed);
    expect(status_bytes("VmRSS") < weights + (4 << 20), "a new session holds nothing of its own",
           status_bytes("VmRSS"), weights + (4 << 20));
    long long rest = decode(&r, SHORT), peak = status_bytes("VmHWM") - cache_bytes(r.d, SHORT + STEPS);
    expect(rest <= weights + ALLOWED, "resident after a short prompt, beside the caches", rest,
           weights + ALLOWED);
    expect(peak <= weights + ALLOWED, "at most, beside the caches", peak, weights + ALLOWED);
    rest = decode(&r, LONG);
    expect(rest <= weights + ALLOWED, "resident after a long prompt, beside the caches", rest,
           weights + ALLOWED);
    r.d->api->session_reset(r.session);
    step(&r, 1, 0);
    rest = status_bytes("VmRSS") - cache_bytes(r.d, 1);
    expect(rest <= weights + ALLOWED, "resident after a reset, beside the caches", rest, weights + ALLOWED);
    r.d->api->session_free(r.session);
    r.d->api->close(model);
    return failures != 0;
}
