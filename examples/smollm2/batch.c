/* Continues many texts, several at once, with compiled SmolLM2: a prompt for each line of standard input.
 *
 *     a slot is free -> prefill with the next prompt     all slots in use -> decode -> a token for each, ...
 *
 * A sequence that ends gives its slot to the next prompt while the others go on. */
#include "../common/sampler.h"
#include "options.h"
#include "smollm2_batch.h"
#include "tokenizer.h"
#include <stdio.h>
#include <stdlib.h>

enum { SLOTS = 8, LONGEST = 2048 }; /* as in batch.mdl */

struct sequence {
    struct ids prompt, made;
    int32_t position; /* tokens in its slot */
    bool ended;
};

struct batch {
    const struct options *options;
    struct tokenizer tokenizer;
    smollm2_batch_model *model;
    smollm2_batch_session *session;
    struct sampler *sampler;
    struct sequence *sequences; /* in the order of their prompts; those before `printed` are forgotten */
    size_t count, room, printed;
    size_t line;            /* of standard input, that was read last */
    bool read_all, refused; /* no prompt is left; some were no good */
    bool used[SLOTS];
    size_t in_slot[SLOTS]; /* the sequence of a slot that is used */
    float *logits;         /* [SLOTS, VOCABULARY] */
    double prompt_seconds, token_seconds;
    size_t prompt_tokens, token_count, calls;
};

static bool batch_open(struct batch *b, struct error *e) {
    const struct sampling greedy = {.greedy = true};
    struct mdl_options options = options_of_model(b->options, e);
    if (!tokenizer_open(&b->tokenizer, b->options->gguf, e)) return false;
    if (smollm2_batch_open(b->options->weights, &options, &b->model) != MDL_OK) return false;
    if (smollm2_batch_session_new(b->model, &b->session) != MDL_OK)
        return fail(e, "%s", smollm2_batch_error(NULL));
    b->sampler = sampler_new(&greedy, VOCABULARY);
    b->logits = allocate((size_t)SLOTS * VOCABULARY, sizeof *b->logits);
    return true;
}

static void sequence_free(struct sequence *s) {
    ids_free(&s->prompt);
    ids_free(&s->made);
}

static void batch_close(struct batch *b) {
    for (size_t i = b->printed; i < b->count; i++) sequence_free(&b->sequences[i]);
    free(b->sequences);
    free(b->logits);
    sampler_free(b->sampler);
    if (b->session) smollm2_batch_session_free(b->session);
    if (b->model) smollm2_batch_close(b->model);
    tokenizer_close(&b->tokenizer);
    free(b);
}

/* A prompt that the model cannot take is a mistake of its own line: it ends at once, and the others go on. */
static bool encode(struct batch *b, struct text line, struct sequence *s, struct error *e) {
    if (!b->options->chat)
        bpe_encode(b->tokenizer.bpe, line, &s->prompt);
    else if (!tokenizer_turn(&b->tokenizer, true, b->options->system, line, &s->prompt, e))
        return false;
    if (s->prompt.count > 0 && s->prompt.count <= LONGEST) return true;
    fprintf(stderr, "batch: line %zu has %zu tokens; from 1 to %d can be continued\n", b->line,
            s->prompt.count, LONGEST);
    s->prompt.count = 0;
    return s->ended = b->refused = true;
}

/* The next line that is not empty becomes a sequence, if there is one. */
static bool read_prompt(struct batch *b, struct error *e) {
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    bool ok = true;
    do {
        length = getline(&line, &room, stdin);
        b->line++;
    } while (length > 0 && line[0] == '\n');
    b->read_all = length <= 0;
    if (!b->read_all) {
        b->sequences = grow(b->sequences, &b->room, b->count + 1, sizeof *b->sequences);
        struct sequence *s = &b->sequences[b->count++];
        *s = (struct sequence){.ended = b->options->tokens == 0};
        ok = encode(b, (struct text){line, (size_t)length - (line[length - 1] == '\n')}, s, e);
    }
    free(line);
    return ok;
}

/* The likeliest token comes next, or the sequence ends. */
static void go_on(struct batch *b, struct sequence *s, const float *logits) {
    int32_t token = sampler_next(b->sampler, logits);
    s->ended = b->options->chat && tokenizer_ends(&b->tokenizer, token);
    if (s->ended) return;
    ids_push(&s->made, token);
    s->ended = (int64_t)s->made.count == b->options->tokens || s->position == LONGEST;
}

