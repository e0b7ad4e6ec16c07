/* How each kernel is carried out: domain, atom, tile and blocks, from facts about the target.
 *
 *     kernel k0 (n0, w) -> q0 : f32[S, 576] { ... }
 *     kernel k0 (n0, w) -> q0 : f32[S, 576] schedule(contract, atom=fma, tile=[6, 64], block=[96, 0, 0]) { ... }
 *
 * A register tile of R rows by V vectors of outputs holds R*V sums, V vectors of weights and one broadcast:
 * R*V + V + 1 registers, one less than there are, or values spill. Of the tiles that fit, the best multiplies
 * most for what it loads (R*V / (R + V)) and wastes least at the edge of the outputs. A schedule that a
 * kernel has already, written by hand, is kept. */
#include "ir/contraction.h"
#include "ir/number.h"
#include "passes/fuse.h"
#include "passes/measured.h"
#include <string.h>

enum {
    ROWS_OF_SCORES = 128,
    KEYS_OF_PART = 256,
    PACKED_OUTPUTS = 32,
    MAX_ROWS = 14,
    MAX_VECTORS = 4,
    SIMT_ROWS = 8,
    SIMT_SUMS = 16, /* vectors of sums that a warp holds */
    SIMT_PARTS = 32,
    MMA_ROWS = 16,
    MMA_HEAD = 128,
    MMA_KEYS = 64,
    MMA_FEW_KEYS = 128,
    MMA_FEW_ROWS = 64,
    MMA_TILE_ROWS = 128,
    MMA_TILE_OUTPUTS = 64,
    MMA_MOST_OUTPUTS = 128,
    MMA_MANY_OUTPUTS = 1024, /* from which wider tiles fill a GPU */
    SHARING_WARPS = 8,       /* of blocks whose warps share a tile */
    SIMT_BLOCKS = 128,       /* that run at a time, and fill a GPU of today */
    PART_BYTES = 65536,      /* of weights, that a block takes some microseconds to read */
    PART_INPUTS = 128,       /* a part is a multiple of */
    AMX_ROWS = 16,           /* of a matrix register */
    AMX_INPUTS = 32,         /* of bf16 in a row of it */
    AMX_F32_BYTES = 6,       /* of a float that is three bf16 */
    BLOCK_ROWS = 96,         /* of A, at most */
    MANY_BLOCK_ROWS =
        512, /* where B is unpacked, once a block of rows: it stays in L2, and rows pass by, ... */
    MANY_BLOCK_BYTES =
        8 << 20, /* ... of so many bytes at most, since a thread may have to bring them to scratch */
    TILE_BLOCK_ROWS = 256, /* where products are faster than weights come, and rows are brought to scratch */
    FAR_BLOCK_ROWS = 512   /* where L3 is far: B is read once for more rows */
};

static const struct target *target_of(const struct graph *g) {
    return g->target ? g->target : target_find(NULL, "generic");
}

static int lanes_of(const struct target *t) { return t->vector_bytes / 4; }

/* ---- Domains ---- */

static bool has_role(const struct node *kernel, enum role role) {
    for (const struct node *n = kernel->body->first; n; n = n->next)
        if (node_role(n) == role) return true;
    return false;
}

/* A kernel written by hand says no domain: contractions and attention are told by their op, rows by a
 * reduction along the last axis alone. */
static enum domain domain_of(struct graph *g, const struct node *kernel) {
    struct contraction axes;
    for (const struct node *n = kernel->body->first; n; n = n->next)
        if (node_role(n) == ROLE_CONTRACT && contraction_of(g->pass->scratch, g, n, &axes))
            return DOMAIN_contract;
    if (has_role(kernel, ROLE_ATTENTION)) return DOMAIN_attention;
    if (has_role(kernel, ROLE_ORDERED)) return DOMAIN_ordered;
    if (has_role(kernel, ROLE_QUANTIZE)) return DOMAIN_rows;
    bool rows = false;
    for (const struct node *n = kernel->body->first; n; n = n->next) {
        if (node_role(n) != ROLE_REDUCE) continue;
        rows = reduces_last_axis(n);
        if (!rows) return DOMAIN_loops;
    }
    return rows ? DOMAIN_rows : DOMAIN_loops;
}

