/* Parses einsum's text. */
#include "ir/einsum.h"
#include <string.h>

/* The loop that `letter` names, made if new; -1: too many. */
static int loop_of(struct einsum *e, char letter) {
    const char *found = e->letters ? memchr(e->letter, letter, (size_t)e->letters) : NULL;
    if (found) return (int)(found - e->letter);
    if (e->letters == (int)sizeof e->letter) return -1;
    e->letter[e->letters] = letter;
    return e->letters++;
}

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/* After the arrow: the result's letters, each once. */
static const char *parse_result(struct arena *a, const char *text, struct einsum *e) {
    for (const char *p = text; *p; p++) {
        if (!is_letter(*p)) return arena_printf(a, "'%c' in its result is not a letter", *p);
        if (memchr(text, *p, (size_t)(p - text))) return arena_printf(a, "its result has '%c' twice", *p);
        if (e->result_rank++ == MAX_RANK)
            return arena_printf(a, "its result has more than %d axes", MAX_RANK);
        loop_of(e, *p);
    }
    return NULL;
}

static const char *parse_operand(struct arena *a, const char **text, struct einsum *e) {
    if (e->operands == MAX_OPERANDS) return arena_printf(a, "it has more than %d operands", MAX_OPERANDS);
    int operand = e->operands++, *rank = &e->ranks[operand];
    for (; **text && **text != ',' && **text != '-'; ++*text) {
        if (!is_letter(**text)) return arena_printf(a, "'%c' is not a letter", **text);
        if (*rank == MAX_RANK) return arena_printf(a, "an operand has more than %d axes", MAX_RANK);
        int loop = loop_of(e, **text);
        if (loop < 0) return arena_printf(a, "it has more than %d letters", MAX_LOOPS);
        e->axes[operand][(*rank)++] = loop;
    }
    return NULL;
}

const char *einsum_parse(struct arena *a, const char *spec, struct einsum *e) {
    *e = (struct einsum){0};
    const char *arrow = strstr(spec, "->"), *wrong;
    if (!arrow) return "its result is not written: \"...->...\"";
    if ((wrong = parse_result(a, arrow + 2, e))) return wrong;
    for (const char *p = spec;; p++) {
        if ((wrong = parse_operand(a, &p, e))) return wrong;
        if (p == arrow) break;
        if (*p != ',') return "'-' is not a letter";
    }
    for (int i = 0; i < e->result_rank; i++) {
        bool used = false;
        for (int o = 0; o < e->operands; o++)
            for (int j = 0; j < e->ranks[o]; j++) used |= e->axes[o][j] == i;
        if (!used) return arena_printf(a, "'%c' of its result is in no operand", e->letter[i]);
    }
    return NULL;
}
