/* Modules of PTX: their memory, messages, names, kernels. */
#include "tests/gpu/ptx_code.h"
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    uint8_t bytes, in_register;
} types[T_TYPES] = {
    [T_NONE] = {"", 0, 0},         [T_PRED] = {"pred", 4, 4},     [T_B8] = {"b8", 1, 2},
    [T_U8] = {"u8", 1, 2},         [T_S8] = {"s8", 1, 2},         [T_E4M3] = {"e4m3", 1, 2},
    [T_E5M2] = {"e5m2", 1, 2},     [T_B16] = {"b16", 2, 2},       [T_U16] = {"u16", 2, 2},
    [T_S16] = {"s16", 2, 2},       [T_F16] = {"f16", 2, 2},       [T_BF16] = {"bf16", 2, 2},
    [T_E4M3X2] = {"e4m3x2", 2, 2}, [T_E5M2X2] = {"e5m2x2", 2, 2}, [T_B32] = {"b32", 4, 4},
    [T_U32] = {"u32", 4, 4},       [T_S32] = {"s32", 4, 4},       [T_F32] = {"f32", 4, 4},
    [T_TF32] = {"tf32", 4, 4},     [T_F16X2] = {"f16x2", 4, 4},   [T_BF16X2] = {"bf16x2", 4, 4},
    [T_U16X2] = {"u16x2", 4, 4},   [T_S16X2] = {"s16x2", 4, 4},   [T_B64] = {"b64", 8, 8},
    [T_U64] = {"u64", 8, 8},       [T_S64] = {"s64", 8, 8},       [T_F64] = {"f64", 8, 8},
    [T_F32X2] = {"f32x2", 8, 8},   [T_B128] = {"b128", 16, 16},
};
uint32_t ptx_type_bytes(enum ptx_type type) { return types[type].bytes; }
uint32_t ptx_type_register(enum ptx_type type) { return types[type].in_register; }
enum ptx_type ptx_type_named(const char *name, size_t length) {
    for (enum ptx_type t = T_PRED; t < T_TYPES; t++)
        if (strlen(types[t].name) == length && !memcmp(types[t].name, name, length)) return t;
    return T_NONE;
}

void *ptx_own(struct ptx_module *m, size_t bytes) {
    if (!(m->owned_count & (m->owned_count + 1))) /* full: 2^n - 1 were there */
        m->owned = realloc(m->owned, 2 * (m->owned_count + 1) * sizeof *m->owned);
    void *p = calloc(1, bytes ? bytes : 1);
    m->owned[m->owned_count++] = p;
    return p;
}
char *ptx_own_text(struct ptx_module *m, const char *text, size_t length) {
    char *copy = ptx_own(m, length + 1);
    memcpy(copy, text, length);
    return copy;
}
void *ptx_append(struct ptx_module *m, void *array, size_t *count, size_t bytes) {
    if (!(*count & (*count - 1))) {
        char *larger = ptx_own(m, (*count ? 2 * *count : 1) * bytes);
        if (*count) memcpy(larger, array, *count * bytes);
        array = larger;
    }
    memset((char *)array + *count * bytes, 0, bytes);
    ++*count;
    return array;
}

void ptx_complain(struct ptx_module *m, uint32_t line, const char *format, ...) {
    char words[512];
    va_list list;
    va_start(list, format);
    vsnprintf(words, sizeof words, format, list);
    va_end(list);
    for (char *p = words; *p; p++)
        if (*p == '\n') *p = ' ';
    m->errors++;
    size_t used = strlen(m->message);
    if (used + 1 < PTX_MESSAGE) snprintf(m->message + used, PTX_MESSAGE - used, "line %u: %s\n", line, words);
}

/* `name` is %r12 and the symbol %r<40>: the number 12. */
static bool in_range(const struct symbol *s, const char *name, uint32_t *index) {
    size_t n = strlen(s->name);
    if (strncmp(name, s->name, n)) return false;
    if (!s->count) return *index = s->first, !name[n];
    if (!isdigit((unsigned char)name[n])) return false;
    char *end;
    unsigned long i = strtoul(name + n, &end, 10);
    *index = s->first + (uint32_t)i;
    return !*end && i < s->count;
}

