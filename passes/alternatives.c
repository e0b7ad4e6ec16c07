/* What else may carry a kernel out as fast as its schedule: few, each different from it in one thing, for `mdlc tune` to measure. */
#include "ir/number.h"
#include "passes/measured.h"

enum { MOST_SUMS = 32, MOST_PACKED_ROWS = 8, MOST_VECTORS = 4 };

struct list { /* counts down to the one asked for */
    int left;
    struct schedule *found;
};

static void add(struct list *l, const struct schedule *s) {
    if (--l->left == 0) *l->found = *s;
}

static void add_block(struct list *l, const struct schedule *s, int64_t rows) {
    struct schedule made = *s;
    int64_t tile = s->tile[0];
    made.block[0] = rows / tile * tile;
    if (made.block[0] >= tile && made.block[0] != s->block[0]) add(l, &made);
}

static void add_tile(struct list *l, const struct schedule *s, int rows, int width) {
    struct schedule made = *s;
    made.tile[0] = rows;
    made.tile[1] = width;
    made.block[0] = round_up(s->block[0], rows);
    if (s->block[1]) made.block[1] = s->block[1] / greatest_common_divisor(s->block[1], width) * width;
    if (rows >= 1 && (rows != s->tile[0] || width != s->tile[1])) add(l, &made);
}

static void add_unroll(struct list *l, const struct schedule *s, int unroll) {
    struct schedule made = *s;
    made.unroll = unroll;
    if (unroll != s->unroll) add(l, &made);
}

/* Tiles of other shapes that hold at least half as many sums. */
static void add_shapes(struct list *l, const struct target *t, const struct schedule *s) {
    int lanes = t->vector_bytes / 4, sums = s->tile[0] * s->tile[1] / lanes;
    for (int v = MOST_VECTORS; v >= 1; v--) {
        int rows = schedule_tile_rows(t, v);
        if (v * lanes != s->tile[1] && 2 * rows * v >= sums && rows * v <= MOST_SUMS)
            add_tile(l, s, rows, v * lanes);
    }
}

static void add_contractions(struct list *l, const struct target *t, const struct schedule *s, bool packed) {
    bool tile = atom_info(s->atom)->unit == UNIT_tile;
    if (packed && s->tile[0] < MOST_PACKED_ROWS) add_tile(l, s, s->tile[0] + 1, s->tile[1]);
    if (packed) add_tile(l, s, s->tile[0] - 1, s->tile[1]);
    if (!packed && !tile) add_shapes(l, t, s);
    add_block(l, s, s->block[0] / 2);
    add_block(l, s, s->block[0] * 2);
    if (packed || tile) return;
    add_unroll(l, s, 2);
    add_unroll(l, s, 8);
}

static void add_attention(struct list *l, const struct schedule *s) {
    for (int side = 0; side < 2; side++) {
        struct schedule less = *s, more = *s;
        less.tile[side] /= 2;
        more.tile[side] *= 2;
        if (less.tile[side] >= 1) add(l, &less);
        add(l, &more);
    }
}

bool schedule_alternative(const struct graph *g, const struct node *kernel, const struct schedule *s,
                          int number, struct schedule *found) {
    struct list l = {number, found};
    if (!g->target || g->target->simt) return false;
    if (s->domain == DOMAIN_contract) add_contractions(&l, g->target, s, kernel_reads_blocks(kernel));
    if (s->domain == DOMAIN_attention) add_attention(&l, s);
    return l.left <= 0;
}
