/* The model's tables (runtime/abi.h) as constants of the module: each structure field by field. */
#include "backend/device.h"
#include "backend/steps.h"
#include <string.h>

_Static_assert(sizeof(struct mdl_ref) == 24 && sizeof(struct mdl_step) == 56 &&
                   sizeof(struct mdl_variant) == 40,
               "as below");
_Static_assert(sizeof(struct mdl_tensor) == 40 && sizeof(struct mdl_dim) == 40 &&
                   sizeof(struct mdl_function) == 64,
               "as below");
_Static_assert(sizeof(struct mdl_state) == 32 && sizeof(struct mdl_descriptor) == 248, "as below");
_Static_assert((int)MDL_BOOL == (int)DTYPE_BOOL && (int)MDL_F64 == (int)DTYPE_F64,
               "the ABI's element types are the graph's");

typedef LLVMValueRef V;
enum { MESH_FIELDS = 12 };

static V u16(struct emitter *e, uint16_t value) { return LLVMConstInt(e->i16, value, 0); }
static V u32(struct emitter *e, uint32_t value) { return LLVMConstInt(e->i32, value, 0); }
static V i64(struct emitter *e, int64_t value) { return emit_i64(e, value); }

static V private_global(struct emitter *e, V initial, const char *name) {
    V global = LLVMAddGlobal(e->module, LLVMTypeOf(initial), name);
    LLVMSetInitializer(global, initial);
    LLVMSetGlobalConstant(global, 1);
    LLVMSetLinkage(global, LLVMPrivateLinkage);
    return global;
}

static V text(struct emitter *e, const char *s) {
    if (!s) return LLVMConstNull(e->ptr);
    V global = private_global(e, LLVMConstStringInContext2(e->context, s, strlen(s), 0), "text");
    LLVMSetUnnamedAddress(global, LLVMGlobalUnnamedAddr);
    return global;
}

static V record(struct emitter *e, V *fields, int count) {
    return LLVMConstStructInContext(e->context, fields, (unsigned)count, 0);
}
#define RECORD(e, ...) record(e, (V[]){__VA_ARGS__}, (int)(sizeof((V[]){__VA_ARGS__}) / sizeof(V)))

/* A pointer to `count` equal records, NULL for none. */
static V array(struct emitter *e, V *items, int count, const char *name) {
    if (!count) return LLVMConstNull(e->ptr);
    return private_global(e, LLVMConstArray2(LLVMTypeOf(items[0]), items, (uint64_t)count), name);
}

static V ref_record(struct emitter *e, const struct mdl_ref *r) {
    return RECORD(e, u16(e, r->space), u16(e, r->loop), u32(e, r->index), i64(e, r->offset),
                  i64(e, r->stride));
}

static V step_record(struct emitter *e, const struct mdl_step *s) {
    return RECORD(e, u32(e, s->kind), u32(e, s->barrier), u32(e, s->kernel), u32(e, s->first_ref),
                  u32(e, s->refs), u32(e, s->loop), u32(e, s->count), u32(e, s->line), u32(e, s->column),
                  u32(e, s->flops), u32(e, s->bytes), u32(e, s->blocks), text(e, s->name));
}

/* The dims that a version was made for, or NULL for the one that takes any. */
static V fixed_dims(struct tables *t, const struct function *f) {
    struct emitter *e = t->code->emitters[0];
    if (!f->fixed) return LLVMConstNull(e->ptr);
    V *values = arena_new_array(t->code->arena, V, f->dims_count + 1);
    for (int i = 0; i < f->dims_count; i++) values[i] = i64(e, f->fixed[f->dims[i]->id]);
    return array(e, values, f->dims_count, "fixed");
}

