/* How far a narrower precision is from f32:  precision F32-LIBRARY OTHER-LIBRARY GGUF TEXT-FILE TOKENS LIMIT
 * The mean over the text's first TOKENS tokens of KL(p || q), in nats: p and q are the two models'
 * distributions of the next token. It must not pass LIMIT. */
#include "examples/common/bpe.h"
#include "tests/models/smollm2_api.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static double log_sum_exp(const float *x) {
    double top = x[0], total = 0;
    for (size_t i = 1; i < VOCABULARY; i++) top = x[i] > top ? x[i] : top;
    for (size_t i = 0; i < VOCABULARY; i++) total += exp(x[i] - top);
    return top + log(total);
}

static double divergence(const float *p, const float *q) {
    double p_log = log_sum_exp(p), q_log = log_sum_exp(q), sum = 0;
    for (size_t i = 0; i < VOCABULARY; i++) sum += exp(p[i] - p_log) * ((p[i] - p_log) - (q[i] - q_log));
    return sum;
}

static char *read_text(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    if (!file) give_up("%s cannot be opened", path);
    char *text = allocate(1 << 20, 1);
    *length = fread(text, 1, 1 << 20, file);
    fclose(file);
    return text;
}

static void tokenize(const char *gguf, const char *path, struct ids *ids) {
    struct error e;
    size_t length;
    char *text = read_text(path, &length);
    struct gguf_meta *meta = gguf_meta_open(gguf, &e);
    struct bpe *bpe = meta ? bpe_from_gguf(meta, &e) : NULL;
    if (!bpe) give_up("%s", e.text);
    bpe_encode(bpe, (struct text){text, length}, ids);
    bpe_free(bpe);
    gguf_meta_close(meta);
    free(text);
}

int main(int argc, char **argv) {
    static float p[VOCABULARY], q[VOCABULARY];
    if (argc != 7) give_up("usage: precision F32-LIBRARY OTHER-LIBRARY GGUF TEXT-FILE TOKENS LIMIT");
    struct ids ids = {0};
    size_t count = strtoul(argv[5], NULL, 10);
    double limit = strtod(argv[6], NULL), sum = 0, worst = 0;
    tokenize(argv[3], argv[4], &ids);
    if (count == 0 || ids.count < count) give_up("%s has %zu tokens, not %zu", argv[4], ids.count, count);
    struct smollm2 exact = smollm2_load(argv[1], 0), other = smollm2_load(argv[2], 0);
    smollm2_session *a = smollm2_start(&exact), *b = smollm2_start(&other);
    for (size_t i = 0; i < count; i++) {
        smollm2_run(&exact, a, &ids.data[i], 1, i, p);
        smollm2_run(&other, b, &ids.data[i], 1, i, q);
        double kl = divergence(p, q);
        sum += kl;
        if (!(kl <= worst)) worst = kl;
    }
    report(sum / (double)count <= limit, "mean KL over %zu tokens: %.5f, at most %.5f; the largest: %.4f",
           count, sum / (double)count, limit, worst);
    exact.session_free(a);
    other.session_free(b);
    smollm2_unload(&exact);
    smollm2_unload(&other);
    ids_free(&ids);
    return report_end();
}
