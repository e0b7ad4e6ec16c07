/* The grammar of .mdl, as frontend/README.md explains it. Words that are not reserved (model, from, scan, loc, …) are
 * tokens of their own and names as well: after an expression no name can stand, so nothing is ambiguous. */
%define api.pure full
%define api.location.type {struct loc}
%define parse.error custom
%define parse.lac full
%param {struct parser *p}
%expect 0

%code requires {
#include "frontend/ast.h"
#include "frontend/parser.h"
}

%union {
    const char *text;
    int64_t integer;
    double real;
    struct expr *expr;
    struct arg *arg;
    struct arg_list args;
    struct type_expr *type;
    struct { struct type_expr *first, **last; } types;
    struct marks marks;
    struct assignee *target;
    struct { struct assignee *first, **last; } targets;
    struct stmt *stmt;
    struct { struct stmt *first, **last; } stmts;
    struct param_expr *param;
    struct { struct param_expr *first, **last; } params;
    struct sharding_entry *entry;
    struct { struct sharding_entry *first, **last; } entries;
    struct decl *decl;
    bool flag;
    struct token token;
}

%code top {
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
}
%code {
#include <math.h>
#include <string.h>
static int yylex(YYSTYPE *value, YYLTYPE *where, struct parser *p);
static void yyerror(YYLTYPE *where, struct parser *p, const char *message);
/* Appends to a list whose empty form is all zero. */
#define APPEND(list, item) ((list).first ? (*(list).last = (item)) : ((list).first = (item)), (list).last = &(item)->next)
static void append_decl(struct parser *p, struct decl *d);
static struct marks merge_marks(struct parser *p, struct marks a, struct marks b);
/* Where marks stand: each place has marks that mean something there. */
enum marked { BESIDE_VALUE, BESIDE_RESULT, BEHIND_STATEMENT, BEHIND_FUNCTION };
static struct marks marks_of(struct parser *p, enum marked place, struct marks m);
static struct type_expr *new_type(struct parser *p, struct loc loc);
static void absent(struct parser *p, struct loc loc, const char *what);
static struct expr *number(struct parser *p, struct token t);
static struct expr *called(struct parser *p, struct expr *e);
#define YYLLOC_DEFAULT(current, rhs, n) ((current) = (n) ? YYRHSLOC(rhs, 1) : YYRHSLOC(rhs, 0))
}

%token <token> NAME "a name" STRING "a string" DTYPE "an element type" INT "an integer" FLOAT "a number"
%token <token> VALUE_TEXT "a value" BAD "a bad token"
%token <token> MODEL "model" CONST "const" DIM "dim" WEIGHTS "weights" PARAM "param" STATE "state" EXPORT "export"
%token <token> OPTION "option" MESH "mesh" KERNEL "kernel" SCAN "scan" FROM "from" STORE "store" LAYOUT "layout"
%token <token> SCHEDULE "schedule" FIXED "fixed" OVER "over" ON "on" RANKS "ranks"
%token <token> UNIT "unit" LOCAL "local" LOC "loc" DOTTED "an axis" STAGE "'stage'"
%token FN "fn" RETURN "return" FOR "for" IN "in" AND "and" OR "or" NOT "not" TRUE "true" FALSE "false"
%token INF "inf" NOT_A_NUMBER "nan" UNDERSCORE "_"
%token RANGE ".." ARROW "->" POW "**" FLOORDIV "//" EQ "==" NE "!=" LE "<=" GE ">="
%token NEWLINE "end of the line" BLANK
%token <token> '(' "(" ')' ")"

%type <token> name word stored schedule_open schedule_close option_name device place
%type <expr> unit bound expr or_expr and_expr not_expr comparison sum product unary power postfix primary
%type <arg> arg subscript element fixed axis
%type <args> args args_list subscripts elements elements_list exprs counts extents axes
%type <type> type function_type
%type <types> result_types
%type <marks> marks mark some_marks
%type <target> target kernel_result
%type <targets> targets kernel_results kernel_results_list
%type <stmt> stmt
%type <stmts> stmts
%type <text> schedule comparator
%type <param> param
%type <params> params params_list
%type <decl> decl
%type <flag> export local
%type <entry> entry axes_entry axes_list
%type <entries> entries entries_list