static V variant_record(struct tables *t, const struct function *f) {
    struct emitter *e = t->code->emitters[0];
    struct steps s = steps_of(t, f);
    V *items = arena_new_array(t->code->arena, V, s.count + 1);
    for (int i = 0; i < s.count; i++) items[i] = step_record(e, &s.at[i]);
    return RECORD(e, fixed_dims(t, f), array(e, items, s.count, "steps"), u32(e, (uint32_t)s.count),
                  u32(e, s.loops), i64(e, s.arena), i64(e, s.scratch));
}

/* The dim that a whole extent is, as callers count it. */
static int32_t dim_number(const struct tables *t, const struct function *f, const struct extent *whole) {
    struct extents *x = t->code->graph->extents;
    for (int i = 0; i < f->dims_count; i++)
        if (extent_mul(x, extent_const(x, f->dims[i]->unit), extent_dim(x, f->dims[i])) == whole) return i;
    return -1;
}

static V split_record(struct emitter *e, const struct dim_sharding *d) {
    V axes[MAX_DIM_AXES];
    for (int i = 0; i < MAX_DIM_AXES; i++) axes[i] = u32(e, i < d->count ? d->axes[i] : 0);
    return RECORD(e, u32(e, (uint32_t)d->count), LLVMConstArray2(e->i32, axes, MAX_DIM_AXES));
}

static V tensor_record(struct tables *t, const struct function *f, const char *name, const struct type *type,
                       const struct sharding *s) {
    struct emitter *e = t->code->emitters[0];
    struct extents *x = t->code->graph->extents;
    V extents[MAX_RANK + 1], dims[MAX_RANK + 1], splits[MAX_RANK + 1];
    for (int i = 0; i < type->rank; i++) {
        const struct extent *whole = extent_mul(x, type->extents[i], extent_const(x, sharding_pieces(s, i)));
        extents[i] = u32(e, tables_extent(t, f, type->extents[i]));
        dims[i] = emit_i32(e, dim_number(t, f, whole));
        if (s) splits[i] = split_record(e, &s->dims[i]);
    }
    return RECORD(e, text(e, name), u32(e, (uint32_t)type->dtype), u32(e, (uint32_t)type->rank),
                  array(e, extents, type->rank, "extents"), array(e, dims, type->rank, "dims"),
                  s ? array(e, splits, type->rank, "splits") : LLVMConstNull(e->ptr));
}

static V tensors(struct tables *t, const struct function *f, struct value *const *values, int count,
                 bool results) {
    V *items = arena_new_array(t->code->arena, V, count + 1);
    for (int i = 0; i < count; i++) {
        const char *name = results ? arena_printf(t->code->arena, "%d", i) : values[i]->name;
        const struct sharding *s = !results              ? values[i]->sharding
                                   : f->result_shardings ? f->result_shardings[i]
                                                         : NULL;
        items[i] =
            tensor_record(t, f, name ? name : arena_printf(t->code->arena, "x%d", i), &values[i]->type, s);
    }
    return array(t->code->emitters[0], items, count, results ? "results" : "inputs");
}

bool is_variant_of_earlier(const struct graph *g, const struct function *f) {
    for (const struct function *o = g->functions; o != f; o = o->next)
        if (o->exported && !strcmp(o->name, f->name)) return true;
    return false;
}

/* Whether a version is for one choice of dims that callers pass; coordinates are nobody's choice. */
static bool is_special(const struct function *f) {
    for (int i = 0; f->fixed && i < f->dims_count; i++)
        if (!f->dims[i]->axis && f->fixed[f->dims[i]->id] >= 0) return true;
    return false;
}

/* Callers see the version for any dims: its types name them. */
const struct function *general_variant(const struct graph *g, const char *name) {
    const struct function *found = NULL;
    for (const struct function *f = g->functions; f; f = f->next)
        if (f->exported && !strcmp(f->name, name) && (!found || !is_special(f))) found = f;
    return found;
}

