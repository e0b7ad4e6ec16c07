/* A program of several ranks: coordinates as dims, and which ranks map which parts of the weights.
 *
 *     section 0   tensors that all ranks have whole           one copy       image 0
 *     section 1   cut by tensor                               3 copies       image behind it; a rank maps its copy
 *     section 2   cut by tensor, of stage 1 only              3 copies       ...
 *
 * All sections have places of their own in a rank's image, so that offsets are constants of the code; a rank
 * maps those that it uses. */
#include "backend/code.h"
#include "ir/number.h"
#include <string.h>

enum { PAGE = 4096 };

/* ---- The mesh ---- */

void mesh_add_coordinates(struct code *c) {
    for (struct function *f = c->graph->functions; c->mesh && f; f = f->next) {
        int most = f->dims_count + c->mesh->axes_count;
        const struct dim **dims = arena_new_array(c->arena, const struct dim *, (size_t)most);
        if (f->dims_count) memcpy(dims, f->dims, (size_t)f->dims_count * sizeof *dims);
        for (int i = 0; i < c->mesh->axes_count; i++) {
            const struct dim *d = c->mesh->axes[i].coordinate;
            if (!function_has_dim(f, d)) dims[f->dims_count++] = d;
        }
        f->dims = dims;
    }
}

/* ---- Who uses what ---- */

/* A version for a coordinate runs on ranks with it only. */
void mesh_mark_function(const struct code *c, const struct function *f, uint64_t *only) {
    for (int i = 0; c->mesh && i < c->mesh->axes_count; i++) {
        int64_t at = f->fixed ? f->fixed[c->mesh->axes[i].coordinate->id] : -1;
        only[i] |= at >= 0 && at < 64 ? UINT64_C(1) << at : UINT64_MAX;
    }
}

static void unite(uint64_t *a, const uint64_t *b) {
    for (int i = 0; i < MAX_MESH_AXES; i++) a[i] |= b[i];
}

/* Tensors of an array that a loop walks lie one after the other, so ranks have all of them or none. */
static void mark_alike(struct code *c, const struct global *g) {
    uint64_t(*used)[MAX_MESH_AXES] = c->used[g->id];
    for (int64_t i = 1; i < global_elements(g); i++) unite(used[0], used[i]);
    for (int64_t i = 1; i < global_elements(g); i++) memcpy(used[i], used[0], sizeof *used);
}

static void mark_uses(struct code *c, const struct function *f, bool *walked) {
    for (struct node *n = NULL; (n = node_walk(f->body, n));) {
        if (n->op != OP_param) continue;
        mesh_mark_function(c, f, c->used[n->global->id][n->element]);
        walked[n->global->id] |= n->operands_count && n->operands[0];
    }
}

void mesh_mark_uses(struct code *c) {
    const uint64_t all[MAX_MESH_AXES] = {0};
    bool *walked = arena_new_array(c->arena, bool, (size_t)c->graph->globals_count + 1);
    c->used =
        arena_alloc(c->arena, ((size_t)c->graph->globals_count + 1) * sizeof *c->used, _Alignof(void *));
    for (const struct global *g = c->graph->globals; g; g = g->next) {
        size_t bytes = (size_t)global_elements(g) * sizeof **c->used;
        c->used[g->id] = arena_alloc(c->arena, bytes, _Alignof(uint64_t));
        memset(c->used[g->id], 0, bytes);
    }
    for (const struct function *f = c->graph->functions; f; f = f->next)
        if (f->exported) mark_uses(c, f, walked);
    for (const struct global *g = c->graph->globals; g; g = g->next)
        if (walked[g->id]) mark_alike(c, g);
    mesh_section(c, 0, all); /* what all ranks have comes first */
}

/* ---- Sections ---- */

/* 0 where all coordinates of the axis are marked, or none is. */
static uint64_t normal(const struct code *c, int axis, uint64_t only) {
    int64_t size = c->mesh->axes[axis].size;
    uint64_t all = size >= 64 ? UINT64_MAX : (UINT64_C(1) << size) - 1;
    return (only & all) == all ? 0 : only & all;
}

int mesh_section(struct code *c, uint32_t axes, const uint64_t *only) {
    struct section made = {.axes = axes, .copies = 1};
    for (int i = 0; c->mesh && i < c->mesh->axes_count; i++) {
        made.only[i] = normal(c, i, only[i]);
        if (axes >> i & 1) made.copies *= c->mesh->axes[i].size;
    }
    for (int i = 0; i < c->sections_count; i++)
        if (c->sections[i].axes == axes && !memcmp(c->sections[i].only, made.only, sizeof made.only))
            return i;
    arena_push(c->arena, c->sections, c->sections_count, c->sections_capacity, made);
    return c->sections_count - 1;
}

void mesh_place_sections(struct code *c) {
    for (int i = 0; i < c->sections_count; i++) {
        struct section *s = &c->sections[i];
        if (c->mesh) s->bytes = round_up(s->bytes, PAGE);
        s->image = c->weights_bytes;
        s->file = c->file_bytes;
        if (s->bytes > INT64_MAX / 4 / s->copies - c->file_bytes) ice("weights of more than 2^60 bytes");
        c->weights_bytes += s->bytes;
        c->file_bytes += s->bytes * s->copies;
    }
    for (struct weight *w = c->weights; w; w = w->next) {
        w->offset += c->sections[w->section].image;
        w->sums = arena_new_array(c->arena, uint32_t, (size_t)c->sections[w->section].copies);
    }
}

int64_t section_stride(const struct code *c, const struct section *s, int axis) {
    int64_t stride = s->bytes;
    if (!(s->axes >> axis & 1)) return 0;
    for (int i = axis + 1; i < c->mesh->axes_count; i++)
        if (s->axes >> i & 1) stride *= c->mesh->axes[i].size;
    return stride;
}

void section_coordinates(const struct code *c, const struct section *s, int64_t copy, int64_t *coordinates) {
    for (int i = c->mesh ? c->mesh->axes_count - 1 : -1; i >= 0; i--) {
        coordinates[i] = 0;
        if (!(s->axes >> i & 1)) continue;
        coordinates[i] = copy % c->mesh->axes[i].size;
        copy /= c->mesh->axes[i].size;
    }
}
