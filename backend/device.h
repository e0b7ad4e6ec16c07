/* Kernels of a device: entries whose parameters the runtime fills in (struct mdl_launch), how large their
 * grids are, the images they are in. */
#ifndef BACKEND_DEVICE_H
#define BACKEND_DEVICE_H
#include "backend/code.h"

enum { MOST_BLOCKS = 4096 }; /* of a grid: more than run at once anywhere, few enough to share scratch */

/* Begins e->function as an entry for blocks of so many warps, with so many buffers and dims, and e->maps; the
 * builder stands in e->entry. */
void device_entry_begin(struct emitter *e, const char *name, int warps, int buffers, int dims);
/* Ends it, once its scratch is known. */
void device_entry_end(struct emitter *e);
/* Buffer number `number`; the value of dim number `number` of the function. */
LLVMValueRef device_buffer(struct emitter *e, int number);
LLVMValueRef device_dim(struct emitter *e, int number);
/* Where lanes' conditions say that `value` is not allowed: reports the first, and returns. */
void device_fail(struct emitter *e, LLVMValueRef condition, LLVMValueRef value);

/* How a kernel is named in an image, where only letters, digits and _ will do. */
const char *device_name(struct arena *a, const char *kernel);
/* Thread blocks that the work of a kernel or guard node has. */
const struct extent *device_blocks(struct code *c, const struct node *n);
/* Their code into c->images, once all kernels are made: PTX, and for a library a cubin too where there is an
 * assembler. False after a diagnostic. */
bool device_images(struct code *c, enum artifact kind);
/* assemble.c: a cubin by options->assembler; false after a diagnostic. */
bool assemble(struct code *c, const struct mdl_image *ptx, struct mdl_image *cubin);
/* Warps of its blocks. */
int device_warps(const struct node *n);
/* Whether its blocks share work of equal pieces, so that no more are of use than run at a time. */
bool device_resident(const struct node *n);

#endif
