/* Entries of kernels for a GPU.
 *
 *     .entry k0_linear(buffer 0, ..., dim 0, ..., scratch, failure, step, map 0, ...)
 *         if (failure->serial) return;
 *         entry:   what is computed once        start:  the domain's loops ...
 *
 * `thread` and `threads` of a lowering are a warp of the grid and how many there are. */
#include "backend/device.h"
#include "backend/emit_memo.h"
#include "backend/contraction.h"
#include "backend/simt.h"
#include <string.h>

enum {
    GLOBAL = 1 /* LLVM's address space for it */,
    KERNEL_CONVENTION = 71,
    WARP = 32,
    BLOCK_WARPS = 4,
    SHARING_WARPS = 8, /* of blocks whose warps share what is summed up */
    MANY_BLOCKS = 1024,
    SPLIT_BLOCKS = 255 /* about twice what a large GPU has of processors */
};

typedef LLVMValueRef V;

static LLVMTypeRef global_pointer(struct emitter *e) { return LLVMPointerTypeInContext(e->context, GLOBAL); }

V device_buffer(struct emitter *e, int number) { return LLVMGetParam(e->function, (unsigned)number); }

static int parameters_before_last(struct emitter *e) { return (int)LLVMCountParams(e->function) - e->maps_count - 3; }
static V failure_of(struct emitter *e) {
    return LLVMGetParam(e->function, (unsigned)parameters_before_last(e) + 1);
}

V device_dim(struct emitter *e, int number) {
    int dims = parameters_before_last(e) - e->buffers_count;
    if (number >= dims) ice("kernel %s has %d dims", e->kernel->name, dims);
    return LLVMGetParam(e->function, (unsigned)(e->buffers_count + number));
}

static void align_pointers(struct emitter *e) {
    unsigned kind = LLVMGetEnumAttributeKindForName("align", 5);
    LLVMAttributeRef align = LLVMCreateEnumAttribute(e->context, kind, MDL_ALIGN);
    for (unsigned i = 0; i < LLVMCountParams(e->function); i++)
        if (LLVMTypeOf(LLVMGetParam(e->function, i)) == global_pointer(e))
            LLVMAddAttributeAtIndex(e->function, i + 1, align);
}

/* Tensor maps lie in the parameters themselves, where the engine finds them. */
static void place_maps(struct emitter *e) {
    unsigned count = LLVMCountParams(e->function), align = LLVMGetEnumAttributeKindForName("align", 5),
             by_value = LLVMGetEnumAttributeKindForName("byval", 5);
    LLVMAttributeRef attributes[] = {
        LLVMCreateTypeAttribute(e->context, by_value, LLVMArrayType2(e->i8, MDL_MAP_BYTES)),
        LLVMCreateEnumAttribute(e->context, align, MDL_MAP_ALIGN),
        LLVMCreateStringAttribute(e->context, "nvvm.grid_constant", 18, "", 0)};
    for (int i = 0; i < e->maps_count; i++) {
        unsigned number = count - (unsigned)(e->maps_count - i);
        for (int k = 0; k < 3; k++) LLVMAddAttributeAtIndex(e->function, number + 1, attributes[k]);
        e->maps[i].at = LLVMGetParam(e->function, number);
    }
}

static LLVMBasicBlockRef block(struct emitter *e, const char *name) {
    return LLVMAppendBasicBlockInContext(e->context, e->function, name);
}

/* Nothing is done once a guard of the call has failed. */
static void return_if_failed(struct emitter *e) {
    LLVMBasicBlockRef check = block(e, "check"), leave = block(e, "leave");
    e->entry = block(e, "entry");
    LLVMPositionBuilderAtEnd(e->builder, check);
    V serial = LLVMBuildLoad2(e->builder, e->i64, failure_of(e), "");
    V failed = LLVMBuildICmp(e->builder, LLVMIntNE, serial, emit_i64(e, 0), "");
    LLVMBuildCondBr(e->builder, failed, leave, e->entry);
    LLVMPositionBuilderAtEnd(e->builder, leave);
    LLVMBuildRetVoid(e->builder);
    LLVMPositionBuilderAtEnd(e->builder, e->entry);
}