static bool prefill(struct batch *b, struct sequence *s, int32_t slot, struct error *e) {
    double begun = seconds();
    if (smollm2_batch_prefill(b->session, (int64_t)s->prompt.count, s->prompt.data, slot, 0, b->logits) !=
        MDL_OK)
        return fail(e, "%s", smollm2_batch_error(b->session));
    b->prompt_seconds += seconds() - begun;
    b->prompt_tokens += s->prompt.count;
    s->position = (int32_t)s->prompt.count;
    go_on(b, s, b->logits);
    return true;
}

/* Gives free slots to prompts that wait. */
static bool fill_slots(struct batch *b, struct error *e) {
    for (int32_t slot = 0; slot < SLOTS; slot++)
        while (!b->used[slot] && !b->read_all) {
            if (!read_prompt(b, e)) return false;
            if (b->read_all) return true;
            struct sequence *s = &b->sequences[b->count - 1];
            if (!s->ended && !prefill(b, s, slot, e)) return false;
            b->used[slot] = !s->ended;
            b->in_slot[slot] = b->count - 1;
        }
    return true;
}

/* One more token for each sequence in a slot; *any is false where there is none. */
static bool step(struct batch *b, bool *any, struct error *e) {
    int32_t tokens[SLOTS], slots[SLOTS], positions[SLOTS], count = 0;
    for (int32_t slot = 0; slot < SLOTS; slot++) {
        if (!b->used[slot]) continue;
        const struct sequence *s = &b->sequences[b->in_slot[slot]];
        tokens[count] = s->made.data[s->made.count - 1];
        slots[count] = slot;
        positions[count++] = s->position;
    }
    *any = count > 0;
    if (!count) return true;
    double begun = seconds();
    if (smollm2_batch_decode(b->session, count, tokens, slots, positions, b->logits) != MDL_OK)
        return fail(e, "%s", smollm2_batch_error(b->session));
    b->token_seconds += seconds() - begun;
    b->token_count += (size_t)count;
    b->calls++;
    for (int32_t i = 0; i < count; i++) {
        struct sequence *s = &b->sequences[b->in_slot[slots[i]]];
        s->position++;
        go_on(b, s, b->logits + (size_t)i * VOCABULARY);
        b->used[slots[i]] = !s->ended;
    }
    return true;
}

/* Prints what has ended, in the order of the prompts. */
static void print_ended(struct batch *b) {
    for (; b->printed < b->count && b->sequences[b->printed].ended; b->printed++) {
        struct sequence *s = &b->sequences[b->printed];
        if (b->options->print_ids) {
            ids_print(&s->prompt);
            ids_print(&s->made);
        } else {
            bpe_print_line(b->tokenizer.bpe, &s->made, stdout);
        }
        sequence_free(s);
    }
    fflush(stdout);
}

static bool go_through(struct batch *b, struct error *e) {
    bool any = true;
    if (!batch_open(b, e)) return false;
    while (any && !ferror(stdout)) {
        if (!fill_slots(b, e) || !step(b, &any, e)) return false;
        print_ended(b);
    }
    return true;
}

static void print_stats(const struct batch *b) {
    if (b->prompt_tokens)
        fprintf(stderr, "prompts: %zu, %zu tokens, %.1f a second\n", b->count, b->prompt_tokens,
                (double)b->prompt_tokens / b->prompt_seconds);
    if (b->token_count)
        fprintf(stderr, "generated: %zu tokens in %zu calls, %.1f tokens a second\n", b->token_count,
                b->calls, (double)b->token_count / b->token_seconds);
}

static int run(const struct options *o, struct error *e) {
    struct batch *b = allocate(1, sizeof *b);
    b->options = o;
    int status = go_through(b, e) && !b->refused ? 0 : 1;
    if (o->stats) print_stats(b);
    batch_close(b);
    return status;
}

static const char *const takes[] = {"tokens",  "chat",   "system",  "print-ids", "stats",
                                    "threads", "device", "weights", "gguf",      NULL};
static const struct options_program program = {
    .name = "batch",
    .about = "batch [OPTION]... <PROMPTS\n"
             "Continues each line of standard input with SmolLM2-135M-Instruct, compiled by mdlc, several at "
             "once,\n"
             "always by the likeliest token. Prints a line for each; newlines in it are written \\n.\n",
    .prompts = "prompts are lines of standard input",
    .takes = takes,
    .run = run,
};

int main(int argc, char **argv) { return options_main(&program, argc, argv); }
