/* The weights: which tensors there are, where each lies, and their file (or, for small ones, their bytes in
 * the library).
 *
 *     header │ table │ data, 4096-byte aligned; each tensor 64-byte aligned │ names          runtime/abi.h */
#include "backend/checksum.h"
#include "backend/code.h"
#include "backend/pack.h"
#include "ir/number.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { DATA_ALIGN = 4096, MAX_PACKERS = 8 };

/* At the end of its section; mesh_place_sections says where that is. */
static struct weight *add(struct code *c, struct weight w) {
    struct weight *made = arena_new_object(c->arena, struct weight);
    struct section *s = &c->sections[w.section];
    w.offset = s->bytes;
    if (w.bytes < 0 || s->bytes > INT64_MAX / 2 - w.bytes) ice("weights of more than 2^62 bytes");
    s->bytes += w.bytes;
    c->weights_count++;
    *made = w;
    *c->weights_end = made;
    c->weights_end = &made->next;
    return made;
}

/* All tensors of a global; those that a loop walks come one after the other. */
static void place_global(struct code *c, const struct global *g) {
    if (c->global_weights[g->id]) return;
    for (int64_t i = 0; i < global_elements(g); i++) {
        int section = mesh_section(c, sharding_used(g->sharding), c->used[g->id][i]);
        struct weight *w = add(c, (struct weight){.global = g,
                                                  .element = i,
                                                  .name = global_element_name(c->arena, g, i),
                                                  .bytes = home_bytes(g),
                                                  .section = section});
        if (!i) c->global_weights[g->id] = w;
    }
}

static int64_t constant_bytes(const struct tensor *t) {
    int64_t bytes = dtype_bytes(t->dtype);
    for (int i = 0; i < t->rank; i++)
        if (__builtin_mul_overflow(bytes, t->extents[i], &bytes)) ice("a constant is too large");
    return bytes;
}

static void place_node(struct code *c, const struct function *f, const struct node *n) {
    bool inside = n->parent->owner && n->parent->owner->op == OP_kernel;
    if (n->op == OP_param && n->global->kind == GLOBAL_PARAM) place_global(c, n->global);
    if (n->op == OP_constant && !inside) {
        int64_t bytes = round_up(constant_bytes(n->constant), MDL_ALIGN);
        uint64_t only[MAX_MESH_AXES] = {0};
        mesh_mark_function(c, f, only);
        add(c, (struct weight){.constant = n,
                               .name = arena_printf(c->arena, "constant.%d", n->id),
                               .bytes = bytes,
                               .section = mesh_section(c, 0, only)});
    }
}

void weights_place(struct code *c) {
    c->global_weights = arena_new_array(c->arena, struct weight *, c->graph->globals_count);
    mesh_mark_uses(c);
    for (const struct function *f = c->graph->functions; f; f = f->next)
        for (struct node *n = NULL; f->exported && (n = node_walk(f->body, n));) place_node(c, f, n);
    for (const struct global *g = c->graph->globals; g; g = g->next)
        if (g->kind == GLOBAL_STATE && !(g->init.kind == INIT_FILL && g->init.a == 0)) place_global(c, g);
    mesh_place_sections(c);
}

const struct weight *weight_of_global(struct code *c, const struct global *g, int64_t element) {
    const struct weight *w = c->global_weights[g->id];
    while (w && w->element != element) w = w->next;
    if (!w) ice("tensor %lld of %s has no place in the weights", (long long)element, g->name);
    return w;
}

const struct weight *weight_of_constant(struct code *c, const struct node *n) {
    const struct weight *w = c->weights;
    while (w && w->constant != n) w = w->next;
    if (!w) ice("constant %d has no place in the weights", n->id);
    return w;
}

/* Several threads take tensors from the list and pack them into `data`. */
struct packing {
    struct code *code;
    char *data;
    struct weight *next;
    pthread_mutex_t lock;
    _Atomic int failed; /* set by any of them */
};

static struct weight *take(struct packing *p) {
    pthread_mutex_lock(&p->lock);
    struct weight *w = p->next;
    if (w) p->next = w->next;
    pthread_mutex_unlock(&p->lock);
    return w;
}

/* Where a copy of the tensor lies in the file's data. */
static int64_t offset_in_file(const struct code *c, const struct weight *w, int64_t copy) {
    const struct section *s = &c->sections[w->section];
    return s->file + copy * s->bytes + w->offset - s->image;
}

static const char *pack(struct packing *p, struct arena *scratch, struct weight *w) {
    const struct section *s = &p->code->sections[w->section];
    const char *wrong = NULL;
    for (int64_t copy = 0; copy < s->copies && !wrong; copy++) {
        char *out = p->data + offset_in_file(p->code, w, copy);
        int64_t coordinates[MAX_MESH_AXES];
        section_coordinates(p->code, s, copy, coordinates);
        if (w->global)
            wrong = pack_tensor(p->code->graph, scratch, w->global, w->element, coordinates, out);
        else
            memcpy(out, w->constant->constant->data, (size_t)constant_bytes(w->constant->constant));
        w->sums[copy] = checksum(out, (size_t)w->bytes);
    }
    return wrong;
}