%%
file: %empty | file item ;
item: NEWLINE
    | decl NEWLINE              { append_decl(p, $1); }
    | consts NEWLINE
    | dims NEWLINE
    | error NEWLINE             { yyerrok; }
    | error '{' stmts '}' NEWLINE   { yyerrok; }
    ;

option_name: name               { $$ = $1; }
    | option_name '-' name      { $$ = $1; $$.text = arena_printf(p->arena, "%s-%s", $1.text, $3.text); }
    ;

/* Declarations. */
decl: MODEL name                { $$ = ast_decl(p, DECL_MODEL, $2.text, @2); }
    | WEIGHTS STRING            { $$ = ast_decl(p, DECL_WEIGHTS, NULL, @2); $$->text = $2.text; }
    | OPTION option_name '=' VALUE_TEXT    { $$ = ast_decl(p, DECL_OPTION, $2.text, @2); $$->text = $4.text; }
    | MESH name '=' '<' axes comma '>' device
        { $$ = ast_decl(p, DECL_MESH, $2.text, @2); $$->counts = $5.first; $$->text = $8.text; $$->at = $8.loc; }
    | MESH name '=' '<' axes comma '>' RANKS expr RANGE expr device
        { $$ = ast_decl(p, DECL_MESH, $2.text, @2); $$->counts = $5.first; $$->value = $9; $$->to = $11;
          $$->text = $12.text; $$->at = $12.loc; }
    | PARAM name counts ':' type marks
        { $$ = ast_decl(p, DECL_PARAM, $2.text, @2); $$->counts = $3.first; $$->type = $5; $$->marks = $6; }
    | PARAM name counts ':' type marks '=' expr marks
        { $$ = ast_decl(p, DECL_PARAM, $2.text, @2); $$->counts = $3.first; $$->type = $5; $$->value = $8;
          $$->marks = merge_marks(p, $6, $9); }
    | STATE name counts ':' type marks
        { $$ = ast_decl(p, DECL_STATE, $2.text, @2); $$->counts = $3.first; $$->type = $5; $$->marks = $6; }
    | STATE name counts ':' type marks '=' expr marks
        { $$ = ast_decl(p, DECL_STATE, $2.text, @2); $$->counts = $3.first; $$->type = $5; $$->value = $8;
          $$->marks = merge_marks(p, $6, $9); }
    | export FN name '(' params ')' function_type '=' expr marks
        { $$ = ast_decl(p, DECL_FUNCTION, $3.text, @3); $$->exported = $1; $$->params = $5.first; $$->type = $7;
          $$->body = ast_stmt(p, STMT_RETURN, $9->loc); $$->body->values = ast_arg(p, NULL, $9, $9->loc);
          $$->body->marks = marks_of(p, BEHIND_STATEMENT, $10); }
    | export FN name '(' params ')' function_type fixed '{' stmts '}' marks
        { $$ = ast_decl(p, DECL_FUNCTION, $3.text, @3); $$->exported = $1; $$->params = $5.first; $$->type = $7;
          $$->fixed = $8; $$->body = $10.first;
          $$->marks = marks_of(p, BEHIND_FUNCTION, $12); }
    ;
export: %empty                  { $$ = false; }
    | EXPORT                    { $$ = true; }
    ;
consts: CONST const | consts ',' const ;
const: name '=' expr            { struct decl *d = ast_decl(p, DECL_CONST, $1.text, @1); d->value = $3; append_decl(p, d); } ;
dims: DIM dim | dims ',' dim ;
dim: name IN expr RANGE expr unit
        { struct decl *d = ast_decl(p, DECL_DIM, $1.text, @1); d->value = $3; d->to = $5; d->unit = $6;
          append_decl(p, d); } ;
unit: %empty                    { $$ = NULL; }
    | UNIT expr                 { $$ = $2; }
    ;
