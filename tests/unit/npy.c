/* .npy files: every type and version there and back, every kind of damage refused; values of half precision.
 */
#include "runtime/npy.h"
#include "runtime/elements.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A file in memory: version 1, this dict, so many bytes of elements that count from 0. */
static size_t make(unsigned char *file, int version, const char *dict, size_t elements) {
    size_t length = strlen(dict), start = version == 1 ? 10 : 12;
    memcpy(file, "\x93NUMPY", 6);
    file[6] = (unsigned char)version;
    file[7] = 0;
    memset(file + 8, 0, 4);
    file[8] = (unsigned char)(length & 255);
    file[9] = (unsigned char)(length >> 8);
    memcpy(file + start, dict, length);
    for (size_t i = 0; i < elements; i++) file[start + length + i] = (unsigned char)i;
    return start + length + elements;
}

static enum npy_status parse(const char *dict, size_t elements, struct npy_array *a, char *error) {
    unsigned char file[1024];
    size_t bytes = make(file, 1, dict, elements);
    unsigned char *exact = malloc(bytes); /* so that AddressSanitizer sees reads behind the end */
    memcpy(exact, file, bytes);
    enum npy_status status = npy_parse(exact, bytes, a, error, 256);
    free(exact);
    return status;
}

Test(npy, written_files_are_read_back) {
    char path[64], error[256];
    snprintf(path, sizeof path, "/tmp/mdl-test-%d.npy", (int)getpid());
    for (uint32_t dtype = 0; dtype < ELEMENT_TYPES; dtype++) {
        for (uint32_t rank = 0; rank < 4; rank++) {
            struct npy_array a = {.dtype = dtype, .rank = rank, .shape = {3, 1, 5}}, b;
            cr_assert(npy_alloc(&a));
            for (size_t i = 0; i < a.count; i++)
                element_set(dtype, a.data, i, dtype == MDL_BOOL ? i % 2 : (long double)i);
            cr_assert_eq(npy_write(path, &a, error, sizeof error), NPY_OK, "%s", error);
            cr_assert_eq(npy_read(path, &b, error, sizeof error), NPY_OK, "%s", error);
            cr_assert(b.dtype == dtype && b.rank == rank && b.count == a.count);
            cr_assert_eq(memcmp(a.shape, b.shape, rank * sizeof *a.shape), 0);
            cr_assert_eq(memcmp(a.data, b.data, a.count * element_types[dtype].bytes), 0);
            npy_free(&a);
            npy_free(&b);
        }
    }
    unlink(path);
}

Test(npy, versions_orders_and_spellings) {
    static const char *const dicts[] = {
        "{'descr': '|i1', 'fortran_order': False, 'shape': (2, 3), }\n",
        "{'shape':(2,3),'descr':'<i1','fortran_order':False}",
        "{\"descr\": \"=i1\", \"fortran_order\": False, \"shape\": (2L, 3L,), }   \n"};
    unsigned char file[1024];
    char error[256];
    for (int i = 0; i < 9; i++) {
        struct npy_array a;
        size_t bytes = make(file, 1 + i / 3, dicts[i % 3], 6);
        cr_assert_eq(npy_parse(file, bytes, &a, error, sizeof error), NPY_OK, "%s", error);
        cr_assert(a.dtype == MDL_I8 && a.rank == 2 && a.shape[0] == 2 && a.shape[1] == 3);
        for (int j = 0; j < 6; j++) cr_assert_eq(((int8_t *)a.data)[j], j);
        npy_free(&a);
    }
}

Test(npy, fortran_order_is_turned) {
    static const int8_t wanted[] = {0, 2, 4, 1, 3, 5};
    struct npy_array a;
    char error[256];
    cr_assert_eq(parse("{'descr': '|i1', 'fortran_order': True, 'shape': (2, 3), }", 6, &a, error), NPY_OK);
    cr_assert_eq(memcmp(a.data, wanted, 6), 0);
    npy_free(&a);
}