static V variants(struct tables *t, const char *name, int *count) {
    V *items = NULL;
    int capacity = 0;
    const struct graph *g = t->code->graph;
    for (int any = 0; any < 2; any++)
        for (const struct function *f = g->functions; f; f = f->next)
            if (f->exported && !strcmp(f->name, name) && any == !is_special(f))
                arena_push(t->code->arena, items, *count, capacity, variant_record(t, f));
    return array(t->code->emitters[0], items, *count, "variants");
}

static int32_t axis_number(const struct mesh *m, const struct dim *d) {
    for (int i = 0; m && i < m->axes_count; i++)
        if (m->axes[i].coordinate == d) return i;
    return -1;
}

static V function_record(struct tables *t, const struct function *named) {
    struct code *c = t->code;
    struct emitter *e = c->emitters[0];
    const struct function *f = general_variant(t->code->graph, named->name);
    const struct block *b = f->body;
    V *dims = arena_new_array(t->code->arena, V, f->dims_count + 1);
    for (int i = 0; i < f->dims_count; i++)
        dims[i] = RECORD(e, text(e, f->dims[i]->name), i64(e, f->dims[i]->min), i64(e, f->dims[i]->max),
                         i64(e, f->dims[i]->unit), emit_i32(e, axis_number(c->mesh, f->dims[i])), u32(e, 0));
    int count = 0;
    V versions = variants(t, f->name, &count);
    return RECORD(e, text(e, f->name), array(e, dims, f->dims_count, "dims"),
                  tensors(t, f, b->args, b->args_count, false),
                  tensors(t, f, b->results, b->results_count, true), versions,
                  u32(e, (uint32_t)f->dims_count), u32(e, (uint32_t)b->args_count),
                  u32(e, (uint32_t)b->results_count), u32(e, (uint32_t)count),
                  u32(e, (uint32_t)given_dims(f)), u32(e, 0));
}

static V functions(struct tables *t, int *count) {
    V *items = NULL;
    int capacity = 0;
    for (const struct function *f = t->code->graph->functions; f; f = f->next)
        if (f->exported && !is_variant_of_earlier(t->code->graph, f))
            arena_push(t->code->arena, items, *count, capacity, function_record(t, f));
    return array(t->code->emitters[0], items, *count, "functions");
}

static bool is_zeros(const struct init *i) { return i->kind == INIT_FILL && i->a == 0; }

static V states(struct tables *t, int *count) {
    struct code *c = t->code;
    struct emitter *e = c->emitters[0];
    V *items = NULL;
    int capacity = 0;
    for (const struct global *g = c->graph->globals; g; g = g->next) {
        for (int64_t i = 0; g->kind == GLOBAL_STATE && i < global_elements(g); i++) {
            int64_t bytes = home_bytes(g),
                    initial = is_zeros(&g->init) ? -1 : weight_of_global(c, g, i)->offset;
            V item = RECORD(e, text(e, global_element_name(c->arena, g, i)),
                            i64(e, c->state_offsets[g->id] + i * bytes), i64(e, bytes), i64(e, initial));
            arena_push(c->arena, items, *count, capacity, item);
        }
    }
    return array(e, items, *count, "states");
}

/* int64_t extent(uint32_t index, const int64_t *dims): a case for each. */
static V extent_function(struct tables *t) {
    struct emitter *e = t->code->emitters[0];
    LLVMTypeRef parameters[] = {e->i32, e->ptr};
    e->function = LLVMAddFunction(e->module, "extent", LLVMFunctionType(e->i64, parameters, 2, 0));
    LLVMSetLinkage(e->function, LLVMInternalLinkage);
    LLVMBasicBlockRef start = LLVMAppendBasicBlockInContext(e->context, e->function, "");
    LLVMBasicBlockRef none = LLVMAppendBasicBlockInContext(e->context, e->function, "none");
    LLVMPositionBuilderAtEnd(e->builder, start);
    V choice = LLVMBuildSwitch(e->builder, LLVMGetParam(e->function, 0), none, (unsigned)t->extents_count);
    e->dims = LLVMGetParam(e->function, 1);
    for (int i = 0; i < t->extents_count; i++) {
        LLVMBasicBlockRef here = LLVMAppendBasicBlockInContext(e->context, e->function, "");
        LLVMAddCase(choice, u32(e, (uint32_t)i), here);
        LLVMPositionBuilderAtEnd(e->builder, here);
        e->owner = t->extents[i].function;
        LLVMBuildRet(e->builder, emit_extent_here(e, t->extents[i].extent));
    }
    LLVMPositionBuilderAtEnd(e->builder, none);
    LLVMBuildRet(e->builder, i64(e, 0));
    return e->function;
}