axes: axis                      { $$ = (struct arg_list){0}; APPEND($$, $1); }
    | axes ',' axis             { $$ = $1; APPEND($$, $3); }
    ;
axis: name '=' sum              { $$ = ast_arg(p, $1.text, $3, @1); } ;
device: %empty                  { $$ = (struct token){0}; }
    | ON name                   { $$ = $2; }
    ;

counts: %empty                  { $$ = (struct arg_list){0}; }
    | counts '[' expr ']'       { $$ = $1; struct arg *a = ast_arg(p, NULL, $3, @3); APPEND($$, a); }
    ;
params: %empty                  { $$.first = NULL; }
    | params_list | params_list ','
    ;
params_list: param              { $$.first = NULL; APPEND($$, $1); }
    | params_list ',' param     { $$ = $1; APPEND($$, $3); }
    ;
param: name ':' type marks
        { $$ = arena_new_object(p->arena, struct param_expr);
          *$$ = (struct param_expr){.name = $1.text, .loc = @1, .type = $3,
                                     .marks = marks_of(p, BESIDE_VALUE, $4)}; }
    | name ':' type marks '=' expr
        { $$ = arena_new_object(p->arena, struct param_expr);
          *$$ = (struct param_expr){.name = $1.text, .loc = @1, .type = $3,
                                     .marks = marks_of(p, BESIDE_VALUE, $4), .fallback = $6}; }
    ;
function_type: %empty           { $$ = NULL; }
    | ARROW result_types        { $$ = $2.first; }
    ;
fixed: %empty                   { $$ = NULL; }
    | FIXED '(' args ')'        { $$ = $3.first; }
    ;
result_types: type marks        { $$.first = NULL; $1->sharding = marks_of(p, BESIDE_RESULT, $2).sharding; APPEND($$, $1); }
    | result_types ',' type marks   { $$ = $1; $3->sharding = marks_of(p, BESIDE_RESULT, $4).sharding; APPEND($$, $3); }
    ;

/* Types and what stands beside them. */
type: DTYPE                     { $$ = new_type(p, @1); dtype_from_name($1.text, &$$->dtype); }
    | DTYPE '[' extents ']'     { $$ = new_type(p, @1); dtype_from_name($1.text, &$$->dtype);
                                  $$->extents = $3.first; $$->rank = $3.count; }
    | NAME                      { $$ = new_type(p, @1); $$->index = !strcmp($1.text, "index");
                                  if (!$$->index) $$->bad = $1.text; }
    | NAME '[' extents ']'      { $$ = new_type(p, @1); $$->bad = $1.text; }
    ;
extents: %empty                 { $$ = (struct arg_list){0}; }
    | exprs | exprs ','
    ;
exprs: expr                     { $$ = (struct arg_list){0}; struct arg *a = ast_arg(p, NULL, $1, @1); APPEND($$, a); $$.count = 1; }
    | exprs ',' expr            { $$ = $1; struct arg *a = ast_arg(p, NULL, $3, @3); APPEND($$, a); $$.count++; }
    ;
marks: %empty                   { $$ = ast_marks(); }
    | marks mark                { $$ = merge_marks(p, $1, $2); }
    ;
