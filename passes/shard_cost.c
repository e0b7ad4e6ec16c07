/* What it costs to move a value from one sharding to another, and who is told. */
#include "ir/number.h"
#include "passes/reshard_path.h"
#include "passes/shard.h"
#include <inttypes.h>
#include <string.h>

/* Per round and byte: InfiniBand between nodes, 20 us and 0.9 of 25 GB/s (the constants that planners of
 * Megatron's kind use for A100 clusters). */
const struct reshard_cost shard_cost = {20e-6, 1 / (0.9 * 25e9)};

int64_t shard_extent(const struct sharder *s, const struct extent *e) {
    int64_t *dims = arena_new_array(s->a, int64_t, (size_t)s->g->dims_count + 1);
    for (int i = 0; i < s->g->dims_count; i++) {
        const struct dim *d = s->g->dims[i];
        int64_t typical = s->typical / d->unit;
        dims[i] = typical < d->min ? d->min : typical > d->max ? d->max : typical;
    }
    int64_t value = extent_eval(e, dims);
    return value > 0 ? value : 1;
}

struct reshard_tensor shard_tensor(const struct sharder *s, const struct type *t) {
    struct reshard_tensor x = {.rank = t->rank, .element_bytes = dtype_bytes(t->dtype)};
    for (int d = 0; d < t->rank; d++) {
        int64_t value;
        x.extents[d] = shard_extent(s, t->extents[d]);
        x.multiples[d] = extent_is_const(t->extents[d], &value)               ? value
                         : extent_can_cut(t->extents[d], INT64_C(0x7fffffff)) ? 0
                                                                              : 1;
    }
    return x;
}

/* Steps to go, or -1 with *why. */
static int path(struct sharder *s, const struct type *t, const struct sharding *from,
                const struct sharding *to, struct reshard_step **steps, const char **why) {
    struct reshard_tensor x = shard_tensor(s, t);
    return reshard_path(s->a, &x, from, to, &shard_cost, steps, why);
}

bool move_bytes(struct sharder *s, const struct type *t, const struct sharding *from,
                const struct sharding *to, double *bytes) {
    struct reshard_step *steps;
    const char *why;
    *bytes = 0;
    if (sharding_equal(from, to)) return true;
    int count = path(s, t, from, to, &steps, &why);
    for (int i = 0; i < count; i++) *bytes += steps[i].bytes;
    return count >= 0;
}

const char *value_label(struct sharder *s, const struct value *v) {
    if (v->name) return v->name;
    if (v->def && v->def->global) return v->def->global->name;
    return v->def ? arena_printf(s->a, "the result of %s", op_info(v->def->op)->name) : "an argument";
}

/* --deny=reshard, --deny=reshard:BYTES: the most bytes that may move unasked; -1: any. */
static double allowed(const struct sharder *s) {
    const char *deny = graph_option(s->g, "deny");
    double bytes = 0;
    if (!deny) return -1;
    if (!strcmp(deny, "reshard")) return 0;
    if (!strncmp(deny, "reshard:", 8) && bytes_from_text(deny + 8, &bytes)) return bytes;
    return -1;
}

bool deny_is_valid(const struct graph *g) {
    const char *deny = graph_option(g, "deny");
    double bytes;
    if (!deny || !strcmp(deny, "reshard")) return true;
    if (!strncmp(deny, "reshard:", 8) && bytes_from_text(deny + 8, &bytes)) return true;
    diag_error(g->diag, (struct loc){0}, "deny=%s: reshard or reshard:BYTES was expected, as reshard:64k",
               deny);
    return false;
}

/* Whether a person wrote that the value lives where the reshard brings it. */
static bool was_asked(const struct sharder *s, const struct node *n) {
    const struct value *v = n->results[0];
    return v->id < s->values && s->asked[v->id];
}

/* Why the axes that cut dimension d of operand k cannot stay there for n; "" where bytes have decided so. */
static const char *why_not(struct sharder *s, const struct node *n, int k, int d,
                           const struct dim_sharding *cut) {
    const struct factors *f = shard_factors(s, n);
    const struct axis_map *axis = f ? &f->map->operands[k].axes[d] : NULL;
    int64_t pieces = 1;
    for (int i = 0; i < cut->count; i++) pieces *= s->mesh->axes[cut->axes[i]].size;
    if (!axis || !axis->count) return axis ? ", which takes what ids or views choose of it" : "";
    int loop = axis->terms[0].loop;
    if (f->whole[loop])
        return arena_printf(s->a, ", which needs the whole of its %s %s",
                            f->map->loops[loop].kind == LOOP_PARALLEL ? "extent" : "range",
                            extent_text(s->a, f->map->loops[loop].extent));
    if (extent_can_cut(f->map->loops[loop].extent, pieces)) return "";
    return arena_printf(s->a, ", whose %s cannot be cut for the %" PRId64 " ranks of %s",
                        extent_text(s->a, f->map->loops[loop].extent), pieces,
                        s->mesh->axes[cut->axes[0]].coordinate->name);
}

/* What the value moves for, and what keeps it from staying. */
static const char *cause_of(struct sharder *s, const struct value *from, const struct node *n,
                            const struct node *reader) {
    const struct sharding *to = n->results[0]->sharding;
    if (!reader) return "";
    const char *text = arena_printf(s->a, " for %s", op_info(reader->op)->name);
    for (int k = 0; k < reader->operands_count; k++) {
        if (!reader->operands[k] || value_now(reader->operands[k]) != from) continue;
        for (int d = 0; d < from->sharding->rank; d++)
            if (from->sharding->dims[d].count > to->dims[d].count) {
                const char *why = why_not(s, reader, k, d, &from->sharding->dims[d]);
                if (*why) return arena_printf(s->a, "%s%s", text, why);
            }
    }
    return text;
}

void explain_reshard(struct sharder *s, const struct value *from, const struct node *n,
                     const struct node *reader) {
    struct reshard_step *steps;
    const char *why = NULL, *text = "";
    const struct value *v = n->results[0];
    double bytes = 0, most = allowed(s);
    const char *a = sharding_text(s->a, from->sharding), *b = sharding_text(s->a, v->sharding);
    int count = path(s, &v->type, from->sharding, v->sharding, &steps, &why);
    if (count < 0) {
        diag_error(s->g->diag, n->loc, "%s cannot go from %s to %s: %s", value_label(s, from), a, b, why);
        return;
    }
    for (int i = 0; i < count; i++) {
        bytes += steps[i].bytes;
        text = arena_printf(s->a, "%s%s%s", text, i ? ", then " : "", reshard_step_text(s->a, &steps[i]));
    }
    const char *cause = cause_of(s, from, n, reader);
    pass_explain(s->g, n->loc, "%s moves from %s to %s%s: %s", value_label(s, from), a, b, cause, text);
    if (most < 0 || bytes <= most || was_asked(s, n)) return;
    diag_error(s->g->diag, n->loc, "%s moves unasked from %s to %s%s: a rank sends %.0f bytes (%s)",
               value_label(s, from), a, b, cause, bytes, text);
    diag_note(s->g->diag, from->loc,
              "it is made here; write %s beside it if it shall move, or give its operands "
              "a sharding that needs no move",
              b);
}
