/* Emulated kernels: void k.warp(buffers, dims, struct mdl_warp *), a struct mdl_emulated of it, and i32
 * k(buffers, dims, scratch, thread, threads), which has the runtime run a grid of it. */
#include "backend/emulate.h"
#include "backend/emit_memo.h"
#include <stddef.h>
#include <string.h>

typedef LLVMValueRef V;

static V field(struct emitter *e, LLVMTypeRef type, size_t offset) {
    return LLVMBuildLoad2(e->builder, type,
                          emit_offset(e, LLVMGetParam(e->function, 2), emit_i64(e, (int64_t)offset)), "");
}

static V declare(struct emitter *e, const char *name, LLVMTypeRef *types, unsigned count) {
    V f = LLVMGetNamedFunction(e->module, name);
    if (f) return f;
    f = LLVMAddFunction(e->module, name,
                        LLVMFunctionType(LLVMVoidTypeInContext(e->context), types, count, 0));
    LLVMSetVisibility(f, LLVMHiddenVisibility);
    return f;
}

static void call(struct emitter *e, V f, V *arguments, unsigned count) {
    LLVMBuildCall2(e->builder, LLVMGlobalGetValueType(f), f, arguments, count, "");
}

void emulate_warp_begin(struct emitter *e, const char *name, int warps) {
    LLVMTypeRef types[] = {e->ptr, e->ptr, e->ptr};
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(e->context), types, 3, 0);
    e->function = LLVMAddFunction(e->module, arena_printf(e->arena, "%s.warp", name), type);
    LLVMSetLinkage(e->function, LLVMInternalLinkage);
    e->buffers = LLVMGetParam(e->function, 0);
    e->dims = LLVMGetParam(e->function, 1);
    e->block_warps = warps;
    e->shared_bytes = e->part_bytes = 0;
    e->entry = LLVMAppendBasicBlockInContext(e->context, e->function, "entry");
    LLVMPositionBuilderAtEnd(e->builder, e->entry);
    e->block = field(e, e->i64, offsetof(struct mdl_warp, block));
    e->blocks = field(e, e->i64, offsetof(struct mdl_warp, blocks));
    e->warp = field(e, e->i64, offsetof(struct mdl_warp, warp));
    e->shared = field(e, e->ptr, offsetof(struct mdl_warp, shared));
    e->scratch = field(e, e->ptr, offsetof(struct mdl_warp, scratch));
    e->parts = field(e, e->ptr, offsetof(struct mdl_warp, parts));
    e->joins = field(e, e->ptr, offsetof(struct mdl_warp, joins));
    V all = emit_i64(e, warps);
    e->thread = LLVMBuildAdd(e->builder, LLVMBuildMul(e->builder, e->block, all, ""), e->warp, "");
    e->threads = LLVMBuildMul(e->builder, e->blocks, all, "");
}

/* The struct mdl_emulated of `warp`. */
static V description(struct emitter *e, V warp, const char *name) {
    V text = LLVMBuildGlobalString(e->builder, name, "");
    V fields[] = {warp,
                  text,
                  emit_i64(e, e->block_warps),
                  emit_i64(e, e->shared_bytes),
                  emit_i64(e, e->scratch_bytes),
                  emit_i64(e, e->part_bytes)};
    V constant = LLVMConstStructInContext(e->context, fields, 6, 0);
    V made = LLVMAddGlobal(e->module, LLVMTypeOf(constant), arena_printf(e->arena, "%s.emulated", name));
    LLVMSetInitializer(made, constant);
    LLVMSetGlobalConstant(made, 1);
    LLVMSetLinkage(made, LLVMInternalLinkage);
    return made;
}

void emulate_warp_end(struct emitter *e, const char *name) {
    LLVMBuildRetVoid(e->builder);
    V warp = e->function;
    LLVMSetCurrentDebugLocation2(e->builder, NULL);
    e->function = LLVMAddFunction(e->module, name, kernel_type(e));
    LLVMSetVisibility(e->function, LLVMHiddenVisibility);
    LLVMPositionBuilderAtEnd(e->builder, LLVMAppendBasicBlockInContext(e->context, e->function, ""));
    LLVMTypeRef types[] = {e->ptr, e->ptr, e->ptr, e->i64, e->i64};
    V arguments[] = {description(e, warp, name), LLVMGetParam(e->function, 0), LLVMGetParam(e->function, 1),
                     LLVMGetParam(e->function, 3), LLVMGetParam(e->function, 4)};
    call(e, declare(e, "mdl_emulate", types, 5), arguments, 5);
    LLVMBuildRet(e->builder, emit_i32(e, 0));
}