some_marks: mark | some_marks mark  { $$ = merge_marks(p, $1, $2); } ;
mark: STORE '(' stored ')'       { $$ = ast_marks(); $$.store = $3.text; $$.store_loc = @3; }
    | LAYOUT '(' STRING ')'     { $$ = ast_marks(); $$.layout = $3.text; $$.layout_loc = @3; }
    | FROM STRING               { $$ = ast_marks(); $$.from = $2.text; $$.from_loc = @2; }
    | IN name                   { $$ = ast_marks(); $$.space = $2.text; $$.space_loc = @2; $$.offset = 0; }
    | IN name '(' INT ')'       { $$ = ast_marks(); $$.space = $2.text; $$.space_loc = @2; $$.offset = $4.integer; }
    | OVER '(' INT ')'          { $$ = ast_marks(); $$.over = $3.integer; $$.over_loc = @3; }
    | LOC '(' STRING ':' INT ':' INT ')'
        { $$ = ast_marks(); $$.loc_loc = @1;
          if ($5.integer < 1 || $5.integer > INT32_MAX || $7.integer < 1 || $7.integer > INT32_MAX)
              diag_error(p->diag, @5, "loc: lines and columns are counted from 1");
          else $$.loc = (struct loc){diag_source(p->diag, $3.text, NULL, 0), (int)$5.integer, (int)$7.integer}; }
    | '@' name '(' entries ')' local
        { $$ = ast_marks(); struct sharding_expr *e = arena_new_object(p->arena, struct sharding_expr);
          *e = (struct sharding_expr){@1, $2.text, $4.first, $6}; $$.sharding = e; }
    | ON place '(' expr ')'
        { $$ = ast_marks(); struct placement_expr *e = arena_new_object(p->arena, struct placement_expr);
          *e = (struct placement_expr){@1, $2.text, $4}; $$.on = e; }
    ;
stored: word | DTYPE ;
place: name | DOTTED ;
local: %empty                   { $$ = false; }
    | LOCAL                     { $$ = true; }
    ;
entries: %empty                 { $$.first = NULL; }
    | entries_list comma        { $$ = $1; }
    ;
entries_list: entry             { $$.first = NULL; APPEND($$, $1); }
    | entries_list ',' entry    { $$ = $1; APPEND($$, $3); }
    ;
entry: axes_entry
    | axes_entry '!' INT        { $$ = $1; $$->priority = $3.integer < 0 ? INT64_MAX : $3.integer; }
    ;
axes_entry: UNDERSCORE          { $$ = ast_entry(p, @1); }
    | '?'                       { $$ = ast_entry(p, @1); $$->open = true; }
    | name                      { $$ = ast_entry(p, @1); ast_entry_axis(p, $$, $1.text, @1); }
    | name name
        { $$ = ast_entry(p, @1); ast_entry_axis(p, $$, $1.text, @1); $$->partial = true;
          if (strcmp($2.text, "partial")) diag_error(p->diag, @2, "unexpected '%s'; expected 'partial', ',' or ')'", $2.text); }
    | '[' axes_list comma ']'   { $$ = $2; $$->loc = @1; }
    ;
axes_list: name                 { $$ = ast_entry(p, @1); ast_entry_axis(p, $$, $1.text, @1); }
    | '?'                       { $$ = ast_entry(p, @1); $$->open = true; }
    | axes_list ',' name        { $$ = $1; ast_entry_axis(p, $$, $3.text, @3); }
    | axes_list ',' '?'         { $$ = $1; ast_entry_axis(p, $$, NULL, @3); }
    ;

/* Statements. */
stmts: %empty                   { $$.first = NULL; }
    | stmts stmt NEWLINE        { $$ = $1; if ($2) APPEND($$, $2); }
    | stmts NEWLINE             { $$ = $1; }
    | stmts error NEWLINE       { $$ = $1; yyerrok; }
    | stmts error '{' stmts '}' NEWLINE     { $$ = $1; yyerrok; }
    ;
