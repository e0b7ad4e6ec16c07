/* The newline rules, applied while the lexer delivers its tokens, and the parser's view of the list.
 *
 * A newline ends a statement, except inside ( ) and [ ], where it is blank. Empty lines vanish; a statement
 * also ends before `}` and at the end of the text, where a newline is supplied. */
#include "frontend/grammar.h"
#include "frontend/parser.h"
#include <string.h>

static int last_kind(const struct parser *p) { return p->count ? p->tokens[p->count - 1].kind : NEWLINE; }

static void push(struct parser *p, struct token t) {
    arena_push(p->arena, p->tokens, p->count, p->capacity, t);
}

static void supply_newline(struct parser *p, struct token before) {
    int last = last_kind(p);
    if (last == NEWLINE || last == '{') return;
    before.kind = NEWLINE;
    before.end = before.offset;
    push(p, before);
}

/* Brackets nested deeper than any honest text: one error, and the rest of the text is not looked at. */
static bool too_deep(struct parser *p, struct token t) {
    if (p->nesting <= MAX_NESTING && p->depth <= MAX_BLOCK_DEPTH) return false;
    if (!p->too_deep) diag_error(p->diag, t.loc, "brackets are nested too deeply");
    return p->too_deep = true;
}

/* Words that only begin a statement, so that they end an unclosed bracket. */
static bool begins_statement(const struct parser *p, struct token t) {
    if (t.kind != FN && t.kind != RETURN && t.kind != FOR) return false;
    for (size_t i = t.offset; i > 0 && p->source->text[i - 1] != '\n'; i--)
        if (p->source->text[i - 1] != ' ' && p->source->text[i - 1] != '\t') return false;
    return true;
}

/* `stage k {` opens a block; anywhere else the word is a name like others. */
static void find_stage(struct parser *p) {
    int first = p->count;
    while (first > 0) {
        int kind = p->tokens[first - 1].kind;
        if (kind == NEWLINE || kind == '{' || kind == '}') break;
        first--;
    }
    struct token *word = first < p->count ? &p->tokens[first] : NULL;
    if (p->depth && word && word->kind == NAME && !strcmp(word->text, "stage")) word->kind = STAGE;
}

void token_add(struct parser *p, struct token t) {
    if (p->too_deep) return;
    bool brace = t.kind == '{' || t.kind == '}';
    if (p->nesting && (brace || begins_statement(p, t))) p->nesting = 0;
    if (t.kind == NEWLINE) {
        p->option = false;
        if (p->nesting)
            t.kind = BLANK, push(p, t);
        else
            supply_newline(p, t);
        return;
    }
    if (t.kind == '}') supply_newline(p, t);
    bool starts = last_kind(p) == NEWLINE;
    if (t.kind == '(' || t.kind == '[') p->nesting++;
    if ((t.kind == ')' || t.kind == ']') && p->nesting) p->nesting--;
    if (t.kind == '{') find_stage(p), p->depth++;
    if (t.kind == '}' && p->depth) p->depth--;
    if (too_deep(p, t)) return;
    if (t.kind == OPTION && starts && !p->depth) p->option = true;
    push(p, t);
}

/* Counts the brackets open around token `t`. */
static int nesting_after(int open, int kind) {
    if (kind == '(' || kind == '[') return open + 1;
    if (kind == ')' || kind == ']') return open ? open - 1 : 0;
    return kind == '{' || kind == '}' || kind == NEWLINE ? 0 : open;
}

/* Keeps the places of open brackets, for messages. */
static void follow(struct parser *p, const struct token *t) {
    if (t->kind == '(' || t->kind == '[')
        p->open_locs[p->open <= MAX_NESTING ? p->open : MAX_NESTING] = t->loc;
    p->open = nesting_after(p->open, t->kind);
    if (t->kind == '{') p->block_locs[p->blocks++] = t->loc;
    if (t->kind == '}' && p->blocks) p->blocks--;
}

/* The end of the text: just after its last word. */
static struct loc end_of_text(const struct parser *p) {
    for (int i = p->count; i-- > 0;) {
        const struct token *t = &p->tokens[i];
        int length = (int)(t->end - t->offset);
        if (t->kind != NEWLINE && t->kind != BLANK)
            return (struct loc){t->loc.source, t->loc.line, t->loc.column + length};
    }
    return (struct loc){p->source, 1, 1};
}

int token_next(struct parser *p, struct token *t) {
    for (; p->position < p->count; p->position++) {
        *t = p->tokens[p->position];
        if (t->kind == BLANK && p->position >= p->hard_until) continue;
        if (t->kind == BLANK) t->kind = NEWLINE;
        follow(p, t);
        p->position++;
        return t->kind;
    }
    *t = (struct token){.loc = end_of_text(p), .offset = p->offset, .end = p->offset};
    if (p->position && p->tokens[p->position - 1].kind != NEWLINE && !p->ended) {
        p->ended = true;
        t->kind = NEWLINE;
    }
    return t->kind;
}

bool tokens_recover(struct parser *p) {
    int open = p->open;
    for (int i = p->position; open && i < p->count; i++) {
        int kind = p->tokens[i].kind;
        if (kind == NEWLINE || kind == '{' || kind == '}') {
            p->hard_until = i;
            return false;
        }
        open = nesting_after(open, kind);
    }
    if (open) p->hard_until = p->count;
    return !open;
}