void emulate_barrier(struct emitter *e) {
    V warp = LLVMGetParam(e->function, 2);
    call(e, declare(e, "mdl_emulate_barrier", &e->ptr, 1), &warp, 1);
}

/* The runtime's product of the atom's inputs. */
static const char *product_name(struct emitter *e, const char *unit, enum atom atom) {
    static const char *const inputs[DTYPE_COUNT] = {
        [DTYPE_BF16] = "bf16", [DTYPE_F16] = "f16", [DTYPE_F32] = "tf32", [DTYPE_I8] = "int8"};
    return arena_printf(e->arena, "mdl_emulate_%s_%s", unit, inputs[atom_info(atom)->a]);
}

/* Number `i` of an array of vectors. */
static V place_in(struct emitter *e, LLVMTypeRef type, V array, unsigned i) {
    return emit_offset(e, array, emit_i64(e, (int64_t)LLVMABISizeOfType(e->layout, type) * i));
}

/* Registers of all lanes in memory: an array of vectors; `registers` NULL: room for them. */
static V spill(struct emitter *e, LLVMTypeRef type, const V *registers, unsigned count) {
    LLVMBasicBlockRef back = emit_entry_begin(e);
    V array = LLVMBuildAlloca(e->builder, LLVMArrayType2(type, count), "");
    emit_entry_end(e, back);
    for (unsigned i = 0; i < count && registers; i++)
        LLVMBuildStore(e->builder, registers[i], place_in(e, type, array, i));
    return array;
}

static void reload(struct emitter *e, LLVMTypeRef type, V array, V *registers, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        registers[i] = LLVMBuildLoad2(e->builder, type, place_in(e, type, array, i), "");
}

/* Conditions as bytes; NULL: all true. */
static V spill_mask(struct emitter *e, V mask, int lanes) {
    if (!mask) mask = LLVMConstAllOnes(emit_vector(e, e->i1, lanes));
    LLVMTypeRef bytes = emit_vector(e, e->i8, lanes);
    V wide = LLVMBuildZExt(e->builder, mask, bytes, "");
    return spill(e, bytes, &wide, 1);
}

static void access_by_lanes(struct emitter *e, const char *name, V pointers, V mask, V memory, LLVMTypeRef element) {
    LLVMTypeRef types[] = {e->ptr, e->ptr, e->ptr, e->i64, e->i64};
    int lanes = emit_lanes_of(pointers);
    V arguments[] = {spill(e, LLVMTypeOf(pointers), &pointers, 1), spill_mask(e, mask, lanes), memory,
                     emit_i64(e, (int64_t)LLVMABISizeOfType(e->layout, element)), emit_i64(e, lanes)};
    call(e, declare(e, name, types, 5), arguments, 5);
}

V emulate_load(struct emitter *e, LLVMTypeRef element, V pointers, V mask) {
    LLVMTypeRef type = emit_vector(e, element, emit_lanes_of(pointers));
    V memory = spill(e, type, NULL, 1);
    access_by_lanes(e, "mdl_emulate_load", pointers, mask, memory, element);
    return LLVMBuildLoad2(e->builder, type, memory, "");
}

void emulate_store(struct emitter *e, V value, V pointers, V mask) {
    V memory = spill(e, LLVMTypeOf(value), &value, 1);
    access_by_lanes(e, "mdl_emulate_store", pointers, mask, memory, emit_element(LLVMTypeOf(value)));
}

void emulate_mma(struct emitter *e, enum atom atom, const V *a, const V *b, V *sums) {
    LLVMTypeRef words = emit_vector(e, e->i32, e->lanes), type = LLVMTypeOf(sums[0]);
    LLVMTypeRef types[] = {e->ptr, e->ptr, e->ptr};
    V arrays[] = {spill(e, words, a, 4), spill(e, words, b, 2), spill(e, type, sums, 4)};
    call(e, declare(e, product_name(e, "mma", atom), types, 3), arrays, 3);
    reload(e, type, arrays[2], sums, 4);
}