/* ---- Contractions ---- */

struct tile_choice {
    int rows, vectors;
    double score;
};

int schedule_tile_rows(const struct target *t, int vectors) {
    /* Outside of x86 no multiply-add broadcasts from memory: one more register is on its way. */
    int other = strncmp(t->triple, "x86", 3) ? 3 : 2,
        rows = (t->vector_registers - other - vectors) / vectors;
    return rows > MAX_ROWS ? MAX_ROWS : rows;
}

/* The best of the register tiles whose sums fit the registers, by loads for each product. B's come from L2: where that is large and far, they
 * cost twice what broadcasts from L1 do (measured on a Granite Rapids core: 8 x 48 is 4 % faster than 6 x 64). */
static struct tile_choice choose_tile(const struct target *t, double outputs) {
    struct tile_choice best = {1, 1, 0};
    double far = target_l3_is_far(t) ? 2 : 1;
    for (int v = 1; v <= MAX_VECTORS; v++) {
        int rows = schedule_tile_rows(t, v);
        if (rows < 1) break;
        if (v == 3 && rows > 8) rows = 8; /* there are more often 128 rows than 126 */
        double panel = (double)v * lanes_of(t), panels = (double)(int64_t)((outputs + panel - 1) / panel);
        double used = panels > 0 ? outputs / (panels * panel) : 1;
        double score = (double)rows * v / (rows + far * v) * used;
        if (score > best.score * 1.001) best = (struct tile_choice){rows, v, score};
    }
    return best;
}

/* Tiles over weights packed 32 outputs wide. Products of int8 keep sums of i32 and of f32, so each counts twice; where registers are few,
 * what is used once a block (f32 sums of int8, scales) waits in memory, and only sums and a few operands count. */
static int packed_rows(const struct target *t, bool integers) {
    int vectors = PACKED_OUTPUTS / lanes_of(t), sums = integers ? 2 * vectors : vectors, others = vectors + 6;
    if (t->simt) return integers ? 6 : 4; /* a block's 32 inputs are written out, with their loads ahead */
    if (t->vector_registers < 32) {
        sums = vectors;
        others = integers ? 6 : 4;
    } else if (integers) {
        /* That LLVM's scheduler keeps some f32 sums in memory costs less than a seventh row saves (Q8_0 on a Granite Rapids core: 6 rows
         * 2660 tokens/s, 7 3150, 8 2930; Q4_1 2740, 2800, 2680). */
        others = vectors + 2;
    }
    int rows = (t->vector_registers - others) / sums;
    return rows < 1 ? 1 : rows > 8 ? 8 : rows;
}

static bool is_blocks(const struct global *w) { return w && format_info(w->store)->bits; }

/* What both factors of products may be rounded to, or are: sums are f32, so products of narrow floats lose
 * nothing on a GPU's tensor cores. */
static enum dtype factors_of(const struct node *anchor) {
    enum dtype compute = node_attr(anchor, "compute")->dtype, a = anchor->operands[0]->type.dtype,
               b = anchor->operands[1]->type.dtype;
    if (compute == DTYPE_BF16) return DTYPE_BF16;
    return a == b ? a : DTYPE_F64; /* none of them */
}

/* What a class of GPUs, and none later, has in the place of mma.sync. */
static enum atom larger_atom(int capability, enum atom warps) {
    static const enum atom groups[ATOM_COUNT] = {[ATOM_mma_bf16] = ATOM_wgmma_bf16,
                                                 [ATOM_mma_f16] = ATOM_wgmma_f16,
                                                 [ATOM_mma_tf32] = ATOM_wgmma_tf32},
                           blocks[ATOM_COUNT] = {[ATOM_mma_bf16] = ATOM_tcgen05_bf16,
                                                 [ATOM_mma_f16] = ATOM_tcgen05_f16,
                                                 [ATOM_mma_tf32] = ATOM_tcgen05_tf32};
    return capability == 90 ? groups[warps] : capability == 100 ? blocks[warps] : warps;
}

