/* Loads and stores of every space, atomic operations, addresses. */
#include "tests/gpu/ptx_number.h"
#include "tests/gpu/ptx_ops.h"
#include <math.h>
#include <string.h>

uint64_t ptx_address(const struct warp *w, const struct insn *in, uint32_t operand, uint32_t lane,
                     int64_t offset) {
    uint64_t a = lane_value(w, &in->ops[operand], lane) + (uint64_t)offset;
    return in->ops[operand].size == 4 ? (uint32_t)a : a;
}

enum ptx_space ptx_space_of(uint64_t *address) {
    uint64_t window = *address >> WINDOW_BITS << WINDOW_BITS;
    enum ptx_space space = window == WINDOW_SHARED  ? S_SHARED
                           : window == WINDOW_LOCAL ? S_LOCAL
                           : window == WINDOW_PARAM ? S_PARAM
                                                    : S_GLOBAL;
    if (space != S_GLOBAL) *address -= window;
    return space;
}

static unsigned char *in_range(struct warp *w, const struct insn *in, uint32_t lane, unsigned char *memory,
                               uint64_t address, uint64_t base, uint64_t size, uint32_t bytes,
                               const char *what) {
    if (address < base || address - base > size || bytes > size - (address - base))
        ptx_fail(w, in, lane, "%s address %#llx, %u bytes, is outside its %llu bytes", what,
                 (unsigned long long)address, bytes, (unsigned long long)size);
    return memory + (address - base);
}

static unsigned char *global(struct warp *w, const struct insn *in, uint32_t lane, uint64_t address,
                             uint32_t bytes) {
    unsigned char *p = ptx_memory(address, bytes);
    uint64_t base, size;
    if (p) return p;
    if (ptx_allocation(address, &base, &size))
        ptx_fail(
            w, in, lane,
            "global address %#llx, %u bytes, is outside its allocation of %llu bytes at %#llx (offset %lld)",
            (unsigned long long)address, bytes, (unsigned long long)size, (unsigned long long)base,
            (long long)(address - base));
    ptx_fail(w, in, lane, "global address %#llx is in no allocation", (unsigned long long)address);
}

unsigned char *ptx_reach(struct warp *w, const struct insn *in, uint32_t lane, enum ptx_space space,
                         uint64_t address, uint32_t bytes, enum ptx_access access) {
    const struct ptx_kernel *k = w->block->kernel;
    unsigned char *p;
    if (space == S_GENERIC) space = ptx_space_of(&address);
    switch (space) {
    case S_SHARED: {
        bool atomic = access == ACCESS_ATOMIC || (in->flags & F_ATOMIC);
        p = ptx_shared(w, in, lane, address, bytes, bytes);
        if (access != ACCESS_WRITE) ptx_shared_read(w, in, lane, (uint32_t)address, bytes, atomic);
        if (access != ACCESS_READ) ptx_shared_write(w, in, lane, (uint32_t)address, bytes, atomic);
        return p;
    }
    case S_LOCAL:
        p = in_range(w, in, lane, w->local + (size_t)lane * k->local_bytes, address, LOCAL_BASE,
                     k->local_bytes, bytes, "local");
        break;
    case S_CALL:
        p = in_range(w, in, lane, w->call + (size_t)lane * k->call_bytes, address, 0, k->call_bytes, bytes,
                     "parameter");
        break;
    case S_PARAM:
        if (access != ACCESS_READ) ptx_fail(w, in, lane, "a kernel's parameters cannot be written");
        p = in_range(w, in, lane, (unsigned char *)(uintptr_t)w->block->params, address, 0,
                     k->function->param_bytes, bytes, "parameter");
        break;
    default:
        p = global(w, in, lane, address, bytes);
    }
    if (address % bytes)
        ptx_fail(w, in, lane, "address %#llx is not aligned to %u bytes", (unsigned long long)address, bytes);
    return p;
}

/* Counts banks if the first lane's address is shared. */
static void count_banks(struct warp *w, const struct insn *in, uint32_t mask, uint32_t operand,
                        uint32_t bytes) {
    uint32_t addresses[LANES] = {0};
    bool shared = in->space == S_SHARED;
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(rest);
        uint64_t a = ptx_address(w, in, operand, l, in->offset);
        if (in->space == S_GENERIC) shared = ptx_space_of(&a) == S_SHARED;
        if (!shared) return;
        addresses[l] = (uint32_t)a;
    }
    ptx_conflicts(w, in, mask, addresses, bytes);
}

