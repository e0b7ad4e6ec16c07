/* Small valid weight files of each kind, built in memory. */
#ifndef TESTS_UNIT_WEIGHTS_SAMPLES_H
#define TESTS_UNIT_WEIGHTS_SAMPLES_H
#include "frontend/weights.h"

struct buffer {
    uint8_t bytes[1 << 14];
    size_t size;
};
void put(struct buffer *b, const void *bytes, size_t size);
void put_number(struct buffer *b, uint64_t value, int bytes); /* little-endian */
void put_text(struct buffer *b, const char *text);

/* GGUF 3. Metadata: general.architecture = "sample", general.alignment = u32 32, answer = i16 -42, ratio =
 * f32 0.5, big = u64 2^64 - 1, yes = bool true, words = ["one", "", "three"], primes = i32 [2, 3, 5], deep =
 * [[1], [2, 3]]. Tensors: alpha f32 [2, 3] = 0 1 2 ..., beta q4_1 [2, 32], gamma f16 [4] = 1, delta q6_k
 * [256]. */
void sample_gguf(struct buffer *b);
/* Header and as many bytes of data, 0 1 2 ... */
void sample_safetensors(struct buffer *b, const char *header, size_t data);
/* Version 1 and as many bytes of data, 0 1 2 ... */
void sample_npy(struct buffer *b, const char *header, size_t data);
/* first.npy = i32 [2, 2], stored; second.npy = u8 [200], deflated. */
void sample_npz(struct buffer *b);

/* weights_cases.c: broken file number `number`, and words that the message about it must have; NULL past the
 * last. */
const char *broken_sample(size_t number, struct buffer *b);

/* Two tensors: one f32 [2, 3], two i64 [2]; a metadata string. */
#define SAFETENSORS_HEADER                                                                                   \
    "{\"__metadata__\":{\"format\":\"pt\"},"                                                                 \
    "\"one\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"                                   \
    "\"two\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[24,40]}}   "
#define NPY_HEADER "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }   \n"

#endif
