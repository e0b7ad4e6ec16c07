/* Collectives: what all layers ask of them. */
#include "ir/collective.h"
#include <string.h>

static const struct collective rows[] = {
    {OP_all_reduce, false, false, true},    {OP_all_gather, false, true, false},
    {OP_reduce_scatter, true, false, true}, {OP_all_to_all, true, true, false},
    {OP_permute, false, false, false},      {OP_send, false, false, false},
    {OP_receive, false, false, false},
};

const struct collective *collective_of(const struct node *n) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].op == n->op) return &rows[i];
    return NULL;
}

struct rank_group collective_group(struct graph *g, const struct node *n) {
    struct rank_group group;
    const char *why;
    if (!rank_group_parse(g, g->arena, node_attr(n, "over")->s, &group, &why)) ice("%s", why);
    return group;
}

static bool reads(const struct node *n, const struct node *made) {
    for (int i = 0; i < n->operands_count; i++)
        if (n->operands[i] && value_now(n->operands[i])->def == made) return true;
    for (const struct node *inner = NULL; n->body && (inner = node_walk(n->body, (struct node *)inner));)
        if (reads(inner, made)) return true;
    return false;
}

static bool same_channel(const struct node *a, const struct node *b) {
    return b->op == OP_send && node_attr(a, "to")->i == node_attr(b, "to")->i &&
           !strcmp(node_attr(a, "over")->s, node_attr(b, "over")->s);
}

const struct node *collective_end(const struct node *n) {
    for (const struct node *at = n->next; at; at = at->next)
        if (n->op == OP_send ? same_channel(n, at) : reads(at, n)) return at;
    return NULL;
}
