/* What the parts of the guards pass share. */
#ifndef PASSES_GUARDS_H
#define PASSES_GUARDS_H
#include "ir/graph.h"

/* Moves every assignment of the function that may run before `last`, its last guard, behind it. */
void delay_assignments(struct graph *g, struct function *f, struct node *last);
#endif
