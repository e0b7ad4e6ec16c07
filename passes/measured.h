/* Schedules that were measured rather than derived: `mdlc tune` writes them, the pass `schedule` follows them (--schedules=FILE).
 *
 *     # CPU, compiler, kernel, schedule, how long it takes and what was derived, where; separated by tabs
 *     znver4
 *         mdlc 0.1.0, LLVM 22.1.8
 *         f32[S, 576], f32[1536, 576] -> f32[S, 1536]: linear silu by fma
 *         contract, atom=fma, tile=[14, 32], block=[84, 0, 0], unroll=4
 *         812.0 of 900.5 us, forward S=512
 *
 * but on one line. It is for the CPU and the compiler that it names, and for kernels whose operands, results, ops and atom are these; others are
 * left out of account. By hand, * may stand for any CPU or compiler. Lines that begin with # are comments. */
#ifndef PASSES_MEASURED_H
#define PASSES_MEASURED_H
#include "ir/graph.h"

struct measured_line {
    const char *cpu, *compiler, *kernel, *schedule, *figures;
    const struct schedule *parsed;
};
struct measured {
    struct measured_line *lines;
    int count, capacity;
    const char *compiler; /* of whom lines are followed */
};

/* A kernel by what its schedule depends on: types of operands (of params, as stored) and results, its ops, what multiplies. */
const char *kernel_text(struct arena *a, const struct node *kernel, enum atom atom);
/* Whether a contraction of the kernel reads weights in blocks. */
bool kernel_reads_blocks(const struct node *kernel);

/* Adds the lines of a file's text. False after diagnostics at their places in `path`. */
bool measured_read(struct arena *a, struct diag *d, struct measured *m, const char *path, const char *text,
                   size_t length);
/* The schedule for a kernel, of several the last; or NULL. */
const struct schedule *measured_find(const struct measured *m, const char *cpu, const char *kernel);
/* Puts a line in the place of one for the same kernel, or behind all. */
void measured_put(struct arena *a, struct measured *m, const struct measured_line *line);
void measured_print(const struct measured *m, FILE *out);

/* Rows of the largest register tile with so many vectors of outputs; less than 1: there is none. */
int schedule_tile_rows(const struct target *t, int vectors);
/* Alternative number 1, 2, ... to a schedule that was derived; false: there are not so many. */
bool schedule_alternative(const struct graph *g, const struct node *kernel, const struct schedule *s,
                          int number, struct schedule *found);

#endif