static V kernel_table(struct code *c) {
    struct emitter *e = c->emitters[0];
    V *items = arena_new_array(c->arena, V, c->kernels_count + 1);
    for (const struct kernel_code *k = c->kernels; k; k = k->next) {
        V f = LLVMGetNamedFunction(e->module, k->name);
        if (!f) f = LLVMAddFunction(e->module, k->name, kernel_type(e));
        LLVMSetVisibility(f, LLVMHiddenVisibility);
        items[k->number] = f;
    }
    return array(e, items, c->kernels_count, "kernels");
}

static V ref_table(const struct tables *t) {
    struct code *c = t->code;
    V *items = arena_new_array(c->arena, V, t->refs_count + 1);
    for (int i = 0; i < t->refs_count; i++) items[i] = ref_record(c->emitters[0], &t->refs[i]);
    return array(c->emitters[0], items, t->refs_count, "refs");
}

static V embedded_weights(struct code *c) {
    struct emitter *e = c->emitters[0];
    return c->embedded ? emit_table(e, c->embedded, (size_t)c->weights_bytes) : LLVMConstNull(e->ptr);
}

/* ---- Ranks ---- */

uint32_t tables_group(struct tables *t, const struct rank_group *group) {
    for (int i = 0; i < t->groups_count; i++)
        if (t->groups[i].count == group->count &&
            !memcmp(t->groups[i].axes, group->axes, (size_t)group->count))
            return (uint32_t)i;
    arena_push(t->code->arena, t->groups, t->groups_count, t->groups_capacity, *group);
    return (uint32_t)t->groups_count - 1;
}

static V axis_table(struct emitter *e, const struct mesh *m) {
    V items[MAX_MESH_AXES];
    for (int i = 0; i < m->axes_count; i++)
        items[i] = RECORD(e, text(e, m->axes[i].name), i64(e, m->axes[i].size));
    return array(e, items, m->axes_count, "axes");
}

static V group_table(struct tables *t) {
    struct emitter *e = t->code->emitters[0];
    V *items = arena_new_array(t->code->arena, V, t->groups_count + 1);
    for (int i = 0; i < t->groups_count; i++) {
        V axes[MDL_MAX_AXES];
        for (int k = 0; k < MDL_MAX_AXES; k++)
            axes[k] = u32(e, k < t->groups[i].count ? t->groups[i].axes[k] : 0);
        items[i] =
            RECORD(e, u32(e, (uint32_t)t->groups[i].count), LLVMConstArray2(e->i32, axes, MDL_MAX_AXES));
    }
    return array(e, items, t->groups_count, "groups");
}

static V collective_record(struct tables *t, const struct collective_entry *x) {
    struct emitter *e = t->code->emitters[0];
    V *elements = arena_new_array(t->code->arena, V, x->tensors + 1);
    V *peers = arena_new_array(t->code->arena, V, x->peers_count + 1);
    for (int i = 0; i < x->tensors; i++) elements[i] = u32(e, x->elements[i]);
    for (int i = 0; i < x->peers_count; i++) peers[i] = emit_i32(e, x->peers[i]);
    return RECORD(e, u32(e, x->kind), u32(e, x->group), u32(e, x->dtype), u32(e, x->reduction),
                  u32(e, (uint32_t)x->tensors), u32(e, 0), array(e, elements, x->tensors, "elements"),
                  array(e, peers, x->peers_count, "peers"));
}

