/* From text to syntax tree: the tokens of a file, and the parser that walks them. */
#ifndef FRONTEND_PARSER_H
#define FRONTEND_PARSER_H
#include "frontend/ast.h"
#include <stdint.h>

enum { MAX_NESTING = 150, MAX_NAME = 255, MAX_STRING = 65536, MAX_TEXT = 1 << 28 };

/* A token as the grammar sees it. `offset`, `end`: bytes of the text it covers. */
struct token {
    int kind; /* of enum yytokentype; 0 ends */
    struct loc loc;
    size_t offset, end;
    const char *text; /* words: themselves; strings: without quotes and escapes */
    int64_t integer;
    double real;
};

struct parser {
    struct arena *arena;
    struct diag *diag;
    const struct source *source;
    struct token *tokens;
    int count, capacity;
    int position; /* of the next token to hand out */
    int open;     /* ( and [ open there, and where */
    int blocks;   /* { open there, and where */
    struct loc open_locs[MAX_NESTING + 2], block_locs[MAX_BLOCK_DEPTH + 2];
    int stray_brace; /* number of a { on a line of its own, plus 1: reported */
    int hard_until;  /* newlines inside brackets before this token end statements: a bracket was never closed
                      */
    struct tree *tree;
    struct decl *last_decl;
    /* the lexer's */
    int line, column;
    size_t offset,
        last_bad; /* last_bad: end of the last bad character, so that a run of them is reported once */
    /* the newline rules' (tokens.c) */
    int nesting, depth; /* open ( and [; open { */
    bool option;        /* in `option NAME`, whose value is the rest of the line */
    bool too_deep;      /* given up */
    bool ended;         /* the newline at the end of the text was supplied */
};

/* The tree of `source`'s text; what could not be understood has been reported and is left out. */
struct tree *parse(struct arena *arena, struct diag *diag, const struct source *source);

/* lexer.l: appends every token of the text, newlines included, through token_add. */
void lex(struct parser *p);
/* tokens.c: the newline rules; called by the lexer for each token it finds. */
void token_add(struct parser *p, struct token t);
/* The next token for the grammar: its kind, 0 at the end. */
int token_next(struct parser *p, struct token *t);
/* After a syntax error: if the open brackets do not close before the statement's likely end, forgets them, so
 * that the parser finds that end. */
bool tokens_recover(struct parser *p);

#endif