/* The name's declaration in the innermost scope around `scope`, then in the module. */
const struct symbol *ptx_find(const struct ptx_module *m, const struct function *f, uint32_t scope,
                              const char *name, enum ptx_symbol_kind kind, uint32_t *index) {
    uint32_t none;
    if (!index) index = &none;
    for (; f; scope = f->parents[scope]) {
        for (size_t i = f->symbols_count; i-- > 0;) {
            const struct symbol *s = &f->symbols[i];
            if (s->scope == scope && s->kind == kind &&
                (kind == SYM_REGISTER ? in_range(s, name, index) : !strcmp(s->name, name)))
                return s;
        }
        if (!scope) break;
    }
    for (size_t i = 0; i < m->symbols_count && kind == SYM_VARIABLE; i++)
        if (!strcmp(m->symbols[i].name, name)) return &m->symbols[i];
    return NULL;
}

struct ptx_module *ptx_module_new(const char *text, char *message) {
    struct ptx_module *m = calloc(1, sizeof *m);
    m->message = message;
    *message = 0;
    m->text = ptx_own_text(m, text, strlen(text));
    bool good = ptx_parse(m);
    size_t kernels = 0;
    for (size_t i = 0; good && i < m->functions_count; i++)
        kernels += m->functions[i]->entry && m->functions[i]->defined;
    m->kernels = ptx_own(m, kernels * sizeof *m->kernels);
    for (size_t i = 0; good && i < m->functions_count; i++) {
        struct function *f = m->functions[i];
        if (!f->entry || !f->defined) continue;
        struct ptx_kernel *k = &m->kernels[m->kernels_count++];
        *k = (struct ptx_kernel){.function = f, .module = m};
        ptx_decode(m, k);
    }
    if (!m->errors) return m;
    ptx_module_free(m);
    return NULL;
}

void ptx_module_free(struct ptx_module *m) {
    if (!m) return;
    for (size_t i = 0; i < m->globals_count; i++) ptx_release(m->globals[i]);
    for (size_t i = 0; i < m->owned_count; i++) free(m->owned[i]);
    free(m->owned);
    free(m);
}

const struct ptx_kernel *ptx_module_kernel(const struct ptx_module *m, const char *name) {
    for (size_t i = 0; i < m->kernels_count; i++)
        if (!strcmp(m->kernels[i].function->name, name)) return &m->kernels[i];
    return NULL;
}
const struct ptx_kernel *ptx_module_kernel_at(const struct ptx_module *m, size_t i) {
    return i < m->kernels_count ? &m->kernels[i] : NULL;
}
uint64_t ptx_module_global(const struct ptx_module *m, const char *name, uint64_t *bytes) {
    const struct symbol *s = ptx_find(m, NULL, 0, name, SYM_VARIABLE, NULL);
    if (!s || (s->space != S_GLOBAL && s->space != S_CONST)) return 0;
    if (bytes) *bytes = s->bytes;
    return s->address;
}

const char *ptx_kernel_name(const struct ptx_kernel *k) { return k->function->name; }
uint32_t ptx_kernel_params(const struct ptx_kernel *k) { return (uint32_t)k->function->params_count; }
void ptx_kernel_param(const struct ptx_kernel *k, uint32_t i, uint32_t *offset, uint32_t *bytes) {
    *offset = k->function->params[i].offset;
    *bytes = k->function->params[i].bytes;
}
uint32_t ptx_kernel_param_bytes(const struct ptx_kernel *k) { return k->function->param_bytes; }
uint32_t ptx_kernel_shared_bytes(const struct ptx_kernel *k) { return k->shared_bytes; }
uint32_t ptx_kernel_local_bytes(const struct ptx_kernel *k) { return k->local_bytes; }
uint32_t ptx_kernel_max_threads(const struct ptx_kernel *k) { return k->function->max_threads; }
size_t ptx_kernel_instructions(const struct ptx_kernel *k) { return k->code_count; }
uint32_t ptx_kernel_line(const struct ptx_kernel *k, size_t i, const char **text) {
    if (text) *text = k->statements[i]->text;
    return k->statements[i]->line;
}
