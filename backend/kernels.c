/* Every kernel once: looks it up by its key, or makes its function and has its domain fill it.
 *
 *     define hidden i32 @k0.linear(ptr %buffers, ptr %dims, ptr %scratch, i64 %thread, i64 %threads) {
 *     entry:  what is computed once: base pointers, extents        start:  the domain's loops ...  ret i32 0
 */
#include "backend/device.h"
#include "backend/emulate.h"
#include "backend/emit_memo.h"
#include "backend/kernel_key.h"
#include "backend/simt_operand.h"
#include <string.h>

static lower_function *const lower[DOMAIN_COUNT] = {
#define DOMAIN_LOWER(name, meaning) [DOMAIN_##name] = lower_##name,
    DOMAINS(DOMAIN_LOWER)
#undef DOMAIN_LOWER
};

/* On a GPU; what it has no schedule of its own for is made element by element. */
static lower_function *const lower_simt[DOMAIN_COUNT] = {
    [DOMAIN_loops] = lower_loops,     [DOMAIN_rows] = lower_rows,
    [DOMAIN_contract] = lower_contract,  [DOMAIN_attention] = lower_simt_attention,
    [DOMAIN_ordered] = lower_ordered,
};

static uint64_t hash_text(const char *text) {
    uint64_t h = 0xcbf29ce484222325u;
    for (; *text; text++) h = (h ^ (unsigned char)*text) * 0x100000001b3u;
    return h;
}

/* The op that a kernel is named after: its contraction or attention, else its first reduction, else its last
 * op. */
static const struct node *main_op(const struct node *kernel) {
    static const enum op_family order[] = {
        FAMILY_sdpa,           FAMILY_linear, FAMILY_matmul, FAMILY_einsum, FAMILY_qlinear, FAMILY_conv,
        FAMILY_conv_transpose, FAMILY_pool,   FAMILY_sort,   FAMILY_topk,   FAMILY_reduce};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        for (const struct node *n = kernel->body->first; n; n = n->next)
            if (op_info(n->op)->family == order[i]) return n;
    return kernel->body->last;
}

static bool is_taken(const struct code *c, const char *name) {
    for (const struct kernel_code *k = c->kernels; k; k = k->next)
        if (!strcmp(k->name, name)) return true;
    return false;
}

static const char *name_of(struct code *c, const struct node *n) {
    const struct node *op = n->op == OP_kernel ? main_op(n) : NULL;
    const char *name = n->op == OP_guard ? "guard"
                                         : arena_printf(c->arena, "%s.%s", n->name ? n->name : "k",
                                                        op ? op_info(op->op)->name : "copy");
    const char *wanted = name;
    for (int i = 1; is_taken(c, name); i++) name = arena_printf(c->arena, "%s.%d", wanted, i);
    return name;
}

LLVMTypeRef kernel_type(struct emitter *e) {
    LLVMTypeRef parameters[] = {e->ptr, e->ptr, e->ptr, e->i64, e->i64};
    return LLVMFunctionType(e->i32, parameters, 5, 0);
}

static void add_attribute(struct emitter *e, LLVMAttributeIndex at, const char *name) {
    unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    if (!kind) ice("LLVM has no attribute %s", name);
    LLVMAddAttributeAtIndex(e->function, at, LLVMCreateEnumAttribute(e->context, kind, 0));
}

static void begin_debug(struct emitter *e, const char *name, struct loc loc) {
    LLVMMetadataRef type = LLVMDIBuilderCreateSubroutineType(e->debug, e->debug_file, NULL, 0, 0);
    unsigned line = loc.line > 0 ? (unsigned)loc.line : 0;
    e->debug_scope = LLVMDIBuilderCreateFunction(e->debug, e->debug_file, name, strlen(name), name,
                                                 strlen(name), e->debug_file, line, type, 0, 1, line, 0, 0);
    LLVMSetSubprogram(e->function, e->debug_scope);
    emit_location(e, loc);
}

static void begin_host_function(struct emitter *e, const char *name) {
    e->function = LLVMAddFunction(e->module, name, kernel_type(e));
    LLVMSetVisibility(e->function, LLVMHiddenVisibility);
    add_attribute(e, LLVMAttributeFunctionIndex, "nounwind");
    for (unsigned i = 1; i <= 3; i++) add_attribute(e, i, "noalias");
    LLVMValueRef *parameters[] = {&e->buffers, &e->dims, &e->scratch, &e->thread, &e->threads};
    for (unsigned i = 0; i < 5; i++) *parameters[i] = LLVMGetParam(e->function, i);
    e->entry = LLVMAppendBasicBlockInContext(e->context, e->function, "entry");
    LLVMPositionBuilderAtEnd(e->builder, e->entry);
}

