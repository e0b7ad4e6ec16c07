/* Storage formats: how a tensor's elements lie in a weight file and in a compiled model's weights.
 * formats.def lists them; data of a format is a run of whole blocks, at any alignment. */
#ifndef IR_FORMAT_H
#define IR_FORMAT_H
#include "ir/type.h"
#include <stddef.h>

enum format {
#define FORMAT(name, ...) FORMAT_##name,
#include "ir/formats.def"
#undef FORMAT
    FORMAT_COUNT
};

struct format_info {
    const char *name;
    int elements, bytes; /* of one block */
    int gguf;            /* its type number in GGUF files, -1: none */
    const char *safetensors;
    enum dtype dtype; /* of its elements; quantised: DTYPE_F32 */
    int bits;         /* of a code; 0: the format is not quantised, and what follows is 0 too */
    int bias;         /* value = (code - bias) * scale + minimum */
    int group;        /* elements that share scale and minimum: 32 or 16 */
    bool minimum;     /* groups have a minimum */
    int levels;   /* 1: scale and minimum are f16 numbers; 2: f16 numbers of the block times integers of the
                     group */
    bool encodes; /* format_encode() can write it */
};
const struct format_info *format_info(enum format f);
static inline const char *format_name(enum format f) { return format_info(f)->name; }
/* FORMAT_COUNT if there is none. */
enum format format_find(const char *name);
enum format format_from_gguf(uint32_t type);
enum format format_from_safetensors(const char *dtype);
enum format format_of_dtype(enum dtype t); /* the plain one */

/* Bytes of `elements` elements; false if they are no whole number of blocks, or on overflow. */
bool format_bytes(enum format f, int64_t elements, int64_t *bytes);

/* Elements first ... first + count - 1 of the tensor whose blocks begin at `data`. Any range; whole blocks
 * are fast: a few nanoseconds an element at most. To double, values are exact but for the rounding of one
 * addition where the format has minima; to float, products and sums round once each. Integers convert to the
 * nearest.
 */
void format_decode(enum format f, const void *data, int64_t first, int64_t count, double *out);
void format_decode_float(enum format f, const void *data, int64_t first, int64_t count, float *out);
/* The same for i64, i32, i16, i8, u8 and bool (0 or 1), which double cannot hold all exactly. */
void format_decode_integer(enum format f, const void *data, int64_t first, int64_t count, int64_t *out);

/* One group of a quantised block, for packers that lay codes anew without quantising again. */
struct format_group {
    uint8_t codes[32];                /* [group] */
    float scale, minimum;             /* exact: the products below fit a float */
    float super_scale, super_minimum; /* two levels: the block's d and dmin, f16 numbers; else 0 */
    int scale_code, minimum_code;     /* two levels: sc (signed for q6_k) and m; else 0 */
};
/* Group number `group` (0 ... elements / group - 1) of the block at `block`. */
void format_unpack(enum format f, const void *block, int group, struct format_group *out);

/* Encodes `count` floats (whole blocks) into `out`, for formats that `encodes`: f32, f16, bf16 round to
 * nearest even; q4_0, q5_0, q8_0 scale by the value of largest magnitude, q4_1, q5_1 from smallest to
 * largest, as the format's reference does. False if a quantised block holds a value that is not finite, or
 * one so large that its scale overflows f16; `*bad` is then the first element of that block. */
bool format_encode(enum format f, const float *values, int64_t count, void *out, int64_t *bad);

#endif
