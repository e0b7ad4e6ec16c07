/* mdl_argsort: the order that sorts a row. Elements become unsigned integers that compare as the elements do;
 * ties are broken by index, so no two are equal, every order is total, and the sort need neither be stable
 * nor have memory. */
#include "runtime/abi.h"
#include <stdbool.h>
#include <string.h>

struct row {
    const char *src;
    uint64_t (*key)(const void *src, int64_t i);
    uint64_t flip; /* all ones: descending */
};

/* An IEEE format's bits in the order of its values: -0 as 0, NaN above infinity. `infinity`: its bits,
 * positive. */
static uint64_t float_key(uint64_t bits, uint64_t sign, uint64_t infinity) {
    uint64_t magnitude = bits & (sign - 1);
    if (magnitude > infinity) return UINT64_MAX;
    if (!magnitude) return sign;
    return bits & sign ? sign - magnitude : sign + magnitude;
}

#define KEY(name, type, ...)                                                                                 \
    static uint64_t key_##name(const void *src, int64_t i) {                                                 \
        type x = ((const type *)src)[i];                                                                     \
        return __VA_ARGS__;                                                                                  \
    }
#define SIGNED(x) ((uint64_t)(int64_t)(x) ^ (uint64_t)1 << 63)
KEY(f64, uint64_t, float_key(x, (uint64_t)1 << 63, (uint64_t)0x7ff << 52))
KEY(f32, uint32_t, float_key(x, 0x80000000, 0x7f800000))
KEY(f16, uint16_t, float_key(x, 0x8000, 0x7c00))
KEY(bf16, uint16_t, float_key(x, 0x8000, 0x7f80))
KEY(i64, int64_t, SIGNED(x))
KEY(i32, int32_t, SIGNED(x))
KEY(i16, int16_t, SIGNED(x))
KEY(i8, int8_t, SIGNED(x))
KEY(u8, uint8_t, x)

static uint64_t (*const keys[])(const void *, int64_t) = {
    [MDL_F64] = key_f64, [MDL_F32] = key_f32, [MDL_F16] = key_f16, [MDL_BF16] = key_bf16, [MDL_I64] = key_i64,
    [MDL_I32] = key_i32, [MDL_I16] = key_i16, [MDL_I8] = key_i8,   [MDL_U8] = key_u8,     [MDL_BOOL] = key_u8,
};

static uint64_t key(const struct row *r, int32_t i) { return r->key(r->src, i) ^ r->flip; }

static bool before(const struct row *r, int32_t a, int32_t b) {
    uint64_t x = key(r, a), y = key(r, b);
    return x != y ? x < y : a < b;
}

static void swap(int32_t *a, int32_t *b) {
    int32_t t = *a;
    *a = *b;
    *b = t;
}

static void insertion_sort(const struct row *r, int32_t *v, int64_t n) {
    for (int64_t i = 1; i < n; i++) {
        int32_t x = v[i];
        int64_t j = i;
        for (; j && before(r, x, v[j - 1]); j--) v[j] = v[j - 1];
        v[j] = x;
    }
}

static void sift_down(const struct row *r, int32_t *v, int64_t root, int64_t n) {
    for (int64_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && before(r, v[child], v[child + 1])) child++;
        if (!before(r, v[root], v[child])) return;
        swap(&v[root], &v[child]);
    }
}

static void heap_sort(const struct row *r, int32_t *v, int64_t n) {
    for (int64_t i = n / 2; i-- > 0;) sift_down(r, v, i, n);
    for (int64_t i = n; i-- > 1;) {
        swap(&v[0], &v[i]);
        sift_down(r, v, 0, i);
    }
}

/* Puts the median of first, middle and last in front, and returns where it belongs after a partition around
 * it. */
static int64_t partition(const struct row *r, int32_t *v, int64_t n) {
    int32_t *a = &v[0], *b = &v[n / 2], *c = &v[n - 1];
    if (before(r, *b, *c)) swap(b, c);
    if (before(r, *a, *c)) swap(a, c);
    if (before(r, *b, *a)) swap(a, b);
    int64_t i = 0, j = n;
    for (;;) {
        while (++i < n && before(r, v[i], *a)) continue;
        while (before(r, *a, v[--j])) continue;
        if (i >= j) break;
        swap(&v[i], &v[j]);
    }
    swap(a, &v[j]);
    return j;
}

/* Quicksort; `depth` partitions may still be unlucky before a heap takes over, which keeps it n log n. */
static void sort(const struct row *r, int32_t *v, int64_t n, int depth) {
    while (n > 16) {
        if (!depth--) {
            heap_sort(r, v, n);
            return;
        }
        int64_t p = partition(r, v, n);
        sort(r, v + p + 1, n - p - 1, depth);
        n = p;
    }
    insertion_sort(r, v, n);
}

void mdl_argsort(uint32_t dtype, const void *src, int64_t n, int32_t descending, int32_t *order) {
    struct row r = {src, keys[dtype], descending ? UINT64_MAX : 0};
    int depth = 0;
    for (int64_t i = n; i; i /= 2) depth += 2;
    for (int64_t i = 0; i < n; i++) order[i] = (int32_t)i;
    sort(&r, order, n, depth);
}
