/* What a user asks `generate` or `batch` for. */
#ifndef SMOLLM2_OPTIONS_H
#define SMOLLM2_OPTIONS_H
#include "../common/base.h"
#include "../common/sampler.h"

struct options {
    const char *prompt;  /* NULL: not given */
    const char *system;  /* NULL: the chat template's own */
    const char *prefix;  /* NULL: the prompt's state is not kept */
    const char *gguf;    /* NULL: where the build put it */
    const char *weights; /* NULL: beside the library */
    const char *device;  /* NULL: the first that the library is for */
    struct ids ids;      /* of --ids; its owner is the caller of options_parse */
    bool have_ids, chat, lookup, print_ids, stats;
    int64_t tokens, threads, ranks; /* ranks: threads of this process; 0: not given */
    struct sampling sampling;
};

/* A program's part in the table of options. */
struct options_program {
    const char *name, *about; /* about: how it is called, and what it does */
    const char *prompts;      /* where they are given */
    const char *const *takes; /* names of options, NULL at the end; NULL: all */
    bool (*check)(const struct options *o, struct error *e); /* what must go together; NULL: nothing */
};

/* Fills `o` from the command line. Returns -1, or the exit status where the program has nothing more to do: 0
 * after --help, 2 after a mistake, which it has printed. */
int options_parse(struct options *o, const struct options_program *p, int argc, char **argv);
#endif
