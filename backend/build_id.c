/* The build id: the same for the same model, weights and compiler; the library and its weights file must
 * carry the same. */
#include "backend/code.h"
#include "config.h"
#include "ir/print.h"
#include <stdlib.h>
#include <string.h>

struct hash { /* four independent 64-bit lanes: no defence against malice, only against mixing up files */
    uint64_t lane[4];
};

static void mix(struct hash *h, const void *bytes, size_t size) {
    const unsigned char *p = bytes;
    for (size_t i = 0; i < size; i++)
        for (int l = 0; l < 4; l++) {
            h->lane[l] = (h->lane[l] ^ p[i]) * (0x9e3779b97f4a7c15u + 2u * (unsigned)l);
            h->lane[l] ^= h->lane[l] >> 29;
        }
}

static void mix_text(struct hash *h, const char *text) { mix(h, text, strlen(text) + 1); }

static void mix_graph(struct hash *h, const struct graph *g) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out) ice("out of memory");
    graph_print(g, out);
    fclose(out);
    mix(h, text, size);
    free(text);
}

void build_id_make(struct code *c) {
    struct hash h = {{1, 2, 3, 4}};
    mix_text(&h, PACKAGE_VERSION);
    mix_text(&h, c->graph->target->triple);
    mix_text(&h, c->graph->target->cpu);
    mix_text(&h, c->graph->target->features);
    mix_graph(&h, c->graph);
    for (const struct weight *w = c->weights; w; w = w->next) {
        mix_text(&h, w->name);
        mix(&h, &w->offset, sizeof w->offset);
        mix(&h, &w->bytes, sizeof w->bytes);
        mix(&h, w->sums, (size_t)c->sections[w->section].copies * sizeof *w->sums);
    }
    memcpy(c->build_id, h.lane, sizeof c->build_id);
}
