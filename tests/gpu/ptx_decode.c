/* Statements to code: an opcode's words choose a row of the tables, which says what its operands are;
 * registers, constants and special registers all become places in the warp's file. */
#include "tests/gpu/ptx_ops.h"
#include <stdio.h>
#include <string.h>

enum { SINK_AT = 4 * LANES };
static uint32_t align_up(uint32_t v, uint32_t a) { return (v + a - 1) / a * a; }

static const struct {
    const char *name;
    uint32_t flag;
} flags[] = {{"ftz", F_FTZ},
             {"sat", F_SAT},
             {"NaN", F_NAN},
             {"relu", F_RELU},
             {"satfinite", F_SATFINITE},
             {"volatile", F_ATOMIC},
             {"relaxed", F_ATOMIC},
             {"acquire", F_ATOMIC},
             {"release", F_ATOMIC},
             {"trans", F_TRANS},
             {"aligned", F_ALIGNED},
             {"abs", F_ABS}};
static const char *const rounds[] = {"", "rn", "rz", "rm", "rp", "rna", "rni", "rzi", "rmi", "rpi"};
static const char *const compares[] = {"eq", "ne",  "lt",  "le",  "gt",  "ge",  "lo",  "ls",  "hi",
                                       "hs", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan"};
static const char *const combines[] = {"", "and", "or", "xor"};
static const char *const space_names[] = {"", "global", "shared", "local", "const", "param"};
#define FIND(list, word, index)                                                                              \
    for (index = 0; index < sizeof list / sizeof *list && strcmp(list[index], word); index++) {              \
    }

static void classify(struct opcode *o, const char *word) {
    enum ptx_type type = ptx_type_named(word, strlen(word));
    size_t i;
    if (type && o->types_count < 6) o->types[o->types_count++] = type;
    for (i = 0; i < sizeof flags / sizeof *flags; i++)
        if (!strcmp(word, flags[i].name)) o->flags |= flags[i].flag;
    FIND(rounds, word, i)
    if (i < sizeof rounds / sizeof *rounds) o->round = (enum ptx_round)i;
    FIND(combines, word, i)
    if (i < sizeof combines / sizeof *combines) o->combine = (enum ptx_combine)i;
    char space[32];
    snprintf(space, sizeof space, "%.*s", (int)strcspn(word, ":"), word);
    FIND(space_names, space, i)
    if (i && i < sizeof space_names / sizeof *space_names) {
        if (!o->spaces++)
            o->space = (enum ptx_space)i;
        else
            o->space2 = (enum ptx_space)i;
    }
    if (word[0] == 'v' && strchr("248", word[1]) && word[1] && !word[2])
        o->vector = (uint32_t)(word[1] - '0');
    FIND(compares, word, i)
    if (i < C_NONE && o->compare == C_NONE) o->compare = (enum ptx_compare)i;
}

static struct opcode opcode(struct ptx_module *m, const char *text) {
    struct opcode o = {.text = text, .compare = C_NONE};
    char *copy = ptx_own_text(m, text, strlen(text)), *rest = copy;
    o.base = strsep(&rest, ".");
    bool bits = !strcmp(o.base, "setp") || !strcmp(o.base, "set");
    for (char *word; (word = strsep(&rest, "."));) {
        if (o.words_count < MODIFIERS) o.words[o.words_count++] = word;
        classify(&o, word);
    }
    if (!bits) o.compare = C_NONE;
    return o;
}

bool ptx_has(const struct opcode *o, const char *word) {
    for (uint32_t i = 0; i < o->words_count; i++)
        if (!strcmp(o->words[i], word)) return true;
    const char *dot = strchr(word, '.'); /* two words in order */
    for (uint32_t i = 0; dot && i + 1 < o->words_count; i++)
        if (!strncmp(o->words[i], word, (size_t)(dot - word)) && !o->words[i][dot - word] &&
            !strcmp(o->words[i + 1], dot + 1))
            return true;
    return false;
}

static const struct op_table *const tables[] = {
    &ptx_integer_ops, &ptx_float_ops, &ptx_half_ops,   &ptx_move_ops,   &ptx_memory_ops,
    &ptx_control_ops, &ptx_warp_ops,  &ptx_matrix_ops, &ptx_copy_ops,   &ptx_mbarrier_ops,
    &ptx_engine_ops,  &ptx_wgmma_ops, &ptx_tmem_ops,   &ptx_tcgen05_ops};

/* Rows with a word come before those without, in their tables. */
static const struct op_row *find_row(const struct opcode *o, enum ptx_type type) {
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (size_t i = 0; i < tables[t]->count; i++) {
            const struct op_row *r = &tables[t]->rows[i];
            if (!strcmp(r->base, o->base) && (!r->type || r->type == type) &&
                (!r->word || ptx_has(o, r->word)))
                return r;
        }
    return NULL;
}

/* A constant's place: equal ones share it. */
static struct operand constant(struct decoder *d, uint64_t bits, uint32_t size) {
    struct ptx_kernel *k = d->kernel;
    unsigned char lane[16] = {0};
    memcpy(lane, &bits, sizeof bits);
    uint32_t step = size * LANES, at = k->image_bytes;
    if (size == 4)
        for (at = 0; at < k->image_bytes; at += 64) {
            if (at + step > k->image_bytes) continue;
            uint32_t first, last;
            memcpy(&first, k->image + at, 4);
            memcpy(&last, k->image + at + step - 4, 4);
            bool same = first == (uint32_t)bits && last == first &&
                        !memcmp(k->image + at, k->image + at + 4, step - 4);
            if (same) return (struct operand){k->image_at + at, 0, size};
        }
    at = k->image_bytes;
    if (at + align_up(step, 64) > k->image_room) {
        k->image_room = 2 * (at + align_up(step, 64));
        unsigned char *larger = ptx_own(d->module, k->image_room);
        if (at) memcpy(larger, k->image, at);
        k->image = larger;
    }
    for (uint32_t l = 0; l < LANES; l++) memcpy(k->image + at + l * size, lane, size);
    k->image_bytes = at + align_up(step, 64);
    return (struct operand){k->image_at + at, 0, size};
}

static const struct {
    const char *name;
    enum ptx_special special;
} specials[] = {
    {"%tid.x", SP_TID_X},
    {"%tid.y", SP_TID_Y},
    {"%tid.z", SP_TID_Z},
    {"%ntid.x", SP_NTID_X},
    {"%ntid.y", SP_NTID_Y},
    {"%ntid.z", SP_NTID_Z},
    {"%ctaid.x", SP_CTAID_X},
    {"%ctaid.y", SP_CTAID_Y},
    {"%ctaid.z", SP_CTAID_Z},
    {"%nctaid.x", SP_NCTAID_X},
    {"%nctaid.y", SP_NCTAID_Y},
    {"%nctaid.z", SP_NCTAID_Z},
    {"%laneid", SP_LANEID},
    {"%warpid", SP_WARPID},
    {"%nwarpid", SP_NWARPID},
    {"%lanemask_eq", SP_LANEMASK_EQ},
    {"%lanemask_lt", SP_LANEMASK_LT},
    {"%lanemask_le", SP_LANEMASK_LE},
    {"%lanemask_gt", SP_LANEMASK_GT},
    {"%lanemask_ge", SP_LANEMASK_GE},
    {"%dynamic_smem_size", SP_DYNAMIC_SIZE},
    {"%total_smem_size", SP_TOTAL_SIZE},
    {"%smid", SP_ZERO},
    {"%nsmid", SP_ONE},
    {"%gridid", SP_ZERO},
    {"%cluster_ctaid.x", SP_ZERO},
    {"%cluster_ctaid.y", SP_ZERO},
    {"%cluster_ctaid.z", SP_ZERO},
    {"%cluster_nctaid.x", SP_ONE},
    {"%cluster_nctaid.y", SP_ONE},
    {"%cluster_nctaid.z", SP_ONE},
    {"%cluster_ctarank", SP_ZERO},
    {"%cluster_nctarank", SP_ONE},
    {"%clusterid.x", SP_CTAID_X},
    {"%clusterid.y", SP_CTAID_Y},
    {"%clusterid.z", SP_CTAID_Z},
    {"%nclusterid.x", SP_NCTAID_X},
    {"%nclusterid.y", SP_NCTAID_Y},
    {"%nclusterid.z", SP_NCTAID_Z},
};
static bool special(struct decoder *d, const char *name, struct operand *o) {
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++)
        if (!strcmp(name, specials[i].name)) {
            uint32_t *at = &d->kernel->specials[specials[i].special];
            if (!*at)
                *at =
                    constant(d, UINT64_C(0x5bec1a1000000000) + specials[i].special, 8).at; /* its own place */
            *o = (struct operand){*at, 0, 4};
            return true;
        }
    return false;
}

