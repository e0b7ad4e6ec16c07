/* Weights of a model with a mesh: an image of which each rank has its own sections. */
#ifndef RUNTIME_SECTIONS_H
#define RUNTIME_SECTIONS_H
#include "runtime/weights.h"
#include <stdbool.h>

/* Makes w->data the image of the rank with these coordinates. `data`: of the file (whose descriptor is `fd`,
 * data at data_offset, so many bytes) or embedded (fd -1). An enum mdl_status; why, in `error`. */
int sections_map(struct weights *w, const struct mdl_descriptor *d, const int64_t *coordinates, int fd,
                 char *error, size_t size);

/* Whether the rank has all of these bytes of the image. */
bool sections_have(const struct mdl_descriptor *d, const int64_t *coordinates, int64_t offset, int64_t bytes);

/* Checks the sums of the tensors whose data this rank has whole. */
int sections_verify(const struct weights *w, const struct mdl_descriptor *d, const int64_t *coordinates,
                    char *error, size_t size);

#endif
