/* PTX text to functions of statements: directives, declarations, labels; operands by ptx_lex.c. Registers are
 * found here, where they were declared; labels, which may come later, when the code is decoded. */
#include "tests/gpu/ptx_lex.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static uint64_t align_up(uint64_t value, uint64_t align) { return (value + align - 1) / align * align; }

static struct symbol *declare(struct cursor *c, struct symbol s) {
    struct ptx_module *m = c->module;
    struct function *f = c->function;
    s.scope = c->scope;
    if (f) {
        f->symbols = ptx_append(m, f->symbols, &f->symbols_count, sizeof s);
        return f->symbols[f->symbols_count - 1] = s, &f->symbols[f->symbols_count - 1];
    }
    m->symbols = ptx_append(m, m->symbols, &m->symbols_count, sizeof s);
    return m->symbols[m->symbols_count - 1] = s, &m->symbols[m->symbols_count - 1];
}

/* .reg .b32 %r<40>, %x; */
static bool registers(struct cursor *c) {
    struct function *f = c->function;
    const char *type_name = ptx_word(c, true);
    enum ptx_type type = type_name ? ptx_type_named(type_name + 1, strlen(type_name + 1)) : T_NONE;
    if (!type || !f)
        return ptx_complain(c->module, c->line, "no type of registers: %s", type_name ? type_name : ""),
               false;
    do {
        int64_t count = 0;
        const char *name = ptx_word(c, false);
        if (!name) return false;
        if (ptx_accept(c, "<") && (!ptx_integer(c, &count) || !ptx_expect(c, ">"))) return false;
        declare(c, (struct symbol){.name = name,
                                   .kind = SYM_REGISTER,
                                   .count = (uint32_t)count,
                                   .type = type,
                                   .first = (uint32_t)f->registers_count});
        for (int64_t i = 0; i < (count ? count : 1); i++) {
            f->registers = ptx_append(c->module, f->registers, &f->registers_count, sizeof *f->registers);
            f->registers[f->registers_count - 1].type = type;
        }
    } while (ptx_accept(c, ","));
    return ptx_expect(c, ";");
}

/* One element of an initialiser: a number, or a variable's address, of which a mask may choose a byte. */
static bool initial_value(struct cursor *c, uint64_t *value) {
    struct arg a = {0};
    uint64_t mask = 0;
    if (ptx_number(c, &a)) {
        *value = a.bits;
        if (a.kind != A_INTEGER || !ptx_accept(c, "(")) return true;
        mask = a.bits;
        a = (struct arg){0};
    }
    const char *name = ptx_word(c, false);
    if (!name) return ptx_complain(c->module, c->line, "no initial value: '%.20s'", c->at), false;
    bool generic = !strcmp(name, "generic") && ptx_accept(c, "(");
    if (generic) name = ptx_word(c, false);
    if (generic && !ptx_expect(c, ")")) return false;
    const struct symbol *s = name ? ptx_find(c->module, NULL, 0, name, SYM_VARIABLE, NULL) : NULL;
    if (!s)
        return ptx_complain(c->module, c->line, "%s is not a variable declared before", name ? name : ""),
               false;
    *value = s->address;
    while (ptx_accept(c, "+")) {
        int64_t offset;
        if (!ptx_integer(c, &offset)) return false;
        *value += (uint64_t)offset;
    }
    if (!mask) return true;
    *value = (*value & mask) >> __builtin_ctzll(mask);
    return ptx_expect(c, ")");
}