/* Guards stay what they are on a processor. */
static bool is_emulated(const struct emitter *e, const struct node *n) {
    return target_emulates_gpu(e->target) && n->op == OP_kernel;
}

static void begin_function(struct emitter *e, const char *name, const struct function *f,
                           const struct node *n) {
    if (e->threaded)
        device_entry_begin(e, device_name(e->arena, name), device_warps(n),
                           n->operands_count + n->results_count, f->dims_count);
    else if (is_emulated(e, n))
        emulate_warp_begin(e, name, device_warps(n));
    else
        begin_host_function(e, name);
    begin_debug(e, name, n->loc);
    emit_body_begin(e);
    e->bindings = NULL;
    e->ropes = NULL;
    e->scratch_bytes = 0;
    e->extents = NULL;
    e->extents_count = 0;
}

static void end_function(struct emitter *e, const char *name, const struct node *n) {
    if (e->threaded)
        device_entry_end(e);
    else if (is_emulated(e, n))
        emulate_warp_end(e, name);
    else
        LLVMBuildRet(e->builder, emit_i32(e, 0));
    e->debug_scope = NULL;
    LLVMSetCurrentDebugLocation2(e->builder, NULL);
}

static LLVMValueRef base_of(struct emitter *e, int number) {
    if (e->threaded) return device_buffer(e, number);
    LLVMBasicBlockRef back = emit_entry_begin(e);
    LLVMValueRef at = emit_offset(e, e->buffers, emit_i64(e, 8 * number));
    LLVMValueRef base = LLVMBuildLoad2(e->builder, e->ptr, at, "");
    emit_entry_end(e, back);
    return base;
}

/* But for its base. */
static struct buffer buffer_of(struct code *c, const struct function *f, const struct value *v) {
    struct home h = home_of(c, f, v);
    struct buffer b = {.type = v->type, .layout = v->layout};
    if (h.global) {
        b.layout = h.global->layout;
        b.format = h.global->store;
        b.stored = true;
    }
    return b;
}

static bool is_overwritten(const struct node *n, int operand) {
    for (int i = 0; i < n->results_count; i++)
        if (n->results[i]->place.in_place == operand + 1) return true;
    return false;
}

/* Positions in tensors, and shares of them, in 32 bits. */
static bool is_narrow(struct graph *g, const struct node *kernel) {
    for (const struct node *n = kernel->body->first; n; n = n->next)
        for (int i = 0; i < n->operands_count + n->results_count; i++) {
            const struct value *v =
                i < n->operands_count ? n->operands[i] : n->results[i - n->operands_count];
            const struct extent *elements = v ? type_elements(g->extents, &v->type) : NULL;
            if (v && (!elements || extent_max(elements) >= INT32_MAX / 2)) return false;
        }
    return true;
}

/* What is known before its function is begun. */
static void describe_kernel(struct code *c, struct emitter *e, const struct function *f, const struct node *n) {
    if (n->operands_count + n->results_count > MAX_BUFFERS)
        ice("kernel %s has more than %d buffers", n->name, MAX_BUFFERS);
    for (int i = 0; i < n->operands_count; i++) {
        e->operands[i] = buffer_of(c, f, n->operands[i]);
        e->operands[i].constant = n->op == OP_kernel && !is_overwritten(n, i);
    }
    for (int i = 0; i < n->results_count; i++) e->results[i] = buffer_of(c, f, n->results[i]);
    e->kernel = n;
    e->owner = f;
    e->narrow = n->op == OP_kernel && e->threaded && is_narrow(c->graph, n);
    e->maps = NULL;
    e->maps_count = e->maps_capacity = 0;
    if (n->op == OP_kernel) mma_plan_boxes(e);
}

static void lower_kernel(struct emitter *e, const struct node *n) {
    for (int i = 0; i < n->operands_count; i++) e->operands[i].base = base_of(e, i);
    for (int i = 0; i < n->results_count; i++) e->results[i].base = base_of(e, n->operands_count + i);
    (e->target->simt ? lower_simt : lower)[n->schedule ? n->schedule->domain : DOMAIN_loops](e);
}

