/* Continues a text with compiled SmolLM2: prompt -> ids -> forward -> sample a token -> forward -> … -> text.
 */
#include "../common/speculate.h"
#include "../common/stream.h"
#include "options.h"
#include "prefix.h"
#include "smollm2.h"
#include "tokenizer.h"
#include <stdio.h>
#include <stdlib.h>

/* All that a conversation needs. Parts that the options do without stay NULL. */
struct talk {
    const struct options *options;
    struct tokenizer tokenizer;
    smollm2_model *model;
    smollm2_session *session;
    struct sampler *sampler;
    struct speculation speculation; /* of --lookup */
    int32_t next;                   /* of --lookup: the token that follows */
    int32_t position;               /* tokens in the session's cache */
    float logits[VOCABULARY];
    double open_seconds, prompt_seconds, token_seconds; /* spent in open, and in forward */
    size_t prompt_tokens, token_count, restored;        /* restored: of the prompt, from --prefix's file */
    bool unwritten;                                     /* what failed is an output file */
};

/* What --lookup checks its guesses with: the model's choice after each of the tokens. */
static bool choices(void *context, size_t count, const int32_t *tokens, int32_t position, int32_t *chosen,
                    struct error *e) {
    struct talk *t = context;
    int32_t rows[SPECULATE_MOST];
    for (size_t i = 0; i < count; i++) rows[i] = (int32_t)i;
    int64_t n = (int64_t)count;
    if (smollm2_choices(t->session, n, n, tokens, rows, position, chosen) == MDL_OK) return true;
    return fail(e, "%s", smollm2_error(t->session));
}

static bool open_model(struct talk *t, struct error *e) {
    struct mdl_options options = options_of_model(t->options, e);
    double begun = seconds();
    if (smollm2_open(t->options->weights, &options, &t->model) != MDL_OK) return false;
    t->open_seconds = seconds() - begun;
    if (smollm2_session_new(t->model, &t->session) != MDL_OK) return fail(e, "%s", smollm2_error(NULL));
    t->sampler = sampler_new(&t->options->sampling, VOCABULARY);
    t->speculation.model = (struct speculate_model){t, choices, CONTEXT};
    return true;
}

static void talk_close(struct talk *t) {
    speculate_free(&t->speculation);
    sampler_free(t->sampler);
    if (t->session) smollm2_session_free(t->session);
    if (t->model) smollm2_close(t->model);
    tokenizer_close(&t->tokenizer);
    free(t);
}

/* Runs the model over tokens that follow what it has seen; the logits are then those of the next token. */
static bool feed(struct talk *t, const int32_t *tokens, size_t count, struct error *e) {
    if (smollm2_forward(t->session, (int64_t)count, tokens, t->position, t->logits) != MDL_OK)
        return fail(e, "%s", smollm2_error(t->session));
    t->position += (int32_t)count;
    return true;
}

/* Evaluates a prompt, but for what --prefix restores of the first one. */
static bool evaluate(struct talk *t, const struct ids *prompt, struct error *e) {
    const char *path = t->position ? NULL : t->options->prefix;
    struct prefix p = {0};
    if (path && !prefix_restore(t->session, path, prompt, &p, e)) return false;
    t->position += (int32_t)p.tokens;
    t->restored += p.tokens;
    if (!feed(t, prompt->data + p.tokens, prompt->count - p.tokens, e)) return false;
    if (!path || p.kept || prefix_save(t->session, path, prompt, e)) return true;
    t->unwritten = true;
    return false;
}

static bool read_prompt(struct talk *t, const struct ids *prompt, struct error *e) {
    double begun = seconds();
    if (!evaluate(t, prompt, e)) return false;
    if (t->options->lookup) {
        speculate_read(&t->speculation, prompt->data, prompt->count);
        t->next = sampler_next(t->sampler, t->logits);
    }
    t->prompt_seconds += seconds() - begun;
    t->prompt_tokens += prompt->count;
    return true;
}

/* The token that follows, and going on from it when `wanted` more are asked for. */
static int32_t choose(struct talk *t) {
    return t->options->lookup ? t->next : sampler_next(t->sampler, t->logits);
}
static bool go_on(struct talk *t, int32_t token, int64_t wanted, struct error *e) {
    double begun = seconds();
    if (!t->options->lookup) {
        if (!feed(t, &token, 1, e)) return false;
    } else {
        if (!speculate_next(&t->speculation, token, (size_t)wanted, &t->next, e)) return false;
        t->position++;
    }
    t->token_seconds += seconds() - begun;
    t->token_count++;
    return true;
}

