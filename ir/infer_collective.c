/* Types of what ranks exchange.
 *
 *     all_gather("m.tensor", x: f32[S, 192]) : f32[3, S, 192]
 *     reduce_scatter("m.tensor", x: f32[3, S]) : f32[S] */
#include "ir/collective.h"
#include "ir/infer.h"

static bool check_group(const struct infer *f, int64_t *members) {
    struct rank_group group;
    const char *why;
    if (!rank_group_parse(f->g, f->g->arena, node_attr(f->n, "over")->s, &group, &why))
        return infer_error(f, 0, "%s", why);
    *members = rank_group_members(&group);
    return true;
}

static bool check_member(const struct infer *f, const char *attr, int64_t member, int64_t members) {
    if (member >= 0 && member < members) return true;
    return infer_error(f, 0, "%s: member %lld is not in 0..%lld", attr, (long long)member,
                       (long long)members);
}

/* `to` says for each member where it sends; all receive once. */
static bool check_permutation(const struct infer *f, int64_t members) {
    const struct attr *to = node_attr(f->n, "to");
    if (to->count != members)
        return infer_error(f, 0, "to has %d members, the group %lld", to->count, (long long)members);
    for (int i = 0; i < to->count; i++) {
        if (!check_member(f, "to", to->ints[i], members)) return false;
        for (int k = 0; k < i; k++)
            if (to->ints[k] == to->ints[i])
                return infer_error(f, 0, "member %lld receives twice", (long long)to->ints[i]);
    }
    return true;
}

static bool give_moved(const struct infer *f, const struct collective *row, int i, int64_t members) {
    const struct extent *parts = extent_const(f->x, members);
    const struct type *x = type_of(f, i);
    struct type t = {x->dtype, 0, {NULL}};
    if (row->takes_parts && (!x->rank || x->extents[0] != parts))
        return infer_error(f, ABOUT(i), "%s is %s: its first extent must be %lld, one for each member",
                           operand_name(f, i), operand_text(f, i), (long long)members);
    if (row->gives_parts && !append_extents(f, &t, &parts, 1)) return false;
    int from = row->takes_parts;
    return append_extents(f, &t, x->extents + from, x->rank - from) && give(f, i, &t);
}

bool infer_collective(const struct infer *f) {
    int64_t members;
    if (!check_group(f, &members)) return false;
    if (f->n->op == OP_permute && !check_permutation(f, members)) return false;
    for (int i = 0; i < f->n->operands_count; i++)
        if (!check_same_dtype(f, 0, i) || !give_moved(f, collective_of(f->n), i, members)) return false;
    return true;
}

bool infer_send(const struct infer *f) {
    int64_t members;
    return check_group(f, &members) && check_member(f, "to", node_attr(f->n, "to")->i, members);
}

bool infer_receive(const struct infer *f) {
    int64_t members;
    const struct attr *shape = node_attr(f->n, "shape");
    struct type t = {node_attr(f->n, "dtype")->dtype, 0, {NULL}};
    return check_group(f, &members) && check_member(f, "from", node_attr(f->n, "from")->i, members) &&
           append_extents(f, &t, shape->extents, shape->count) && give(f, 0, &t);
}
