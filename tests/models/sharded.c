/* SmolLM2 over ranks against one rank, token by token along what one rank says.
 *
 *     sharded write LIBRARY FILE STEPS                     one rank: its tokens and logits
 *     sharded check LIBRARY FILE RANKS TOLERANCE MARGIN    RANKS threads; 0: this is a process of an mpirun
 *
 * All sequences of a call are given the same text. $MDL_DEVICE says where models run, so this also compares a
 * GPU with the processor, whose library has one rank. Each rank checks that logits differ by at most
 * TOLERANCE times the largest, and that the likeliest token is the same wherever one rank's margin over the
 * next is at least MARGIN. */
#include "examples/common/ranks.h"
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VOCABULARY = 49152 };
static const int32_t prompt[] = {504, 3575, 282, 4649, 314}; /* The capital of France is */
enum { PROMPT = sizeof prompt / sizeof *prompt };

struct reference {
    int32_t steps;
    int32_t *tokens; /* [steps]: the likeliest after the prompt, and after each of those before */
    float *logits;   /* [steps, VOCABULARY] */
};
struct check {
    const struct mdl_descriptor *model;
    struct reference *reference;
    bool write;
    float tolerance, margin;
};
struct run {
    struct mdl_model *model;
    struct mdl_session *session;
    int64_t sequences;
    int32_t *tokens; /* [sequences, PROMPT] */
    float *logits;   /* [sequences, VOCABULARY] */
};

static int32_t likeliest(const float *logits, float *margin) {
    int32_t best = 0;
    float second = -INFINITY;
    for (int32_t i = 1; i < VOCABULARY; i++)
        if (logits[i] > logits[best]) best = i;
    for (int32_t i = 0; i < VOCABULARY; i++)
        if (i != best && logits[i] > second) second = logits[i];
    *margin = logits[best] - second;
    return best;
}

static bool compare(const struct check *c, int32_t step, const float *logits, float *worst, struct error *e) {
    const float *wanted = c->reference->logits + (size_t)step * VOCABULARY;
    float largest = 0, margin, ignored;
    int32_t token = likeliest(wanted, &margin), have = likeliest(logits, &ignored);
    for (int i = 0; i < VOCABULARY; i++) largest = fmaxf(largest, fabsf(wanted[i]));
    for (int i = 0; i < VOCABULARY; i++) {
        float difference = fabsf(logits[i] - wanted[i]) / largest;
        if (!(difference <= c->tolerance))
            return fail(e, "step %d: logit %d is %g, one rank's is %g, the largest %g", step, i, logits[i],
                        wanted[i], largest);
        *worst = fmaxf(*worst, difference);
    }
    if (have == token || margin < c->margin) return true;
    return fail(e, "step %d: token %d instead of %d, which is ahead by %g", step, have, token, margin);
}

static bool open_run(const struct check *c, struct mdl_comm *comm, struct run *r, struct error *e) {
    const struct mdl_tensor *tokens = &c->model->functions[0].inputs[0];
    const int64_t dims[MDL_MAX_AXES + 1] = {1};
    struct mdl_options options = MDL_OPTIONS;
    options.threads = 1;
    options.comm = comm;
    options.device = getenv("MDL_DEVICE");
    options.error = e->text;
    options.error_size = sizeof e->text;
    if (c->model->api->open(c->model, NULL, &options, &r->model) != MDL_OK) return false;
    if (c->model->api->session_new(r->model, &r->session) != MDL_OK)
        return fail(e, "no memory for a session");
    r->sequences = 1; /* with one token of each */
    for (uint32_t i = 0; i < tokens->rank; i++) r->sequences *= c->model->extent(tokens->extents[i], dims);
    r->tokens = allocate((size_t)r->sequences * PROMPT, sizeof *r->tokens);
    r->logits = allocate((size_t)r->sequences * VOCABULARY, sizeof *r->logits);
    return true;
}

static void close_run(const struct check *c, struct run *r) {
    if (r->session) c->model->api->session_free(r->session);
    if (r->model) c->model->api->close(r->model);
    free(r->tokens);
    free(r->logits);
}

/* `count` tokens behind `position`, the same for all sequences. */
static bool forward(const struct check *c, struct run *r, const int32_t *tokens, int64_t count,
                    int32_t position, struct error *e) {
    const void *inputs[] = {r->tokens, &position};
    void *results[] = {r->logits};
    for (int64_t i = 0; i < r->sequences; i++)
        memcpy(r->tokens + i * count, tokens, (size_t)count * sizeof *tokens);
    return c->model->api->call(r->session, 0, &count, inputs, results) == MDL_OK ||
           fail(e, "%s", c->model->api->error(r->session));
}

