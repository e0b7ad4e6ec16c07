/* The memo's inside, for the files that fill it (emit_index.c, emit_value.c, emit_control.c). */
#ifndef BACKEND_EMIT_MEMO_H
#define BACKEND_EMIT_MEMO_H
#include "backend/emit.h"

struct memo_scope *
memo_root(struct emitter *e); /* the kernel's own scope, for what its entry block computes */
LLVMValueRef memo_find_value(struct emitter *e, const struct value *v, const struct point *p);
LLVMValueRef memo_find_arithmetic(struct emitter *e, int op, LLVMValueRef a, LLVMValueRef b);
void memo_add_arithmetic(struct emitter *e, int op, LLVMValueRef a, LLVMValueRef b, LLVMValueRef made);

#endif