stmt: targets '=' expr marks
        { $$ = ast_stmt(p, STMT_ASSIGN, @1); $$->targets = $1.first; $$->value = $3; $$->marks = marks_of(p, BEHIND_STATEMENT, $4); }
    | postfix '(' args ')' some_marks
        { $$ = ast_stmt(p, STMT_CALL, @1); $$->value = ast_apply(p, EXPR_CALL, $1, $3.first, @1); $$->marks = marks_of(p, BEHIND_STATEMENT, $5); }
    | expr                      { $$ = ast_stmt(p, STMT_CALL, @1); $$->value = called(p, $1); }
    | RETURN                    { $$ = ast_stmt(p, STMT_RETURN, @1); }
    | RETURN exprs marks        { $$ = ast_stmt(p, STMT_RETURN, @1); $$->values = $2.first; $$->marks = marks_of(p, BEHIND_STATEMENT, $3); }
    | FOR name IN expr RANGE expr '{' stmts '}' marks
        { $$ = ast_stmt(p, STMT_FOR, @1); $$->name = $2.text; $$->from = $4; $$->to = $6; $$->body = $8.first;
          $$->marks = marks_of(p, BEHIND_STATEMENT, $10); }
    | FOR name SCAN expr RANGE expr '{' stmts '}' marks
        { $$ = ast_stmt(p, STMT_SCAN, @1); $$->name = $2.text; $$->from = $4; $$->to = $6; $$->body = $8.first;
          $$->marks = marks_of(p, BEHIND_STATEMENT, $10); }
    | STAGE expr '{' stmts '}' marks
        { $$ = ast_stmt(p, STMT_STAGE, @1); $$->from = $2; $$->body = $4.first; $$->marks = marks_of(p, BEHIND_STATEMENT, $6); }
    | FOR name IN expr '{' stmts '}'
        { $$ = NULL;
          if ($4->kind == EXPR_NAME && !strcmp($4->text, "params")) absent(p, @1, "a loop over params");
          else diag_error(p->diag, @4, "a loop runs over a range: for %s in 0..n", $2.text); }
    | KERNEL name '(' args ')' kernel_results schedule '{' stmts '}' marks
        { $$ = ast_stmt(p, STMT_KERNEL, @1); $$->name = $2.text; $$->values = $4.first; $$->targets = $6.first;
          $$->schedule = $7; $$->schedule_loc = @7; $$->body = $9.first; $$->marks = marks_of(p, BEHIND_STATEMENT, $11); }
    ;
targets: target                 { $$.first = NULL; APPEND($$, $1); }
    | targets ',' target        { $$ = $1; APPEND($$, $3); }
    ;
target: postfix                 { $$ = ast_target(p, $1, NULL, ast_marks()); }
    | postfix ':' type marks    { $$ = ast_target(p, $1, $3, marks_of(p, BESIDE_VALUE, $4)); }
    ;
kernel_results: %empty          { $$.first = NULL; }
    | ARROW kernel_results_list { $$ = $2; }
    ;
kernel_results_list: kernel_result  { $$.first = NULL; APPEND($$, $1); }
    | kernel_results_list ',' kernel_result { $$ = $1; APPEND($$, $3); }
    ;
kernel_result: postfix ':' type marks   { $$ = ast_target(p, $1, $3, marks_of(p, BESIDE_VALUE, $4)); } ;
schedule: %empty                { $$ = NULL; }
    | SCHEDULE schedule_open args schedule_close
        { $$ = arena_strndup(p->arena, p->source->text + $2.end, $4.offset - $2.end); }
    ;
schedule_open: '(' ;
schedule_close: ')' ;

/* Expressions, weakest binding first. */
expr: or_expr ;
or_expr: and_expr
    | or_expr OR and_expr       { $$ = ast_binary(p, "or", $1, $3, @2); }
    ;
and_expr: not_expr
    | and_expr AND not_expr     { $$ = ast_binary(p, "and", $1, $3, @2); }
    ;
not_expr: comparison
    | NOT not_expr              { $$ = ast_unary(p, "not", $2, @1); }
    ;
comparison: sum
    | comparison comparator sum
        { if ($1->kind == EXPR_BINARY && !$1->parenthesised && strchr("<>=!", *$1->text))
              diag_error(p->diag, @2, "comparisons do not chain: write a %s b and b %s c", $1->text, $2), $1->kind = EXPR_ERROR;
          $$ = ast_binary(p, $2, $1, $3, @2); }
    ;
comparator: '<' { $$ = "<"; } | '>' { $$ = ">"; } | LE { $$ = "<="; } | GE { $$ = ">="; } | EQ { $$ = "=="; }
    | NE        { $$ = "!="; }
    ;
sum: product
    | sum '+' product           { $$ = ast_binary(p, "+", $1, $3, @2); }
    | sum '-' product           { $$ = ast_binary(p, "-", $1, $3, @2); }
    ;
