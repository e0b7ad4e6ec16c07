/* Memory by lifetime: everything allocated from an arena lives until the arena is released or reset.
 * The compiler has two lifetimes, the graph's and a pass's scratch, so it never frees a single object. */
#ifndef IR_ARENA_H
#define IR_ARENA_H
#include <stdarg.h>
#include <stddef.h>

struct arena;

struct arena *arena_new(void);
void arena_reset(struct arena *a);   /* forgets all objects, keeps the memory */
void arena_release(struct arena *a); /* gives the memory back; `a` is gone */

/* Zeroed memory for `count` objects of `size` bytes, aligned for any type. Never NULL: a request that
 * overflows or that the system refuses ends the program with a message. */
void *arena_alloc(struct arena *a, size_t count, size_t size);
char *arena_strdup(struct arena *a, const char *text);
char *arena_strndup(struct arena *a, const char *text, size_t length);
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *a, const char *format, va_list args);

#define arena_new_array(arena, type, count) ((type *)arena_alloc((arena), (count), sizeof(type)))
#define arena_new_object(arena, type) arena_new_array(arena, type, 1)

/* Grows an arena array for one more element: `items`, `count`, `capacity` are lvalues. The old copy stays
 * behind. */
#define arena_push(arena, items, count, capacity, item)                                                      \
    ((count) == (capacity) ? ((items) = arena_grow((arena), (items), (count), &(capacity), sizeof *(items))) \
                           : (items),                                                                        \
     (items)[(count)++] = (item))
void *arena_grow(struct arena *a, const void *items, int count, int *capacity, size_t size);

#endif
