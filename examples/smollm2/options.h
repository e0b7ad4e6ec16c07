/* What a user asks the programs for, and what they do alike with it. */
#ifndef SMOLLM2_OPTIONS_H
#define SMOLLM2_OPTIONS_H
#include "../common/base.h"
#include "../common/sampler.h"
#include "runtime/mdl.h"

struct options {
    const char *prompt;  /* NULL: not given */
    const char *system;  /* NULL: the chat template's own */
    const char *prefix;  /* NULL: the prompt's state is not kept */
    const char *gguf;    /* NULL: where the build put it */
    const char *weights; /* NULL: beside the library */
    const char *device;  /* NULL: the first that the library is for */
    struct ids ids;      /* of --ids; options_main frees them */
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
    int (*run)(const struct options *o, struct error *e);    /* the exit status; *e: what to say */
};

/* All of main: reads the command line, runs the program, prints its mistakes; the exit status. */
int options_main(const struct options_program *p, int argc, char **argv);

/* How the model is opened; if it cannot be, *e is given the words. */
struct mdl_options options_of_model(const struct options *o, struct error *e);
#endif
