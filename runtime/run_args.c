/* The command line of a run: options and operands split up, and the values of inputs read. */
#include "runtime/elements.h"
#include "runtime/run.h"
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int run_error(const struct run_request *r, int status, const char *format, ...) {
    va_list args;
    if (r->quiet) return status;
    char text[2048]; /* written at once: ranks share their standard error */
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "%s: %s\n", r->program, text);
    return status;
}

/* Splits "name=value"; false: no memory. */
static bool split(const char *text, struct run_pair *pair) {
    const char *equals = strchr(text, '=');
    pair->name = strndup(text, (size_t)(equals - text));
    pair->value = equals + 1;
    return pair->name != NULL;
}

static int parse_operands(const struct option_program *p, const struct option_list *list, int first,
                          struct run_request *r) {
    const struct option_arg *arg;
    int n = 0;
    for (int at = 0; (arg = options_next(list, NULL, &at)); n++) {
        if (n < first) continue;
        if (strchr(arg->value, '=')) {
            if (!split(arg->value, &r->values[r->values_count++])) return RUN_INTERNAL;
        } else if (r->function) {
            return options_error(p, "two functions: '%s' and '%s'", r->function, arg->value);
        } else {
            r->function = arg->value;
        }
    }
    return RUN_DONE;
}

static int parse_expects(const struct option_program *p, const struct option_list *list,
                         struct run_request *r) {
    const struct option_arg *arg;
    for (int at = 0; (arg = options_next(list, "expect", &at));) {
        if (!strchr(arg->value, '='))
            return options_error(p, "--expect=%s: N=VALUE was expected", arg->value);
        if (!split(arg->value, &r->expects[r->expects_count++])) return RUN_INTERNAL;
    }
    return RUN_DONE;
}

static int parse_tolerance(const struct option_program *p, const struct option_list *list, const char *name,
                           double *x) {
    const char *text = options_value(list, name);
    char *end;
    if (!text) return RUN_DONE;
    *x = strtod(text, &end);
    if (end != text && !*end && *x >= 0) return RUN_DONE;
    return options_error(p, "--%s=%s: a number, not negative, was expected", name, text);
}

static int parse_seed(const struct option_program *p, const struct option_list *list, uint64_t *seed) {
    const char *text = options_value(list, "seed");
    char *end;
    if (!text) return RUN_DONE;
    errno = 0;
    *seed = strtoull(text, &end, 10);
    if (end != text && !*end && !errno && *text != '-') return RUN_DONE;
    return options_error(p, "--seed=%s: a whole number was expected", text);
}

int run_parse(const struct option_program *p, const struct option_list *list, int first,
              struct run_request *r) {
    *r = (struct run_request){
        .program = p->name, .rtol = 1e-5, .atol = 1e-8, .output = options_value(list, "output")};
    r->values = calloc((size_t)list->count + 1, sizeof *r->values);
    r->expects = calloc((size_t)list->count + 1, sizeof *r->expects);
    if (!r->values || !r->expects) return run_error(r, RUN_INTERNAL, "out of memory");
    int status = parse_operands(p, list, first, r);
    if (!status) status = parse_expects(p, list, r);
    if (!status) status = parse_tolerance(p, list, "rtol", &r->rtol);
    if (!status) status = parse_tolerance(p, list, "atol", &r->atol);
    if (!status) status = parse_seed(p, list, &r->seed);
    return status;
}

void run_request_free(struct run_request *r) {
    for (int i = 0; i < r->values_count; i++) free(r->values[i].name);
    for (int i = 0; i < r->expects_count; i++) free(r->expects[i].name);
    free(r->values);
    free(r->expects);
    *r = (struct run_request){.program = r->program};
}

/* Stores `value` as element `i`; false: the type cannot hold it. */
static bool store(struct npy_array *a, size_t i, long double value) {
    const struct element_type *t = &element_types[a->dtype];
    bool whole =
        t->class == ELEMENT_FLOAT || (value >= t->least && value <= t->most && value == floorl(value));
    if (whole) element_set(a->dtype, a->data, i, value);
    return whole;
}

/* *a as type `dtype`, where no value changes. */
static int convert(const struct run_request *r, const char *what, uint32_t dtype, struct npy_array *a) {
    struct npy_array b = *a;
    const char *from = element_types[a->dtype].name, *to = element_types[dtype].name;
    if (a->dtype == dtype) return RUN_DONE;
    if (!element_converts(a->dtype, dtype))
        return run_error(r, RUN_FAILED,
                         "%s: is %s, but %s is wanted; convert it first, as values would change", what, from,
                         to);
    b.dtype = dtype;
    if (!npy_alloc(&b)) return run_error(r, RUN_INTERNAL, "%s: out of memory", what);
    for (size_t i = 0; i < a->count; i++) {
        long double value = element_get(a->dtype, a->data, i);
        if (store(&b, i, value)) continue;
        npy_free(&b);
        return run_error(r, RUN_FAILED, "%s: is %s, but %s is wanted, which cannot hold %.0Lf", what, from,
                         to, value);
    }
    npy_free(a);
    *a = b;
    return RUN_DONE;
}

