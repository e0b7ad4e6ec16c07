/* From kernels to machine code: what the command line asks of the backend. */
#ifndef BACKEND_BACKEND_H
#define BACKEND_BACKEND_H
#include "ir/graph.h"

/* Facts about a CPU by name, NULL: "native" where the triple is this machine's, else "generic". "native" is
 * this machine (its features included). triple: as target_triple() gives it; NULL: this machine's. Returns
 * NULL if it is unknown, *error says what is near. */
const struct target *backend_target(struct arena *a, const char *triple, const char *cpu, const char **error);
/* A machine of `triple` by what LLVM says of it, the CPU's name and "+a,-b,..." features: the name's row, or the row most like it if there is
 * none (a new CPU, or one that a virtual machine numbers as another), but for what is hidden of it. */
const struct target *backend_host(struct arena *a, const char *triple, const char *name, const char *features);
/* This machine with the schedules of a GPU or of an x86 (`--target=emulate:NAME`); NULL: no such processor. */
const struct target *backend_emulated(struct arena *a, const char *cpu);
/* This machine's triple, in targets.def's spelling; NULL: it is not there. */
const char *backend_host_triple(void);

/* What made the code, as far as speed may depend on it: "mdlc 0.1, LLVM 22.1.2". */
const char *backend_compiler(struct arena *a);

enum artifact { ARTIFACT_LLVM, ARTIFACT_ASM, ARTIFACT_OBJ, ARTIFACT_SO, ARTIFACT_HEADER };
struct backend_options {
    const char *output;  /* path of the artifact; SO: m.h and m.weights go beside it; else NULL is stdout */
    const char *runtime; /* path of libmdl-runtime.a, for the target's triple */
    const char *linker;  /* a C compiler driver for that triple, with arguments by spaces; NULL: "cc" */
    const char *assembler; /* NVIDIA's ptxas, to put machine code beside the PTX; NULL: PTX alone */
    int opt_level;       /* code generation, 0..3 */
    bool progress;       /* a line on stderr while packing weights and compiling, if it is a terminal */
    int64_t embed_limit; /* weights up to this many bytes go into the .so itself */
};
enum { MAX_PROGRAMS = 8 };
/* A graph has been through the whole pipeline: every function's nodes are kernels, guards, scans, params,
 * constants and assigns; values have places. Files are written under a temporary name and renamed when all of
 * them are complete. Not DONE after a diagnostic: INPUT about the model, IO about files; nothing is written
 * then. */
enum backend_status { BACKEND_DONE, BACKEND_INPUT, BACKEND_IO };
enum backend_status backend_emit(struct graph *g, enum artifact kind, const struct backend_options *o);
/* The same of one model as it has been made for several targets: a library holds them all, the first is what opens where nothing
 * else is asked for; the text of several GPUs (ASM) comes one after the other; other artifacts are of one. */
enum backend_status backend_emit_programs(struct graph *const *graphs, int count, enum artifact kind,
                                          const struct backend_options *o);

#endif