static bool initialise(struct cursor *c, const struct symbol *s) {
    unsigned char *memory = ptx_memory(s->address, s->bytes);
    memset(memory, 0, s->bytes);
    if (!ptx_accept(c, "=")) return true;
    uint32_t bytes = ptx_type_bytes(s->type);
    bool list = ptx_accept(c, "{");
    for (uint64_t at = 0; !(list && ptx_accept(c, "}")); at += bytes) {
        uint64_t value;
        ptx_accept(c, "{"); /* rows of arrays of arrays follow one another */
        if (!initial_value(c, &value)) return false;
        if (at + bytes > s->bytes)
            return ptx_complain(c->module, c->line, "%s has more values than places", s->name), false;
        memcpy(memory + at, &value, bytes);
        if (!list) return true;
        if (!ptx_accept(c, ",") && ptx_accept(c, "}") && !ptx_accept(c, ",")) return true;
    }
    return true;
}

static const struct {
    const char *name;
    enum ptx_space space;
} spaces[] = {{".global", S_GLOBAL},
              {".shared", S_SHARED},
              {".local", S_LOCAL},
              {".const", S_CONST},
              {".param", S_PARAM}};

/* Type, alignment, name and extents of a variable or parameter, after its space. */
static bool variable(struct cursor *c, struct symbol *s) {
    int64_t count, width = 1;
    *s = (struct symbol){.kind = SYM_VARIABLE, .space = s->space, .dynamic = s->dynamic};
    for (ptx_skip(c); *c->at == '.'; ptx_skip(c)) {
        const char *word = ptx_word(c, true);
        if (!strcmp(word, ".align")) {
            int64_t align;
            if (!ptx_integer(c, &align)) return false;
            if (!s->align) s->align = (uint64_t)align;
        } else if (!strcmp(word, ".ptr") || !strcmp(word, ".attribute")) {
            while (ptx_accept(c, ".global") || ptx_accept(c, ".shared") || ptx_accept(c, ".const") ||
                   ptx_accept(c, ".local")) {
            }
            int64_t pointed;
            if (ptx_accept(c, ".align") && !ptx_integer(c, &pointed)) return false;
            if (ptx_accept(c, "(")) c->at += strcspn(c->at, ")") + 1;
        } else if (word[1] == 'v' && isdigit((unsigned char)word[2]) && !word[3])
            width = word[2] - '0';
        else if (!(s->type = ptx_type_named(word + 1, strlen(word + 1))))
            return ptx_complain(c->module, c->line, "%s is not known here", word), false;
    }
    s->name = ptx_word(c, false);
    s->bytes = ptx_type_bytes(s->type) * (uint64_t)width;
    if (!s->name || !s->bytes)
        return ptx_complain(c->module, c->line, "a variable without name or type"), false;
    if (s->align < s->bytes && (s->bytes & (s->bytes - 1)) == 0 && !s->align) s->align = s->bytes;
    if (!s->align) s->align = 1;
    while (ptx_accept(c, "[")) {
        if (ptx_accept(c, "]")) {
            s->bytes = 0; /* of a size known at launch, or by the initialiser */
            continue;
        }
        if (!ptx_integer(c, &count) || !ptx_expect(c, "]")) return false;
        s->bytes *= (uint64_t)count;
    }
    return true;
}

/* Variables of a module or a body get their addresses; shared ones when a kernel's are known. */
static bool variables(struct cursor *c, enum ptx_space space, bool external) {
    struct ptx_module *m = c->module;
    struct function *f = c->function;
    struct symbol s = {.space = space, .dynamic = external && space == S_SHARED};
    bool dynamic = s.dynamic;
    if (!variable(c, &s)) return false;
    s.dynamic = dynamic || (space == S_SHARED && !s.bytes);
    if (space == S_GLOBAL || space == S_CONST) {
        if (external) return ptx_complain(m, c->line, "%s is in another module", s.name), false;
        s.address = ptx_allocate(s.bytes ? s.bytes : 1);
        m->globals = ptx_append(m, m->globals, &m->globals_count, sizeof *m->globals);
        m->globals[m->globals_count - 1] = s.address;
        if (!initialise(c, &s)) return false;
    } else if (space == S_LOCAL && f) {
        s.address = align_up(f->local_bytes, s.align);
        f->local_bytes = (uint32_t)(s.address + s.bytes);
    } else if (space == S_PARAM && f) {
        s.space = S_CALL;
        s.address = align_up(f->call_bytes, s.align < 16 ? 16 : s.align);
        f->call_bytes = (uint32_t)(s.address + s.bytes);
    } else if (space != S_SHARED)
        return ptx_complain(m, c->line, "%s cannot be declared here", s.name), false;
    declare(c, s);
    return ptx_expect(c, ";");
}