static void *packer(void *data) {
    struct packing *p = data;
    struct arena *scratch = arena_new();
    for (struct weight *w; (w = take(p));) {
        const char *wrong = pack(p, scratch, w);
        if (wrong) {
            emit_error(p->code->emitters[0], w->global->loc, "%s: %s", w->name, wrong);
            p->failed = 1;
        }
        arena_reset(scratch);
    }
    arena_release(scratch);
    return NULL;
}

static bool pack_all(struct code *c, char *data) {
    struct packing p = {.code = c, .data = data, .next = c->weights, .lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t threads[MAX_PACKERS];
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    count = count > MAX_PACKERS ? MAX_PACKERS : count;
    int made = 0;
    while (made < count - 1 && !pthread_create(&threads[made], NULL, packer, &p)) made++;
    packer(&p);
    for (int i = 0; i < made; i++) pthread_join(threads[i], NULL);
    return !p.failed;
}

struct layout_of_file {
    int64_t data, names, names_bytes, all;
};

/* A tensor has an entry for each copy. */
static int64_t entries_of(const struct code *c) {
    int64_t entries = 0;
    for (const struct weight *w = c->weights; w; w = w->next) entries += c->sections[w->section].copies;
    return entries;
}

static struct layout_of_file plan_file(const struct code *c) {
    struct layout_of_file l = {0};
    int64_t table = entries_of(c) * (int64_t)sizeof(struct mdl_weights_entry);
    l.data = round_up((int64_t)sizeof(struct mdl_weights_header) + table, DATA_ALIGN);
    l.names = l.data + c->file_bytes;
    for (const struct weight *w = c->weights; w; w = w->next) l.names_bytes += (int64_t)strlen(w->name) + 1;
    l.all = l.names + l.names_bytes;
    return l;
}

/* The header and the table; the build id and the sum come when everything else is known. */
static void fill_header(const struct code *c, char *file, const struct layout_of_file *l) {
    struct mdl_weights_header *h = (void *)file;
    struct mdl_weights_entry *entry = (void *)(h + 1);
    char *names = file + l->names, *at = names;
    *h = (struct mdl_weights_header){.magic = "MDLWTS\0\1",
                                     .file_bytes = (uint64_t)l->all,
                                     .data_offset = (uint64_t)l->data,
                                     .data_bytes = (uint64_t)c->file_bytes,
                                     .tensors = (uint32_t)entries_of(c),
                                     .names_offset = (uint64_t)l->names,
                                     .names_bytes = (uint64_t)l->names_bytes};
    memcpy(h->build_id, c->build_id, sizeof h->build_id);
    for (const struct weight *w = c->weights; w; w = w->next) {
        for (int64_t copy = 0; copy < c->sections[w->section].copies; copy++)
            *entry++ = (struct mdl_weights_entry){(uint64_t)offset_in_file(c, w, copy), (uint64_t)w->bytes,
                                                  (uint32_t)(at - names), w->sums[copy]};
        size_t length = strlen(w->name) + 1;
        memcpy(at, w->name, length);
        at += length;
    }
    h->header_sum = checksum(file, sizeof *h + (size_t)entries_of(c) * sizeof(struct mdl_weights_entry));
}

static bool lies_alike(const struct weight *a, const struct weight *b) {
    if (strcmp(a->name, b->name) || a->offset != b->offset || a->bytes != b->bytes ||
        !a->global != !b->global)
        return false;
    if (!a->global) {
        const struct tensor *x = a->constant->constant, *y = b->constant->constant;
        return constant_bytes(x) == constant_bytes(y) && !memcmp(x->data, y->data, (size_t)constant_bytes(x));
    }
    return a->global->store == b->global->store && layout_equal(a->global->layout, b->global->layout);
}

const struct code *weights_like(const struct code *first, const struct code *c) {
    if (c->mesh || c->weights_bytes <= c->options->embed_limit) return NULL;
    for (const struct code *p = first; p != c; p = p->next) {
        const struct weight *a = p->weights, *b = c->weights;
        while (a && b && lies_alike(a, b)) a = a->next, b = b->next;
        if (!a && !b) return p;
    }
    return NULL;
}

bool weights_pack(struct code *c) {
    if (c->mesh || c->weights_bytes > c->options->embed_limit)
        return true; /* ranks map their pieces of a file */
    char *data = arena_alloc(c->arena, (size_t)c->weights_bytes + 1, 1);
    c->embedded = data;
    return pack_all(c, data);
}

static bool write_into(struct code *c, const char *path, int fd) {
    struct layout_of_file l = plan_file(c);
    int failed = posix_fallocate(fd, 0, l.all);
    if (failed) {
        errno = failed;
        return code_io_error(c, path);
    }
    char *file = mmap(NULL, (size_t)l.all, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (file == MAP_FAILED) return code_io_error(c, path);
    bool packed = pack_all(c, file + l.data);
    build_id_make(c);
    fill_header(c, file, &l);
    if (munmap(file, (size_t)l.all)) return code_io_error(c, path);
    return packed;
}

bool weights_write(struct code *c, const struct output *o) {
    int fd = open(o->written, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return code_io_error(c, o->path);
    bool done = write_into(c, o->path, fd);
    return close(fd) ? code_io_error(c, o->path) : done;
}
