/* The emitter's ground: an LLVM context with one module, types, constants, intrinsics, and the module's end
 * (verified, tidied, turned into code). */
#include "backend/emulate.h"
#include <llvm-c/Analysis.h>
#include <llvm-c/Error.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <pthread.h>
#include <string.h>

enum { DEVICE_GLOBAL = 1 /* LLVM's address space for a GPU's memory */ };
enum { DIRECTIVES_ONLY = 3 /* of DICompileUnit::DebugEmissionKind; the C API leaves it out */ };

static pthread_mutex_t report = PTHREAD_MUTEX_INITIALIZER;

void emit_error(struct emitter *e, struct loc loc, const char *format, ...) {
    va_list args;
    pthread_mutex_lock(&report);
    va_start(args, format);
    diag_error(e->graph->diag, loc, "%s", arena_vprintf(e->arena, format, args));
    va_end(args);
    e->errors++;
    pthread_mutex_unlock(&report);
}

/* What LLVM's back end has to say; its errors come only here, and emission reports success all the same. */
static void on_diagnostic(LLVMDiagnosticInfoRef info, void *data) {
    struct emitter *e = data;
    if (LLVMGetDiagInfoSeverity(info) != LLVMDSError) return;
    char *text = LLVMGetDiagInfoDescription(info);
    emit_error(e, (struct loc){0}, "LLVM: %s", text);
    LLVMDisposeMessage(text);
}

static void make_types(struct emitter *e) {
    e->f64 = LLVMDoubleTypeInContext(e->context);
    e->f32 = LLVMFloatTypeInContext(e->context);
    e->f16 = LLVMHalfTypeInContext(e->context);
    e->bf16 = LLVMBFloatTypeInContext(e->context);
    e->i64 = LLVMInt64TypeInContext(e->context);
    e->i32 = LLVMInt32TypeInContext(e->context);
    e->i16 = LLVMInt16TypeInContext(e->context);
    e->i8 = LLVMInt8TypeInContext(e->context);
    e->i1 = LLVMInt1TypeInContext(e->context);
    e->ptr = LLVMPointerTypeInContext(e->context, 0);
}

static void initialize_targets(void) {
    LLVMInitializeAllTargetInfos();
    LLVMInitializeAllTargets();
    LLVMInitializeAllTargetMCs();
    LLVMInitializeAllAsmPrinters();
    LLVMInitializeAllAsmParsers();
}

/* Emulated code is large, since a warp's vector is several of this machine's, and runs for milliseconds: what
 * costs is its compilation. */
static LLVMTargetMachineRef machine_new(const struct target *t, int opt_level) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, initialize_targets);
    LLVMTargetRef target;
    char *message = NULL, *triple = LLVMNormalizeTargetTriple(t->triple);
    if (LLVMGetTargetFromTriple(triple, &target, &message))
        ice("no code generator for %s: %s", t->triple, message);
    if (target_emulates_gpu(t)) opt_level = 0;
    LLVMCodeGenOptLevel level = opt_level <= 0   ? LLVMCodeGenLevelNone
                                : opt_level >= 3 ? LLVMCodeGenLevelAggressive
                                                 : LLVMCodeGenLevelLess;
    LLVMTargetMachineRef machine =
        LLVMCreateTargetMachine(target, triple, t->cpu, t->features, level, LLVMRelocPIC, LLVMCodeModelSmall);
    LLVMDisposeMessage(triple);
    return machine;
}

static void begin_debug(struct emitter *e, const char *path) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t folder = slash ? (size_t)(slash - path) : 0;
    /* With any other kind of tables, LLVM's PTX says "debug", and ptxas does not optimise it. */
    LLVMDWARFEmissionKind lines = e->threaded ? (LLVMDWARFEmissionKind)DIRECTIVES_ONLY : LLVMDWARFEmissionLineTablesOnly;
    e->debug = LLVMCreateDIBuilder(e->module);
    e->debug_file =
        LLVMDIBuilderCreateFile(e->debug, name, strlen(name), folder ? path : ".", folder ? folder : 1);
    e->debug_unit =
        LLVMDIBuilderCreateCompileUnit(e->debug, LLVMDWARFSourceLanguageC11, e->debug_file, "mdlc", 4, 0, "",
                                       0, 0, "", 0, lines, 0, 0, 0, "", 0, "", 0);
    LLVMValueRef version = LLVMConstInt(e->i32, 3, 0), dwarf = LLVMConstInt(e->i32, 5, 0);
    LLVMAddModuleFlag(e->module, LLVMModuleFlagBehaviorWarning, "Debug Info Version", 18,
                      LLVMValueAsMetadata(version));
    LLVMAddModuleFlag(e->module, LLVMModuleFlagBehaviorWarning, "Dwarf Version", 13,
                      LLVMValueAsMetadata(dwarf));
}