product: unary
    | product '*' unary         { $$ = ast_binary(p, "*", $1, $3, @2); }
    | product '/' unary         { $$ = ast_binary(p, "/", $1, $3, @2); }
    | product FLOORDIV unary    { $$ = ast_binary(p, "//", $1, $3, @2); }
    | product '%' unary         { $$ = ast_binary(p, "%", $1, $3, @2); }
    ;
unary: power
    | '-' unary                 { $$ = ast_unary(p, "-", $2, @1); }
    | '+' unary                 { $$ = ast_unary(p, "+", $2, @1); }
    ;
power: postfix
    | postfix POW unary         { $$ = ast_binary(p, "**", $1, $3, @2); }
    ;
postfix: primary
    | postfix '(' args ')'      { $$ = ast_apply(p, EXPR_CALL, $1, $3.first, $1->loc); }
    | postfix '[' subscripts comma ']'    { $$ = ast_apply(p, EXPR_INDEX, $1, $3.first, $1->loc); }
    ;
primary: name                   { $$ = ast_expr(p, EXPR_NAME, @1); $$->text = $1.text; }
    | DOTTED                    { $$ = ast_expr(p, EXPR_NAME, @1); $$->text = $1.text; }
    | INT                       { $$ = number(p, $1); }
    | FLOAT                     { $$ = number(p, $1); }
    | INF                       { $$ = ast_expr(p, EXPR_FLOAT, @1); $$->real = INFINITY; }
    | NOT_A_NUMBER              { $$ = ast_expr(p, EXPR_FLOAT, @1); $$->real = NAN; }
    | TRUE                      { $$ = ast_expr(p, EXPR_BOOL, @1); $$->integer = 1; }
    | FALSE                     { $$ = ast_expr(p, EXPR_BOOL, @1); }
    | STRING                    { $$ = ast_expr(p, EXPR_STRING, @1); $$->text = $1.text; }
    | DTYPE                     { $$ = ast_expr(p, EXPR_DTYPE, @1); $$->text = $1.text;
                                  dtype_from_name($1.text, &$$->dtype); }
    | BAD                       { $$ = ast_expr(p, EXPR_ERROR, @1); }
    | '(' expr ')'              { $$ = $2; $$->parenthesised = true; }
    | '[' elements ']'          { $$ = ast_apply(p, EXPR_LIST, NULL, $2.first, @1); }
    ;
comma: %empty | ',' ;
args: %empty                    { $$ = (struct arg_list){0}; }
    | args_list | args_list ','
    ;
args_list: arg                  { $$ = (struct arg_list){0}; APPEND($$, $1); }
    | args_list ',' arg         { $$ = $1; APPEND($$, $3); }
    ;
arg: expr                       { $$ = ast_arg(p, NULL, $1, @1); }
    | place '=' expr            { $$ = ast_arg(p, $1.text, $3, @1); }
    ;
elements: %empty                { $$ = (struct arg_list){0}; }
    | elements_list | elements_list ','
    ;
elements_list: element          { $$ = (struct arg_list){0}; APPEND($$, $1); }
    | elements_list ',' element { $$ = $1; APPEND($$, $3); }
    ;
element: expr                   { $$ = ast_arg(p, NULL, $1, @1); } ;
subscripts: subscript           { $$ = (struct arg_list){0}; APPEND($$, $1); }
    | subscripts ',' subscript  { $$ = $1; APPEND($$, $3); }
    ;
subscript: expr                 { $$ = ast_arg(p, NULL, $1, @1); }
    | bound ':' bound           { $$ = ast_range(p, $1, $3, NULL, @2); }
    | bound ':' bound ':' bound { $$ = ast_range(p, $1, $3, $5, @2); }
    ;
bound: %empty                   { $$ = NULL; }
    | expr
    ;

name: word ;
word: NAME | MODEL | CONST | DIM | WEIGHTS | PARAM | STATE | EXPORT | OPTION | MESH | KERNEL | SCAN | FROM | STORE | LAYOUT
    | SCHEDULE | FIXED | OVER | ON | RANKS | UNIT | LOCAL | LOC ;
