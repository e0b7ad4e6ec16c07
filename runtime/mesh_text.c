/* What an operation is called in messages. No function of the C library is used: a signal handler may ask. */
#include "runtime/mesh.h"

struct out {
    char *text;
    size_t size, length;
};

static void put(struct out *o, const char *s) {
    for (; *s && o->length + 1 < o->size; s++) o->text[o->length++] = *s;
    if (o->size) o->text[o->length] = 0;
}

static void put_number(struct out *o, uint64_t n) {
    char digits[24], *at = digits + sizeof digits;
    *--at = 0;
    do *--at = (char)('0' + n % 10);
    while (n /= 10);
    put(o, at);
}

static void put_group(struct out *o, const struct mdl_descriptor *d, const struct mdl_group *g) {
    for (uint32_t i = 0; i < g->axes_count; i++) {
        if (i) put(o, ",");
        put(o, d->axes[g->axes[i]].name);
    }
}

static void put_collective(struct out *o, const struct mdl_descriptor *d, const struct operation *op) {
    static const char *const kinds[MDL_COLLECTIVE_KINDS] = {MDL_COLLECTIVE_NAMES};
    put(o, "collective ");
    put_number(o, (uint64_t)(op->what - d->collectives));
    put(o, " (");
    put(o, kinds[op->what->kind]);
    if (op->what->kind == MDL_SEND || op->what->kind == MDL_RECEIVE) {
        put(o, op->what->kind == MDL_SEND ? " to rank " : " from rank ");
        put_number(o, (uint64_t)op->group->ranks[op->what->peers[0]]);
    }
    put(o, " over ");
    put_group(o, d, &d->groups[op->what->group]);
    put(o, ")");
    if (!op->step->line) return;
    put(o, ", ");
    put(o, d->source);
    put(o, ":");
    put_number(o, op->step->line);
    put(o, ":");
    put_number(o, op->step->column);
}

size_t mesh_describe(const struct mesh *m, const struct operation *op, char *text, size_t size) {
    const struct mdl_descriptor *d = m->model->descriptor;
    struct out o = {text, size, 0};
    put(&o, "rank ");
    put_number(&o, (uint64_t)m->rank);
    put(&o, ": ");
    if (op && op->what) {
        put_collective(&o, d, op);
    } else {
        uint32_t f = atomic_load(&m->function);
        put(&o, f == MESH_OPENING ? "opening " : f == MESH_CLOSING ? "closing " : "the start of ");
        put(&o, f >= d->functions_count ? d->name : d->functions[f].name);
    }
    return o.length;
}