struct emitter *emitter_new(struct graph *g, const struct target *t, const char *name, const char *source,
                            int opt_level) {
    struct arena *a = arena_new();
    struct emitter *e = arena_new_object(a, struct emitter);
    *e = (struct emitter){.arena = a, .graph = g, .target = t, .lanes = t->vector_bytes / 4};
    e->threaded = target_is_gpu(t);
    e->context = LLVMContextCreate();
    LLVMContextSetDiagnosticHandler(e->context, on_diagnostic, e);
    e->module = LLVMModuleCreateWithNameInContext(name, e->context);
    LLVMSetSourceFileName(e->module, source, strlen(source));
    e->builder = LLVMCreateBuilderInContext(e->context);
    e->machine = machine_new(t, opt_level);
    e->layout = LLVMCreateTargetDataLayout(e->machine);
    char *triple = LLVMGetTargetMachineTriple(e->machine);
    LLVMSetTarget(e->module, triple);
    LLVMDisposeMessage(triple);
    LLVMSetModuleDataLayout(e->module, e->layout);
    make_types(e);
    begin_debug(e, source);
    return e;
}

bool emitter_finish(struct emitter *e) {
    LLVMDIBuilderFinalize(e->debug);
    char *message = NULL;
    if (LLVMVerifyModule(e->module, LLVMReturnStatusAction, &message)) {
        fputs(message, stderr);
        ice("the code made for model '%s' is malformed", e->graph->name);
    }
    LLVMDisposeMessage(message);
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMErrorRef error = LLVMRunPasses(e->module, "function(early-cse,dce)", e->machine, options);
    LLVMDisposePassBuilderOptions(options);
    if (error) ice("LLVM: %s", LLVMGetErrorMessage(error));
    return e->errors == 0;
}

static LLVMMemoryBufferRef code_of(LLVMTargetMachineRef machine, LLVMModuleRef module, LLVMCodeGenFileType type) {
    LLVMMemoryBufferRef code = NULL;
    char *message = NULL;
    if (LLVMTargetMachineEmitToMemoryBuffer(machine, module, type, &message, &code)) ice("LLVM: %s", message);
    return code;
}

LLVMMemoryBufferRef emitter_code(struct emitter *e, bool assembly) {
    return code_of(e->machine, e->module, assembly ? LLVMAssemblyFile : LLVMObjectFile);
}

void emitter_release(struct emitter *e) {
    LLVMDisposeDIBuilder(e->debug);
    LLVMDisposeBuilder(e->builder);
    LLVMDisposeTargetData(e->layout);
    LLVMDisposeTargetMachine(e->machine);
    LLVMDisposeModule(e->module);
    LLVMContextDispose(e->context);
    arena_release(e->arena);
}

LLVMTypeRef emit_type(struct emitter *e, enum dtype t) {
    const LLVMTypeRef types[DTYPE_COUNT] = {
        [DTYPE_F64] = e->f64, [DTYPE_F32] = e->f32, [DTYPE_F16] = e->f16, [DTYPE_BF16] = e->i16,
        [DTYPE_I64] = e->i64, [DTYPE_I32] = e->i32, [DTYPE_I16] = e->i16, [DTYPE_I8] = e->i8,
        [DTYPE_U8] = e->i8,   [DTYPE_BOOL] = e->i8};
    return types[t];
}

LLVMTypeRef emit_compute_type(struct emitter *e, enum dtype t) {
    const LLVMTypeRef types[DTYPE_COUNT] = {
        [DTYPE_F64] = e->f64, [DTYPE_F32] = e->f32, [DTYPE_F16] = e->f32, [DTYPE_BF16] = e->f32,
        [DTYPE_I64] = e->i64, [DTYPE_I32] = e->i32, [DTYPE_I16] = e->i32, [DTYPE_I8] = e->i32,
        [DTYPE_U8] = e->i32,  [DTYPE_BOOL] = e->i1};
    return types[t];
}

LLVMTypeRef emit_vector(struct emitter *e, LLVMTypeRef scalar, int lanes) {
    return lanes > 1 && !e->threaded ? LLVMVectorType(scalar, (unsigned)lanes) : scalar;
}

LLVMValueRef emit_i64(struct emitter *e, int64_t value) { return LLVMConstInt(e->i64, (uint64_t)value, 1); }
LLVMValueRef emit_i32(struct emitter *e, int32_t value) {
    return LLVMConstInt(e->i32, (uint64_t)(int64_t)value, 1);
}
LLVMValueRef emit_f32(struct emitter *e, double value) { return LLVMConstReal(e->f32, value); }