Test(npy, empty_and_scalar) {
    struct npy_array a;
    char error[256];
    cr_assert_eq(parse("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 99999999999), }", 0, &a, error),
                 NPY_OK);
    cr_assert_eq(a.count, 0);
    npy_free(&a);
    cr_assert_eq(parse("{'descr': '<u2', 'fortran_order': False, 'shape': (), }", 2, &a, error), NPY_OK);
    cr_assert(a.dtype == MDL_BF16 && a.count == 1);
    npy_free(&a);
}

Test(npy, broken_files_are_refused) {
    static const struct {
        const char *dict, *message;
        size_t elements;
    } cases[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "has 7 bytes of elements", 7},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "has 9 bytes of elements", 9},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", "big-endian", 8},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", "not one of ours", 8},
        {"{'descr': '', 'fortran_order': False, 'shape': (1,), }", "not one of ours", 8},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "structures", 4},
        {"{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2,), }", "neither True nor False", 8},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", "bad shape", 8},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2 3), }", "bad shape", 24},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': 2, }", "no shape", 8},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", "bad shape", 8},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }",
         "do not fill its shape", 0},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': "
         "(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)}",
         "more than 32 dimensions", 4},
        {"{'descr': '<f4', 'fortran_order': False, }", "missing", 4},
        {"{'descr': '<f4', 'fortran_order': False, 'color': 1}", "unknown key 'color'", 4},
        {"{'descr': '<f4' 'fortran_order': False, 'shape': (2,)}", "',' or '}' was expected", 8},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)", "',' or '}' was expected", 8},
        {"", "no dict", 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct npy_array a;
        char error[256] = "";
        cr_assert_eq(parse(cases[i].dict, cases[i].elements, &a, error), NPY_BROKEN, "%s", cases[i].dict);
        cr_assert(strstr(error, cases[i].message), "'%s' does not say '%s'", error, cases[i].message);
    }
}

/* Every length that a cut can leave, and every single bit flipped: never a crash, and never an array out of a
 * cut file. */
Test(npy, cut_and_flipped_files) {
    unsigned char file[1024];
    char error[256];
    struct npy_array a;
    for (int version = 1; version < 4; version++) {
        size_t bytes = make(file, version, "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", 24);
        for (size_t n = 0; n < bytes; n++) {
            unsigned char *cut = malloc(n + 1);
            memcpy(cut, file, n);
            cr_assert_eq(npy_parse(cut, n, &a, error, sizeof error), NPY_BROKEN);
            free(cut);
        }
        for (size_t bit = 0; bit < 8 * bytes; bit++) {
            file[bit / 8] ^= (unsigned char)(1 << bit % 8);
            if (npy_parse(file, bytes, &a, error, sizeof error) == NPY_OK) npy_free(&a);
            file[bit / 8] ^= (unsigned char)(1 << bit % 8);
        }
    }
}

/* All 65536 patterns of both formats come back from their values; values between two round to the even one.
 */
Test(npy, half_precision_is_exact) {
    for (uint32_t dtype = MDL_F16; dtype <= MDL_BF16; dtype++) {
        for (uint32_t bits = 0; bits < 0x10000; bits++) {
            uint16_t in = (uint16_t)bits, out;
            long double value = element_get(dtype, &in, 0);
            element_set(dtype, &out, 0, value);
            cr_assert(in == out || isnan(value), "type %u: %04x -> %Lg -> %04x", dtype, in, value, out);
        }
    }
    static const struct {
        double value;
        uint16_t f16;
    } cases[] = {{1 + 0x1p-11, 0x3c00}, {1 + 3 * 0x1p-11, 0x3c02},
                 {65519, 0x7bff},       {65520, 0x7c00},
                 {0x1p-25, 0},          {0x1.8p-25, 1},
                 {-1e10, 0xfc00},       {0x1.ff8p-15, 0x3ff},
                 {0x1.ffcp-15, 0x400}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint16_t out;
        element_set(MDL_F16, &out, 0, cases[i].value);
        cr_assert_eq(out, cases[i].f16, "%g -> %04x", cases[i].value, out);
    }
}