/* Generates after a prompt, and prints it as it comes. */
static bool answer(struct talk *t, const struct ids *prompt, struct error *e) {
    const struct options *o = t->options;
    struct stream stream = {0};
    if (!prompt->count) return fail(e, "the prompt is empty");
    if (o->print_ids) ids_print(prompt);
    if (!t->session) return true; /* nothing is to be computed */
    if (!read_prompt(t, prompt, e)) return false;
    if (o->tokens == 0) return true;
    for (int64_t i = 0; i < o->tokens && !ferror(stdout); i++) {
        int32_t token = choose(t);
        if (o->chat && tokenizer_ends(&t->tokenizer, token)) break;
        if (o->print_ids)
            printf("%s%d", i ? "," : "", token);
        else
            stream_write(&stream, bpe_bytes(t->tokenizer.bpe, token), stdout);
        if (i + 1 == o->tokens && !o->chat)
            break; /* nothing follows: what comes after it need not be known */
        if (!go_on(t, token, o->tokens - 1 - i, e)) return false;
    }
    stream_end(&stream, stdout);
    putchar('\n');
    return true;
}

static bool answer_text(struct talk *t, const char *text, struct error *e) {
    struct ids ids = {0};
    bpe_encode(t->tokenizer.bpe, text_of(text), &ids);
    bool ok = answer(t, &ids, e);
    ids_free(&ids);
    return ok;
}

/* One turn of a chat: the model's last turn is closed, then comes the user's. */
static bool turn(struct talk *t, struct text user, struct error *e) {
    struct ids ids = {0};
    bool ok = tokenizer_turn(&t->tokenizer, t->position == 0, t->options->system, user, &ids, e) &&
              answer(t, &ids, e);
    ids_free(&ids);
    return ok;
}

static bool chat(struct talk *t, struct error *e) {
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    bool ok = true;
    while (ok && (length = getline(&line, &room, stdin)) > 0) {
        struct text user = {line, (size_t)length - (line[length - 1] == '\n')};
        ok = !user.length || turn(t, user, e);
    }
    free(line);
    return ok;
}

static bool talk(struct talk *t, struct error *e) {
    const struct options *o = t->options;
    bool needs_text = !o->have_ids || !o->print_ids;
    if (needs_text && !tokenizer_open(&t->tokenizer, o->gguf, e)) return false;
    if ((o->tokens > 0 || o->prefix) && !open_model(t, e)) return false;
    if (o->have_ids) return answer(t, &o->ids, e);
    if (!o->chat) return answer_text(t, o->prompt, e);
    return o->prompt ? turn(t, text_of(o->prompt), e) : chat(t, e);
}

static bool check(const struct options *o, struct error *e) {
    if (o->prompt && o->have_ids) return fail(e, "give --prompt or --ids, not both");
    if (!o->prompt && !o->have_ids && !o->chat) return fail(e, "give --prompt=TEXT, --ids=1,2,3 or --chat");
    if (o->lookup && !o->sampling.greedy && o->sampling.temperature > 0)
        return fail(e, "--lookup guesses the likeliest tokens: give --greedy with it");
    if (o->have_ids && o->chat) return fail(e, "--chat takes text: give --prompt");
    return true;
}

static void print_stats(const struct talk *t) {
    fprintf(stderr, "opened in %.1f ms\n", 1e3 * t->open_seconds);
    if (t->prompt_tokens)
        fprintf(stderr, "prompt: %zu tokens, %.1f a second\n", t->prompt_tokens,
                (double)t->prompt_tokens / t->prompt_seconds);
    if (t->restored) fprintf(stderr, "prefix: %zu tokens were restored\n", t->restored);
    if (t->token_count)
        fprintf(stderr, "generated: %zu tokens, %.1f a second\n", t->token_count,
                (double)t->token_count / t->token_seconds);
    const struct speculation *s = &t->speculation;
    if (s->calls)
        fprintf(stderr, "lookup: %zu of %zu guessed tokens were right, %zu calls for %zu tokens\n",
                s->accepted, s->drafted, s->calls, t->token_count);
}

static int run(const struct options *o, struct error *e) {
    struct talk *t = allocate(1, sizeof *t);
    t->options = o;
    int status = talk(t, e) ? 0 : t->unwritten ? 3 : 1;
    if (o->stats) print_stats(t);
    talk_close(t);
    return status;
}

static const char *const takes[] = {"prompt",      "ids",     "tokens", "chat",    "system", "greedy",
                                    "temperature", "top-p",   "seed",   "lookup",  "prefix", "print-ids",
                                    "stats",       "threads", "device", "weights", "gguf",   NULL};
static const struct options_program program = {
    .name = "generate",
    .about = "generate (--prompt=TEXT | --ids=1,2,3 | --chat) [OPTION]...\n"
             "Continues a text with SmolLM2-135M-Instruct, compiled by mdlc.\n",
    .prompts = "a prompt goes in --prompt=",
    .takes = takes,
    .check = check,
    .run = run,
};

int main(int argc, char **argv) { return options_main(&program, argc, argv); }