/* Sizes that the compiler knows: the loops over lanes spend their time here. */
static inline uint64_t get(const unsigned char *p, uint32_t bytes) {
    uint16_t h;
    uint32_t l;
    uint64_t q;
    switch (bytes) {
    case 1:
        return *p;
    case 2:
        return memcpy(&h, p, 2), h;
    case 4:
        return memcpy(&l, p, 4), l;
    default:
        return memcpy(&q, p, 8), q;
    }
}
static inline void put(unsigned char *p, uint32_t bytes, uint64_t v) {
    switch (bytes) {
    case 1:
        *p = (unsigned char)v;
        break;
    case 2:
        memcpy(p, &(uint16_t){(uint16_t)v}, 2);
        break;
    case 4:
        memcpy(p, &(uint32_t){(uint32_t)v}, 4);
        break;
    default:
        memcpy(p, &v, 8);
    }
}
static inline uint64_t loaded(const unsigned char *p, enum ptx_type type, uint32_t bytes) {
    uint64_t v = get(p, bytes);
    bool sign = type == T_S8 || type == T_S16 || type == T_S32;
    return sign ? (uint64_t)((int64_t)(v << (64 - 8 * bytes)) >> (64 - 8 * bytes)) : v;
}

static void load(struct warp *w, const struct insn *in, uint32_t mask) {
    uint32_t bytes = ptx_type_bytes(in->type), n = in->results;
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(rest);
        uint64_t a = ptx_address(w, in, n, l, in->offset);
        const unsigned char *p = ptx_reach(w, in, l, in->space, a, bytes * n, ACCESS_READ);
        for (uint32_t i = 0; i < n; i++) {
            if (in->ops[i].size == 16)
                memcpy(w->file + in->ops[i].at + 16 * l, p, 16);
            else
                set_lane(w, &in->ops[i], l, loaded(p + i * bytes, in->type, bytes));
        }
    }
    if (in->space == S_SHARED || in->space == S_GENERIC) count_banks(w, in, mask, n, bytes * n);
}

/* Parameters are the same for all lanes of a kernel. */
static void load_param(struct warp *w, const struct insn *in, uint32_t mask) {
    uint32_t bytes = ptx_type_bytes(in->type), n = in->results;
    if (in->space != S_PARAM) {
        load(w, in, mask);
        return;
    }
    uint32_t first = (uint32_t)__builtin_ctz(mask);
    uint64_t a = ptx_address(w, in, n, first, in->offset);
    const unsigned char *p = ptx_reach(w, in, first, S_PARAM, a, bytes * n, ACCESS_READ);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t v = loaded(p + i * bytes, in->type, bytes);
        for (uint32_t rest = mask; rest; rest &= rest - 1)
            set_lane(w, &in->ops[i], (uint32_t)__builtin_ctz(rest), v);
    }
}

static void store(struct warp *w, const struct insn *in, uint32_t mask) {
    uint32_t bytes = ptx_type_bytes(in->type), n = in->sources - 1u;
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(rest);
        uint64_t a = ptx_address(w, in, 0, l, in->offset);
        unsigned char *p = ptx_reach(w, in, l, in->space, a, bytes * n, ACCESS_WRITE);
        for (uint32_t i = 0; i < n; i++) {
            uint64_t v = in->ops[i + 1].size == 16 ? 0 : lane_value(w, &in->ops[i + 1], l);
            if (in->ops[i + 1].size == 16)
                memcpy(p, w->file + in->ops[i + 1].at + 16 * l, 16);
            else
                put(p + i * bytes, bytes, v);
        }
    }
    if (in->space == S_SHARED || in->space == S_GENERIC) count_banks(w, in, mask, 0, bytes * n);
}

/* Atomic operations: lanes one after another. */
enum atomic_op { AT_ADD, AT_MIN, AT_MAX, AT_AND, AT_OR, AT_XOR, AT_EXCH, AT_CAS, AT_INC, AT_DEC };
static const char *const atomic_names[] = {"add", "min",  "max", "and", "or",
                                           "xor", "exch", "cas", "inc", "dec"};