%%

static int yylex(YYSTYPE *value, YYLTYPE *where, struct parser *p) {
    int kind = token_next(p, &value->token);
    *where = value->token.loc;
    return kind;
}

static void yyerror(YYLTYPE *where, struct parser *p, const char *message) {
    diag_error(p->diag, *where, "%s", strcmp(message, "memory exhausted") ? message : "this is nested too deeply");
}

/* How a token is called in messages. */
static const char *token_text(struct arena *a, yysymbol_kind_t kind) {
    const char *name = yysymbol_name(kind);
    bool word = (*name >= 'a' && *name <= 'z') || strchr("_(){}[]<>.,:;=+-*/%@?!", *name);
    if (strchr(name, ' ')) return name;
    return word ? arena_printf(a, "'%s'", name) : name;
}

static const char *found_text(struct parser *p, yysymbol_kind_t kind) {
    if (kind == YYSYMBOL_YYEOF) return "end of the text";
    const struct token *t = p->position ? &p->tokens[p->position - 1] : NULL;
    if (!t || kind == YYSYMBOL_NEWLINE) return "end of the line";
    size_t length = t->end - t->offset;
    return arena_printf(p->arena, "'%.*s'", length > 40 ? 40 : (int)length, p->source->text + t->offset);
}

/* An opening brace on a line of its own: one message, at the line that lacks it. */
static bool report_brace(struct parser *p, yysymbol_kind_t found) {
    const struct token *next = p->position < p->count ? &p->tokens[p->position] : NULL;
    if (found == YYSYMBOL_NEWLINE && next && next->kind == '{') {
        diag_error(p->diag, next->loc, "an opening '{' stands on the line of what it belongs to");
        p->stray_brace = p->position + 1;
    }
    return p->stray_brace && (p->stray_brace == p->position || p->stray_brace == p->position + 1);
}

/* "unexpected 'b'; expected ',' or ')'": at most four candidates, or none are named. */
static int yyreport_syntax_error(const yypcontext_t *context, struct parser *p) {
    enum { MANY = 5 };
    yysymbol_kind_t expected[60], found = yypcontext_token(context);
    int count = yypcontext_expected_tokens(context, expected, 60), named = 0;
    const char *list = "";
    bool names = false;
    for (int i = 0; i < count; i++) names |= expected[i] == YYSYMBOL_NAME;
    for (int i = 0; i < count; i++) {
        bool word = expected[i] >= YYSYMBOL_MODEL && expected[i] <= YYSYMBOL_LOC;
        if ((word && names) || expected[i] == YYSYMBOL_BAD) continue;
        const char *text = token_text(p->arena, expected[i]);
        list = named++ ? arena_printf(p->arena, "%s or %s", list, text) : text;
    }
    if (p->too_deep || found == YYSYMBOL_BAD) return tokens_recover(p), 0; /* the reason has been reported */
    if (report_brace(p, found)) return 0;
    struct loc loc = *yypcontext_location(context);
    const char *what = found == YYSYMBOL_YYUNDEF ? "this" : found_text(p, found);
    if (named && named < MANY)
        diag_error(p->diag, loc, "unexpected %s; expected %s", what, list);
    else
        diag_error(p->diag, loc, "unexpected %s", what);
    if (found == YYSYMBOL_YYEOF && p->blocks)
        diag_note(p->diag, p->block_locs[p->blocks - 1], "this '{' is not closed");
    if (!tokens_recover(p) && p->open) diag_note(p->diag, p->open_locs[p->open - 1], "this bracket is not closed");
    return 0;
}

static void append_decl(struct parser *p, struct decl *d) {
    if (!p->tree->decls)
        p->tree->decls = d;
    else
        p->last_decl->next = d;
    p->last_decl = d;
}

static struct type_expr *new_type(struct parser *p, struct loc loc) {
    struct type_expr *t = arena_new_object(p->arena, struct type_expr);
    t->loc = loc;
    return t;
}

