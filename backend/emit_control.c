/* Loops, conditions, shares of threads, scratch, places in the model's text. */
#include "backend/emit_memo.h"

static LLVMBasicBlockRef new_block(struct emitter *e, const char *name) {
    return LLVMAppendBasicBlockInContext(e->context, e->function, name);
}

/* !{self, !{"llvm.loop.unroll.disable"}}: the emitters unroll where it pays, LLVM nowhere. */
static void mark_loop(struct emitter *e, LLVMValueRef branch) {
    LLVMMetadataRef text = LLVMMDStringInContext2(e->context, "llvm.loop.unroll.disable", 24);
    LLVMMetadataRef self = LLVMTemporaryMDNode(e->context, NULL, 0);
    LLVMMetadataRef entries[2] = {self, LLVMMDNodeInContext2(e->context, &text, 1)};
    LLVMMetadataRef loop = LLVMMDNodeInContext2(e->context, entries, 2);
    LLVMMetadataReplaceAllUsesWith(self, loop);
    LLVMSetMetadata(branch, LLVMGetMDKindIDInContext(e->context, "llvm.loop", 9),
                    LLVMMetadataAsValue(e->context, loop));
}

void emit_loop_begin(struct emitter *e, struct emit_loop *l, LLVMValueRef begin, LLVMValueRef end,
                     int64_t step, int carried, const LLVMValueRef *initial) {
    if (carried > MAX_CARRIED) ice("a loop carries %d values", carried);
    *l = (struct emit_loop){.carried_count = carried, .step = step};
    l->before = LLVMGetInsertBlock(e->builder);
    l->head = new_block(e, "head");
    l->body = new_block(e, "body");
    l->after = new_block(e, "after");
    LLVMBuildBr(e->builder, l->head);
    LLVMPositionBuilderAtEnd(e->builder, l->head);
    l->counter = LLVMBuildPhi(e->builder, e->i64, "");
    LLVMAddIncoming(l->counter, &begin, &l->before, 1);
    for (int i = 0; i < carried; i++) {
        l->carried[i] = LLVMBuildPhi(e->builder, LLVMTypeOf(initial[i]), "");
        LLVMAddIncoming(l->carried[i], (LLVMValueRef *)&initial[i], &l->before, 1);
    }
    LLVMValueRef more = LLVMBuildICmp(e->builder, LLVMIntSLT, l->counter, end, "");
    LLVMBuildCondBr(e->builder, more, l->body, l->after);
    LLVMPositionBuilderAtEnd(e->builder, l->body);
    emit_scope_begin(e);
}

void emit_loop_end(struct emitter *e, struct emit_loop *l, const LLVMValueRef *next) {
    emit_scope_end(e);
    LLVMBasicBlockRef last = LLVMGetInsertBlock(e->builder);
    LLVMValueRef step = LLVMBuildNSWAdd(e->builder, l->counter, emit_i64(e, l->step), "");
    mark_loop(e, LLVMBuildBr(e->builder, l->head));
    LLVMAddIncoming(l->counter, &step, &last, 1);
    for (int i = 0; i < l->carried_count; i++)
        LLVMAddIncoming(l->carried[i], (LLVMValueRef *)&next[i], &last, 1);
    LLVMPositionBuilderAtEnd(e->builder, l->after);
}

void emit_if_begin(struct emitter *e, struct emit_if *i, LLVMValueRef condition) {
    LLVMBasicBlockRef then = new_block(e, "then");
    i->after = new_block(e, "endif");
    LLVMBuildCondBr(e->builder, condition, then, i->after);
    LLVMPositionBuilderAtEnd(e->builder, then);
    emit_scope_begin(e);
}

void emit_if_end(struct emitter *e, struct emit_if *i) {
    emit_scope_end(e);
    LLVMBuildBr(e->builder, i->after);
    LLVMPositionBuilderAtEnd(e->builder, i->after);
}

