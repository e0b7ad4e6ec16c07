/* tcgen05.mma: products that one thread issues for its block, A [M, K] by B [N, K], both in shared memory,
 * into [M, N] sums in tensor memory. The sums have their values at once here; who looks at them, or writes
 * what the product reads, must have waited for its commit. */
#include "tests/gpu/ptx_ops.h"
#include "tests/gpu/ptx_tile.h"
#include "tests/gpu/ptx_tmem.h"
#include <stdio.h>
#include <string.h>

enum { MOST_M = 128, MOST_N = 256, MOST_K = 32 };

/* D's and the elements' numbers in an instruction descriptor. (PTX ISA 9.0, table 42) */
static const struct kind {
    const char *name;
    enum ptx_type d;
    uint32_t d_number;
    enum ptx_type elements[3];
    bool mixed; /* A and B may differ */
} kinds[] = {{"f16", T_F32, 1, {T_F16, T_BF16, T_NONE}, false},
             {"tf32", T_F32, 1, {T_NONE, T_NONE, T_TF32}, false},
             {"i8", T_S32, 2, {T_U8, T_S8, T_NONE}, true}};
enum { KINDS = sizeof kinds / sizeof *kinds };

struct shape {
    uint32_t m, n, k;
    enum ptx_type a, b;
};
/* Bits 4-5 D's type, 7-9 A's, 10-12 B's, 17-22 N / 8, 24-28 M / 16; the others, which are 0, would have meant
 * sparse, saturated, negated or transposed matrices and shifts. N is a multiple of 8, of whole
 * numbers past 24 of 16. (Table 39) */
static struct shape shape(struct warp *w, const struct insn *in, uint32_t lane, uint32_t bits) {
    const struct kind *kind = &kinds[in->mode];
    uint32_t a = bits >> 7 & 7, b = bits >> 10 & 7;
    struct shape s = {.m = (bits >> 24 & 31) * 16,
                      .n = (bits >> 17 & 63) * 8,
                      .a = a < 3 ? kind->elements[a] : T_NONE,
                      .b = b < 3 ? kind->elements[b] : T_NONE};
    bool types = (bits >> 4 & 3) == kind->d_number && s.a && s.b && (kind->mixed || s.a == s.b);
    if (!types || (bits & ~0x1f7e1fb0u))
        ptx_fail(w, in, lane, "instruction descriptor %#x: types or flags are not known for kind::%s", bits,
                 kind->name);
    bool sixteens = kind->d == T_S32 && s.n > 24;
    if ((s.m != 64 && s.m != 128) || !s.n || s.n > MOST_N || (sixteens && s.n % 16))
        ptx_fail(w, in, lane, "instruction descriptor %#x: there is no product of M = %u, N = %u", bits, s.m,
                 s.n);
    s.k = 256 / ptx_element_bits(s.a);
    return s;
}

/* Beside what all descriptors of tiles have: 46-48 are 001; 49-51 base offset and 52 mode of the leading
 * offset, 0 here; 61-63 none, 128, 64 or 32 bytes of swizzle. (9.7.16.4.1) */
static struct tile tile(struct warp *w, const struct insn *in, uint32_t lane, uint64_t bits) {
    static const uint8_t swizzles[8] = {[2] = 3, [4] = 2, [6] = 1};
    uint32_t mode = bits >> 61;
    if ((bits & UINT64_C(0x1fffc000c000c000)) != UINT64_C(1) << 46 || (mode && !swizzles[mode]))
        ptx_fail(w, in, lane, "descriptor %#llx is none of shared memory that is known",
                 (unsigned long long)bits);
    return ptx_tile(bits, swizzles[mode]);
}

static void note_read(struct warp *w, const struct insn *in, uint32_t lane, uint32_t address) {
    ptx_shared_read_by_product(w, in, lane, address, 16, w->tensor.products);
}