LLVMTypeRef emit_element(LLVMTypeRef t) {
    return LLVMGetTypeKind(t) == LLVMVectorTypeKind ? LLVMGetElementType(t) : t;
}
int emit_lanes_of(LLVMValueRef v) {
    LLVMTypeRef t = LLVMTypeOf(v);
    return LLVMGetTypeKind(t) == LLVMVectorTypeKind ? (int)LLVMGetVectorSize(t) : 1;
}
bool emit_is_float(LLVMTypeRef t) { return LLVMGetTypeKind(emit_element(t)) != LLVMIntegerTypeKind; }

LLVMValueRef emit_constant_like(LLVMTypeRef like, double value) {
    LLVMTypeRef scalar = emit_element(like);
    LLVMValueRef c = emit_is_float(like) ? LLVMConstReal(scalar, value)
                                         : LLVMConstInt(scalar, (uint64_t)(int64_t)value, 1);
    if (scalar == like) return c;
    LLVMValueRef all[MAX_LANES];
    unsigned lanes = LLVMGetVectorSize(like);
    for (unsigned i = 0; i < lanes; i++) all[i] = c;
    return LLVMConstVector(all, lanes);
}

LLVMValueRef emit_splat(struct emitter *e, LLVMValueRef scalar, int lanes) {
    if (lanes <= 1 || e->threaded || emit_lanes_of(scalar) > 1) return scalar;
    LLVMTypeRef type = emit_vector(e, LLVMTypeOf(scalar), lanes);
    if (LLVMIsConstant(scalar)) {
        LLVMValueRef all[MAX_LANES];
        for (int i = 0; i < lanes; i++) all[i] = scalar;
        return LLVMConstVector(all, (unsigned)lanes);
    }
    LLVMValueRef one = LLVMBuildInsertElement(e->builder, LLVMGetPoison(type), scalar, emit_i64(e, 0), "");
    return LLVMBuildShuffleVector(e->builder, one, LLVMGetPoison(type),
                                  LLVMConstNull(emit_vector(e, e->i32, lanes)), "");
}

LLVMValueRef emit_table(struct emitter *e, const void *bytes, size_t size) {
    for (struct emit_table *t = e->tables; t; t = t->next)
        if (t->size == size && !memcmp(t->bytes, bytes, size)) return t->global;
    struct emit_table *t = arena_new_object(e->arena, struct emit_table);
    char *copy = arena_alloc(e->arena, size, 1);
    memcpy(copy, bytes, size);
    LLVMValueRef data = LLVMConstStringInContext2(e->context, copy, size, 1);
    LLVMValueRef global = LLVMAddGlobalInAddressSpace(e->module, LLVMTypeOf(data), "table", e->threaded ? DEVICE_GLOBAL : 0);
    LLVMSetInitializer(global, data);
    LLVMSetGlobalConstant(global, 1);
    LLVMSetLinkage(global, LLVMPrivateLinkage);
    LLVMSetAlignment(global, 64);
    *t = (struct emit_table){copy, size, global, e->tables};
    e->tables = t;
    return global;
}

LLVMValueRef emit_intrinsic(struct emitter *e, const char *name, LLVMTypeRef *overloads, int overloads_count,
                            LLVMValueRef *arguments, int count) {
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    if (!id) ice("LLVM has no intrinsic %s", name);
    LLVMTypeRef type = LLVMIntrinsicGetType(e->context, id, overloads, (size_t)overloads_count);
    if (e->target->emulated && !strncmp(name, "llvm.x86.", 9))
        return emulate_instruction(e, name, LLVMGetReturnType(type), arguments, count);
    LLVMValueRef f = LLVMGetIntrinsicDeclaration(e->module, id, overloads, (size_t)overloads_count);
    return LLVMBuildCall2(e->builder, type, f, arguments, (unsigned)count, "");
}

LLVMValueRef emit_unary(struct emitter *e, const char *name, LLVMValueRef a) {
    return emit_intrinsic(e, name, (LLVMTypeRef[]){LLVMTypeOf(a)}, 1, &a, 1);
}
LLVMValueRef emit_binary(struct emitter *e, const char *name, LLVMValueRef a, LLVMValueRef b) {
    return emit_intrinsic(e, name, (LLVMTypeRef[]){LLVMTypeOf(a)}, 1, (LLVMValueRef[]){a, b}, 2);
}

/* Without the instruction, a fused multiply-add would be a call of libm's for each lane. */
LLVMValueRef emit_fma(struct emitter *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c) {
    if (!e->target->fma) return LLVMBuildFAdd(e->builder, LLVMBuildFMul(e->builder, a, b, ""), c, "");
    return emit_intrinsic(e, "llvm.fma", (LLVMTypeRef[]){LLVMTypeOf(a)}, 1, (LLVMValueRef[]){a, b, c}, 3);
}