static enum atom matrix_atom(const struct graph *g, const struct node *anchor) {
    const char *precision = graph_option(g, "precision");
    enum dtype t = factors_of(anchor);
    int capability = target_of(g)->capability;
    if (t == DTYPE_BF16) return larger_atom(capability, ATOM_mma_bf16);
    if (t == DTYPE_F16) return larger_atom(capability, ATOM_mma_f16);
    bool tf32 = precision && !strcmp(precision, "tf32") && t == DTYPE_F32;
    return tf32 ? larger_atom(capability, ATOM_mma_tf32) : ATOM_fma;
}

static enum atom atom_of(const struct graph *g, const struct node *anchor) {
    const struct target *t = target_of(g);
    if (anchor->op == OP_qlinear) return t->simt ? ATOM_mma_int8 : ATOM_dot_int8;
    if (t->simt && node_role(anchor) == ROLE_CONTRACT) return matrix_atom(g, anchor);
    bool bf16 = node_attr(anchor, "compute")->dtype == DTYPE_BF16;
    return bf16 && t->dot_bf16 ? ATOM_dot_bf16 : ATOM_fma;
}

/* Whether matrix registers' tiles are filled: whole groups of inputs, and weights of f32 that lie as such. */
static bool fills_tiles(struct graph *g, const struct node *kernel, const struct node *anchor,
                        enum dtype factors) {
    struct contraction c;
    if (!contraction_of(g->pass->scratch, g, anchor, &c)) return true; /* made otherwise */
    int64_t inner = contraction_inner_inputs(&c);
    const struct global *w = kernel_param(kernel, c.b_value);
    bool lies = !w || factors != DTYPE_F32 || format_info(w->store)->dtype == DTYPE_F32;
    return contraction_inputs(&c) && inner && inner % AMX_INPUTS == 0 && anchor->op != OP_qlinear &&
           factors_of(anchor) == factors && !is_blocks(w) && lies;
}

static bool all_fill_tiles(struct graph *g, const struct node *kernel, enum dtype factors) {
    for (const struct node *n = kernel->body->first; n; n = n->next)
        if (node_role(n) == ROLE_CONTRACT && !fills_tiles(g, kernel, n, factors)) return false;
    return true;
}

/* What multiplies in the place of lanes. */
static enum atom tile_atom(struct graph *g, const struct node *kernel, enum atom lanes) {
    const struct target *t = target_of(g);
    if (t->amx && all_fill_tiles(g, kernel, DTYPE_BF16)) return ATOM_amx_bf16;
    return t->amx_fast && all_fill_tiles(g, kernel, DTYPE_F32) ? ATOM_amx_f32 : lanes;
}

static bool has_op(const struct node *kernel, enum op op) {
    const struct node *n = kernel->body->first;
    while (n && n->op != op) n = n->next;
    return n;
}

static int contractions_of(const struct node *kernel) {
    int count = 0;
    for (const struct node *n = kernel->body->first; n; n = n->next) count += node_role(n) == ROLE_CONTRACT;
    return count;
}

/* Outputs that the epilogue reads together: whole heads for rope, whole blocks of 32 for quantize. */
static int64_t output_group(const struct node *kernel) {
    int64_t group = 1, head;
    for (const struct node *n = kernel->body->first; n; n = n->next) {
        if (n->op == OP_quantize && group % 32) group *= 32;
        const struct type *type = &n->results[0]->type;
        if (n->op == OP_rope && extent_is_const(type->extents[type->rank - 1], &head) && group % head)
            group *= head;
    }
    return group;
}

/* Inputs of a part where few tiles of few rows leave a GPU idle (backend/simt_split.c); 0: all. A part is worth a join of blocks if it
 * reads that much. */