/* The border below share `thread`: floor(units * thread / threads) grains. */
static LLVMValueRef border(struct emitter *e, LLVMValueRef units, LLVMValueRef thread, LLVMValueRef count,
                           int64_t grain) {
    LLVMValueRef at = emit_mul(e, emit_div(e, emit_mul(e, units, thread), e->threads), emit_i64(e, grain));
    return grain == 1 ? at : emit_min(e, at, count);
}

void emit_split(struct emitter *e, LLVMValueRef count, int64_t grain, LLVMValueRef *begin,
                LLVMValueRef *end) {
    LLVMValueRef units = emit_div_up(e, count, emit_i64(e, grain));
    if (e->threaded) { /* as many warps as units, mostly, so that equal shares need no care */
        LLVMValueRef share = emit_mul(e, emit_div_up(e, units, e->threads), emit_i64(e, grain));
        *begin = emit_mul(e, e->thread, share);
        *end = emit_min(e, emit_add(e, *begin, share), count);
        return;
    }
    *begin = border(e, units, e->thread, count, grain);
    *end = border(e, units, emit_add(e, e->thread, emit_i64(e, 1)), count, grain);
}

LLVMValueRef emit_scratch(struct emitter *e, int64_t bytes) {
    int64_t at = e->scratch_bytes;
    if (bytes < 0 || at > INT64_MAX / 4 - bytes) ice("kernel %s needs too much scratch", e->kernel->name);
    e->scratch_bytes = (at + bytes + 63) & ~(int64_t)63;
    LLVMBasicBlockRef back = emit_entry_begin(e);
    LLVMValueRef p = emit_offset(e, e->scratch, emit_i64(e, at));
    emit_entry_end(e, back);
    return p;
}

LLVMBasicBlockRef emit_entry_begin(struct emitter *e) {
    LLVMBasicBlockRef back = LLVMGetInsertBlock(e->builder);
    if (back == e->entry) return back;
    e->memo_outside = e->memo;
    e->memo = memo_root(e);
    LLVMPositionBuilderBefore(e->builder, LLVMGetBasicBlockTerminator(e->entry));
    return back;
}

void emit_entry_end(struct emitter *e, LLVMBasicBlockRef back) {
    if (back == e->entry) return;
    e->memo = e->memo_outside;
    LLVMPositionBuilderAtEnd(e->builder, back);
}

void emit_body_begin(struct emitter *e) {
    LLVMBasicBlockRef start = new_block(e, "start");
    LLVMBuildBr(e->builder, start);
    LLVMPositionBuilderAtEnd(e->builder, start);
    e->memo = NULL;
    emit_scope_begin(e); /* the entry's */
    emit_scope_begin(e); /* the body's */
}

void emit_function_begin(struct emitter *e, struct emit_outside *outside, LLVMValueRef f) {
    *outside = (struct emit_outside){e->function, e->entry, LLVMGetInsertBlock(e->builder),
                                     LLVMGetCurrentDebugLocation2(e->builder), e->memo};
    LLVMSetCurrentDebugLocation2(e->builder, NULL);
    e->function = f;
    e->entry = new_block(e, "entry");
    LLVMPositionBuilderAtEnd(e->builder, e->entry);
    emit_body_begin(e);
}

void emit_function_end(struct emitter *e, const struct emit_outside *outside) {
    e->function = outside->function;
    e->entry = outside->entry;
    e->memo = outside->memo;
    LLVMPositionBuilderAtEnd(e->builder, outside->block);
    LLVMSetCurrentDebugLocation2(e->builder, outside->location);
}

void emit_location(struct emitter *e, struct loc loc) {
    if (!e->debug_scope) return;
    unsigned line = loc.line > 0 ? (unsigned)loc.line : 0, column = loc.line > 0 ? (unsigned)loc.column : 0;
    LLVMSetCurrentDebugLocation2(
        e->builder, LLVMDIBuilderCreateDebugLocation(e->context, line, column, e->debug_scope, NULL));
}
