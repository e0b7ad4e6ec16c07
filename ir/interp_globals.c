/* Params and states of the interpreter: what they start with, the piece of them that a rank holds. */
#include "ir/eval.h"
#include "ir/init.h"
#include "ir/piece.h"

struct array *interp_global_array(struct arena *a, const struct global *global) {
    int64_t extents[MAX_RANK] = {0};
    for (int d = 0; d < global->type.rank; d++)
        if (!extent_is_const(global->type.extents[d], &extents[d]))
            ice("%s has an extent that is not constant", global->name);
    return array_new(a, global->type.dtype, global->type.rank, extents);
}

/* Elements from, from + 1 ... of the whole tensor, to elements at, at + 1 ... of x. */
static void read_elements(struct interp *p, const struct global *global, int64_t element, int64_t from,
                          int64_t count, struct array *x, int64_t at) {
    const struct stored *stored = global->init.kind == INIT_FILE ? &global->stored[element] : NULL;
    if (stored && x->floats) {
        format_decode(stored->format, stored->data, from, count, x->floats + at);
        for (int64_t i = at; i < at + count; i++) x->floats[i] = dtype_round_float(x->dtype, x->floats[i]);
    } else if (stored) {
        format_decode_integer(stored->format, stored->data, from, count, x->integers + at);
    } else if (x->floats) {
        init_floats(p->graph, global, element, from, count, x->floats + at);
    } else {
        init_integers(p->graph, global, element, from, count, x->integers + at);
    }
}

/* The rank's piece of what a global starts with, run by run of the last axis. */
static void fill(struct interp *p, const struct global *global, int64_t element, struct array *x) {
    if (!global->sharding || !global->sharding->local) {
        read_elements(p, global, element, 0, x->elements, x, 0);
        return;
    }
    struct piece piece = piece_of(global->sharding, p->rank, x->rank, x->extents);
    int64_t run = x->extents[x->rank - 1];
    for (int64_t at = 0; at < x->elements; at += run)
        read_elements(p, global, element, piece_offset(&piece, at), run, x, at);
}

/* New arrays are zero already, and stay untouched memory. */
static bool starts_zero(const struct global *global) {
    return global->init.kind == INIT_FILL && global->init.a == 0;
}

/* Whether what a global starts with is at hand. */
static bool usable(struct graph *g, const struct global *global) {
    if (global->init.kind != INIT_FILE || global->stored) return true;
    diag_error(g->diag, global->loc, "%s is not bound to a file, so it has no value", global->name);
    return false;
}

bool interp_globals(struct interp *p) {
    bool good = true;
    p->slots = arena_new_array(p->arena, struct slot *, (size_t)p->graph->globals_count);
    for (struct global *global = p->graph->globals; global; global = global->next) {
        good &= usable(p->graph, global);
        p->slots[global->id] = arena_new_array(p->arena, struct slot, (size_t)global_elements(global));
    }
    return good;
}

void interp_globals_reset(struct interp *p) {
    for (struct global *global = p->graph->globals; global; global = global->next) {
        if (global->kind != GLOBAL_STATE) continue;
        for (int64_t i = 0; i < global_elements(global); i++) {
            struct array *x = p->slots[global->id][i].now;
            if (x) fill(p, global, i, x);
        }
    }
}

/* Whether a compiled model keeps a param in a format that changes its numbers (--quantize, --precision=bf16).
 */
static bool stored_anew(const struct global *global, enum format from) {
    return global->kind == GLOBAL_PARAM && global->store && global->store != from &&
           format_info(global->store)->encodes;
}

/* The numbers that are left when x is stored as the model's passes decided. */
static void store_and_load(struct interp *p, const struct global *global, struct array *x) {
    struct arena *scratch = arena_new();
    int64_t bytes, bad;
    float *floats = arena_new_array(scratch, float, (size_t)x->elements);
    for (int64_t i = 0; i < x->elements; i++) floats[i] = (float)x->floats[i];
    if (format_bytes(global->store, x->elements, &bytes)) {
        void *encoded = arena_alloc(scratch, (size_t)bytes, 1);
        if (format_encode(global->store, floats, x->elements, encoded, &bad))
            format_decode(global->store, encoded, 0, x->elements, x->floats);
        else
            diag_error(p->graph->diag, global->loc, "%s cannot be stored as %s: see its element %lld",
                       global->name, format_name(global->store), (long long)bad);
    }
    arena_release(scratch);
}

/* A large tensor of a file stays as it is stored: its shape, and where to decode it from. */
static struct cell as_stored(struct interp *p, const struct global *global, int64_t element) {
    struct cell cell = {arena_new_object(p->arena, struct array), &global->stored[element]};
    *cell.array = (struct array){.dtype = global->type.dtype, .rank = global->type.rank, .elements = 1};
    for (int d = 0; d < cell.array->rank; d++) {
        extent_is_const(global->type.extents[d], &cell.array->extents[d]);
        cell.array->elements *= cell.array->extents[d];
    }
    return cell;
}

static bool stays_stored(const struct global *global, int64_t element) {
    enum { SMALL = 1 << 16 };
    int64_t elements = 1, extent = 1;
    if (!global->stored || global->init.kind != INIT_FILE) return false;
    if (global->sharding && global->sharding->local) return false;
    bool floats = dtype_class(global->type.dtype) == CLASS_FLOAT;
    if (floats && stored_anew(global, global->stored[element].format)) return false;
    for (int d = 0; d < global->type.rank; d++)
        if (extent_is_const(global->type.extents[d], &extent)) elements *= extent;
    return elements > SMALL;
}

/* A global's tensor before its first assignment. Small params are decoded once; large ones stay as they are
 * stored, and whoever reads them decodes what it needs. */
struct cell interp_global(struct interp *p, const struct global *global, int64_t element) {
    struct slot *slot = &p->slots[global->id][element];
    if (slot->pending) return (struct cell){slot->pending, NULL};
    if (slot->now) return (struct cell){slot->now, NULL};
    if (stays_stored(global, element)) return as_stored(p, global, element);
    struct array *x = slot->now = interp_global_array(p->arena, global);
    bool file = global->stored && global->init.kind == INIT_FILE;
    enum format from = file ? global->stored[element].format : format_of_dtype(x->dtype);
    if (file || !starts_zero(global)) fill(p, global, element, x);
    if (x->floats && stored_anew(global, from)) store_and_load(p, global, x);
    return (struct cell){x, NULL};
}
