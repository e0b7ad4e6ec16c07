/* A model's weights: the file, mapped and checked, or the bytes embedded in the library. */
#ifndef RUNTIME_WEIGHTS_H
#define RUNTIME_WEIGHTS_H
#include "runtime/abi.h"
#include <stddef.h>

struct weights {
    const char *data; /* mdl_descriptor.weights_bytes of it */
    void *map;        /* the whole file; NULL: embedded, or there are none */
    size_t map_bytes;
    char *image; /* of a rank's sections; NULL: there are none */
    size_t image_bytes;
};

/* Finds, maps and checks the weights of `d`. `path` NULL: as runtime/README.md says. `coordinates` are the
 * rank's, of a model with sections. On failure a status other than MDL_OK, and why in `error`. */
int weights_open(struct weights *w, const struct mdl_descriptor *d, const char *path,
                 const int64_t *coordinates, char *error, size_t size);
void weights_close(struct weights *w);

/* Reads all tensors and checks their sums. */
int weights_verify(const struct weights *w, char *error, size_t size);

#endif
