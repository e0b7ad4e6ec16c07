/* Prints sentence embeddings by compiled MiniLM: texts -> ids, padded to a batch -> embed -> vectors or a
 * table. */
#include "../common/wordpiece.h"
#include "minilm.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WIDTH = 384,
    MOST_TEXTS = 256,
    MOST_TOKENS = 256
}; /* of minilm.mdl; MOST_TOKENS: what it was trained with */
static const char tokenizer_name[] = "tokenizer.json";

struct options {
    const char *tokenizer, *weights; /* NULL: beside this program, beside the library */
    bool similarity, print_ids, help;
    int threads;
    char **texts; /* [count] */
    size_t count;
};

/* Rows of ids, padded to the longest. */
struct batch {
    size_t rows, length;
    int32_t *ids; /* [rows, length] */
    float *mask;  /* [rows, length] */
};

static const char usage[] = "usage: embed [OPTION]... TEXT...\n"
                            "Prints a vector of 384 numbers for each text, a line each; texts that mean "
                            "alike have vectors that point alike.\n\n"
                            "  --similarity       print a table of the texts' cosine similarities instead\n"
                            "  --print-ids        print each text's token ids instead\n"
                            "  --threads=N        threads to compute with [all processors]\n"
                            "  --weights=FILE     the compiled model's weights [beside its library]\n"
                            "  --tokenizer=FILE   the model's tokenizer.json [beside this program]\n"
                            "  --help             print this\n";

/* The value of "--name=value", or NULL if the argument is something else. */
static const char *value_of(const char *argument, const char *name) {
    size_t length = strlen(name);
    return strncmp(argument, name, length) == 0 && argument[length] == '=' ? argument + length + 1 : NULL;
}

static bool parse_option(struct options *o, const char *argument, struct error *e) {
    const char *value;
    if (strcmp(argument, "--similarity") == 0) return o->similarity = true;
    if (strcmp(argument, "--print-ids") == 0) return o->print_ids = true;
    if (strcmp(argument, "--help") == 0) return o->help = true;
    if ((value = value_of(argument, "--weights"))) return o->weights = value, true;
    if ((value = value_of(argument, "--tokenizer"))) return o->tokenizer = value, true;
    if (!(value = value_of(argument, "--threads")))
        return fail(e, "there is no option '%s'; --help lists them", argument);
    char *end;
    long threads = strtol(value, &end, 10);
    if (end == value || *end || threads < 0 || threads > 4096)
        return fail(e, "--threads: '%s' is not 0 to 4096", value);
    o->threads = (int)threads;
    return true;
}

/* Options come before texts; "--" ends them. */
static bool parse(struct options *o, int argc, char **argv, struct error *e) {
    int i = 1;
    for (; i < argc && strncmp(argv[i], "--", 2) == 0 && argv[i][2]; i++)
        if (!parse_option(o, argv[i], e)) return false;
    if (i < argc && strcmp(argv[i], "--") == 0) i++;
    o->texts = argv + i;
    o->count = (size_t)(argc - i);
    if (o->help) return true;
    if (o->count == 0) return fail(e, "give at least one text");
    return o->count <= MOST_TEXTS || fail(e, "%zu texts are more than %d", o->count, MOST_TEXTS);
}

static void batch_make(struct batch *b, const struct ids *rows, size_t count, int32_t padding) {
    *b = (struct batch){.rows = count};
    for (size_t i = 0; i < count; i++)
        if (rows[i].count > b->length) b->length = rows[i].count;
    b->ids = allocate(count * b->length, sizeof *b->ids);
    b->mask = allocate(count * b->length, sizeof *b->mask);
    for (size_t i = 0; i < count * b->length; i++) {
        const struct ids *row = &rows[i / b->length];
        size_t place = i % b->length;
        b->ids[i] = place < row->count ? row->data[place] : padding;
        b->mask[i] = place < row->count ? 1.0f : 0.0f;
    }
}

static void batch_free(struct batch *b) {
    free(b->ids);
    free(b->mask);
}

/* Opens the model, runs it once and closes it. */
static bool embed(const struct options *o, const struct batch *b, float *vectors /* [rows, WIDTH] */,
                  struct error *e) {
    struct mdl_options options = MDL_OPTIONS;
    options.threads = o->threads;
    options.error = e->text;
    options.error_size = sizeof e->text;
    minilm_model *model;
    minilm_session *session;
    if (minilm_open(o->weights, &options, &model) != MDL_OK) return false;
    bool ok = minilm_session_new(model, &session) == MDL_OK || fail(e, "%s", minilm_error(NULL));
    if (ok) {
        ok =
            minilm_embed(session, (int64_t)b->rows, (int64_t)b->length, b->ids, b->mask, vectors) == MDL_OK ||
            fail(e, "%s", minilm_error(session));
        minilm_session_free(session);
    }
    minilm_close(model);
    return ok;
}

static void print_vectors(const float *vectors, size_t rows) {
    for (size_t i = 0; i < rows * WIDTH; i++)
        printf("%.9g%c", (double)vectors[i], (i + 1) % WIDTH ? ' ' : '\n');
}

/* Vectors have length 1, so cosine similarities are dot products. */
static void print_similarity(const struct options *o, const float *vectors) {
    for (size_t i = 0; i < o->count; i++) {
        for (size_t j = 0; j < o->count; j++) {
            double dot = 0;
            for (size_t k = 0; k < WIDTH; k++)
                dot += (double)vectors[i * WIDTH + k] * (double)vectors[j * WIDTH + k];
            printf("%6.3f ", dot);
        }
        printf(" %s\n", o->texts[i]);
    }
}

static bool embed_rows(const struct options *o, const struct ids *rows, int32_t padding, struct error *e) {
    struct batch b;
    batch_make(&b, rows, o->count, padding);
    float *vectors = allocate(o->count * WIDTH, sizeof *vectors);
    bool ok = embed(o, &b, vectors, e);
    if (ok && o->similarity) print_similarity(o, vectors);
    if (ok && !o->similarity) print_vectors(vectors, o->count);
    free(vectors);
    batch_free(&b);
    return ok;
}

static bool run(const struct options *o, struct error *e) {
    char beside[4096];
    path_beside_program(beside, sizeof beside, tokenizer_name);
    struct wordpiece *w = wordpiece_open(o->tokenizer ? o->tokenizer : beside, e);
    if (!w) return false;
    struct ids *rows = allocate(o->count, sizeof *rows);
    for (size_t i = 0; i < o->count; i++) wordpiece_encode(w, text_of(o->texts[i]), MOST_TOKENS, &rows[i]);
    for (size_t i = 0; i < o->count && o->print_ids; i++) ids_print(&rows[i]);
    bool ok = o->print_ids || embed_rows(o, rows, wordpiece_padding(w), e);
    for (size_t i = 0; i < o->count; i++) ids_free(&rows[i]);
    free(rows);
    wordpiece_free(w);
    return ok;
}

int main(int argc, char **argv) {
    struct options o = {0};
    struct error e = {""};
    int status = parse(&o, argc, argv, &e) ? 0 : 2;
    if (!status && o.help)
        fputs(usage, stdout);
    else if (!status)
        status = run(&o, &e) ? 0 : 1;
    if (status) fprintf(stderr, "embed: %s\n", e.text);
    return end_program(status);
}