static bool space_named(const char *word, enum ptx_space *space) {
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++)
        if (!strcmp(word, spaces[i].name)) return *space = spaces[i].space, true;
    return false;
}

/* .loc file line column[, function_name ..., inlined_at ...] */
static bool location(struct cursor *c, uint32_t place[2]) {
    int64_t file, line, column;
    if (!ptx_integer(c, &file) || !ptx_integer(c, &line) || !ptx_integer(c, &column)) return false;
    place[0] = (uint32_t)file;
    place[1] = (uint32_t)line;
    c->at += strcspn(c->at, "\n;");
    return true;
}

/* name: .branchtargets L1, L2; */
static bool label(struct cursor *c, const char *name) {
    struct function *f = c->function;
    struct symbol s = {.name = name, .kind = SYM_LABEL, .first = (uint32_t)f->statements_count};
    if (ptx_accept(c, ".branchtargets")) {
        s.kind = SYM_TABLE;
        do {
            size_t count = s.count;
            s.targets = ptx_append(c->module, s.targets, &count, sizeof *s.targets);
            s.targets[s.count++] = ptx_word(c, false);
        } while (ptx_accept(c, ","));
        if (!ptx_expect(c, ";")) return false;
    } else if (ptx_accept(c, ".callprototype"))
        c->at += strcspn(c->at, ";") + 1;
    declare(c, s);
    return true;
}

static bool statement(struct cursor *c, const uint32_t place[2]) {
    struct function *f = c->function;
    struct statement s = {
        .line = c->line, .source_file = place[0], .source_line = place[1], .scope = c->scope};
    if (ptx_accept(c, "@")) {
        s.guarded = true;
        if (!ptx_operand(c, &s.guard)) return false;
        ptx_skip(c);
        s.line = c->line;
    }
    const char *begin = c->at;
    s.opcode = ptx_word(c, true);
    if (!s.opcode) return ptx_complain(c->module, c->line, "no instruction: '%.20s'", c->at), false;
    while (!ptx_accept(c, ";")) {
        struct arg a = {0};
        if (s.count && !ptx_accept(c, ","))
            return ptx_complain(c->module, c->line, "expected ';' before '%.20s'", c->at), false;
        if (!ptx_operand(c, &a)) return false;
        size_t count = s.count;
        s.args = ptx_append(c->module, s.args, &count, sizeof a);
        s.args[s.count++] = a;
    }
    s.text = ptx_own_text(c->module, begin, (size_t)(c->at - begin));
    for (char *p = s.text; *p; p++)
        if (isspace((unsigned char)*p)) *p = ' ';
    f->statements = ptx_append(c->module, f->statements, &f->statements_count, sizeof s);
    f->statements[f->statements_count - 1] = s;
    if (strncmp(s.opcode, "call", 4)) return true;
    f->statements = ptx_append(c->module, f->statements, &f->statements_count, sizeof s);
    s.opcode = CALL_RETURN; /* where the results are copied */
    f->statements[f->statements_count - 1] = s;
    return true;
}

static bool directive(struct cursor *c, const char *word, uint32_t place[2]) {
    enum ptx_space space;
    if (!strcmp(word, ".reg")) return registers(c);
    if (!strcmp(word, ".loc")) return location(c, place);
    if (space_named(word, &space)) return variables(c, space, false);
    if (!strcmp(word, ".pragma")) return c->at += strcspn(c->at, ";") + 1, true;
    return ptx_complain(c->module, c->line, "directive %s is not known in a function", word), false;
}

