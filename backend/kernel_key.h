/* Equal keys: equal code. */
#ifndef BACKEND_KERNEL_KEY_H
#define BACKEND_KERNEL_KEY_H
#include "backend/code.h"

const char *kernel_key(struct code *c, const struct function *f, const struct node *n);

#endif
