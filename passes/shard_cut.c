/* Which loops of a node are cut by which axes.
 *
 * A node whose operands agree is cut as they are. Else the candidates are what its operands and results
 * suggest, each filled up with what the others say; the one that moves the fewest bytes is taken, of equals
 * the one in most pieces. */
#include "passes/shard.h"

struct candidate {
    struct cut cut;
    double bytes;
    double pieces;
};

/* Axes of `more` on loops that have none yet, each axis once. */
static void fill_up(const struct factors *f, struct cut *cut, const struct cut *more) {
    uint32_t used = 0;
    for (int i = 0; i < f->map->loops_count; i++)
        for (int k = 0; k < cut->loops[i].count; k++) used |= 1u << cut->loops[i].axes[k];
    for (int i = 0; i < f->map->loops_count; i++) {
        struct axis_list *to = &cut->loops[i];
        if (!axes_prefix(to, &more->loops[i])) continue;
        for (int k = to->count; k < more->loops[i].count; k++) {
            if (used >> more->loops[i].axes[k] & 1) break;
            to->axes[to->count++] = more->loops[i].axes[k];
            used |= 1u << more->loops[i].axes[k];
        }
    }
}

/* Where operand k must be under the cut; false if it cannot be. */
bool shard_operand_place(const struct factors *f, int k, const struct cut *cut, struct sharding *place) {
    return factors_place(f, &f->map->operands[k], &f->node->operands[k]->type, cut, place);
}

bool shard_result_place(const struct factors *f, int k, const struct cut *cut, struct sharding *place) {
    if (!factors_place(f, &f->map->results[k], &f->node->results[k]->type, cut, place)) return false;
    if (f->combine == COMBINE_SUM) place->partial = factors_reduced(f, cut);
    return true;
}

/* Where a person wants a partial sum, cuts that make none are none. */
static bool may_be_partial(struct sharder *s, const struct factors *f, const struct value *v,
                           const struct sharding *made) {
    uint32_t wanted = v->id < s->values ? shard_slot(s, v)->partial : 0;
    bool reduces = false;
    for (int i = 0; i < f->map->loops_count; i++) reduces |= f->map->loops[i].kind == LOOP_REDUCTION;
    return !wanted || !reduces || f->combine != COMBINE_SUM || (made->partial & wanted) == wanted;
}

/* Bytes that a rank sends for the cut; false if the cut is none. */
static bool price(struct sharder *s, const struct factors *f, struct candidate *c) {
    const struct node *n = f->node;
    struct sharding place;
    double bytes;
    c->bytes = 0;
    c->pieces = 1;
    for (int i = 0; i < f->map->loops_count; i++) {
        int64_t pieces = axes_pieces(f->mesh, &c->cut.loops[i]);
        if (f->whole[i] && pieces > 1) return false;
        if (!extent_can_cut(f->map->loops[i].extent, pieces)) return false;
        c->pieces *= (double)pieces;
    }
    for (int i = 0; i < n->operands_count; i++) {
        if (!n->operands[i]) continue;
        if (!shard_operand_place(f, i, &c->cut, &place)) return false;
        struct value *v = value_now(n->operands[i]);
        struct sharding from = shard_place(v)->partial ? shard_settled(s, v) : *shard_place(v);
        if (!move_bytes(s, &v->type, &from, &place, &bytes)) return false;
        c->bytes += bytes;
    }
    for (int i = 0; i < n->results_count; i++) {
        if (!shard_result_place(f, i, &c->cut, &place)) return false;
        struct sharding to = shard_settled(s, n->results[i]);
        if (!may_be_partial(s, f, n->results[i], &place)) return false;
        place.partial = factors_reduced(f, &c->cut); /* whatever combines it, the bytes are those of a sum */
        if (!move_bytes(s, &n->results[i]->type, &place, &to, &bytes)) return false;
        c->bytes += bytes;
    }
    return true;
}

static void consider(struct sharder *s, const struct factors *f, const struct cut *cut,
                     struct candidate *best) {
    struct candidate c = {.cut = *cut};
    if (!price(s, f, &c)) return;
    bool better = c.bytes < best->bytes || (c.bytes == best->bytes && c.pieces > best->pieces);
    if (best->bytes < 0 || better) *best = c;
}

/* What an operand or result suggests: number k counts results, then operands. */
static bool suggestion(struct sharder *s, const struct factors *f, int k, struct cut *cut) {
    const struct node *n = f->node;
    int operand = k - n->results_count;
    *cut = (struct cut){0};
    if (operand < 0) {
        struct sharding to = shard_settled(s, n->results[k]);
        factors_project(f, &f->map->results[k], &to, cut);
        return true;
    }
    if (!n->operands[operand]) return false;
    struct value *v = value_now(n->operands[operand]);
    struct sharding from = shard_place(v)->partial ? shard_settled(s, v) : *shard_place(v);
    factors_project(f, &f->map->operands[operand], &from, cut);
    return true;
}

/* Whether every operand is where the cut wants it: then there is no conflict to settle, and what its author
 * meant by placing them so is done, even if other ways would send fewer bytes. */
static bool agreed(struct sharder *s, const struct factors *f, struct cut *cut) {
    const struct node *n = f->node;
    struct candidate c = {.bytes = 0};
    struct cut more;
    *cut = (struct cut){0};
    for (int i = 0; i < n->operands_count; i++)
        if (suggestion(s, f, n->results_count + i, &more)) fill_up(f, cut, &more);
    c.cut = *cut;
    if (!price(s, f, &c) || c.pieces == 1) return false;
    for (int i = 0; i < n->operands_count; i++) {
        struct sharding place;
        if (!n->operands[i] || !shard_operand_place(f, i, cut, &place)) continue;
        struct value *v = value_now(n->operands[i]);
        struct sharding from = shard_place(v)->partial ? shard_settled(s, v) : *shard_place(v);
        if (!sharding_equal(&from, &place)) return false;
    }
    struct candidate finer = c; /* where the results are wanted in more pieces, and that is free */
    for (int i = 0; i < n->results_count; i++)
        if (suggestion(s, f, i, &more)) fill_up(f, &finer.cut, &more);
    if (price(s, f, &finer) && finer.bytes <= c.bytes && finer.pieces > c.pieces) *cut = finer.cut;
    return true;
}

struct cut shard_choose(struct sharder *s, const struct factors *f) {
    int count = f->node->results_count + f->node->operands_count;
    struct candidate best = {.bytes = -1};
    struct cut all;
    if (agreed(s, f, &all)) return all;
    for (int first = 0; first < count; first++) {
        struct cut cut, more;
        if (!suggestion(s, f, first, &cut)) continue;
        struct cut alone = {0};
        fill_up(f, &alone, &cut); /* no axis on two loops */
        consider(s, f, &alone, &best);
        for (int k = 0; k < count; k++)
            if (suggestion(s, f, k, &more)) fill_up(f, &alone, &more);
        consider(s, f, &alone, &best);
    }
    struct cut none = {0};
    consider(s, f, &none, &best);
    return best.cut;
}