V emulate_dot4(struct emitter *e, V w, V x, V sum) {
    LLVMTypeRef type = LLVMTypeOf(sum), types[] = {e->ptr, e->ptr, e->ptr};
    V arrays[] = {spill(e, LLVMTypeOf(w), &w, 1), spill(e, LLVMTypeOf(x), &x, 1), spill(e, type, &sum, 1)};
    call(e, declare(e, "mdl_emulate_dot4", types, 3), arrays, 3);
    return LLVMBuildLoad2(e->builder, type, arrays[2], "");
}

/* A product of two operands in columns, and what its unit takes besides. */
static void multiply_columns(struct emitter *e, const char *unit, enum atom atom, int outputs, const struct simt_columns *a,
                             const struct simt_columns *b, V last) {
    LLVMTypeRef types[] = {e->ptr, e->ptr, e->i64, e->ptr, e->i64, e->i64, LLVMTypeOf(last)};
    V arguments[] = {LLVMGetParam(e->function, 2),
                     emit_offset(e, a->base, a->bytes),
                     emit_i64(e, a->pitch),
                     emit_offset(e, b->base, b->bytes),
                     emit_i64(e, b->pitch),
                     emit_i64(e, outputs),
                     last};
    call(e, declare(e, product_name(e, unit, atom), types, 7), arguments, 7);
}

void emulate_wgmma(struct emitter *e, enum atom atom, int outputs, const struct simt_columns *a, const struct simt_columns *b,
                   V *sums) {
    LLVMTypeRef type = LLVMTypeOf(sums[0]);
    V array = spill(e, type, sums, (unsigned)outputs / 2);
    multiply_columns(e, "wgmma", atom, outputs, a, b, array);
    reload(e, type, array, sums, (unsigned)outputs / 2);
}

void emulate_wgmma_registers(struct emitter *e, enum atom atom, int outputs, const V a[4],
                             const struct simt_columns *b, bool transposed, V *sums) {
    LLVMTypeRef type = LLVMTypeOf(sums[0]), words = emit_vector(e, e->i32, e->lanes);
    LLVMTypeRef types[] = {e->ptr, e->ptr, e->ptr, e->i64, e->i64, e->i32, e->ptr};
    V arguments[] = {LLVMGetParam(e->function, 2),
                     spill(e, words, a, 4),
                     emit_offset(e, b->base, b->bytes),
                     emit_i64(e, b->pitch),
                     emit_i64(e, outputs),
                     emit_i32(e, transposed),
                     spill(e, type, sums, (unsigned)outputs / 2)};
    call(e, declare(e, product_name(e, "wgmma_registers", atom), types, 7), arguments, 7);
    reload(e, type, arguments[6], sums, (unsigned)outputs / 2);
}

void emulate_tcgen05(struct emitter *e, enum atom atom, int outputs, const struct simt_columns *a, const struct simt_columns *b, V adds) {
    multiply_columns(e, "tcgen05", atom, outputs, a, b, LLVMBuildZExt(e->builder, adds, e->i32, ""));
}

void emulate_tensor(struct emitter *e, const char *name) {
    V warp = LLVMGetParam(e->function, 2);
    call(e, declare(e, name, &e->ptr, 1), &warp, 1);
}

void emulate_tensor_load(struct emitter *e, V column, V words[TENSOR_LOAD]) {
    LLVMTypeRef type = emit_vector(e, e->i32, e->lanes), types[] = {e->ptr, e->i64, e->i64, e->ptr};
    V arguments[] = {LLVMGetParam(e->function, 2), column, emit_i64(e, TENSOR_LOAD), spill(e, type, NULL, TENSOR_LOAD)};
    call(e, declare(e, "mdl_emulate_tensor_load", types, 4), arguments, 4);
    reload(e, type, arguments[3], words, TENSOR_LOAD);
}

