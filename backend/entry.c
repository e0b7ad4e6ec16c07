/* The functions a user calls: m_open, m_session_new, ..., m_forward(session, dims, inputs, results). They put
 * their arguments in arrays and hand them to the runtime. */
#include "backend/code.h"
#include <string.h>

typedef LLVMValueRef V;

static V declare(struct emitter *e, const char *name, LLVMTypeRef result, LLVMTypeRef *parameters,
                 int count) {
    V f = LLVMGetNamedFunction(e->module, name);
    if (f) return f;
    f = LLVMAddFunction(e->module, name, LLVMFunctionType(result, parameters, (unsigned)count, 0));
    LLVMSetVisibility(f, LLVMHiddenVisibility);
    return f;
}

static V define(struct emitter *e, const char *name, LLVMTypeRef result, LLVMTypeRef *parameters, int count) {
    V f = LLVMAddFunction(e->module, name, LLVMFunctionType(result, parameters, (unsigned)count, 0));
    LLVMPositionBuilderAtEnd(e->builder, LLVMAppendBasicBlockInContext(e->context, f, ""));
    return f;
}

static void return_value(struct emitter *e, LLVMTypeRef result, V made) {
    if (result == LLVMVoidTypeInContext(e->context))
        LLVMBuildRetVoid(e->builder);
    else
        LLVMBuildRet(e->builder, made);
}

/* m_NAME(arguments) = mdl_NAME(first, arguments), `first` only where it is given. `kinds`: a letter an
 * argument, p: pointer, n: uint64_t, i: int32_t. */
static void forward(struct code *c, const char *name, LLVMTypeRef result, V first, const char *kinds) {
    struct emitter *e = c->emitters[0];
    LLVMTypeRef types[8] = {e->ptr};
    V given[8] = {first};
    int extra = first ? 1 : 0, arguments = (int)strlen(kinds);
    for (int i = 0; i < arguments; i++)
        types[i + extra] = kinds[i] == 'n' ? e->i64 : kinds[i] == 'i' ? e->i32 : e->ptr;
    V f = define(e, arena_printf(c->arena, "%s_%s", c->graph->name, name), result, types + extra, arguments);
    V to = declare(e, arena_printf(c->arena, "mdl_%s", name), result, types, arguments + extra);
    for (int i = 0; i < arguments; i++) given[i + extra] = LLVMGetParam(f, (unsigned)i);
    return_value(
        e, result,
        LLVMBuildCall2(e->builder, LLVMGlobalGetValueType(to), to, given, (unsigned)(arguments + extra), ""));
}

static V slot(struct emitter *e, V base, int number) { return emit_offset(e, base, emit_i64(e, 8 * number)); }
static V slots(struct emitter *e, int count) {
    return LLVMBuildArrayAlloca(e->builder, e->i64, emit_i64(e, count + 1), "");
}

int given_dims(const struct function *f) {
    int given = 0;
    while (given < f->dims_count && !f->dims[given]->axis) given++;
    return given;
}

/* int m_f(m_session *, int64_t dims..., inputs (scalars by value)..., results...) */
static void emit_call(struct code *c, const struct function *f, uint32_t number) {
    struct emitter *e = c->emitters[0];
    const struct block *b = f->body;
    int given = given_dims(f), count = 1 + given + b->args_count + b->results_count, at = 0;
    LLVMTypeRef *types = arena_new_array(c->arena, LLVMTypeRef, count);
    types[at++] = e->ptr;
    for (int i = 0; i < given; i++) types[at++] = e->i64;
    for (int i = 0; i < b->args_count; i++) {
        enum dtype t = b->args[i]->type.dtype;
        bool half = t == DTYPE_F16 || t == DTYPE_BF16;
        types[at++] = b->args[i]->type.rank ? e->ptr : half ? e->i16 : emit_type(e, t);
    }
    for (int i = 0; i < b->results_count; i++) types[at++] = e->ptr;
    LLVMTypeRef i32 = e->i32;
    V made = define(e, arena_printf(c->arena, "%s_%s", c->graph->name, f->name), i32, types, count);
    V dims = slots(e, given), inputs = slots(e, b->args_count), results = slots(e, b->results_count);
    unsigned p = 1;
    for (int i = 0; i < given; i++) LLVMBuildStore(e->builder, LLVMGetParam(made, p++), slot(e, dims, i));
    for (int i = 0; i < b->args_count; i++, p++) {
        V value = LLVMGetParam(made, p);
        if (!b->args[i]->type.rank) {
            V copy = LLVMBuildAlloca(e->builder, LLVMTypeOf(value), "");
            LLVMBuildStore(e->builder, value, copy);
            value = copy;
        }
        LLVMBuildStore(e->builder, value, slot(e, inputs, i));
    }
    for (int i = 0; i < b->results_count; i++)
        LLVMBuildStore(e->builder, LLVMGetParam(made, p++), slot(e, results, i));
    LLVMTypeRef call_types[] = {e->ptr, e->i32, e->ptr, e->ptr, e->ptr};
    V call = declare(e, "mdl_call", i32, call_types, 5);
    V arguments[] = {LLVMGetParam(made, 0), emit_i32(e, (int32_t)number), dims, inputs, results};
    LLVMBuildRet(e->builder,
                 LLVMBuildCall2(e->builder, LLVMGlobalGetValueType(call), call, arguments, 5, ""));
}