/* Which warp of which block this is. Its scratch's size is set when it is known. */
static void find_warp(struct emitter *e) {
    V tid = simt_register(e, "tid.x"), warps = emit_i64(e, e->block_warps);
    e->lane = LLVMBuildAnd(e->builder, tid, emit_i64(e, WARP - 1), "lane");
    e->block = simt_register(e, "ctaid.x");
    e->blocks = simt_register(e, "nctaid.x");
    /* By a shuffle the assembler knows that it is one for all lanes, and branches that depend on it need no
     * care. */
    V warp = LLVMBuildTrunc(e->builder, LLVMBuildLShr(e->builder, tid, emit_i64(e, 5), ""), e->i32, "");
    e->warp = LLVMBuildZExt(e->builder, simt_shuffle_from(e, warp, emit_i32(e, 0)), e->i64, "warp");
    e->thread = LLVMBuildAdd(e->builder, LLVMBuildMul(e->builder, e->block, warps, ""), e->warp, "");
    e->threads = LLVMBuildMul(e->builder, e->blocks, warps, "warps");
    V scratch = LLVMGetParam(e->function, (unsigned)parameters_before_last(e));
    e->scratch_of_warp = LLVMBuildMul(e->builder, e->thread, emit_i64(e, MDL_ALIGN), "");
    e->scratch = LLVMBuildGEP2(e->builder, e->i8, scratch, &e->scratch_of_warp, 1, "scratch");
    e->scratch_of_grid = LLVMBuildMul(e->builder, e->threads, emit_i64(e, MDL_ALIGN), "");
    e->parts = LLVMBuildGEP2(e->builder, e->i8, scratch, &e->scratch_of_grid, 1, "parts");
    e->joins = emit_offset(e, scratch, emit_i64(e, -(int64_t)(MDL_JOINS * sizeof(uint32_t))));
}

void device_entry_begin(struct emitter *e, const char *name, int warps, int buffers, int dims) {
    LLVMTypeRef *types = arena_new_array(e->arena, LLVMTypeRef, (size_t)(buffers + dims + 3 + e->maps_count));
    int count = 0;
    while (count < buffers) types[count++] = global_pointer(e);
    while (count < buffers + dims) types[count++] = e->i64;
    types[count++] = global_pointer(e);
    types[count++] = global_pointer(e);
    types[count++] = e->i64;
    for (int i = 0; i < e->maps_count; i++) types[count++] = e->ptr;
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(e->context), types, (unsigned)count, 0);
    e->function = LLVMAddFunction(e->module, name, type);
    e->buffers_count = buffers;
    e->block_warps = warps;
    e->shared_bytes = e->part_bytes = 0;
    LLVMSetFunctionCallConv(e->function, KERNEL_CONVENTION);
    const char *threads = arena_printf(e->arena, "%d", warps * WARP);
    LLVMAddTargetDependentFunctionAttr(e->function, "nvvm.maxntid", threads);
    /* Else ptxas spills to have more blocks on a processor, whatever that costs. */
    LLVMAddTargetDependentFunctionAttr(e->function, "nvvm.minctasm", "1");
    align_pointers(e);
    place_maps(e);
    return_if_failed(e);
    find_warp(e);
}

void device_entry_end(struct emitter *e) {
    V sizes[] = {e->scratch_of_warp, e->scratch_of_grid};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (LLVMIsAInstruction(sizes[i])) LLVMSetOperand(sizes[i], 1, emit_i64(e, e->scratch_bytes));
    LLVMBuildRetVoid(e->builder);
}

void device_fail(struct emitter *e, V condition, V value) {
    struct emit_if bad;
    emit_if_begin(e, &bad, simt_any(e, condition));
    V lanes = simt_ballot(e, condition), no = LLVMConstNull(e->i1);
    V first = emit_intrinsic(e, "llvm.cttz", &e->i32, 1, (V[]){lanes, no}, 2);
    V found = simt_shuffle_from(e, value, first);
    V at = failure_of(e), step = LLVMGetParam(e->function, (unsigned)parameters_before_last(e) + 2);
    LLVMBuildStore(e->builder, found, emit_offset(e, at, emit_i64(e, 8)));
    LLVMBuildStore(e->builder, LLVMBuildAdd(e->builder, step, emit_i64(e, 1), ""), at);
    LLVMBuildRetVoid(e->builder);
    LLVMPositionBuilderAtEnd(e->builder, block(e, "never"));
    emit_if_end(e, &bad);
}

const char *device_name(struct arena *a, const char *kernel) {
    char *name = arena_strdup(a, kernel);
    for (char *p = name; *p; p++)
        if (*p == '.') *p = '_';
    return name;
}

/* ---- how large a grid is ---- */

static const struct extent *divided_up(struct extents *x, const struct extent *n, int64_t by) {
    return n ? extent_floordiv(x, extent_add(x, n, extent_const(x, by - 1)), by) : NULL;
}

/* Elements of the dimensions but the last. */
static const struct extent *rows_of(struct extents *x, const struct type *t) {
    const struct extent *rows = extent_const(x, 1);
    for (int i = 0; i + 1 < t->rank; i++) rows = extent_mul(x, rows, t->extents[i]);
    return rows;
}

