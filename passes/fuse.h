/* What the parts of fusion share: items (nodes of a block with their facts), groups (kernels to be), trials
 * (sets of nodes asked about).
 *
 *     fuse.c         greedy grouping            fuse_domain.c  which sets of nodes one kernel can do
 *     fuse_facts.c   items, edges, numbers      fuse_build.c   groups into kernel nodes, in order */
#ifndef PASSES_FUSE_H
#define PASSES_FUSE_H
#include "ir/imap.h"
#include "passes/build.h"
#include "passes/passes.h"

/* What an op is to fusion; a column over the families. */
enum role {
    ROLE_STRUCTURE, /* param, constant, assign, guard, scan, kernel: never inside a kernel */
    ROLE_VIEW,      /* only another index */
    ROLE_MAKER,     /* made of an index alone: iota, extent */
    ROLE_POINTWISE, /* an element of each operand */
    ROLE_INDEXED,   /* an element whose place another value gives, or a few neighbours: gather, rope */
    ROLE_REDUCE,    /* many elements each, by a loop of its own */
    ROLE_CONTRACT,
    ROLE_QUANTIZE,
    ROLE_ATTENTION,
    ROLE_ORDERED,
    ROLE_WRITE
};

struct edge_list {
    int *to; /* items */
    int count, capacity;
};
struct item {
    struct node *node;
    enum role role;
    bool needed;             /* a structure node or the block's results use it: it must be in memory */
    double elements;         /* of its first result, at the dims' maxima */
    double bytes;            /* of all its results */
    double reads;            /* how many elements of an operand one element of its result takes */
    struct edge_list users;  /* items that use a result */
    struct edge_list after;  /* items that must stay behind it though they use nothing of it: effects */
    int home;                /* group that puts its results in memory, or -1: nobody needs them there */
    struct edge_list groups; /* all groups that compute it, home included */
};
struct group {
    bool alive;
    int into; /* once it is not alive: the group it became part of, or -1 */
    enum domain domain;
    int *members; /* items, ascending */
    int count;
};
struct fuser {
    struct graph *g;
    struct arena *scratch;
    struct block *block;
    struct item *items;
    int count;
    int *item_of; /* [nodes] item of a node of this block, or -1 */
    struct group *groups;
    int groups_count, groups_capacity;
    int max;                              /* option max */
    double recompute;                     /* option recompute */
    int *stamps, stamp;                   /* [count] marks of the trial's members */
    int *slots;                           /* [count] a member's number in its trial */
    int *seen, seen_stamp, seen_capacity; /* [groups] marks of searches */
    int *kernels;                         /* number of kernels made so far, for names */
    struct clone_map map;
    struct value_pair { /* a value, and the kernel's result that stands for it from now on */
        struct value *old, *new;
    } * pairs;
    int pairs_count, pairs_capacity;
};

/* A set of items asked about. */
struct trial {
    int *members; /* ascending */
    int count;
    int parts[2];    /* groups it is made of; -1: none */
    const char *why; /* if it is refused */
};

enum role node_role(const struct node *n);
/* The param that is value `v` of a kernel's body, or NULL. */
struct global *kernel_param(const struct node *kernel, const struct value *v);
bool reduces_last_axis(const struct node *n); /* a reduction or quantize along the last axis alone */
double value_elements(const struct value *v); /* at the dims' maxima */
double value_bytes(const struct value *v);
void fuser_prepare(struct fuser *f);

/* Calls visit for each group that must run after `group`, as often as there are reasons, until it returns
 * true: then that is returned, else false. */
bool group_successors(struct fuser *f, int group, bool (*visit)(struct fuser *f, int next, void *data),
                      void *data);
bool group_contains(const struct fuser *f, int group, int item);
/* Whether `item`, of the trial, has to be put in memory by it. */
bool trial_result(const struct fuser *f, const struct trial *t, int item);
/* Whether one kernel can do all of the trial, in which domain; else t->why. */
bool trial_domain(struct fuser *f, struct trial *t, enum domain *domain);
/* Whether a value is computed by the trial's own items (after trial_mark). */
void trial_mark(struct fuser *f, const struct trial *t);
int trial_item(const struct fuser *f, const struct value *v); /* item inside, or -1 */

void fuser_build(struct fuser *f);
#endif