/* The address of a variable in its space. */
static bool variable(struct decoder *d, const struct arg *a, uint64_t *address, enum ptx_space *space) {
    const struct symbol *s =
        ptx_find(d->module, d->function, d->statement->scope, a->name, SYM_VARIABLE, NULL);
    if (!s) return false;
    *space = s->space;
    *address = s->address;
    if (s->space == S_LOCAL) *address += d->function->local_base + LOCAL_BASE;
    if (s->space == S_CALL) *address += d->function->call_base;
    for (size_t i = 0; s->space == S_SHARED && i < d->kernel->places_count; i++)
        if (d->kernel->places[i].symbol == s) *address = d->kernel->places[i].address;
    return true;
}

static uint64_t float_bits(const struct arg *a, enum ptx_type type) {
    double value;
    uint32_t single = (uint32_t)a->bits;
    memcpy(&value, &a->bits, sizeof value);
    if (a->kind == A_FLOAT64 && ptx_type_bytes(type) == 4) {
        float f = (float)value;
        memcpy(&single, &f, sizeof single);
        return single;
    }
    if (a->kind == A_FLOAT32 && type == T_F64) {
        float f;
        memcpy(&f, &single, sizeof f);
        value = (double)f;
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        return bits;
    }
    return a->bits;
}

static bool no(struct decoder *d, const char *what) {
    ptx_complain(d->module, d->statement->line, "%s: %s", d->statement->text, what);
    return false;
}

