/* Compiled MiniLM against its references:  minilm LIBRARY GOLDEN-FOLDER
 * each text alone, all in one padded batch, and 1 and 2 threads; on $MDL_DEVICE, if it is set. */
#include "minilm.h"
#include "tests/models/golden.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXTS = 6, WIDTH = 384, MOST_TOKENS = 64 };

struct minilm {
    __typeof__(minilm_open) *open;
    __typeof__(minilm_session_new) *session_new;
    __typeof__(minilm_session_free) *session_free;
    __typeof__(minilm_embed) *embed;
    __typeof__(minilm_error) *error;
    __typeof__(minilm_close) *close;
    minilm_model *model;
    minilm_session *session;
};

static struct minilm load(const char *path, int threads) {
    void *library = open_library(path);
    struct minilm m = {0};
    *(void **)&m.open = symbol(library, "minilm_open");
    *(void **)&m.session_new = symbol(library, "minilm_session_new");
    *(void **)&m.session_free = symbol(library, "minilm_session_free");
    *(void **)&m.embed = symbol(library, "minilm_embed");
    *(void **)&m.error = symbol(library, "minilm_error");
    *(void **)&m.close = symbol(library, "minilm_close");
    char why[400] = "";
    struct mdl_options options = MDL_OPTIONS;
    options.threads = threads;
    options.device = getenv("MDL_DEVICE");
    options.error = why;
    options.error_size = sizeof why;
    if (m.open(NULL, &options, &m.model) != MDL_OK) give_up("%s: %s", path, why);
    if (m.session_new(m.model, &m.session) != MDL_OK) give_up("no session");
    return m;
}

static void unload(struct minilm *m) {
    m->session_free(m->session);
    m->close(m->model);
}

/* Embeds texts as one batch, padded to `length` with ids that must not matter. */
static void embed(const struct minilm *m, const struct ids *texts, size_t rows, size_t length,
                  float *vectors /* [rows, WIDTH] */) {
    int32_t ids[TEXTS * MOST_TOKENS];
    float mask[TEXTS * MOST_TOKENS];
    for (size_t i = 0; i < rows * length; i++) {
        const struct ids *row = &texts[i / length];
        size_t place = i % length;
        ids[i] = place < row->count ? row->data[place] : 1000 + (int32_t)place;
        mask[i] = place < row->count ? 1.0f : 0.0f;
    }
    if (m->embed(m->session, (int64_t)rows, (int64_t)length, ids, mask, vectors) != MDL_OK)
        give_up("embed of %zu texts: %s", rows, m->error(m->session));
}

static void check_all(const struct minilm *m, const struct ids *texts, const float *expected) {
    float vectors[TEXTS * WIDTH];
    size_t longest = 0;
    for (size_t i = 0; i < TEXTS; i++) {
        embed(m, &texts[i], 1, texts[i].count, vectors);
        double error = largest_difference(vectors, expected + i * WIDTH, WIDTH);
        report(error <= 1e-5, "text %zu alone, %zu tokens: %.2g", i, texts[i].count, error);
        longest = texts[i].count > longest ? texts[i].count : longest;
    }
    for (size_t length = longest; length <= MOST_TOKENS; length += MOST_TOKENS - longest) {
        embed(m, texts, TEXTS, length, vectors);
        double error = largest_difference(vectors, expected, TEXTS * WIDTH);
        report(error <= 1e-5, "all in one batch, padded to %zu: %.2g", length, error);
    }
}

static void check_threads(const char *library, const struct ids *texts) {
    float vectors[2][TEXTS * WIDTH];
    for (int threads = 1; threads <= 2; threads++) {
        struct minilm m = load(library, threads);
        embed(&m, texts, TEXTS, MOST_TOKENS, vectors[threads - 1]);
        unload(&m);
    }
    report(memcmp(vectors[0], vectors[1], sizeof vectors[0]) == 0, "1 and 2 threads: the same bytes");
}

int main(int argc, char **argv) {
    if (argc != 3) give_up("usage: minilm LIBRARY GOLDEN-FOLDER");
    json_t *cases = golden_cases(argv[2], "cases.json");
    float *expected = golden_floats(argv[2], "embeddings.npy", (size_t)TEXTS * WIDTH);
    float *long_text = golden_floats(argv[2], "long.npy", WIDTH);
    struct ids texts[TEXTS] = {0};
    if (json_array_size(cases) != TEXTS)
        give_up("cases.json has %zu cases, not %d", json_array_size(cases), TEXTS);
    for (size_t i = 0; i < TEXTS; i++) {
        golden_ids(json_array_get(cases, i), "ids", &texts[i]);
        if (!texts[i].count || texts[i].count >= MOST_TOKENS)
            give_up("case %zu has %zu ids", i, texts[i].count);
    }
    /* The file's last row is another text's: tests/data/README.md. */
    memcpy(expected + (TEXTS - 1) * WIDTH, long_text, WIDTH * sizeof *expected);
    free(long_text);
    struct minilm m = load(argv[1], 2);
    check_all(&m, texts, expected);
    unload(&m);
    check_threads(argv[1], texts);
    for (size_t i = 0; i < TEXTS; i++) ids_free(&texts[i]);
    json_decref(cases);
    free(expected);
    return report_end();
}