static V collective_table(struct tables *t) {
    V *items = arena_new_array(t->code->arena, V, t->collectives_count + 1);
    for (int i = 0; i < t->collectives_count; i++) items[i] = collective_record(t, &t->collectives[i]);
    return array(t->code->emitters[0], items, t->collectives_count, "collectives");
}

/* Those with anything in them. */
static V section_table(struct code *c, int *count) {
    struct emitter *e = c->emitters[0];
    V *items = arena_new_array(c->arena, V, c->sections_count + 1);
    for (int i = 0; i < c->sections_count; i++) {
        const struct section *s = &c->sections[i];
        if (!s->bytes) continue;
        V strides[MDL_MAX_AXES], only[MDL_MAX_AXES];
        for (int k = 0; k < MDL_MAX_AXES; k++) {
            strides[k] = i64(e, k < c->mesh->axes_count ? section_stride(c, s, k) : 0);
            only[k] = i64(e, (int64_t)s->only[k]);
        }
        items[(*count)++] = RECORD(e, i64(e, s->image), i64(e, s->bytes), i64(e, s->file),
                                   LLVMConstArray2(e->i64, strides, MDL_MAX_AXES),
                                   LLVMConstArray2(e->i64, only, MDL_MAX_AXES));
    }
    return array(e, items, *count, "sections");
}

static V external(struct emitter *e, const char *name) {
    V global = LLVMAddGlobal(e->module, e->i8, name);
    LLVMSetVisibility(global, LLVMHiddenVisibility);
    return global;
}

/* The descriptor's last fields; zeros where there is no mesh. */
static void mesh_fields(struct tables *t, V fields[MESH_FIELDS]) {
    struct code *c = t->code;
    struct emitter *e = c->emitters[0];
    const struct mesh *m = c->mesh;
    V none = LLVMConstNull(e->ptr);
    int sections = 0;
    fields[0] = text(e, m ? m->name : NULL);
    fields[1] = m ? axis_table(e, m) : none;
    fields[2] = m ? group_table(t) : none;
    fields[3] = m ? collective_table(t) : none;
    fields[4] = m ? section_table(c, &sections) : none;
    fields[5] = u32(e, m ? (uint32_t)m->axes_count : 0);
    fields[6] = u32(e, (uint32_t)t->groups_count);
    fields[7] = u32(e, (uint32_t)t->collectives_count);
    fields[8] = u32(e, (uint32_t)sections);
    fields[9] = u32(e, m ? (uint32_t)m->first_rank : 0);
    fields[10] = u32(e, 0);
    fields[11] = m ? external(e, "mdl_distributed") : none;
}

static V map_table(struct tables *t, const struct kernel_code *k) {
    struct emitter *e = t->code->emitters[0];
    V *items = arena_new_array(t->code->arena, V, (size_t)k->maps_count + 1);
    for (int i = 0; i < k->maps_count; i++) {
        const struct operand_map *m = &k->maps[i];
        V extents[MDL_MAP_DIMS], box[MDL_MAP_DIMS];
        for (int d = 0; d < MDL_MAP_DIMS; d++) {
            extents[d] = u32(e, d < m->rank ? tables_extent(t, k->function, m->extents[d]) : 0);
            box[d] = u32(e, d < m->rank ? (uint32_t)m->box[d] : 0);
        }
        items[i] = RECORD(e, u32(e, (uint32_t)m->buffer), u32(e, (uint32_t)m->dtype),
                          u32(e, (uint32_t)m->rank), LLVMConstArray2(e->i32, extents, MDL_MAP_DIMS),
                          LLVMConstArray2(e->i32, box, MDL_MAP_DIMS));
    }
    return array(e, items, k->maps_count, "maps");
}

