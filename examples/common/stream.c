/* Holds back the bytes of a UTF-8 character until its last has come. */
#include "stream.h"

/* The length that a first byte announces, or 0 if none begins so. */
static size_t announced(unsigned char first) {
    if (first < 0x80) return 1;
    if (first >= 0xC2 && first <= 0xDF) return 2;
    if (first >= 0xE0 && first <= 0xEF) return 3;
    return first >= 0xF0 && first <= 0xF4 ? 4 : 0;
}

/* Whether `next` may stand at place 1, 2 or 3 of a character; the second byte rules out overlong forms,
 * surrogates and what lies past U+10FFFF (Unicode, table 3-7). */
static bool continues(const unsigned char *held, size_t place, unsigned char next) {
    unsigned char low = 0x80, high = 0xBF;
    if (place == 1 && held[0] == 0xE0) low = 0xA0;
    if (place == 1 && held[0] == 0xED) high = 0x9F;
    if (place == 1 && held[0] == 0xF0) low = 0x90;
    if (place == 1 && held[0] == 0xF4) high = 0x8F;
    return next >= low && next <= high;
}

static void write_byte(struct stream *s, unsigned char byte, FILE *file) {
    if (s->count && !continues(s->held, s->count, byte)) stream_end(s, file);
    if (!s->count && !announced(byte)) {
        fputs("\xEF\xBF\xBD", file);
        return;
    }
    s->held[s->count++] = byte;
    if (s->count < announced(s->held[0])) return;
    fwrite(s->held, 1, s->count, file);
    s->count = 0;
}

void stream_write(struct stream *s, struct text bytes, FILE *file) {
    for (size_t i = 0; i < bytes.length; i++) write_byte(s, (unsigned char)bytes.bytes[i], file);
    fflush(file);
}

void stream_end(struct stream *s, FILE *file) {
    if (s->count) fputs("\xEF\xBF\xBD", file);
    s->count = 0;
    fflush(file);
}
