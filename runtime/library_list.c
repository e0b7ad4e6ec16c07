/* mdl-run --list: what a library holds. */
#include "runtime/elements.h"
#include "runtime/library_ranks.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The dims all at their least, or all at their most. */
static void set_dims(const struct mdl_function *f, int64_t *dims, bool most) {
    for (uint32_t i = 0; i < f->dims_count; i++) dims[i] = most ? f->dims[i].max : f->dims[i].min;
}

struct bounds {
    int64_t *least, *most; /* [dims] */
};

/* A dim's name; a number; for an expression over dims, its range. */
static void print_extent(const struct library *l, const struct mdl_function *f, const struct mdl_tensor *t,
                         uint32_t d, const struct bounds *b) {
    int64_t pieces = ranks_pieces(l->descriptor, t, d),
            low = pieces * l->descriptor->extent(t->extents[d], b->least),
            high = pieces * l->descriptor->extent(t->extents[d], b->most);
    if (t->dims[d] >= 0 && f->dims[t->dims[d]].unit == pieces)
        printf("%s", f->dims[t->dims[d]].name);
    else if (low == high)
        printf("%" PRId64, low);
    else
        printf("%" PRId64 "..%" PRId64, low, high);
}

/* " @m([data, tensor], _)" */
static void print_splits(const struct mdl_descriptor *d, const struct mdl_tensor *t) {
    if (!t->splits || !t->rank) return;
    printf(" @%s(", d->mesh);
    for (uint32_t i = 0; i < t->rank; i++) {
        const struct mdl_split *s = &t->splits[i];
        printf("%s%s", i ? ", " : "", !s->count ? "_" : s->count > 1 ? "[" : "");
        for (uint32_t j = 0; j < s->count; j++) printf("%s%s", j ? ", " : "", d->axes[s->axes[j]].name);
        if (s->count > 1) printf("]");
    }
    printf(")");
}

static void print_type(const struct library *l, const struct mdl_function *f, const struct mdl_tensor *t,
                       const struct bounds *b) {
    printf("%s", element_types[t->dtype].name);
    for (uint32_t d = 0; d < t->rank; d++) {
        printf(d ? ", " : "[");
        print_extent(l, f, t, d, b);
    }
    if (t->rank) printf("]");
    print_splits(l->descriptor, t);
}

static void print_signature(const struct library *l, const struct mdl_function *f, const struct bounds *b) {
    printf("fn %s(", f->name);
    for (uint32_t i = 0; i < f->inputs_count; i++) {
        printf("%s%s: ", i ? ", " : "", f->inputs[i].name);
        print_type(l, f, &f->inputs[i], b);
    }
    printf(")%s", f->results_count ? " -> " : "");
    for (uint32_t i = 0; i < f->results_count; i++) {
        printf("%s", i ? ", " : "");
        print_type(l, f, &f->results[i], b);
    }
    printf("\n");
    for (uint32_t i = 0; i < f->given_dims; i++) {
        const struct mdl_dim *d = &f->dims[i];
        printf("    dim %s in %" PRId64 "..%" PRId64, d->name, d->min * d->unit, d->max * d->unit);
        if (d->unit > 1) printf(", a multiple of %" PRId64, d->unit);
        printf("\n");
    }
}

/* A GPU's scratch depends on how many blocks a call's dims give a step. */
static void print_variant(const struct library *l, const struct mdl_function *f,
                          const struct mdl_variant *v) {
    printf("    ");
    bool any = false;
    for (uint32_t i = 0; v->dims && i < f->dims_count; i++) {
        if (v->dims[i] < 0) continue;
        printf("%s%s = %" PRId64, any ? ", " : "for ", f->dims[i].name, v->dims[i]);
        any = true;
    }
    printf("%s: %u steps, arena %" PRId64 " bytes", any ? "" : "for any dims", v->steps_count,
           v->arena_bytes);
    if (!l->descriptor->device) printf(", scratch %" PRId64 " bytes a thread", v->scratch_bytes);
    printf("\n");
}

static void print_function(const struct library *l, const struct mdl_function *f) {
    struct bounds b = {calloc((size_t)f->dims_count + 1, sizeof(int64_t)),
                       calloc((size_t)f->dims_count + 1, sizeof(int64_t))};
    if (b.least && b.most) {
        set_dims(f, b.least, false);
        set_dims(f, b.most, true);
        print_signature(l, f, &b);
        for (uint32_t i = 0; i < f->variants_count; i++) print_variant(l, f, &f->variants[i]);
    }
    free(b.least);
    free(b.most);
}

/* "device cuda: 12 kernels, for sm_80 (PTX), sm_90a (cubin)" */
static void print_device(const struct mdl_descriptor *d) {
    if (!d->device) return;
    printf("device %s: %u kernels, for", d->device->kind, d->kernels_count);
    for (uint32_t i = 0; i < d->device->images_count; i++) {
        const struct mdl_image *image = &d->device->images[i];
        bool cubin = image->bytes >= 4 && !memcmp(image->code, "\177ELF", 4);
        printf("%s %s (%s)", i ? "," : "", image->arch, cubin ? "cubin" : "PTX");
    }
    printf("\n");
}

static void print_mesh(const struct mdl_descriptor *d) {
    if (!d->mesh) return;
    printf("mesh %s = <", d->mesh);
    for (uint32_t i = 0; i < d->axes_count; i++)
        printf("%s%s=%" PRId64, i ? ", " : "", d->axes[i].name, d->axes[i].size);
    printf(">, %u collectives\n", d->collectives_count);
}

void library_list(const struct library *l) {
    const struct mdl_descriptor *d = l->descriptor;
    printf("model %s from %s, for %s%s%s\n", d->name, d->source, d->target, *d->features ? ": " : "",
           d->features);
    print_device(d);
    for (const struct mdl_descriptor *o = d->other; o; o = o->other) {
        printf("also for %s\n", o->target);
        print_device(o);
    }
    print_mesh(d);
    printf("weights: %" PRId64 " bytes%s\n", d->weights_bytes, d->embedded_weights ? ", embedded" : "");
    for (uint32_t i = 0; i < d->states_count; i++)
        printf("state %s: %" PRId64 " bytes%s\n", d->states[i].name, d->states[i].bytes,
               d->states[i].initial < 0 ? "" : ", with initial values");
    for (uint32_t i = 0; i < d->functions_count; i++) print_function(l, &d->functions[i]);
}
