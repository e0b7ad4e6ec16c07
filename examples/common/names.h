/* A hash table from byte strings to ids: a vocabulary, looked up by text. */
#ifndef EXAMPLES_NAMES_H
#define EXAMPLES_NAMES_H
#include "base.h"

struct names;

/* A table for up to `most` names. names_free releases it. */
struct names *names_new(size_t most);

/* Adds a name, whose bytes stay where they are. False where it is already there: the first id stays. */
bool names_add(struct names *names, struct text name, int32_t id);

/* The id, or -1. */
int32_t names_find(const struct names *names, struct text name);

void names_free(struct names *names);
#endif
