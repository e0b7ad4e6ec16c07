/* Several meshes of one model, as one.
 *
 *     mesh a = <data=4>                both name the same four ranks: a.data is b.data and b.tensor, in this
 *     mesh b = <data=2, tensor=2>      order, so all is said on  a_b = <data=2, tensor=2>
 *
 *     mesh a = <x=2> ranks 0..1        gangs of ranks (Pathways, arXiv 2203.12533): values of each mesh are
 *     mesh b = <y=2> ranks 2..3        placed on its gang, all is said on  a_b = <gang=2, x=2>
 *
 * Ranks are numbers whose digits are coordinates; where the digits of all meshes have a common refinement,
 * every axis is a list of its digits. */
#include "passes/shard.h"
#include <inttypes.h>
#include <string.h>

enum { MAX_MESHES = 16 };

struct meshes {
    struct graph *g;
    const struct mesh *list[MAX_MESHES]; /* that values or nodes are on, of more than one rank */
    int count;
    int64_t first, ranks; /* of the first gang; ranks of each */
    int gangs;
    int64_t steps[MAX_MESH_AXES + 1]; /* strides of the common digits, 1 first; the last is `ranks` */
    int digits;
    struct mesh *one;
    bool good;
};

/* ---- Which meshes ---- */

static void see_mesh(struct meshes *m, const struct mesh *mesh) {
    if (!mesh || mesh_ranks(mesh) == 1) return;
    for (int i = 0; i < m->count; i++)
        if (m->list[i] == mesh) return;
    if (m->count < MAX_MESHES)
        m->list[m->count++] = mesh;
    else
        diag_error(m->g->diag, mesh->loc, "a model's values live on more than %d meshes", MAX_MESHES);
}

typedef void visitor(struct meshes *m, const struct sharding **sharding, struct loc loc);

static void see_sharding(struct meshes *m, const struct sharding **sharding, struct loc loc) {
    (void)loc;
    if (*sharding) see_mesh(m, (*sharding)->mesh);
}

static void each_sharding(struct meshes *m, visitor *visit) {
    for (struct global *w = m->g->globals; w; w = w->next) visit(m, &w->sharding, w->loc);
    for (struct function *f = m->g->functions; f; f = f->next) {
        for (int i = 0; i < f->body->args_count; i++)
            visit(m, &f->body->args[i]->sharding, f->body->args[i]->loc);
        for (int i = 0; i < f->body->results_count && f->result_shardings; i++)
            visit(m, &f->result_shardings[i], f->loc);
        for (struct node *n = NULL; (n = node_walk(f->body, n));)
            for (int i = 0; i < n->results_count; i++) visit(m, &n->results[i]->sharding, n->loc);
    }
}

static void find_meshes(struct meshes *m) {
    each_sharding(m, see_sharding);
    for (struct function *f = m->g->functions; f; f = f->next)
        for (struct node *n = NULL; (n = node_walk(f->body, n));)
            if (n->on) see_mesh(m, n->on->mesh);
    for (const struct mesh *mesh = m->g->meshes; mesh && !m->count; mesh = mesh->next) see_mesh(m, mesh);
}

/* ---- Gangs and digits ---- */

static bool refuse(struct meshes *m, const struct mesh *mesh, const char *why) {
    diag_error(m->g->diag, mesh->loc, "meshes %s and %s do not go together: %s", m->list[0]->name, mesh->name,
               why);
    diag_note(m->g->diag, m->list[0]->loc, "%s is declared here", m->list[0]->name);
    return false;
}

