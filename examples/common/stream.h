/* Writing text as its bytes come, never cutting a UTF-8 character in two. */
#ifndef EXAMPLES_STREAM_H
#define EXAMPLES_STREAM_H
#include "base.h"
#include <stdio.h>

/* Bytes of a character that is not complete yet. Starts as {0}. */
struct stream {
    unsigned char held[4];
    size_t count;
};

/* Writes all complete characters of what is held and `bytes`, flushes the file, and holds the rest. A byte
 * that cannot be part of UTF-8 becomes U+FFFD. */
void stream_write(struct stream *s, struct text bytes, FILE *file);

/* Writes U+FFFD for a character that never became complete. */
void stream_end(struct stream *s, FILE *file);
#endif