static bool step(struct check *c, struct run *r, int32_t number, float *worst, struct error *e) {
    struct reference *f = c->reference;
    float ignored;
    const int32_t *tokens = number ? &f->tokens[number - 1] : prompt;
    if (!forward(c, r, tokens, number ? 1 : PROMPT, number ? PROMPT + number - 1 : 0, e)) return false;
    if (c->write) {
        memcpy(f->logits + (size_t)number * VOCABULARY, r->logits, VOCABULARY * sizeof *r->logits);
        f->tokens[number] = likeliest(r->logits, &ignored);
        return true;
    }
    for (int64_t i = 0; i < r->sequences; i++)
        if (!compare(c, number, r->logits + i * VOCABULARY, worst, e)) return false;
    return true;
}

static bool on_rank(void *context, struct mdl_comm *comm, struct error *e) {
    struct check *c = context;
    struct run r = {0};
    float worst = 0;
    bool ok = open_run(c, comm, &r, e);
    for (int32_t i = 0; ok && i < c->reference->steps; i++) ok = step(c, &r, i, &worst, e);
    if (ok && !c->write && !ranks_number(comm))
        printf("ok - %d steps of %lld sequences, logits within %.1e of the largest\n", c->reference->steps,
               (long long)r.sequences, worst);
    close_run(c, &r);
    return ok;
}

/* The file: steps, tokens, logits. */
static void make_reference(struct reference *f, int32_t steps) {
    f->steps = steps;
    f->tokens = allocate((size_t)steps, sizeof *f->tokens);
    f->logits = allocate((size_t)steps * VOCABULARY, sizeof *f->logits);
}

static bool read_reference(struct reference *f, const char *path, struct error *e) {
    int32_t steps = 0;
    FILE *file = fopen(path, "rb");
    bool ok = file && fread(&steps, sizeof steps, 1, file) == 1 && steps > 0 && steps < 10000;
    if (ok) make_reference(f, steps);
    size_t logits = (size_t)steps * VOCABULARY;
    ok = ok && fread(f->tokens, sizeof *f->tokens, (size_t)steps, file) == (size_t)steps &&
         fread(f->logits, sizeof *f->logits, logits, file) == logits;
    if (file) fclose(file);
    return ok || fail(e, "%s cannot be read", path);
}

static bool write_reference(const struct reference *f, const char *path, struct error *e) {
    size_t logits = (size_t)f->steps * VOCABULARY;
    FILE *file = fopen(path, "wb");
    bool ok = file && fwrite(&f->steps, sizeof f->steps, 1, file) == 1 &&
              fwrite(f->tokens, sizeof *f->tokens, (size_t)f->steps, file) == (size_t)f->steps &&
              fwrite(f->logits, sizeof *f->logits, logits, file) == logits;
    if (file && fclose(file)) ok = false;
    return ok || fail(e, "%s cannot be written", path);
}

static bool run(int argc, char **argv, struct check *c, struct error *e) {
    void *library = dlopen(argv[2], RTLD_NOW | RTLD_LOCAL);
    c->model = library ? dlsym(library, "mdl_descriptor") : NULL;
    if (!c->model) return fail(e, "%s", dlerror());
    c->write = argc == 5;
    if (c->write) {
        make_reference(c->reference, atoi(argv[4]));
        return ranks_run(c->model, 0, on_rank, c, e) && write_reference(c->reference, argv[3], e);
    }
    c->tolerance = strtof(argv[5], NULL);
    c->margin = strtof(argv[6], NULL);
    return read_reference(c->reference, argv[3], e) && ranks_run(c->model, atoi(argv[4]), on_rank, c, e);
}

int main(int argc, char **argv) {
    struct reference reference = {0};
    struct check check = {.reference = &reference};
    struct error e = {""};
    if (!(argc == 5 && !strcmp(argv[1], "write")) && !(argc == 7 && !strcmp(argv[1], "check"))) return 2;
    bool ok = run(argc, argv, &check, &e);
    if (!ok) printf("FAILED - %s\n", e.text);
    free(reference.tokens);
    free(reference.logits);
    return !ok;
}