static void absent(struct parser *p, struct loc loc, const char *what) {
    diag_error(p->diag, loc, "%s is not yet supported here", what);
}

static struct expr *number(struct parser *p, struct token t) {
    struct expr *e = ast_expr(p, t.kind == INT ? EXPR_INT : EXPR_FLOAT, t.loc);
    e->integer = t.integer;
    e->real = t.real;
    return e;
}

/* What a statement without `=` must be. */
static struct expr *called(struct parser *p, struct expr *e) {
    if (e->kind == EXPR_CALL || e->kind == EXPR_ERROR) return e;
    diag_error(p->diag, e->loc, "a statement without '=' is a call; this expression does nothing");
    return ast_expr(p, EXPR_ERROR, e->loc);
}

/* `a` with what `b` adds; the same mark twice is an error. */
static struct marks merge_marks(struct parser *p, struct marks a, struct marks b) {
    struct loc twice = {0};
    if (b.store) twice = a.store ? b.store_loc : twice, a.store = b.store, a.store_loc = b.store_loc;
    if (b.layout) twice = a.layout ? b.layout_loc : twice, a.layout = b.layout, a.layout_loc = b.layout_loc;
    if (b.from) twice = a.from ? b.from_loc : twice, a.from = b.from, a.from_loc = b.from_loc;
    if (b.sharding) twice = a.sharding ? b.sharding->loc : twice, a.sharding = b.sharding;
    if (b.on) twice = a.on ? b.on->loc : twice, a.on = b.on;
    if (b.over >= 0) twice = a.over >= 0 ? b.over_loc : twice, a.over = b.over, a.over_loc = b.over_loc;
    if (b.space) {
        twice = a.space ? b.space_loc : twice;
        a.space = b.space, a.space_loc = b.space_loc, a.offset = b.offset;
    }
    if (b.loc.source) {
        twice = a.loc.source ? b.loc_loc : twice, a.loc = b.loc, a.loc_loc = b.loc_loc;
        if (!p->tree->first_loc.source) p->tree->first_loc = b.loc;
    }
    if (twice.source) diag_error(p->diag, twice, "this is given twice");
    return a;
}

static struct marks marks_of(struct parser *p, enum marked place, struct marks m) {
    static const char *const places[] = {"beside a value: what may stand there is layout, in, over and @mesh(…)",
                                         "beside a result: what may stand there is @mesh(…)",
                                         "behind a statement: what may stand there is @mesh(…), on and loc",
                                         "behind a function: what may stand there is loc"};
    bool value = place == BESIDE_VALUE, statement = place == BEHIND_STATEMENT, function = place == BEHIND_FUNCTION;
    const struct {
        bool stray;
        struct loc loc;
        const char *name;
    } marks[] = {{m.from, m.from_loc, "from"},
                 {m.store, m.store_loc, "store"},
                 {m.layout && !value, m.layout_loc, "layout"},
                 {m.space && !value, m.space_loc, "in"},
                 {m.over >= 0 && !value, m.over_loc, "over"},
                 {m.loc.source && !statement && !function, m.loc_loc, "loc"},
                 {m.on && !statement, m.on ? m.on->loc : m.loc_loc, "on"},
                 {m.sharding && function, m.sharding ? m.sharding->loc : m.loc_loc, "@"}};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (marks[i].stray) diag_error(p->diag, marks[i].loc, "'%s' means nothing %s", marks[i].name, places[place]);
    return m;
}

struct tree *parse(struct arena *arena, struct diag *diag, const struct source *source) {
    struct parser p = {.arena = arena, .diag = diag, .source = source, .line = 1, .column = 1, .last_bad = SIZE_MAX};
    p.tree = arena_new_object(arena, struct tree);
    if (source->length > MAX_TEXT) {
        diag_error(diag, (struct loc){source, 0, 0}, "this text is larger than 256 MiB");
        return p.tree;
    }
    lex(&p);
    yyparse(&p);
    return p.tree;
}