static bool push(struct decoder *d, struct operand o) {
    if (d->results + d->sources >= sizeof d->ops / sizeof *d->ops) return no(d, "too many operands");
    d->ops[d->results + d->sources++] = o;
    return true;
}

/* One register, constant or address of `size` bytes; 0: whatever it has. */
static bool value(struct decoder *d, const struct arg *a, enum ptx_type type, uint32_t size,
                  struct operand *o) {
    struct function *f = d->function;
    uint64_t address;
    enum ptx_space space;
    switch (a->kind) {
    case A_REGISTER: {
        const struct register_info *r = &f->registers[a->reg];
        *o = (struct operand){r->at, f->register_base + a->reg, ptx_type_register(r->type)};
        if (a->offset) return no(d, "a sum cannot stand here");
        if ((r->type == T_PRED) != (type == T_PRED))
            return no(d, "a predicate where a value is wanted, or the reverse");
        return !size || o->size == size || no(d, "a register of another size is wanted");
    }
    case A_INTEGER:
        if (type == T_PRED) return *o = constant(d, a->bits ? UINT64_MAX : 0, 8), o->size = 4, true;
        *o = constant(d, a->bits, size ? size : 8);
        return true;
    case A_FLOAT32:
    case A_FLOAT64:
        *o = constant(d, float_bits(a, type), size ? size : 8);
        return true;
    case A_SINK:
        *o = (struct operand){SINK_AT, 1, size ? size : 8};
        return true;
    case A_SYMBOL:
        if (special(d, a->name, o)) {
            if (size == 8) return no(d, "special registers have 32 bits here");
            return !size || size == 4 || no(d, "a register of another size is wanted");
        }
        if (!variable(d, a, &address, &space)) return no(d, "a name is not known here");
        *o = constant(d, address + (uint64_t)a->offset, size ? size : 8);
        return true;
    default:
        return no(d, "this operand cannot stand here");
    }
}

static bool address(struct decoder *d, const struct arg *a) {
    struct operand o;
    if (a->kind != A_ADDRESS || !a->count) return no(d, "an address is wanted");
    const struct arg *base = &a->items[0];
    uint64_t symbol;
    enum ptx_space space;
    if (base->kind == A_SYMBOL && variable(d, base, &symbol, &space) && d->insn->space == S_PARAM &&
        space == S_CALL)
        d->insn->space = S_CALL;
    struct arg plain = *base;
    plain.offset = base->kind == A_SYMBOL ? base->offset : 0;
    if (!value(d, &plain, T_B64, 0, &o)) return false;
    if (o.size != 4 && o.size != 8) return no(d, "an address has 32 or 64 bits");
    int64_t *offset = d->insn->offsets++ ? &d->insn->offset2 : &d->insn->offset;
    *offset = base->kind == A_REGISTER ? base->offset : 0;
    return push(d, o);
}