/* Rows of A by columns [k][n] of B, in the order in which vectors add up. */
static void multiply(struct shape s, const float *a, const float *b, double *sums) {
    static _Thread_local double columns[MOST_K * MOST_N];
    for (uint32_t j = 0; j < s.n; j++)
        for (uint32_t i = 0; i < s.k; i++) columns[i * s.n + j] = (double)b[j * s.k + i];
    memset(sums, 0, s.m * s.n * sizeof *sums);
    for (uint32_t m = 0; m < s.m; m++)
        for (uint32_t i = 0; i < s.k; i++)
            for (uint32_t j = 0; j < s.n; j++)
                sums[m * s.n + j] += (double)a[m * s.k + i] * columns[i * s.n + j];
}
static uint32_t added(enum ptx_type type, double sum, uint32_t old, bool keep) {
    union {
        uint32_t u;
        float f;
    } v = {old};
    if (type == T_S32) return (uint32_t)(int64_t)sum + (keep ? old : 0);
    v.f = (float)(sum + (keep ? (double)v.f : 0));
    return v.u;
}

/* Row m is lane m; of 64 rows each 16 are at the beginning, or the middle, of a warp's lanes. (9.7.16.10.5,
 * layouts D and F) */
static uint32_t lane_of(struct shape s, uint32_t first, uint32_t m) {
    return s.m == 128 ? m : first + m / TMEM_GROUP * LANES + m % TMEM_GROUP;
}

static struct tile tile_of(struct warp *w, const struct insn *in, uint32_t lane, uint32_t operand) {
    return tile(w, in, lane,
                lane_value(w, &in->ops[operand], lane) + lane_value(w, &in->ops[operand + 1], lane));
}
/* Operands: D, descriptors of A and B with what is added to them (LLVM folds sums), the product's, whether D
 * is added; mode: the kind. */
static void product(struct warp *w, const struct insn *in, uint32_t mask) {
    static _Thread_local float a[MOST_M * MOST_K], b[MOST_N * MOST_K];
    static _Thread_local double sums[MOST_M * MOST_N];
    uint32_t lane = ptx_one_thread(w, in, mask), bits = (uint32_t)lane_value(w, &in->ops[5], lane);
    uint32_t to = (uint32_t)ptx_address(w, in, 0, lane, in->offset), column = to & 0xffff, first = to >> 16;
    struct tensor_side *side = &w->tensor;
    struct shape s = shape(w, in, lane, bits);
    struct tmem *t = ptx_tmem_reach(w, in, lane, to, s.n);
    if (first && (s.m == 128 || first != TMEM_GROUP))
        ptx_fail(w, in, lane, "%u rows of sums cannot begin at lane %u", s.m, first);
    bool keep = (predicate(w, &in->ops[6]) >> lane & 1) != (in->flags & F_NOT ? 1 : 0);
    if (side->products > side->committed && side->issuer != lane)
        ptx_fail(w, in, lane, "lane %u's products are not committed yet", side->issuer);
    side->issuer = lane;
    side->products++;
    ptx_gather(w, in, lane, tile_of(w, in, lane, 1), s.a, 0, s.m, s.k, note_read, a);
    ptx_gather(w, in, lane, tile_of(w, in, lane, 3), s.b, 0, s.n, s.k, note_read, b);
    multiply(s, a, b, sums);
    for (uint32_t m = 0; m < s.m; m += TMEM_GROUP)
        for (uint32_t j = 0; j < s.n; j++) {
            uint32_t group = lane_of(s, first, m) / TMEM_GROUP;
            if (keep && !t->cells[group][column + j].writer)
                ptx_fail(w, in, lane, "adds to tensor memory, column %u, that was never written", column + j);
            ptx_tmem_write(w, in, lane, group, column + j, PRODUCTS + w->number, side->products,
                           UINT64_C(1) << 63 | (uint64_t)in->mode << 32 | bits);
        }
    for (uint32_t m = 0; m < s.m; m++)
        for (uint32_t j = 0; j < s.n; j++) {
            uint32_t *d = &t->value[lane_of(s, first, m)][column + j];
            *d = added(kinds[in->mode].d, sums[m * s.n + j], *d, keep);
        }
}