void emulate_copy(struct emitter *e, V to, V from, V exists) {
    LLVMTypeRef types[] = {e->ptr, e->ptr, e->ptr, e->ptr};
    V arguments[] = {LLVMGetParam(e->function, 2), spill(e, LLVMTypeOf(to), &to, 1),
                     spill(e, LLVMTypeOf(from), &from, 1), spill_mask(e, exists, e->lanes)};
    call(e, declare(e, "mdl_emulate_copy", types, 4), arguments, 4);
}

void emulate_commit(struct emitter *e, const char *of) {
    V warp = LLVMGetParam(e->function, 2);
    call(e, declare(e, arena_printf(e->arena, "mdl_emulate_%s_commit", of), &e->ptr, 1), &warp, 1);
}

void emulate_wait(struct emitter *e, const char *of, int pending) {
    LLVMTypeRef types[] = {e->ptr, e->i32};
    V arguments[] = {LLVMGetParam(e->function, 2), emit_i32(e, pending)};
    call(e, declare(e, arena_printf(e->arena, "mdl_emulate_%s_wait", of), types, 2), arguments, 2);
}

void emulate_copy_bulk(struct emitter *e, V to, V from, V bytes, V barrier) {
    LLVMTypeRef types[] = {e->ptr, e->ptr, e->ptr, e->i32, e->ptr};
    V arguments[] = {LLVMGetParam(e->function, 2), to, from, bytes, barrier};
    call(e, declare(e, "mdl_emulate_copy_bulk", types, 5), arguments, 5);
}

/* Its struct mdl_box, whose fields are all of 8 bytes. */
void emulate_copy_box(struct emitter *e, const struct operand_map *m, const V *first, V to, V barrier) {
    V fields[3 + 3 * MDL_MAP_DIMS];
    int count = 0;
    fields[count++] = LLVMBuildPtrToInt(e->builder, e->operands[m->buffer].base, e->i64, "");
    fields[count++] = emit_i64(e, dtype_bytes(m->dtype));
    fields[count++] = emit_i64(e, m->rank);
    for (int i = 0; i < MDL_MAP_DIMS; i++)
        fields[count++] = i < m->rank ? emit_extent(e, m->extents[i]) : emit_i64(e, 1);
    for (int i = 0; i < MDL_MAP_DIMS; i++) fields[count++] = emit_i64(e, i < m->rank ? m->box[i] : 1);
    for (int i = 0; i < MDL_MAP_DIMS; i++) fields[count++] = i < m->rank ? first[i] : emit_i64(e, 0);
    LLVMTypeRef types[] = {e->ptr, e->ptr, e->ptr, e->ptr};
    V arguments[] = {LLVMGetParam(e->function, 2), to, spill(e, e->i64, fields, (unsigned)count), barrier};
    call(e, declare(e, "mdl_emulate_copy_box", types, 4), arguments, 4);
}

void emulate_mbarrier(struct emitter *e, const char *name, V barrier, V argument) {
    LLVMTypeRef types[] = {e->ptr, e->ptr, e->i32};
    V arguments[] = {LLVMGetParam(e->function, 2), barrier, argument};
    call(e, declare(e, name, types, 3), arguments, 3);
}

V emulate_instruction(struct emitter *e, const char *name, LLVMTypeRef result, const V *arguments, int count) {
    enum { MOST = 8 };
    static const char intrinsic[] = "llvm.";
    LLVMTypeRef types[MOST];
    V given[MOST];
    unsigned n = 0;
    bool vector = LLVMGetTypeKind(result) == LLVMVectorTypeKind;
    char *function = arena_printf(e->arena, "mdl_%s", name + strlen(intrinsic));
    for (char *dot = function; (dot = strchr(dot, '.'));) *dot = '_';
    if (vector) given[n++] = spill(e, result, NULL, 1);
    if (count >= MOST) ice("%s has %d arguments", name, count);
    for (int i = 0; i < count; i++) {
        LLVMTypeRef t = LLVMTypeOf(arguments[i]);
        given[n++] = LLVMGetTypeKind(t) == LLVMVectorTypeKind ? spill(e, t, &arguments[i], 1) : arguments[i];
    }
    for (unsigned i = 0; i < n; i++) types[i] = LLVMTypeOf(given[i]);
    call(e, declare(e, function, types, n), given, n);
    return vector ? LLVMBuildLoad2(e->builder, result, given[0], "") : NULL;
}