/* How the kernels run on the device, and the images that they are in. */
static V device_table(struct tables *t) {
    struct code *c = t->code;
    struct emitter *e = c->emitters[0];
    V *launches = arena_new_array(c->arena, V, (size_t)c->kernels_count + 1), *images;
    for (const struct kernel_code *k = c->kernels; k; k = k->next)
        launches[k->number] =
            RECORD(e, text(e, device_name(c->arena, k->name)), u32(e, 32 * (uint32_t)k->warps),
                   u32(e, (uint32_t)k->shared), u32(e, MOST_BLOCKS), u32(e, (uint32_t)k->part),
                   i64(e, k->scratch), map_table(t, k), u32(e, (uint32_t)k->maps_count), u32(e, k->resident));
    images = arena_new_array(c->arena, V, (size_t)c->images_count + 1);
    for (int i = 0; i < c->images_count; i++) {
        V bytes = LLVMConstStringInContext2(e->context, c->images[i].code, (size_t)c->images[i].bytes, 1);
        images[i] = RECORD(e, text(e, c->images[i].arch), private_global(e, bytes, "image"),
                           i64(e, c->images[i].bytes));
    }
    V all =
        RECORD(e, text(e, "cuda"), external(e, "mdl_cuda"), array(e, launches, c->kernels_count, "launches"),
               array(e, images, c->images_count, "images"), u32(e, (uint32_t)c->images_count), u32(e, 0));
    return private_global(e, all, "device");
}

static V descriptor_record(struct tables *t, V function_table, int functions_count, V state_table,
                           int states_count) {
    struct code *c = t->code;
    struct emitter *e = c->emitters[0];
    V id[32], m[MESH_FIELDS];
    mesh_fields(t, m);
    for (int i = 0; i < 32; i++) id[i] = LLVMConstInt(e->i8, c->build_id[i], 0);
    V none = LLVMConstNull(e->ptr), device = c->device ? device_table(t) : none;
    return RECORD(e, u32(e, MDL_ABI_VERSION), u32(e, (uint32_t)functions_count),
                  u32(e, (uint32_t)states_count), u32(e, (uint32_t)c->kernels_count), text(e, c->graph->name),
                  text(e, c->source), text(e, c->graph->target->cpu),
                  text(e, target_needs(c->arena, e->target)), LLVMConstArray2(e->i8, id, 32), function_table,
                  state_table, c->device ? none : kernel_table(c), ref_table(t), extent_function(t),
                  i64(e, c->state_bytes), embedded_weights(c), i64(e, c->weights_bytes),
                  external(e, "mdl_api"), m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7], m[8], m[9], m[10],
                  m[11], device, c->next ? external(e, descriptor_name((struct code *)c->next)) : none,
                  text(e, weights_suffix(c)));
}

bool tables_emit(struct code *c, enum artifact kind) {
    struct emitter *e = c->emitters[0];
    struct tables t = {.code = c};
    int functions_count = 0, states_count = 0, errors = c->graph->diag->errors;
    V function_table = functions(&t, &functions_count), state_table = states(&t, &states_count);
    if (c->graph->diag->errors != errors || (c->device && !device_images(c, kind))) return false;
    V initial = descriptor_record(&t, function_table, functions_count, state_table, states_count);
    V descriptor = LLVMAddGlobal(e->module, LLVMTypeOf(initial), descriptor_name(c));
    LLVMSetInitializer(descriptor, initial);
    LLVMSetGlobalConstant(descriptor, 1);
    if (c->number) return LLVMSetVisibility(descriptor, LLVMHiddenVisibility), true;
    const char *named = arena_printf(c->arena, "%s_descriptor", c->graph->name);
    LLVMAddAlias2(e->module, LLVMTypeOf(initial), 0, descriptor, named);
    entry_emit(c, descriptor);
    return true;
}
