/* A cursor over PTX text: spaces and comments skipped, words, numbers, operands. */
#ifndef TESTS_GPU_PTX_LEX_H
#define TESTS_GPU_PTX_LEX_H
#include "tests/gpu/ptx_code.h"

struct cursor {
    struct ptx_module *module;
    const char *at;
    uint32_t line;
    struct function *function; /* whose body this is, for names of registers */
    uint32_t scope;
};
void ptx_skip(struct cursor *c); /* spaces and comments; LLVM's `implicit-def: %r1` is noted */
bool ptx_accept(struct cursor *c, const char *token);
bool ptx_expect(struct cursor *c, const char *token);
/* An identifier, owned by the module, or NULL. With dots: also opcodes and directives. */
const char *ptx_word(struct cursor *c, bool dots);
bool ptx_number(struct cursor *c, struct arg *a);
bool ptx_integer(struct cursor *c, int64_t *value);
bool ptx_operand(struct cursor *c, struct arg *a);
#endif
