/* What the examples' files share: errors in words, views of bytes, growing arrays of token ids, memory, time. */
#ifndef EXAMPLES_BASE_H
#define EXAMPLES_BASE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why something failed, in words for the user. */
struct error {
    char text[400];
};

/* Bytes that belong to somebody else; not ended by a zero. */
struct text {
    const char *bytes;
    size_t length;
};

/* Token ids that grow at the end. Starts as {0}; its owner calls ids_free. */
struct ids {
    int32_t *data;
    size_t count, room;
};

/* Writes the message (cut to fit) and returns false, so that `return fail(...)` ends a bool function. */
bool fail(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What main returns: `status`, or 3 where not all of standard input was read or of standard output written,
 * after a message unless something else has failed before. */
int end_program(int status);

/* Of a clock that only goes forward. */
double seconds(void);

/* `count` zeroed elements, for free(). When memory is refused, says so and exits with status 70. */
void *allocate(size_t count, size_t size);

/* `old` (NULL or allocated) with room for at least `needed` elements; *room is what it has. Exits as allocate
 * does. */
void *grow(void *old, size_t *room, size_t needed, size_t size);

void ids_push(struct ids *ids, int32_t id);
void ids_free(struct ids *ids);

/* A comma-separated list of numbers, "1,2,3", added to `ids`. */
bool ids_parse(struct ids *ids, const char *list, struct error *e);

/* The ids on a line of stdout, with commas between them. */
void ids_print(const struct ids *ids);

/* The path of a file in the running program's folder. */
void path_beside_program(char *path, size_t size, const char *name);

struct text text_of(const char *zero_ended);
bool text_equal(struct text a, struct text b);

/* Where `part` first stands in `whole`, or -1. */
ptrdiff_t text_find(struct text whole, struct text part);
#endif