int run_read_file(const struct run_request *r, const char *what, const char *path, struct npy_array *a) {
    static const int exits[] = {
        [NPY_OK] = RUN_DONE, [NPY_BROKEN] = RUN_FAILED, [NPY_IO] = RUN_IO, [NPY_NO_MEMORY] = RUN_INTERNAL};
    char error[256];
    enum npy_status status = npy_read(path, a, error, sizeof error);
    return status ? run_error(r, exits[status], "%s: %s: %s", what, path, error) : RUN_DONE;
}

static int read_file_as(const struct run_request *r, const char *what, const char *path, uint32_t dtype,
                        struct npy_array *a) {
    int status = run_read_file(r, what, path, a);
    return status ? status : convert(r, what, dtype, a);
}

/* One number of a list; *text moves behind it. */
static bool take_number(const char **text, long double *value) {
    static const struct {
        const char *name;
        long double value;
    } words[] = {{"true", 1}, {"false", 0}};
    size_t length = strcspn(*text, ",");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i].name) == length && strncasecmp(*text, words[i].name, length) == 0) {
            *value = words[i].value;
            *text += length;
            return true;
        }
    char *end;
    *value = strtold(*text, &end);
    bool good = end != *text && (*end == ',' || !*end);
    *text = end;
    return good;
}

/* A scalar, or `1,2,3`; a comma may follow the last. */
static int read_list(const struct run_request *r, const char *what, const char *value,
                     const struct mdl_tensor *t, struct npy_array *a) {
    if (t->rank > 1)
        return run_error(r, RUN_FAILED, "%s: has %u dimensions: give it as @FILE.npy", what, t->rank);
    *a = (struct npy_array){.dtype = t->dtype, .rank = t->rank};
    for (const char *c = value; *c; c++) a->shape[0] += c == value || (c[-1] == ',');
    if (t->rank == 0 && (a->shape[0] != 1 || strchr(value, ',')))
        return run_error(r, RUN_FAILED, "%s: is a scalar: one number was expected, not '%s'", what, value);
    if (!npy_alloc(a)) return run_error(r, RUN_INTERNAL, "%s: out of memory", what);
    const char *at = value;
    for (size_t i = 0; i < a->count; i++) {
        long double x;
        if (!take_number(&at, &x) || !store(a, i, x)) {
            npy_free(a);
            return run_error(r, RUN_FAILED, "%s: '%s' is not %s of type %s (nor @FILE.npy or random)", what,
                             value, t->rank ? "a list" : "a number", element_types[t->dtype].name);
        }
        at += *at == ',';
    }
    return RUN_DONE;
}

bool run_is_random(const char *value) {
    return strncmp(value, "random", 6) == 0 && (!value[6] || value[6] == ':');
}

int run_read_value(const struct run_request *r, const char *what, const char *value,
                   const struct mdl_tensor *t, struct npy_array *a) {
    *a = (struct npy_array){.dtype = t->dtype, .rank = t->rank};
    if (value[0] == '@') return read_file_as(r, what, value + 1, t->dtype, a);
    if (run_is_random(value)) return RUN_DONE;
    return read_list(r, what, value, t, a);
}

/* SplitMix64 (Steele, Lea and Flood, OOPSLA 2014). */
static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* The range after "random:"; without one, what suits the type. */
static bool random_range(const char *value, const struct element_type *t, double *low, double *high) {
    bool is_float = t->class == ELEMENT_FLOAT;
    *low = is_float ? -1 : 0;
    *high = is_float || t->class == ELEMENT_BOOL ? 1 : 9;
    if (!value[6]) return true;
    char number[64], *end;
    const char *dots = strstr(value, "..");
    if (!dots || dots - (value + 7) >= (long)sizeof number) return false;
    snprintf(number, sizeof number, "%.*s", (int)(dots - (value + 7)), value + 7);
    *low = strtod(number, &end);
    if (end == number || *end) return false;
    *high = strtod(dots + 2, &end);
    if (end == dots + 2 || *end || !(*low <= *high) || !isfinite(*high - *low)) return false;
    return is_float || (*low >= (double)t->least && *high <= (double)t->most && *high - *low < 0x1p62 &&
                        *low == floor(*low) && *high == floor(*high));
}

int run_fill_random(const struct run_request *r, const char *what, const char *value, uint64_t *state,
                    struct npy_array *a) {
    const struct element_type *t = &element_types[a->dtype];
    double low, high;
    if (!random_range(value, t, &low, &high))
        return run_error(r, RUN_USAGE, "%s: '%s': random:LO..HI was expected, numbers of type %s", what,
                         value, t->name);
    if (!npy_alloc(a)) return run_error(r, RUN_INTERNAL, "%s: out of memory", what);
    for (size_t i = 0; i < a->count; i++) {
        uint64_t bits = next_random(state);
        long double unit = (long double)(bits >> 11) * 0x1p-53L, x = low + (high - low) * unit;
        if (t->class != ELEMENT_FLOAT) x = low + (long double)(bits % ((uint64_t)(high - low) + 1));
        element_set(a->dtype, a->data, i, x);
    }
    return RUN_DONE;
}
