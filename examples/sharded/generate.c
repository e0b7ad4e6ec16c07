/* Continues texts with SmolLM2 over several ranks, always by the likeliest token:
 *
 *     rank 0: prompts -> ids ─► all ranks: forward -> the same logits, so the same token -> forward -> …
 *                            ─► rank 0: text
 *
 * The model takes as many sequences a call as it was compiled for. All are fed together: one whose prompt is
 * not over yet is given the next of its own tokens, the others what they have chosen. */
#include "../common/ranks.h"
#include "../common/sampler.h"
#include "../common/stream.h"
#include "../smollm2/options.h"
#include "../smollm2/tokenizer.h"
#include "smollm2.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct mdl_descriptor smollm2_descriptor;

/* What rank 0 reads before all begin. */
struct task {
    const struct options *options;
    struct tokenizer tokenizer;
    struct ids *prompts; /* [sequences] */
};
/* One rank's. */
struct generation {
    struct task *task;
    struct mdl_comm *comm; /* NULL: there is one rank */
    smollm2_model *model;
    smollm2_session *session;
    int64_t sequences; /* of a call */
    struct ids *texts; /* [sequences] prompts, then what follows */
    size_t *given;     /* [sequences] tokens of the prompt */
    float *logits;     /* [sequences, VOCABULARY] */
    int32_t *tokens;   /* of a call: [sequences, count] */
    size_t position;   /* of each sequence */
};

/* tokens : i32[micro-batches, sequences of each, S] */
static int64_t sequences_of_model(void) {
    const struct mdl_tensor *tokens = &smollm2_descriptor.functions[0].inputs[0];
    const int64_t dims[MDL_MAX_AXES + 1] = {1};
    return smollm2_descriptor.extent(tokens->extents[0], dims) *
           smollm2_descriptor.extent(tokens->extents[1], dims);
}

/* --- rank 0: prompts --- */

static bool encode(struct task *t, size_t number, struct text line, struct error *e) {
    if (line.length && line.bytes[line.length - 1] == '\n') line.length--;
    bpe_encode(t->tokenizer.bpe, line, &t->prompts[number]);
    return t->prompts[number].count > 0 || fail(e, "prompt %zu is empty", number + 1);
}

static bool read_lines(struct task *t, size_t count, struct error *e) {
    char *line = NULL;
    size_t room = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        ssize_t length = getline(&line, &room, stdin);
        ok = length > 0 ? encode(t, i, (struct text){line, (size_t)length}, e)
                        : fail(e, "the model continues %zu texts at once: so many lines are needed", count);
    }
    free(line);
    return ok;
}

static bool read_prompts(struct task *t, size_t count, struct error *e) {
    const struct options *o = t->options;
    if (!tokenizer_open(&t->tokenizer, o->gguf, e)) return false;
    if (!o->prompt) return read_lines(t, count, e);
    if (count > 1)
        return fail(e, "the model continues %zu texts at once: they are lines of standard input", count);
    return encode(t, 0, text_of(o->prompt), e);
}

/* --- all ranks --- */

/* Prompts from rank 0, which may have none to give: it says why itself. */
static bool share_prompts(struct generation *g, bool ready, struct error *e) {
    for (int64_t i = 0; i < g->sequences; i++) {
        struct ids *text = &g->texts[i], *prompt = &g->task->prompts[i];
        uint64_t count = ready && !ranks_number(g->comm) ? prompt->count : 0;
        if (!ranks_share(g->comm, &count, sizeof count, e)) return false;
        if (!count) return false;
        text->data =
            grow(text->data, &text->room, count + (size_t)g->task->options->tokens, sizeof *text->data);
        text->count = g->given[i] = count;
        if (!ranks_number(g->comm)) memcpy(text->data, prompt->data, count * sizeof *text->data);
        if (!ranks_share(g->comm, text->data, count * sizeof *text->data, e)) return false;
    }
    return true;
}

static bool open_model(struct generation *g, struct error *e) {
    struct mdl_options options = options_of_model(g->task->options, e);
    bool crowd = g->task->options->ranks > 0; /* its ranks share the processors */
    if (!options.threads) options.threads = crowd;
    options.comm = g->comm;
    if (smollm2_open(g->task->options->weights, &options, &g->model) != MDL_OK) return false;
    return smollm2_session_new(g->model, &g->session) == MDL_OK || fail(e, "%s", smollm2_error(NULL));
}

/* The next `count` tokens of each sequence. */
static bool feed(struct generation *g, size_t count, struct error *e) {
    for (int64_t i = 0; i < g->sequences; i++)
        memcpy(g->tokens + (size_t)i * count, g->texts[i].data + g->position, count * sizeof *g->tokens);
    if (smollm2_forward(g->session, (int64_t)count, g->tokens, (int32_t)g->position, g->logits) != MDL_OK)
        return fail(e, "%s", smollm2_error(g->session));
    g->position += count;
    return true;
}