static int64_t inputs_of_part(const struct node *kernel, const struct contraction *c,
                              const struct schedule *s, double outputs, double inputs) {
    const struct global *w = kernel_param(kernel, c->b_value);
    int64_t width = s->block[1] > s->tile[1] ? s->block[1] : s->tile[1];
    double bits = w && is_blocks(w) ? format_info(w->store)->bits : 8.0 * dtype_bytes(atom_info(s->atom)->b);
    double least = PART_BYTES * 8.0 / (bits * (double)width), tiles = outputs / (double)width;
    double parts = inputs / least < SIMT_BLOCKS / tiles ? inputs / least : SIMT_BLOCKS / tiles;
    if (!(parts >= 2)) return 0;
    return round_up((int64_t)(inputs / (double)(int64_t)parts), PART_INPUTS);
}

static void schedule_contract(struct graph *g, const struct node *kernel, struct schedule *s) {
    const struct target *t = target_of(g);
    struct contraction axes = {0};
    const struct node *anchor = kernel->body->first;
    while (anchor &&
           !(node_role(anchor) == ROLE_CONTRACT && contraction_of(g->pass->scratch, g, anchor, &axes)))
        anchor = anchor->next;
    if (!anchor) ice("kernel %s is no contraction", kernel->name);
    double outputs = (double)extent_max(axes.map->loops[axes.outputs].extent), inputs = 1;
    for (int i = 0; i < axes.map->loops_count; i++)
        if (axes.map->loops[i].kind == LOOP_REDUCTION)
            inputs *= (double)extent_max(axes.map->loops[i].extent);
    s->atom = tile_atom(g, kernel, atom_of(g, anchor));
    bool integers = anchor->op == OP_qlinear,
         blocks = integers || is_blocks(kernel_param(kernel, axes.b_value));
    int64_t together = output_group(kernel);
    bool wide =
        MMA_TILE_OUTPUTS / greatest_common_divisor(MMA_TILE_OUTPUTS, together) * together > MMA_MOST_OUTPUTS;
    bool matrix = atom_of_gpu(s->atom);
    if (matrix && wide) {
        s->atom = integers ? ATOM_dot_int8 : ATOM_fma;
        matrix = false;
    }
    bool tile = atom_info(s->atom)->unit == UNIT_tile;
    if (tile) {
        s->tile[0] = s->tile[1] = 2 * AMX_ROWS;
    } else if (blocks && !matrix) {
        s->tile[0] = packed_rows(t, integers);
        s->tile[1] = PACKED_OUTPUTS;
    } else if (matrix) {
        /* Tiles of several products that meet are in shared memory at a time. */
        bool alone = contractions_of(kernel) == 1 && together <= 1;
        s->tile[0] = MMA_TILE_ROWS;
        s->tile[1] = MMA_TILE_OUTPUTS;
        if (alone && outputs >= MMA_MANY_OUTPUTS) s->tile[1] = MMA_MOST_OUTPUTS;
        if (alone && outputs >= 2 * MMA_MANY_OUTPUTS && atom_info(s->atom)->unit != UNIT_warp)
            s->tile[1] = 2 * MMA_MOST_OUTPUTS;
        /* One row reads the same tiles, and has only blocks of outputs to fill a GPU with. */
        if (blocks) s->tile[1] = outputs >= 8 * MMA_MANY_OUTPUTS ? MMA_TILE_OUTPUTS : PACKED_OUTPUTS;
        s->stages = 4;
    } else if (t->simt) {
        s->tile[0] = SIMT_ROWS;
        s->tile[1] = lanes_of(t);
    } else {
        struct tile_choice c = choose_tile(t, outputs);
        s->tile[0] = c.rows;
        s->tile[1] = c.vectors * lanes_of(t);
    }
    /* Rows of A that stay in half of L2, or more of a large one, while panels of B pass by (Low et al., TOMS 2016, section 4); rope keeps the
     * angles of as many. */
    bool far = !tile && target_l3_is_far(t);
    int64_t most = tile ? TILE_BLOCK_ROWS : far ? FAR_BLOCK_ROWS : BLOCK_ROWS;
    bool unpacked = blocks && !integers && !has_op(kernel, OP_rope);
    if (unpacked) most = MANY_BLOCK_ROWS;
    double row_bytes = inputs * (s->atom == ATOM_amx_f32 ? AMX_F32_BYTES : dtype_bytes(atom_info(s->atom)->a)),
           bytes = unpacked ? MANY_BLOCK_BYTES : (double)t->l2_bytes * (far ? 0.75 : 0.5);
    int64_t rows = row_bytes > 0 ? (int64_t)(bytes / row_bytes) : most;
    rows = t->simt ? s->tile[0] : rows > most ? most : rows < s->tile[0] ? s->tile[0] : rows;
    s->block[0] = rows / s->tile[0] * s->tile[0];
    s->block[1] = together > 1 ? s->tile[1] / greatest_common_divisor(s->tile[1], together) * together : 0;
    if (t->simt && !axes.outer.count) s->block[2] = inputs_of_part(kernel, &axes, s, outputs, inputs);
    s->unroll = matrix || tile ? 0 : 4;
    s->warps = t->simt ? SHARING_WARPS : 0;
}