/* What the warps of the grid share: stretches of a row, or whole rows. */
static const struct extent *units_of(struct extents *x, const struct node *n) {
    const struct extent *most = extent_const(x, 1);
    int64_t chunk = kernel_reduces(n) ? 1 : SIMT_CHUNK;
    for (int i = 0; i < n->results_count; i++) {
        const struct type *t = &n->results[i]->type;
        const struct extent *units = rows_of(x, t);
        if (t->rank) units = extent_mul(x, units, divided_up(x, t->extents[t->rank - 1], chunk));
        if (units && extent_max(units) > extent_max(most)) most = units;
    }
    return most;
}

static bool has_domain(const struct node *n, enum domain d) {
    return n->op == OP_kernel && n->schedule && n->schedule->domain == d;
}

/* A block for each tile of rows and outputs of each product, and for each part of its inputs. */
static const struct extent *contract_blocks(struct code *c, const struct node *kernel) {
    const struct schedule *s = kernel->schedule;
    struct extents *x = c->graph->extents;
    const struct extent *blocks = extent_const(x, 0);
    int64_t outputs = s->block[1] > s->tile[1] ? s->block[1] : s->tile[1];
    for (const struct node *n = kernel->body->first; n; n = n->next) {
        struct contraction product;
        if (!contraction_of(c->arena, c->graph, n, &product)) continue;
        const struct type *t = &n->results[0]->type;
        const struct extent *rows = divided_up(x, rows_of(x, t), s->tile[0]);
        const struct extent *tiles = extent_mul(x, rows, divided_up(x, t->extents[t->rank - 1], outputs));
        tiles = tiles ? extent_mul(x, tiles, extent_const(x, contraction_parts(s, &product))) : NULL;
        blocks = extent_add(x, blocks, tiles);
    }
    return blocks;
}

/* A block for each tile of rows of the heads that share a key head, and some more, for parts of the keys, which
 * count where tiles are few. */
static const struct extent *attention_tiles(struct extents *x, const struct node *kernel) {
    const struct node *n = kernel->body->first;
    const struct schedule *s = kernel->schedule;
    while (op_info(n->op)->family != FAMILY_sdpa) n = n->next;
    const struct type *q = &n->operands[0]->type, *k = &n->operands[1]->type;
    int64_t heads, key_heads;
    bool known = extent_is_const(q->extents[q->rank - 2], &heads) &&
                 extent_is_const(k->extents[k->rank - 2], &key_heads) && key_heads > 0 && s->tile[0] > 0;
    if (!known) return NULL; /* which the lowering says */
    const struct extent *rows = extent_mul(x, q->extents[q->rank - 3], extent_const(x, heads / key_heads));
    const struct extent *tiles = extent_mul(x, divided_up(x, rows, s->tile[0]), extent_const(x, key_heads));
    if (q->rank == 4) tiles = extent_mul(x, tiles, q->extents[0]);
    return extent_add(x, tiles, extent_const(x, s->block[0] > 1 ? SPLIT_BLOCKS : 0));
}

const struct extent *device_blocks(struct code *c, const struct node *n) {
    struct extents *x = c->graph->extents;
    if (n->op == OP_guard) return extent_const(x, 1);
    const struct extent *blocks = has_domain(n, DOMAIN_attention) ? attention_tiles(x, n)
                                  : has_domain(n, DOMAIN_contract)
                                      ? contract_blocks(c, n)
                                      : divided_up(x, units_of(x, n), BLOCK_WARPS);
    return blocks ? blocks : extent_const(x, MANY_BLOCKS);
}

int device_warps(const struct node *n) {
    if (n->op == OP_guard) return 1;
    if (n->schedule && n->schedule->warps) return n->schedule->warps;
    return has_domain(n, DOMAIN_attention) || has_domain(n, DOMAIN_contract) ? SHARING_WARPS : BLOCK_WARPS;
}

bool device_resident(const struct node *n) {
    return has_domain(n, DOMAIN_contract) && atom_of_gpu(n->schedule->atom);
}

/* ---- images ---- */

bool device_images(struct code *c, enum artifact kind) {
    struct emitter *e = c->device;
    if (!emitter_finish(e)) return false;
    LLVMMemoryBufferRef text = emitter_code(e, true);
    size_t size = LLVMGetBufferSize(text);
    char *code = arena_alloc(c->arena, size + 1, 1);
    memcpy(code, LLVMGetBufferStart(text), size);
    code[size] = 0;
    LLVMDisposeMemoryBuffer(text);
    c->images = arena_new_array(c->arena, struct mdl_image, 2);
    c->images[c->images_count++] = (struct mdl_image){e->target->cpu, code, (int64_t)size + 1};
    bool assembled = kind == ARTIFACT_SO && c->options->assembler;
    if (assembled && !assemble(c, &c->images[0], &c->images[c->images_count++])) return false;
    return e->errors == 0;
}