static void open_scope(struct cursor *c) {
    struct function *f = c->function;
    f->parents = ptx_append(c->module, f->parents, &f->scopes_count, sizeof *f->parents);
    f->parents[f->scopes_count - 1] = c->scope;
    c->scope = (uint32_t)f->scopes_count - 1;
}

static bool body(struct cursor *c) {
    uint32_t place[2] = {0, 0}, depth = 1;
    while (depth) {
        ptx_skip(c);
        if (!*c->at) return ptx_complain(c->module, c->line, "the text ends in a function"), false;
        if (ptx_accept(c, "{")) {
            depth++;
            open_scope(c);
        } else if (ptx_accept(c, "}")) {
            depth--;
            c->scope = c->function->parents[c->scope];
        } else if (ptx_accept(c, ";")) {
        } else if (*c->at == '.') {
            if (!directive(c, ptx_word(c, true), place)) return false;
        } else {
            const struct cursor before = *c;
            const char *word = *c->at == '@' ? NULL : ptx_word(c, false);
            if (word && *c->at == ':' && c->at[1] != ':') {
                c->at++;
                if (!label(c, word)) return false;
            } else {
                *c = before;
                if (!statement(c, place)) return false;
            }
        }
    }
    return true;
}

/* Parameters of an entry lie one after another as the driver packs them; a function's in its lanes' memory.
 */
static bool parameters(struct cursor *c, struct param **list, size_t *count) {
    struct function *f = c->function;
    if (ptx_accept(c, ")")) return true;
    do {
        struct symbol s = {.space = f->entry ? S_PARAM : S_CALL};
        if (!ptx_accept(c, ".param"))
            return ptx_complain(c->module, c->line, "parameters in registers are not supported"), false;
        if (!variable(c, &s)) return false;
        uint32_t *end = f->entry ? &f->param_bytes : &f->call_bytes;
        s.address = align_up(*end, f->entry ? s.align : s.align < 16 ? 16 : s.align);
        *end = (uint32_t)(s.address + s.bytes);
        declare(c, s);
        *list = ptx_append(c->module, *list, count, sizeof **list);
        (*list)[*count - 1] = (struct param){s.name, (uint32_t)s.address, (uint32_t)s.bytes};
    } while (ptx_accept(c, ","));
    return ptx_expect(c, ")");
}

/* What stands between parameters and body. */
static bool bounds(struct cursor *c, struct function *f) {
    for (ptx_skip(c); *c->at == '.'; ptx_skip(c)) {
        const char *word = ptx_word(c, true);
        int64_t extent[3] = {1, 1, 1}, unused;
        if (!strcmp(word, ".maxntid") || !strcmp(word, ".reqntid")) {
            int n = 0;
            do {
                if (n == 3 || !ptx_integer(c, &extent[n++])) return false;
            } while (ptx_accept(c, ","));
            f->max_threads = (uint32_t)(extent[0] * extent[1] * extent[2]);
            for (int i = 0; i < 3 && word[1] == 'r'; i++) f->required[i] = (uint32_t)extent[i];
        } else if (!strcmp(word, ".pragma")) {
            c->at += strcspn(c->at, ";") + 1;
        } else if (!strcmp(word, ".minnctapersm") || !strcmp(word, ".maxnreg") ||
                   !strcmp(word, ".maxclusterrank") || !strcmp(word, ".reqnctapercluster")) {
            do {
                if (!ptx_integer(c, &unused)) return false;
            } while (ptx_accept(c, ","));
        } else if (strcmp(word, ".explicitcluster") && strcmp(word, ".noreturn") &&
                   strcmp(word, ".blocksareclusters"))
            return ptx_complain(c->module, c->line, "directive %s is not known for a function", word), false;
    }
    return true;
}