/* ---- The others ---- */

/* On a GPU, by multiply-adds: as many rows, queries of the heads that share a key head, as registers hold
 * sums for, in whole groups if it can be. */
static void schedule_simt_rows(const struct target *t, int64_t dim, int64_t group, struct schedule *s) {
    int64_t vectors = (dim + lanes_of(t) - 1) / lanes_of(t);
    int64_t rows = vectors > 0 && vectors < SIMT_SUMS ? SIMT_SUMS / vectors : 1;
    if (rows > SIMT_ROWS) rows = SIMT_ROWS;
    if (group <= rows) rows = rows / group * group;
    s->atom = ATOM_fma;
    s->tile[0] = (int)rows;
    s->tile[1] = lanes_of(t);
    s->block[0] = SIMT_PARTS;
}

/* By tensor cores, whose sums stay in registers up to some extent of a head: 16 rows for each warp, 64 for each
 * four where they multiply together, and parts of the keys where there may be fewer; or there are no more than 16. */
static void schedule_simt_attention(const struct target *t, const struct node *n, int64_t group,
                                    struct schedule *s) {
    const struct type *q = &n->operands[0]->type, *v = &n->operands[2]->type;
    int64_t dim = 1, value_dim = 1;
    bool known = extent_is_const(q->extents[q->rank - 1], &dim) &&
                 extent_is_const(v->extents[v->rank - 1], &value_dim);
    const struct extent *queries = q->extents[q->rank - 3];
    if (group < 1) group = 1;
    enum dtype factors = factors_of(n);
    s->atom = factors == DTYPE_BF16 ? ATOM_mma_bf16 : factors == DTYPE_F16 ? ATOM_mma_f16 : ATOM_fma;
    if (s->atom == ATOM_fma || !known || dim > MMA_HEAD || value_dim > MMA_HEAD) {
        schedule_simt_rows(t, value_dim, group, s);
        return;
    }
    bool few = extent_max(queries) <= MMA_ROWS / group;
    if (!few && t->capability == 90) s->atom = larger_atom(90, s->atom);
    s->tile[0] = few ? MMA_ROWS : MMA_TILE_ROWS;
    s->tile[1] = few ? MMA_FEW_KEYS : MMA_KEYS;
    s->block[0] = extent_min(queries) <= MMA_FEW_ROWS / group ? SIMT_PARTS : 0;
}

/* Whether heads fill matrix registers. */
static bool attends_by_tiles(const struct target *t, const struct node *n) {
    const struct type *q = &n->operands[0]->type, *v = &n->operands[2]->type;
    int64_t dim, value_dim;
    return t->amx && node_attr(n, "compute")->dtype == DTYPE_BF16 &&
           extent_is_const(q->extents[q->rank - 1], &dim) &&
           extent_is_const(v->extents[v->rank - 1], &value_dim) && dim % AMX_INPUTS == 0 &&
           value_dim % AMX_ROWS == 0;
}