static uint64_t half_sum(enum ptx_type t, uint64_t a, uint64_t b) {
    const struct ptx_format *f = t == T_F16 || t == T_F16X2 ? &ptx_f16 : &ptx_bf16;
    uint64_t r = 0;
    for (uint32_t i = 0; i < 8 * ptx_type_bytes(t); i += 16) {
        double x = ptx_unpack(f, a >> i & 0xffff), y = ptx_unpack(f, b >> i & 0xffff);
        r |= (uint64_t)ptx_pack(f, ptx_fma_odd(1, x, y), R_RN, false) << i;
    }
    return r;
}
static uint64_t sum(enum ptx_type t, uint64_t a, uint64_t b) {
    if (t == T_F32) {
        union {
            uint32_t u;
            float f;
        } x = {(uint32_t)a}, y = {(uint32_t)b};
        x.f += y.f;
        return x.u;
    }
    if (t == T_F64) {
        union {
            uint64_t u;
            double f;
        } x = {a}, y = {b};
        x.f += y.f;
        return x.u;
    }
    return t == T_F16 || t == T_BF16 || t == T_F16X2 || t == T_BF16X2 ? half_sum(t, a, b) : a + b;
}
static bool is_less(enum ptx_type t, uint64_t a, uint64_t b) {
    return t == T_S32 ? (int32_t)a < (int32_t)b : t == T_S64 ? (int64_t)a < (int64_t)b : a < b;
}
static uint64_t updated(enum atomic_op op, enum ptx_type t, uint64_t old, uint64_t b, uint64_t c) {
    switch (op) {
    case AT_ADD:
        return sum(t, old, b);
    case AT_MIN:
        return is_less(t, b, old) ? b : old;
    case AT_MAX:
        return is_less(t, old, b) ? b : old;
    case AT_AND:
        return old & b;
    case AT_OR:
        return old | b;
    case AT_XOR:
        return old ^ b;
    case AT_EXCH:
        return b;
    case AT_CAS:
        return old == b ? c : old;
    case AT_INC:
        return old >= b ? 0 : old + 1;
    default:
        return !old || old > b ? b : old - 1;
    }
}
static void atomic(struct warp *w, const struct insn *in, uint32_t mask) {
    uint32_t bytes = ptx_type_bytes(in->type), n = in->results;
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(rest);
        uint64_t old = 0, b = lane_value(w, &in->ops[n + 1], l),
                 c = in->sources > 2 ? lane_value(w, &in->ops[n + 2], l) : 0;
        unsigned char *p =
            ptx_reach(w, in, l, in->space, ptx_address(w, in, n, l, in->offset), bytes, ACCESS_ATOMIC);
        memcpy(&old, p, bytes);
        uint64_t new = updated(in->mode, in->type, old, b, c);
        memcpy(p, &new, bytes);
        if (n) set_lane(w, &in->ops[0], l, old);
    }
    w->block->progress++;
}

/* What atom and red do is the word among these. */
bool ptx_atomic_mode(const struct opcode *o, struct insn *in) {
    for (uint32_t i = 0; i < sizeof atomic_names / sizeof *atomic_names; i++)
        if (ptx_has(o, atomic_names[i]) ||
            (o->combine && i >= AT_AND && i <= AT_XOR && (uint32_t)o->combine == i - AT_AND + B_AND)) {
            in->mode = (uint8_t)i;
            return !(in->mode <= AT_MAX && in->mode && (in->type == T_F32 || in->type == T_F64));
        }
    return false;
}

/* cvta: a space's address to a generic one and back. */
static void convert_address(struct warp *w, const struct insn *in, uint32_t mask) {
    uint64_t window = in->space == S_SHARED  ? WINDOW_SHARED
                      : in->space == S_LOCAL ? WINDOW_LOCAL
                      : in->space == S_PARAM ? WINDOW_PARAM
                                             : 0;
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(rest);
        uint64_t a = lane_value(w, &in->ops[1], l), space_address = a;
        if (in->mode && ptx_space_of(&space_address) != (window ? in->space : S_GLOBAL))
            ptx_fail(w, in, l, "address %#llx is not of this space", (unsigned long long)a);
        set_lane(w, &in->ops[0], l, in->mode ? a - window : a + window);
    }
}
static void is_space(struct warp *w, const struct insn *in, uint32_t mask) {
    uint32_t set = 0;
    for (uint32_t l = 0; l < LANES; l++) {
        uint64_t a = lane_value(w, &in->ops[1], l);
        enum ptx_space s = ptx_space_of(&a);
        set |= (uint32_t)(s == (in->space == S_CONST ? S_GLOBAL : in->space)) << l;
    }
    set_predicate(w, &in->ops[0], mask, set);
}

static void fence_proxy(struct warp *w, const struct insn *in, uint32_t mask) {
    (void)in, (void)mask;
    w->fenced = w->known.of[w->number]++;
}
static void nothing(struct warp *w, const struct insn *in, uint32_t mask) { (void)w, (void)in, (void)mask; }

static const struct op_row rows[] = {
    {"ld", "param", T_NONE, load_param, "R=a"},
    {"ld", NULL, T_NONE, load, "R=a?k"},
    {"ldu", NULL, T_NONE, load, "R=a"},
    {"st", NULL, T_NONE, store, "=aR?k"},
    {"atom", NULL, T_NONE, atomic, "t=at?t?k"},
    {"red", NULL, T_NONE, atomic, "=at?k"},
    {"cvta", NULL, T_U64, convert_address, "q=q"},
    {"cvta", NULL, T_U32, convert_address, "l=l"},
    {"isspacep", NULL, T_NONE, is_space, "p=q"},
    {"prefetch", NULL, T_NONE, nothing, "=a"},
    {"prefetchu", NULL, T_NONE, nothing, "=a"},
    {"applypriority", NULL, T_NONE, nothing, "=a?l"},
    {"discard", NULL, T_NONE, nothing, "=a?l"},
    {"fence", "proxy", T_NONE, fence_proxy, "=?k"},
    {"membar", NULL, T_NONE, nothing, "="},
    {"fence", NULL, T_NONE, nothing, "="},
    {"griddepcontrol", NULL, T_NONE, nothing, "="},
    {"nanosleep", NULL, T_U32, nothing, "=l"},
    {"setmaxnreg", NULL, T_NONE, nothing, "=l"},
};
OP_TABLE(ptx_memory_ops, rows);