/* Sequences that have come to the end of what is known go on with the likeliest token; true while any is
 * wanted. */
static bool choose(struct generation *g, struct sampler *greedy) {
    size_t wanted = (size_t)g->task->options->tokens;
    bool more = false;
    for (int64_t i = 0; i < g->sequences; i++) {
        struct ids *text = &g->texts[i];
        if (text->count == g->position) ids_push(text, sampler_next(greedy, g->logits + i * VOCABULARY));
        more |= text->count < g->given[i] + wanted;
    }
    return more;
}

static bool generate(struct generation *g, struct error *e) {
    const struct sampling greedy = {.greedy = true};
    size_t shortest = SIZE_MAX, most = 0;
    for (int64_t i = 0; i < g->sequences; i++) {
        if (g->given[i] < shortest) shortest = g->given[i];
        if (g->given[i] > most) most = g->given[i];
    }
    g->tokens = allocate(shortest * (size_t)g->sequences, sizeof *g->tokens);
    struct sampler *sampler = sampler_new(&greedy, VOCABULARY);
    double begun = seconds();
    bool ok = feed(g, shortest, e), first = true;
    double prompt_seconds = seconds() - begun;
    while (ok && choose(g, sampler)) {
        ok = feed(g, 1, e);
        first = false;
    }
    sampler_free(sampler);
    if (ok && g->task->options->stats && !ranks_number(g->comm))
        fprintf(stderr, "prompts: %.1f tokens a second\ngenerated: %.1f calls a second\n",
                (double)shortest * (double)g->sequences / prompt_seconds,
                first ? 0 : (double)(g->position - shortest) / (seconds() - begun - prompt_seconds));
    return ok;
}

/* A line for each sequence. */
static void print(const struct generation *g) {
    for (int64_t i = 0; i < g->sequences; i++) {
        struct ids made = {g->texts[i].data + g->given[i], (size_t)g->task->options->tokens, 0};
        if (g->task->options->print_ids)
            ids_print(&made);
        else
            bpe_print_line(g->task->tokenizer.bpe, &made, stdout);
    }
}

static void generation_close(struct generation *g) {
    for (int64_t i = 0; i < g->sequences; i++) ids_free(&g->texts[i]);
    if (g->session) smollm2_session_free(g->session);
    if (g->model) smollm2_close(g->model);
    free(g->texts);
    free(g->given);
    free(g->logits);
    free(g->tokens);
}

static bool on_rank(void *context, struct mdl_comm *comm, struct error *e) {
    struct task *t = context;
    size_t count = (size_t)sequences_of_model();
    struct generation g = {.task = t, .comm = comm, .sequences = (int64_t)count};
    g.texts = allocate(count, sizeof *g.texts);
    g.given = allocate(count, sizeof *g.given);
    g.logits = allocate(count * VOCABULARY, sizeof *g.logits);
    bool ready = ranks_number(comm) || read_prompts(t, count, e);
    bool ok = share_prompts(&g, ready, e) && open_model(&g, e) && generate(&g, e);
    if (ok && !ranks_number(comm)) print(&g);
    generation_close(&g);
    return ok;
}

static int run(const struct options *o, struct error *e) {
    size_t count = (size_t)sequences_of_model();
    struct task task = {.options = o, .prompts = allocate(count, sizeof *task.prompts)};
    int status = ranks_run(&smollm2_descriptor, (int32_t)o->ranks, on_rank, &task, e) ? 0 : 1;
    for (size_t i = 0; i < count; i++) ids_free(&task.prompts[i]);
    free(task.prompts);
    tokenizer_close(&task.tokenizer);
    return status;
}

static const char *const takes[] = {"prompt", "tokens",  "print-ids", "stats", "threads",
                                    "ranks",  "weights", "gguf",      NULL};
static const struct options_program program = {
    .name = "generate",
    .about = "generate [--prompt=TEXT] --ranks=N [OPTION]...\n"
             "       mpirun -np N generate [--prompt=TEXT] [OPTION]...\n"
             "Continues a text, or lines of standard input, with SmolLM2-135M-Instruct compiled for a mesh "
             "of N ranks,\n"
             "always by the likeliest token. Prints a line for each; newlines in it are written \\n.\n",
    .prompts = "a prompt goes in --prompt=, or is a line of standard input",
    .takes = takes,
    .run = run,
};

int main(int argc, char **argv) { return options_main(&program, argc, argv); }