bool ptx_emit(struct decoder *d, const struct arg *a, char letter, enum ptx_type type) {
    struct operand o;
    enum ptx_type from = (enum ptx_type)d->insn->from;
    switch (letter) {
    case 't':
        if (type == T_PRED) letter = 'p';
        break;
    case 'f':
        type = from;
        break;
    case 'h':
        type = T_B16;
        break;
    case 'l':
        type = T_B32;
        break;
    case 'q':
        type = T_B64;
        break;
    case 'W':
        type = ptx_type_bytes(type) == 2 ? T_B32 : T_B64;
        break;
    default:
        break;
    }
    switch (letter) {
    case 'a':
        return address(d, a);
    case 'k':
        return true;
    case 'S': {
        struct arg plain = *a;
        plain.offset = 0;
        if (!value(d, &plain, T_B64, 8, &o) || !push(d, o)) return false;
        return push(d, constant(d, a->kind == A_REGISTER ? (uint64_t)a->offset : 0, 8));
    }
    case 'p':
        if (a->negated) d->insn->flags |= F_NOT;
        return value(d, a, T_PRED, 4, &o) && push(d, o);
    case 'P':
    case 'E':
        if (letter == 'P' ? !value(d, a, T_PRED, 4, &o) || !push(d, o)
                          : !value(d, a, T_B32, 4, &o) || !push(d, o))
            return false;
        return !a->second || (value(d, a->second, T_PRED, 4, &o) && push(d, o));
    case 'R':
        if (a->kind == A_VECTOR) {
            for (uint32_t i = 0; i < a->count; i++)
                if (!ptx_emit(d, &a->items[i], 'r', type)) return false;
            return a->count > 0;
        } /* fall through */
    case 'r':
        if (a->kind == A_REGISTER || a->kind == A_SINK) return value(d, a, type, 0, &o) && push(d, o);
        return value(d, a, type, ptx_type_register(type), &o) && push(d, o);
    default:
        return value(d, a, type, ptx_type_register(type), &o) && push(d, o);
    }
}

static bool operands(struct decoder *d, const char *shape, enum ptx_type type) {
    const struct statement *s = d->statement;
    uint32_t i = 0;
    for (const char *p = shape; *p; p++) {
        bool optional = *p == '?';
        if (optional) p++;
        if (*p == '=') {
            d->results = d->sources;
            d->sources = 0;
            continue;
        }
        if (*p == 'C') {
            d->ops[d->sources++] = (struct operand){0, 2, 4};
            continue;
        }
        if (i == s->count) {
            if (optional) continue;
            return no(d, "an operand is missing");
        }
        if (!ptx_emit(d, &s->args[i++], *p, type)) return false;
    }
    return i == s->count || no(d, "has an operand too many");
}

