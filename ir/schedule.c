/* Schedules as text: "contract, atom=fma, tile=[6, 64], block=[96, 0, 256], unroll=4" and back. */
#include "ir/schedule.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const struct atom_info atoms[] = {
#define ATOM(name, unit, k, a, b, sum, meaning) {#name, meaning, UNIT_##unit, k, DTYPE_##a, DTYPE_##b, DTYPE_##sum},
#include "ir/atoms.def"
#undef ATOM
};
static const char *const domain_names[] = {
#define DOMAIN_NAME(name, meaning) #name,
    DOMAINS(DOMAIN_NAME)
#undef DOMAIN_NAME
};

const char *domain_name(enum domain d) { return domain_names[d]; }

const struct atom_info *atom_info(enum atom a) { return &atoms[a]; }

bool atom_of_gpu(enum atom a) { return atoms[a].unit >= UNIT_warp; }

static bool uses_atom(enum domain d) { return d == DOMAIN_contract || d == DOMAIN_attention; }

const char *schedule_text(struct arena *a, const struct schedule *s) {
    const char *text = domain_names[s->domain];
    if (uses_atom(s->domain)) text = arena_printf(a, "%s, atom=%s", text, atoms[s->atom].name);
    if (s->tile[0] || s->tile[1]) text = arena_printf(a, "%s, tile=[%d, %d]", text, s->tile[0], s->tile[1]);
    if (s->block[0] || s->block[1] || s->block[2])
        text = arena_printf(a, "%s, block=[%lld, %lld, %lld]", text, (long long)s->block[0],
                            (long long)s->block[1], (long long)s->block[2]);
    if (s->unroll) text = arena_printf(a, "%s, unroll=%d", text, s->unroll);
    if (s->warps) text = arena_printf(a, "%s, warps=%d", text, s->warps);
    if (s->stages) text = arena_printf(a, "%s, stages=%d", text, s->stages);
    if (s->scratch) text = arena_printf(a, "%s, scratch=%lld", text, (long long)s->scratch);
    return text;
}

enum { LARGEST_FACTOR = 1 << 20 };

/* "[6, 64]": exactly `count` numbers from 0 to `most`. */
static bool read_list(const char **at, int64_t *numbers, int count, int64_t most) {
    for (int i = 0; i < count; i++) {
        char *end;
        if (*(*at)++ != (i ? ',' : '[')) return false;
        long long value = strtoll(*at, &end, 10);
        if (end == *at || value < 0 || value > most) return false;
        numbers[i] = value;
        *at = end;
    }
    return *(*at)++ == ']';
}

static bool read_number(const char **at, int64_t *number, int64_t most) {
    char *end;
    *number = strtoll(*at, &end, 10);
    bool good = end != *at && *number >= 0 && *number <= most;
    *at = end;
    return good;
}

static bool read_atom(const char **at, enum atom *atom) {
    size_t length = strcspn(*at, ", ");
    for (int i = 0; i < ATOM_COUNT; i++) {
        if (strlen(atoms[i].name) != length || strncmp(atoms[i].name, *at, length)) continue;
        *atom = (enum atom)i;
        *at += length;
        return true;
    }
    return false;
}

static bool accept(const char **at, const char *token) {
    while (**at == ' ') ++*at;
    if (strncmp(*at, token, strlen(token))) return false;
    *at += strlen(token);
    return true;
}

static bool read_field(const char **at, struct schedule *s) {
    int64_t tile[2], number;
    if (accept(at, "atom=")) return read_atom(at, &s->atom);
    if (accept(at, "block=")) return read_list(at, s->block, 3, INT64_MAX / 2);
    if (accept(at, "tile=")) {
        if (!read_list(at, tile, 2, LARGEST_FACTOR)) return false;
        s->tile[0] = (int)tile[0], s->tile[1] = (int)tile[1];
        return true;
    }
    static const struct {
        const char *name;
        size_t offset;
        int64_t most;
    } counts[] = {{"unroll=", offsetof(struct schedule, unroll), 64},
                  {"warps=", offsetof(struct schedule, warps), 32},
                  {"stages=", offsetof(struct schedule, stages), 16}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        if (!accept(at, counts[i].name)) continue;
        if (!read_number(at, &number, counts[i].most)) return false;
        *(int *)((char *)s + counts[i].offset) = (int)number;
        return true;
    }
    return accept(at, "scratch=") && read_number(at, &s->scratch, INT64_MAX / 2);
}

static bool read_domain(const char **at, enum domain *domain) {
    size_t length = strcspn(*at, ", ");
    for (int i = 0; i < DOMAIN_COUNT; i++) {
        if (strlen(domain_names[i]) != length || strncmp(domain_names[i], *at, length)) continue;
        *domain = (enum domain)i;
        *at += length;
        return true;
    }
    return false;
}

const struct schedule *schedule_parse(struct arena *a, const char *text, const char **error) {
    struct schedule *s = arena_new_object(a, struct schedule);
    const char *at = text;
    accept(&at, "");
    if (!read_domain(&at, &s->domain)) {
        *error = arena_printf(
            a, "a schedule begins with loops, rows, contract, attention or ordered, not '%s'", at);
        return NULL;
    }
    while (accept(&at, ",")) {
        const char *field = (accept(&at, ""), at);
        if (read_field(&at, s)) continue;
        *error = arena_printf(a, "'%s' is not atom=NAME, tile=[m, n], block=[m, n, k], unroll=N, warps=N, stages=N or scratch=N", field);
        return NULL;
    }
    accept(&at, "");
    if (*at) {
        *error = arena_printf(a, "'%s' does not belong in a schedule", at);
        return NULL;
    }
    return s;
}