/* Queries of a block: with the heads that share a key head they make ROWS_OF_SCORES rows, which share what is
 * done to a part of keys; the part's keys and values stay in L2 meanwhile. Register tiles of scores are a
 * panel of keys wide, or an even part. */
static void schedule_attention(struct graph *g, const struct node *kernel, struct schedule *s) {
    const struct target *t = target_of(g);
    const struct node *n = kernel->body->first;
    int64_t heads, key_heads, group = 1;
    while (n && node_role(n) != ROLE_ATTENTION) n = n->next;
    const struct type *q = &n->operands[0]->type, *k = &n->operands[1]->type;
    bool known = extent_is_const(q->extents[q->rank - 2], &heads) &&
                 extent_is_const(k->extents[k->rank - 2], &key_heads);
    if (known && key_heads > 0) group = heads / key_heads;
    if (t->simt) {
        schedule_simt_attention(t, n, group, s);
        return;
    }
    int vectors = t->vector_registers >= 32 ? MAX_VECTORS : 2;
    s->atom = atom_of(g, n);
    if (attends_by_tiles(t, n)) s->atom = ATOM_amx_bf16;
    s->tile[0] = (int)(group < ROWS_OF_SCORES ? ROWS_OF_SCORES / group : 1);
    s->tile[1] = KEYS_OF_PART;
    s->block[0] = s->atom == ATOM_amx_bf16 ? AMX_ROWS : (t->vector_registers - 2 - vectors) / vectors;
    s->block[1] = vectors * lanes_of(t);
    s->unroll = s->atom == ATOM_amx_bf16 ? 0 : 4;
}

static void schedule_lanes(struct graph *g, const struct node *kernel, struct schedule *s) {
    (void)kernel;
    s->tile[0] = 1;
    s->tile[1] = lanes_of(target_of(g));
}

static void schedule_nothing(struct graph *g, const struct node *kernel, struct schedule *s) {
    (void)g, (void)kernel, (void)s;
}

static void (*const choose[DOMAIN_COUNT])(struct graph *, const struct node *, struct schedule *) = {
    [DOMAIN_loops] = schedule_lanes,       [DOMAIN_rows] = schedule_lanes,
    [DOMAIN_contract] = schedule_contract, [DOMAIN_attention] = schedule_attention,
    [DOMAIN_ordered] = schedule_nothing,
};

/* What was measured takes the place of what was derived; or, while it is being measured, what may. */
static void choose_otherwise(struct graph *g, const struct node *kernel, struct schedule *s) {
    int alternative = (int)pass_option(g, "alternative");
    if (alternative) {
        struct schedule other;
        if (schedule_alternative(g, kernel, s, alternative, &other)) *s = other;
        return;
    }
    if (!g->measured || !g->target) return;
    const struct schedule *found =
        measured_find(g->measured, g->target->cpu, kernel_text(g->pass->scratch, kernel, s->atom));
    if (found && found->domain == s->domain && found->atom == s->atom) *s = *found;
}

static bool complete(const struct schedule *s) { return s && (s->tile[0] || s->domain == DOMAIN_ordered); }

bool pass_schedule(struct graph *g) {
    bool changed = false;
    for (struct function *f = g->functions; f; f = f->next)
        for (struct node *n = NULL; (n = node_walk(f->body, n));) {
            if (n->op != OP_kernel || complete(n->schedule)) continue;
            struct schedule *s = arena_new_object(g->arena, struct schedule);
            s->domain = n->schedule ? n->schedule->domain : domain_of(g, n);
            choose[s->domain](g, n, s);
            choose_otherwise(g, n, s);
            n->schedule = s;
            changed = true;
            if (!g->pass->explain) continue;
            pass_explain(g, n->loc, "%s: %s, for '%s'", n->name ? n->name : "kernel",
                         schedule_text(g->pass->scratch, s), kernel_text(g->pass->scratch, n, s->atom));
        }
    return changed;
}
