/* Words, numbers and operands of PTX text. */
#include "tests/gpu/ptx_lex.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* LLVM names registers whose value does not matter in comments: reading those is not an error. */
static void note_undefined(struct cursor *c, const char *comment, const char *end) {
    const char *mark = "implicit-def: ";
    const char *found = memmem(comment, (size_t)(end - comment), mark, strlen(mark));
    if (!found || !c->function) return;
    found += strlen(mark);
    char name[64] = {0};
    for (size_t i = 0; i + 1 < sizeof name && found + i < end && !isspace((unsigned char)found[i]); i++)
        name[i] = found[i];
    uint32_t index;
    if (ptx_find(c->module, c->function, c->scope, name, SYM_REGISTER, &index))
        c->function->registers[index].undefined = true;
}

void ptx_skip(struct cursor *c) {
    for (;; c->at++) {
        if (c->at[0] == '/' && c->at[1] == '/') {
            const char *end = c->at + strcspn(c->at, "\n");
            note_undefined(c, c->at, end);
            c->at = end;
        } else if (c->at[0] == '/' && c->at[1] == '*') {
            for (c->at += 2; *c->at && !(c->at[0] == '*' && c->at[1] == '/'); c->at++)
                c->line += *c->at == '\n';
            if (*c->at) c->at++;
        }
        if (!*c->at) return;
        if (*c->at == '\n')
            c->line++;
        else if (!isspace((unsigned char)*c->at) && *c->at != '/')
            return;
    }
}

bool ptx_accept(struct cursor *c, const char *token) {
    ptx_skip(c);
    size_t n = strlen(token);
    if (strncmp(c->at, token, n)) return false;
    if ((isalnum((unsigned char)token[n - 1])) && (isalnum((unsigned char)c->at[n]) || c->at[n] == '_'))
        return false;
    c->at += n;
    return true;
}

bool ptx_expect(struct cursor *c, const char *token) {
    if (ptx_accept(c, token)) return true;
    ptx_complain(c->module, c->line, "expected '%s' before '%.20s'", token, c->at);
    return false;
}

static bool in_word(char ch) { return isalnum((unsigned char)ch) || ch == '_' || ch == '$'; }

const char *ptx_word(struct cursor *c, bool dots) {
    ptx_skip(c);
    const char *begin = c->at, *p = begin;
    if (*p == '%') p++;
    if (!in_word(*p) && !(dots && *p == '.')) return NULL;
    bool special = *begin == '%';
    while (in_word(*p) || ((dots || special) && *p == '.') || (dots && p[0] == ':' && p[1] == ':'))
        p += *p == ':' ? 2 : 1;
    c->at = p;
    return ptx_own_text(c->module, begin, (size_t)(p - begin));
}

/* Integers in three bases with an optional U; floats as bits, 0f and 0d, or in decimal. */
bool ptx_number(struct cursor *c, struct arg *a) {
    ptx_skip(c);
    const char *p = c->at;
    bool minus = *p == '-';
    if (minus) p++;
    while (minus && isspace((unsigned char)*p)) p++;
    if (!isdigit((unsigned char)*p)) return false;
    char *end;
    if (p[0] == '0' && strchr("fFdD", p[1]) && isxdigit((unsigned char)p[2])) {
        bool single = p[1] == 'f' || p[1] == 'F';
        a->kind = single ? A_FLOAT32 : A_FLOAT64;
        a->bits = strtoull(p + 2, &end, 16);
        if (minus) a->bits ^= single ? UINT64_C(1) << 31 : UINT64_C(1) << 63;
    } else {
        a->kind = A_INTEGER;
        bool binary = p[0] == '0' && (p[1] == 'b' || p[1] == 'B');
        a->bits = binary ? strtoull(p + 2, &end, 2) : strtoull(p, &end, 0);
        bool hexadecimal = p[0] == '0' && (p[1] == 'x' || p[1] == 'X');
        if (!hexadecimal && (*end == '.' || *end == 'e' || *end == 'E')) {
            double value = strtod(p, &end);
            a->kind = A_FLOAT64;
            if (minus) value = -value;
            memcpy(&a->bits, &value, sizeof value);
        } else if (minus)
            a->bits = -a->bits;
        if (*end == 'U' || *end == 'u') end++;
    }
    c->at = end;
    return true;
}

bool ptx_integer(struct cursor *c, int64_t *value) {
    struct arg a = {0};
    if (!ptx_number(c, &a) || a.kind != A_INTEGER) return false;
    *value = (int64_t)a.bits;
    return true;
}

/* What follows in a list up to `close`. */
static bool items(struct cursor *c, struct arg *a, const char *close) {
    if (ptx_accept(c, close)) return true;
    do {
        struct arg item = {0};
        if (!ptx_operand(c, &item)) return false;
        size_t count = a->count;
        a->items = ptx_append(c->module, a->items, &count, sizeof item);
        a->items[a->count++] = item;
    } while (ptx_accept(c, ","));
    return ptx_expect(c, close);
}

static bool plus_offset(struct cursor *c, int64_t *offset) {
    while (ptx_accept(c, "+") || (ptx_skip(c), *c->at == '-')) {
        int64_t value;
        if (!ptx_integer(c, &value)) return false;
        *offset += value;
    }
    return true;
}

/* [base + offset], and for tensors [base, {x, y}]. */
static bool address(struct cursor *c, struct arg *a) {
    a->kind = A_ADDRESS;
    if (!items(c, a, "]")) return false;
    a->offset = a->items[0].kind == A_INTEGER ? 0 : a->items[0].offset;
    return true;
}

static bool named(struct cursor *c, struct arg *a) {
    a->name = ptx_word(c, false);
    if (!a->name) return false;
    a->kind = A_SYMBOL;
    if (!strcmp(a->name, "_")) a->kind = A_SINK;
    if (!strcmp(a->name, "WARP_SZ")) *a = (struct arg){.kind = A_INTEGER, .bits = LANES};
    if (c->function && ptx_find(c->module, c->function, c->scope, a->name, SYM_REGISTER, &a->reg))
        a->kind = A_REGISTER;
    else if (a->name && *a->name == '%')
        a->reg = 0; /* a special register: decoded by its name */
    return plus_offset(c, &a->offset);
}

bool ptx_operand(struct cursor *c, struct arg *a) {
    ptx_skip(c);
    bool good;
    if (ptx_accept(c, "!")) {
        good = named(c, a);
        a->negated = true;
    } else if (ptx_accept(c, "{")) {
        a->kind = A_VECTOR;
        good = items(c, a, "}");
    } else if (ptx_accept(c, "(")) {
        a->kind = A_LIST;
        good = items(c, a, ")");
    } else if (ptx_accept(c, "[")) {
        good = address(c, a);
    } else
        good = ptx_number(c, a) || named(c, a);
    if (!good) {
        ptx_complain(c->module, c->line, "no operand: '%.20s'", c->at);
        return false;
    }
    if (ptx_accept(c, "|")) {
        a->second = ptx_own(c->module, sizeof *a->second);
        return ptx_operand(c, a->second);
    }
    return true;
}