static struct function *function_named(struct ptx_module *m, const char *name) {
    for (size_t i = 0; i < m->functions_count; i++)
        if (!strcmp(m->functions[i]->name, name)) return m->functions[i];
    m->functions = ptx_append(m, m->functions, &m->functions_count, sizeof *m->functions);
    return m->functions[m->functions_count - 1] = ptx_own(m, sizeof **m->functions);
}

static bool function(struct cursor *c, bool entry) {
    struct ptx_module *m = c->module;
    struct function own = {.module = m, .entry = entry, .max_threads = 1024}, *f = &own;
    c->function = f;
    f->registers = ptx_append(m, NULL, &f->registers_count, sizeof *f->registers); /* number 0: constants */
    c->scope = 0;
    open_scope(c);
    if (!entry && ptx_accept(c, "(") && !parameters(c, &f->returns, &f->returns_count)) return false;
    f->name = ptx_word(c, false);
    if (!f->name) return ptx_complain(m, c->line, "a function without a name"), false;
    if (ptx_accept(c, "(") && !parameters(c, &f->params, &f->params_count)) return false;
    if (!bounds(c, f)) return false;
    struct function *place = function_named(m, f->name);
    if (!ptx_accept(c, ";")) {
        f->defined = true;
        if (!ptx_expect(c, "{") || !body(c)) return false;
    }
    if (!place->defined) *place = own;
    c->function = NULL;
    c->scope = 0;
    return true;
}

/* .file 1 "name"[, time, size] */
static bool file(struct cursor *c) {
    struct ptx_module *m = c->module;
    int64_t number;
    if (!ptx_integer(c, &number) || !ptx_accept(c, "\"")) return false;
    size_t n = strcspn(c->at, "\"");
    while ((int64_t)m->files_count <= number && number < 4096)
        m->files = ptx_append(m, (void *)m->files, &m->files_count, sizeof *m->files);
    if (number < 4096) m->files[number] = ptx_own_text(m, c->at, n);
    c->at += strcspn(c->at, "\n");
    return true;
}

/* .section .debug_x { ... } */
static bool section(struct cursor *c) {
    for (; *c->at && *c->at != '{'; c->at++) c->line += *c->at == '\n';
    for (int depth = 0; *c->at;) {
        depth += (*c->at == '{') - (*c->at == '}');
        c->line += *c->at++ == '\n';
        if (!depth) return true;
    }
    return false;
}

static bool top(struct cursor *c) {
    const char *word = ptx_word(c, true);
    bool external = false;
    enum ptx_space space;
    if (!word) return ptx_complain(c->module, c->line, "expected a directive before '%.20s'", c->at), false;
    for (; !strcmp(word, ".visible") || !strcmp(word, ".weak") || !strcmp(word, ".common") ||
           !strcmp(word, ".extern");
         word = ptx_word(c, true)) {
        external = !strcmp(word, ".extern");
        if (!word) return false;
    }
    if (!strcmp(word, ".version") || !strcmp(word, ".target") || !strcmp(word, ".address_size")) {
        const char *sm = strstr(c->at, "sm_");
        if (!strcmp(word, ".target") && sm) c->module->sm = (uint32_t)strtoul(sm + 3, NULL, 10);
        c->at += strcspn(c->at, "\n");
        return true;
    }
    if (!strcmp(word, ".entry") || !strcmp(word, ".func")) return function(c, word[1] == 'e');
    if (!strcmp(word, ".file")) return file(c);
    if (!strcmp(word, ".section")) return section(c);
    if (space_named(word, &space)) return variables(c, space, external);
    return ptx_complain(c->module, c->line, "directive %s is not known", word), false;
}

bool ptx_parse(struct ptx_module *m) {
    struct cursor c = {.module = m, .at = m->text, .line = 1};
    for (ptx_skip(&c); *c.at; ptx_skip(&c))
        if (!top(&c)) {
            if (!m->errors) ptx_complain(m, c.line, "not understood before '%.20s'", c.at);
            return false;
        }
    return true;
}