bool function_has_shape(const struct function *f) {
    for (int i = 0; i < f->body->results_count; i++)
        for (int j = 0; j < f->body->results[i]->type.rank; j++)
            if (!extent_is_const(f->body->results[i]->type.extents[j], NULL)) return true;
    return false;
}

/* void m_f_shape(int64_t dims..., int64_t *shape0 [rank], ...): NULL where a result's shape is not wanted.
 * Shapes are the same for all ranks, so any coordinates will do. */
static void emit_shape(struct code *c, const struct function *f) {
    struct emitter *e = c->emitters[0];
    const struct block *b = f->body;
    int given = given_dims(f), count = given + b->results_count;
    LLVMTypeRef *types = arena_new_array(c->arena, LLVMTypeRef, count + 1);
    for (int i = 0; i < count; i++) types[i] = i < given ? e->i64 : e->ptr;
    e->function = define(e, arena_printf(c->arena, "%s_%s_shape", c->graph->name, f->name),
                         LLVMVoidTypeInContext(e->context), types, count);
    e->dims = slots(e, f->dims_count);
    e->owner = f;
    for (int i = 0; i < f->dims_count; i++) {
        V units = i < given ? LLVMBuildSDiv(e->builder, LLVMGetParam(e->function, (unsigned)i),
                                            emit_i64(e, f->dims[i]->unit), "")
                            : emit_i64(e, 0);
        LLVMBuildStore(e->builder, units, slot(e, e->dims, i));
    }
    e->memo = NULL;
    emit_scope_begin(e);
    for (int i = 0; i < b->results_count; i++) {
        struct emit_if wanted;
        V to = LLVMGetParam(e->function, (unsigned)(given + i));
        emit_if_begin(e, &wanted, LLVMBuildIsNotNull(e->builder, to, ""));
        for (int j = 0; j < b->results[i]->type.rank; j++)
            LLVMBuildStore(e->builder, emit_extent_here(e, b->results[i]->type.extents[j]), slot(e, to, j));
        emit_if_end(e, &wanted);
    }
    LLVMBuildRetVoid(e->builder);
}

void entry_emit(struct code *c, LLVMValueRef descriptor) {
    struct emitter *e = c->emitters[0];
    LLVMTypeRef nothing = LLVMVoidTypeInContext(e->context);
    forward(c, "open", e->i32, descriptor, "ppp");
    forward(c, "session_new", e->i32, NULL, "pp");
    forward(c, "session_reset", e->i32, NULL, "p");
    forward(c, "session_free", nothing, NULL, "p");
    forward(c, "session_save", e->i32, NULL, "pppn");
    forward(c, "session_load", e->i32, NULL, "pppnp");
    forward(c, "error", e->ptr, NULL, "p");
    forward(c, "close", nothing, NULL, "p");
    if (c->mesh) {
        forward(c, "comm_threads", e->i32, NULL, "ip");
        forward(c, "comm_open", e->i32, NULL, "ppnp");
        forward(c, "comm_nccl", e->i32, NULL, "ppnp");
        forward(c, "comm_close", nothing, NULL, "p");
    }
    uint32_t number = 0;
    for (const struct function *f = c->graph->functions; f; f = f->next) {
        if (!f->exported || is_variant_of_earlier(c->graph, f)) continue;
        const struct function *general = general_variant(c->graph, f->name);
        emit_call(c, general, number++);
        if (function_has_shape(general)) emit_shape(c, general);
    }
}