static bool find_gangs(struct meshes *m) {
    int64_t last = m->list[0]->first_rank;
    m->first = last;
    m->ranks = mesh_ranks(m->list[0]);
    for (int i = 1; i < m->count; i++) {
        const struct mesh *mesh = m->list[i];
        if (mesh_ranks(mesh) != m->ranks || (mesh->first_rank - m->first) % m->ranks)
            return refuse(m, mesh,
                          "they must name the same ranks, or gangs of equally many, one behind the other");
        if (mesh->first_rank < m->first) m->first = mesh->first_rank;
        if (mesh->first_rank > last) last = mesh->first_rank;
    }
    m->gangs = (int)((last - m->first) / m->ranks) + 1;
    return true;
}

static bool add_step(struct meshes *m, int64_t step) {
    int at = 0;
    while (at < m->digits && m->steps[at] < step) at++;
    if (at < m->digits && m->steps[at] == step) return true;
    if (m->digits == MAX_MESH_AXES) return false;
    memmove(&m->steps[at + 1], &m->steps[at], (size_t)(m->digits - at) * sizeof *m->steps);
    m->steps[at] = step;
    m->digits++;
    return true;
}

/* What coordinate 1 on the axis adds to a rank. */
static int64_t stride_of(const struct mesh *mesh, int axis) {
    int64_t stride = 1;
    for (int i = axis + 1; i < mesh->axes_count; i++) stride *= mesh->axes[i].size;
    return stride;
}

static bool find_digits(struct meshes *m) {
    for (int i = 0; i < m->count; i++)
        for (int k = 0; k < m->list[i]->axes_count; k++)
            if (m->list[i]->axes[k].size > 1 && !add_step(m, stride_of(m->list[i], k)))
                return refuse(m, m->list[i], "together they cut the ranks along too many axes");
    m->steps[m->digits] = m->ranks;
    for (int i = 0; i < m->digits; i++)
        if (m->steps[i + 1] % m->steps[i])
            return refuse(m, m->list[m->count - 1], "no axes are finer than those of both");
    return true;
}

/* ---- The one mesh ---- */

/* The digits of an axis are digits first .. first + count - 1, from the minor end. */
static int digits_of(const struct meshes *m, const struct mesh *mesh, int axis, int *first) {
    int64_t stride = stride_of(mesh, axis), end = stride * mesh->axes[axis].size;
    int count = 0;
    *first = 0;
    for (int i = m->digits - 1; i >= 0; i--)
        if (m->steps[i] >= stride && m->steps[i] < end) *first = i, count++;
    return count;
}

/* Axes of `one` stand from the major end, behind the gangs. */
static uint8_t axis_of_digit(const struct meshes *m, int digit) {
    return (uint8_t)((m->gangs > 1) + m->digits - 1 - digit);
}

static const char *digit_name(const struct meshes *m, int digit) {
    for (int i = 0; i < m->count; i++)
        for (int k = 0; k < m->list[i]->axes_count; k++) {
            int first;
            const char *name = m->list[i]->axes[k].name;
            bool mine =
                m->list[i]->axes[k].size > 1 && digits_of(m, m->list[i], k, &first) == 1 && first == digit;
            if (mine && mesh_axis(m->one, name) < 0) return name;
        }
    return arena_printf(m->g->arena, "digit%d", digit);
}

static bool name_is_taken(const struct graph *g, const char *name) {
    for (const struct mesh *mesh = g->meshes; mesh; mesh = mesh->next)
        if (!strcmp(mesh->name, name)) return true;
    return false;
}

static bool make_one(struct meshes *m) {
    const char *name = m->list[0]->name;
    for (int i = 1; i < m->count; i++) name = arena_printf(m->g->arena, "%s_%s", name, m->list[i]->name);
    while (name_is_taken(m->g, name)) name = arena_printf(m->g->arena, "%s_", name);
    if (m->digits + (m->gangs > 1) > MAX_MESH_AXES)
        return refuse(m, m->list[m->count - 1], "together they cut the ranks along too many axes");
    m->one = graph_mesh(m->g, name, m->list[0]->loc);
    m->one->first_rank = m->first;
    m->one->device = m->list[0]->device;
    if (m->gangs > 1) graph_mesh_axis(m->g, m->one, "gang", m->gangs);
    for (int i = m->digits - 1; i >= 0; i--)
        graph_mesh_axis(m->g, m->one, digit_name(m, i), m->steps[i + 1] / m->steps[i]);
    return true;
}