/* Lanes whose value is outside of the guard's range. */
static LLVMValueRef is_outside(struct emitter *e, const struct node *n, LLVMValueRef v) {
    int lanes = emit_lanes_of(v);
    LLVMValueRef lo = emit_splat(e, emit_extent(e, node_attr(n, "lo")->e), lanes);
    LLVMValueRef hi = emit_splat(e, emit_extent(e, node_attr(n, "hi")->e), lanes);
    return LLVMBuildOr(e->builder, LLVMBuildICmp(e->builder, LLVMIntSLT, v, lo, ""),
                       LLVMBuildICmp(e->builder, LLVMIntSGE, v, hi, ""), "");
}

struct guarded {
    const struct node *n;
    struct buffer b;
};

static void check_columns(struct emitter *e, void *data, const struct index *at, int lanes,
                          LLVMValueRef tail) {
    const struct guarded *g = data;
    struct point p = {.rank = g->b.type.rank, .lanes = lanes, .mask = tail, .tail = tail};
    point_unflatten(e, &g->b.type, *at, &p, 0, p.rank);
    LLVMValueRef v = emit_cast(e, g->b.type.dtype, DTYPE_I64, emit_load(e, &g->b, &p));
    LLVMValueRef bad = is_outside(e, g->n, v);
    if (e->threaded) {
        device_fail(e, tail ? LLVMBuildAnd(e->builder, bad, tail, "") : bad, v);
        return;
    }
    struct emit_if fails;
    emit_if_begin(e, &fails, bad);
    LLVMBuildStore(e->builder, v, e->scratch);
    LLVMBuildRet(e->builder, emit_i32(e, 1));
    LLVMPositionBuilderAtEnd(e->builder, LLVMAppendBasicBlockInContext(e->context, e->function, "never"));
    emit_if_end(e, &fails);
}

/* Fails on the first of this thread's elements that is outside lo..hi. A GPU has one warp look at all. */
static void lower_guard(struct emitter *e, const struct node *n) {
    struct guarded g = {n, e->operands[0]};
    g.b.base = base_of(e, 0);
    LLVMValueRef count = emit_i64(e, 1);
    for (int i = 0; i < g.b.type.rank; i++) count = emit_mul(e, count, emit_extent(e, g.b.type.extents[i]));
    struct stretch s = {.begin = emit_i64(e, 0), .end = count, .align = 1, .end_align = 1, .lanes = 1};
    if (e->threaded)
        s.lanes = s.align = e->lanes;
    else
        emit_split(e, count, 16, &s.begin, &s.end);
    emit_columns(e, &s, check_columns, &g);
}

static struct kernel_code *compile(struct code *c, const struct function *f, const struct node *n,
                                   const char *key, uint64_t hash) {
    struct kernel_code *k = arena_new_object(c->arena, struct kernel_code);
    struct emitter *e = c->device ? c->device : c->emitters[c->kernels_count % c->emitters_count];
    *k = (struct kernel_code){.key = key, .hash = hash, .name = name_of(c, n), .number = c->kernels_count++};
    describe_kernel(c, e, f, n);
    begin_function(e, k->name, f, n);
    if (n->op == OP_guard)
        lower_guard(e, n);
    else
        lower_kernel(e, n);
    end_function(e, k->name, n);
    k->scratch = e->scratch_bytes > 64 ? e->scratch_bytes : 64; /* a guard's value */
    k->warps = device_warps(n);
    k->shared = e->shared_bytes;
    k->part = e->part_bytes;
    k->maps = e->maps;
    k->maps_count = e->maps_count;
    k->resident = device_resident(n);
    k->function = f;
    *c->kernels_end = k;
    c->kernels_end = &k->next;
    return k;
}

const struct kernel_code *kernel_of(struct code *c, const struct function *f, const struct node *n) {
    const char *key = kernel_key(c, f, n);
    if (c->device) key = arena_printf(c->arena, "%s %d dims", key, f->dims_count); /* they are parameters */
    uint64_t hash = hash_text(key);
    for (const struct kernel_code *k = c->kernels; k; k = k->next)
        if (k->hash == hash && !strcmp(k->key, key)) return k;
    return compile(c, f, n, key, hash);
}