/* An arrival when all products that the thread issued before are complete, at a time of their own. It tells
 * of them and of what the thread knew of others, and is a fence::before_thread_sync, but tells of no stores
 * of the thread's own. */
static void commit(struct warp *w, const struct insn *in, uint32_t mask) {
    uint32_t lane = ptx_one_thread(w, in, mask);
    struct tensor_side *side = &w->tensor;
    struct mbarrier *m = ptx_mbarrier(w, in, lane, ptx_address(w, in, 0, lane, in->offset));
    if (side->products > side->committed && side->issuer != lane)
        ptx_fail(w, in, lane, "commits its own products, but lane %u issued them", side->issuer);
    side->committed = side->products;
    ptx_tmem_before(w);
    struct transfer *t = ptx_transfer_new(w->block);
    *t = (struct transfer){.kind = PRODUCTS_ARRIVE,
                           .warp = w,
                           .in = in,
                           .lane = lane,
                           .mbarrier = m->address,
                           .known = w->known};
    t->known.of[w->number] = 0;
    t->known.of[PRODUCTS + w->number] = side->products;
}

static const struct op_row rows[] = {
    {"tcgen05", "mma", T_NONE, product, "=aSSlp"},
    {"tcgen05", "commit", T_B64, commit, "=a"},
};
OP_TABLE(ptx_tcgen05_ops, rows);

/* What is known of tcgen05, to the letter; products and moves have more forms. */
static const char *const forms[] = {
    "alloc.cta_group::1.sync.aligned.shared::cta.b32",
    "dealloc.cta_group::1.sync.aligned.b32",
    "relinquish_alloc_permit.cta_group::1.sync.aligned",
    "commit.cta_group::1.mbarrier::arrive::one.shared::cluster.b64",
    "commit.cta_group::1.mbarrier::arrive::one.b64",
    "fence::before_thread_sync",
    "fence::after_thread_sync",
    "wait::ld.sync.aligned",
    "wait::st.sync.aligned",
};
static bool known_product(struct insn *in, const char *form) {
    for (uint8_t i = 0; i < KINDS; i++) {
        char text[64], reused[96];
        snprintf(text, sizeof text, "mma.cta_group::1.kind::%s", kinds[i].name);
        snprintf(reused, sizeof reused, "%s.collector::a::discard", text);
        in->mode = i;
        if (!strcmp(form, text) || !strcmp(form, reused)) return true;
    }
    return false;
}
static bool known_move(struct insn *in, const struct statement *s, const char *form) {
    bool load = form[0] == 'l';
    unsigned n = 0;
    int used = 0;
    sscanf(form, load ? "ld.sync.aligned.32x32b.x%u.b32%n" : "st.sync.aligned.32x32b.x%u.b32%n", &n, &used);
    const struct arg *registers = s->count == 2 ? &s->args[load ? 0 : 1] : NULL;
    if (load) in->flags |= F_NOTES;
    return used && !form[used] && n && n <= 128 && !(n & (n - 1)) && registers &&
           registers->kind == A_VECTOR && registers->count == n;
}

bool ptx_tcgen05_op(struct decoder *d, const struct opcode *o) {
    if (strcmp(o->base, "tcgen05")) return true;
    const char *form = o->text + strlen("tcgen05.");
    bool known = !strncmp(form, "ld.", 3) || !strncmp(form, "st.", 3)
                     ? known_move(d->insn, d->statement, form)
                     : known_product(d->insn, form);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) known |= !strcmp(form, forms[i]);
    if (!known)
        ptx_complain(d->module, d->statement->line, "%s: this form of tcgen05 is not known",
                     d->statement->text);
    return known;
}