/* Modes that are words. */
static void modes(const struct opcode *o, struct insn *in) {
    static const struct {
        const char *base, *word;
        uint8_t mode;
    } list[] = {{"shfl", "up", 0},
                {"shfl", "down", 1},
                {"shfl", "bfly", 2},
                {"shfl", "idx", 3},
                {"bfind", "shiftamt", 1},
                {"prmt", "f4e", 1},
                {"prmt", "b4e", 2},
                {"prmt", "rc8", 3},
                {"prmt", "ecl", 4},
                {"prmt", "ecr", 5},
                {"prmt", "rc16", 6},
                {"dp2a", "lo", 1},
                {"dp2a", "hi", 2},
                {"bar", "arrive", 1},
                {"barrier", "arrive", 1},
                {"barrier", "cluster.wait", 2},
                {"cvta", "to", 1},
                {"mbarrier", "expect_tx", 2},
                {"mbarrier", "arrive.expect_tx", 1},
                {"mbarrier", "test_wait.parity", 1},
                {"mbarrier", "try_wait.parity", 1},
                {"cp", "noinc", 1},
                {"min", "xorsign", 1},
                {"max", "xorsign", 1}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (!strcmp(o->base, list[i].base) && ptx_has(o, list[i].word)) in->mode = list[i].mode;
    /* bar.sync is barrier.sync.aligned */
    if (!strcmp(o->base, "bar")) in->flags |= F_ALIGNED;
}

static bool comparable(enum ptx_type t) {
    return (t >= T_B16 && t <= T_BF16) || (t >= T_B32 && t <= T_F32) || t == T_F16X2 || t == T_BF16X2 ||
           (t >= T_B64 && t <= T_F64);
}
static bool finish(struct decoder *d, const struct opcode *o) {
    struct insn *in = d->insn;
    if (!strcmp(o->base, "atom") || !strcmp(o->base, "red"))
        if (!ptx_atomic_mode(o, in)) return no(d, "this atomic operation is not known");
    if (!strcmp(o->base, "setp") || !strcmp(o->base, "set"))
        if (in->compare == C_NONE || !comparable(o->types[o->types_count ? o->types_count - 1 : 0]))
            return no(d, "the comparison is not known");
    bool memory = !strcmp(o->base, "ld") || !strcmp(o->base, "st");
    uint32_t values = !strcmp(o->base, "ld") ? d->results : d->sources - 1;
    if (memory && values != (o->vector ? o->vector : 1)) return no(d, "the vector has another length");
    for (uint32_t i = 0; memory && i < values; i++)
        if (d->ops[o->base[0] == 'l' ? i : i + 1].size < ptx_type_bytes((enum ptx_type)in->type))
            return no(d, "the register is too small");
    return true;
}

static bool instruction(struct decoder *d) {
    const struct statement *s = d->statement;
    struct insn *in = d->insn;
    struct opcode o = opcode(d->module, s->opcode);
    enum ptx_type type = o.types_count ? o.types[0] : T_NONE;
    const struct op_row *row = find_row(&o, type);
    bool special = false, convert = !strcmp(o.base, "cvt");
    if (!row && !convert) return no(d, "opcode is not known");
    in->run = row ? row->run : NULL;
    in->type = (uint8_t)type;
    in->from = (uint8_t)(o.types_count > 1 ? o.types[1] : T_NONE);
    in->flags = (uint16_t)o.flags;
    in->round = (uint8_t)o.round;
    in->space = (uint8_t)o.space;
    in->compare = (uint8_t)o.compare;
    in->combine = (uint8_t)o.combine;
    in->vector = (uint8_t)o.vector;
    modes(&o, in);
    if (!ptx_special_op(d, &o, &special) || !ptx_matrix_op(d, &o, &special) ||
        !ptx_copy_op(d, &o, &special) || !ptx_engine_op(d, &o, &special) || !ptx_wgmma_op(d, &o, &special) ||
        !ptx_tcgen05_op(d, &o))
        return false;
    size_t errors = d->module->errors;
    if (!special && !strcmp(o.base, "mov") && ptx_move_op(d, type)) special = true;
    if (d->module->errors > errors) return false;
    type = (enum ptx_type)in->type;
    if (!special) {
        bool pair = s->count == 3;
        if (!operands(d, convert ? (pair ? "r=ff" : "r=r") : row->operands, type)) return false;
        if (!finish(d, &o)) return false;
    }
    in->results = (uint16_t)d->results;
    in->sources = (uint16_t)d->sources;
    struct operand *ops = ptx_own(d->module, (d->results + d->sources + 1) * sizeof *ops);
    memcpy(ops, d->ops, (d->results + d->sources) * sizeof *ops);
    in->ops = ops;
    if (convert && !(in->run = ptx_convert_op(&o, in))) return no(d, "this conversion is not known");
    return true;
}

static bool guard(struct decoder *d) {
    const struct arg *a = &d->statement->guard;
    if (!d->statement->guarded) return true;
    d->insn->guarded = true;
    d->insn->guard_not = a->negated;
    return value(d, a, T_PRED, 4, &d->insn->guard);
}

static void function_code(struct ptx_module *m, struct ptx_kernel *k, struct function *f) {
    for (size_t i = 0; i < f->statements_count; i++) {
        const struct statement *s = &f->statements[i];
        struct insn *in = &k->code[f->first + i];
        k->statements[f->first + i] = s;
        if (!strcmp(s->opcode, CALL_RETURN)) continue; /* made with the call */
        struct decoder d = {.module = m, .kernel = k, .function = f, .statement = s, .insn = in};
        in->line = s->line;
        in->source_file = s->source_file;
        in->source_line = s->source_line;
        if (guard(&d)) instruction(&d);
    }
    /* Control that runs off the end leaves. */
    struct insn *end = &k->code[f->first + f->statements_count];
    static struct statement nothing = {.text = (char *)(uintptr_t) "(end)", .opcode = "ret"};
    k->statements[f->first + f->statements_count] = &nothing;
    struct decoder d = {.module = m, .kernel = k, .function = f, .statement = &nothing, .insn = end};
    instruction(&d);
}

/* Functions that are called, callees first: lanes that part at a call run the callee first. */
static void reach(struct ptx_module *m, struct function *f, struct function **order, size_t *count) {
    f->reached = true;
    for (size_t i = 0; i < f->statements_count; i++) {
        const struct statement *s = &f->statements[i];
        const char *name = NULL;
        if (strncmp(s->opcode, "call", 4)) continue;
        for (uint32_t a = 0; a < s->count && !name; a++)
            if (s->args[a].kind == A_SYMBOL) name = s->args[a].name;
        for (size_t k = 0; name && k < m->functions_count; k++)
            if (!strcmp(m->functions[k]->name, name) && !m->functions[k]->reached)
                reach(m, m->functions[k], order, count);
    }
    order[(*count)++] = f;
}

static void place_shared(struct ptx_module *m, struct ptx_kernel *k, const struct function *f,
                         const struct statement *s, const struct arg *a) {
    for (uint32_t i = 0; i < a->count; i++) place_shared(m, k, f, s, &a->items[i]);
    const struct symbol *v =
        a->kind == A_SYMBOL ? ptx_find(m, f, s->scope, a->name, SYM_VARIABLE, NULL) : NULL;
    if (!v || v->space != S_SHARED) return;
    for (size_t i = 0; i < k->places_count; i++)
        if (k->places[i].symbol == v) return;
    k->places = ptx_append(m, k->places, &k->places_count, sizeof *k->places);
    k->places[k->places_count - 1].symbol = v;
}

/* Static variables by their order of use, then what the launch adds. */
static void layout_shared(struct ptx_module *m, struct ptx_kernel *k, struct function **order, size_t count) {
    for (size_t i = 0; i < count; i++)
        for (size_t s = 0; s < order[i]->statements_count; s++)
            for (uint32_t a = 0; a < order[i]->statements[s].count; a++)
                place_shared(m, k, order[i], &order[i]->statements[s], &order[i]->statements[s].args[a]);
    uint32_t end = SHARED_BASE, align = 16;
    for (size_t i = 0; i < k->places_count; i++) {
        const struct symbol *s = k->places[i].symbol;
        if (s->dynamic && s->align > align) align = (uint32_t)s->align;
        if (s->dynamic) continue;
        k->places[i].address = align_up(end, (uint32_t)s->align);
        end = k->places[i].address + (uint32_t)s->bytes;
    }
    k->shared_bytes = end - SHARED_BASE;
    k->dynamic_base = align_up(end, align);
    for (size_t i = 0; i < k->places_count; i++)
        if (k->places[i].symbol->dynamic) k->places[i].address = k->dynamic_base;
}

/* Registers of all functions that are reached have places of their own; 0 is the constants', 1 takes what
 * nobody reads, 2 is the carry flag. */
static void layout_registers(struct ptx_module *m, struct ptx_kernel *k, struct function **order,
                             size_t count) {
    uint32_t at = SINK_AT + 16 * LANES, number = 3, local = 0, call = 0;
    (void)m;
    for (size_t i = 0; i < count; i++) {
        struct function *f = order[i];
        f->register_base = number;
        number += (uint32_t)f->registers_count;
        for (size_t r = 1; r < f->registers_count; r++) {
            f->registers[r].at = at;
            uint32_t bytes =
                f->registers[r].type == T_PRED ? 4 : ptx_type_register(f->registers[r].type) * LANES;
            at += align_up(bytes, 64);
            if (!f->registers[r].undefined) continue;
            k->undefined = ptx_append(m, k->undefined, &k->undefined_count, sizeof *k->undefined);
            k->undefined[k->undefined_count - 1] = f->register_base + (uint32_t)r;
        }
        f->local_base = local;
        f->call_base = call;
        local = align_up(local + f->local_bytes, 16);
        call = align_up(call + f->call_bytes, 16);
    }
    k->registers_count = number;
    k->image_at = align_up(at, 64);
    k->local_bytes = local;
    k->call_bytes = call;
}

bool ptx_decode(struct ptx_module *m, struct ptx_kernel *k) {
    struct function **order = ptx_own(m, (m->functions_count + 1) * sizeof *order);
    size_t count = 0, errors = m->errors;
    for (size_t i = 0; i < m->functions_count; i++) m->functions[i]->reached = false;
    reach(m, k->function, order, &count);
    layout_shared(m, k, order, count);
    layout_registers(m, k, order, count);
    for (size_t i = 0; i < count; i++) {
        order[i]->first = (uint32_t)k->code_count;
        k->code_count += order[i]->statements_count + 1;
    }
    k->code = ptx_own(m, k->code_count * sizeof *k->code);
    k->statements = ptx_own(m, k->code_count * sizeof *k->statements);
    for (size_t i = 0; i < count; i++) function_code(m, k, order[i]);
    k->entry = k->function->first;
    k->file_bytes = align_up(k->image_at + k->image_bytes, 64) + 64;
    return m->errors == errors;
}