/* ---- What was said, said on it ---- */

static void translate_dim(struct meshes *m, const struct sharding *from, int d, struct dim_sharding *to,
                          struct loc loc) {
    to->count = 0;
    for (int i = 0; i < from->dims[d].count; i++) {
        int first, axis = from->dims[d].axes[i], count = digits_of(m, from->mesh, axis, &first);
        if (from->mesh->axes[axis].size == 1) continue;
        for (int k = count - 1; k >= 0; k--) {
            if (to->count == MAX_DIM_AXES) {
                diag_error(m->g->diag, loc,
                           "the axes of dimension %d are more than %d on the ranks of all meshes", d,
                           MAX_DIM_AXES);
                m->good = false;
                return;
            }
            to->axes[to->count++] = axis_of_digit(m, first + k);
        }
    }
}

static void translate(struct meshes *m, const struct sharding **sharding, struct loc loc) {
    if (!*sharding || mesh_ranks((*sharding)->mesh) == 1) return;
    struct sharding *to = arena_new_object(m->g->arena, struct sharding);
    const struct sharding *from = *sharding;
    *to = *from;
    to->mesh = m->one;
    to->partial = 0;
    for (int d = 0; d < from->rank; d++) translate_dim(m, from, d, &to->dims[d], loc);
    for (int a = 0; a < from->mesh->axes_count; a++) {
        int first, count = digits_of(m, from->mesh, a, &first);
        for (int k = 0; k < count && from->partial >> a & 1; k++)
            to->partial |= 1u << axis_of_digit(m, first + k);
    }
    *sharding = to;
}

static const struct placement *place(struct meshes *m, int axis, int64_t index) {
    struct placement *on = arena_new_object(m->g->arena, struct placement);
    *on = (struct placement){m->one, axis, index};
    return on;
}

/* A stage stays one where its axis is one digit; a value of a gang's mesh is made there. */
static void place_node(struct meshes *m, struct node *n) {
    if (n->on && mesh_ranks(n->on->mesh) > 1) {
        int first, count = digits_of(m, n->on->mesh, n->on->axis, &first);
        if (count == 1) {
            n->on = place(m, axis_of_digit(m, first), n->on->index);
            return;
        }
        diag_error(m->g->diag, n->loc,
                   "axis %s has stages, so no other mesh may cut its ranks in another way",
                   n->on->mesh->axes[n->on->axis].coordinate->name);
        m->good = false;
        return;
    }
    for (int i = 0; i < n->results_count && m->gangs > 1; i++) {
        const struct sharding *s = n->results[i]->sharding;
        if (s && s->mesh != m->one && mesh_ranks(s->mesh) > 1)
            n->on = place(m, 0, (s->mesh->first_rank - m->first) / m->ranks);
    }
}

static bool unite(struct meshes *m) {
    if (!find_gangs(m) || !find_digits(m) || !make_one(m)) return false;
    m->good = true;
    for (struct function *f = m->g->functions; f; f = f->next)
        for (struct node *n = NULL; (n = node_walk(f->body, n));) place_node(m, n);
    each_sharding(m, translate);
    for (int i = 0; i < m->count; i++)
        pass_explain(m->g, m->list[i]->loc, "what is on mesh %s is said on mesh %s", m->list[i]->name,
                     m->one->name);
    return m->good;
}

bool shard_find_mesh(struct graph *g, const struct mesh **mesh) {
    struct meshes m = {.g = g};
    find_meshes(&m);
    *mesh = m.count ? m.list[0] : NULL;
    if (m.count < 2) return true;
    if (!unite(&m)) return false;
    *mesh = m.one;
    return true;
}
