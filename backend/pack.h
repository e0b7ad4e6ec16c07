/* Packing: params' contents, re-laid at compile time as the compiled model reads them. Nothing is packed at
 * run time. */
#ifndef BACKEND_PACK_H
#define BACKEND_PACK_H
#include "ir/graph.h"

/* Bytes of one tensor of `w` in its store format and layout, to a multiple of 64; -1: more than int64 can
 * say. */
int64_t packed_bytes(const struct global *w);
/* Packs tensor number `element` into out[packed_bytes(w)]; where w lives in pieces on a mesh, the piece of the rank
 * with these coordinates ([axes of the mesh], else NULL). NULL, or what is wrong with its contents in words
 * (in `scratch`): a value that its format cannot hold. Different tensors may be packed by different threads,
 * each with a scratch of its own. */
const char *pack_tensor(const struct graph *g, struct arena *scratch, const struct global *w, int64_t element,
                        const int64_t *coordinates, void *out);

#endif
