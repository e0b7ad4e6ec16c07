/* The two operands of a product as tensor cores read them: lines (rows of A, outputs of B) in chunks of 16
 * bytes of neighbouring inputs, of the atom's type. */
#ifndef BACKEND_SIMT_OPERAND_H
#define BACKEND_SIMT_OPERAND_H
#include "backend/contraction.h"

/* How an operand's plain rows come by a tensor map. */
struct mma_box {
    const struct operand_map *map; /* NULL: they do not */
    int loops[MDL_MAP_DIMS];      /* by dimension of the map: the outer loop that walks it, or MMA_INPUTS or MMA_LINES */
};
enum { MMA_INPUTS = -1, MMA_LINES = -2 };

struct mma_operand {
    const struct contraction *c;
    enum atom atom;
    struct value *value;             /* asked for elements ... */
    const struct access_map *access; /* ... at these points */
    struct loop_list lines;
    const struct buffer *buffer; /* whose chunks lie whole and aligned; NULL: elements are computed */
    bool packed; /* in layout_of_chunks: the neighbours of a chunk are those of the next lines */
    struct mma_box box; /* by mma_find_box */
};
struct mma_operand mma_operand_a(struct emitter *e, const struct contraction *c, enum atom atom);
struct mma_operand mma_operand_b(struct emitter *e, const struct contraction *c, enum atom atom);

enum { CHUNK_BYTES = 16, CHUNK_WORDS = 4, STEP_CHUNKS = 8 /* packed inputs are padded to so many */ };
int chunk_inputs(enum atom atom);
/* Inputs that there are, as chunks, rounded up. */
LLVMValueRef mma_chunks(struct emitter *e, const struct contraction *c, enum atom atom);

/* Lines that there are. */
LLVMValueRef mma_lines(struct emitter *e, const struct mma_operand *o);
/* The smaller of each lane's index and last, so that what is not there is read where something is. */
struct index mma_limit(struct emitter *e, struct index i, LLVMValueRef last);

/* Where a line's input is, numbers by lane; sets at[] of both. */
struct point mma_point(struct emitter *e, const struct mma_operand *o, struct index *at, struct index line,
                       struct index input);
/* 16 bytes of each lane, so many behind `from`; constant: nobody writes them while the kernel runs. */
void mma_load_chunk(struct emitter *e, LLVMValueRef from, struct index at, bool constant, LLVMValueRef words[CHUNK_WORDS]);
/* The chunk number `chunk` of a line, each a number a lane, both there or zeros where the inputs end. `at`:
 * [loops], where the outer ones stand; the others are set here. */
void mma_chunk(struct emitter *e, const struct mma_operand *o, struct index *at, struct index line,
               struct index chunk, LLVMValueRef words[CHUNK_WORDS]);
/* Where the chunk of a line of packed weights is in their buffer, bytes; the same for all lanes. */
LLVMValueRef mma_chunk_place(struct emitter *e, const struct mma_operand *o, struct index *at, LLVMValueRef line, LLVMValueRef chunk);
/* The same by an asynchronous copy to a place in shared memory, so many bytes behind `to`. Of operands with a
 * buffer. */
void mma_copy_chunk(struct emitter *e, const struct mma_operand *o, struct index *at, struct index line,
                    struct index chunk, LLVMValueRef to, struct index to_at);

/* --- simt_boxes.c: operands that lie in memory as plain rows, by tensor maps --- */
/* Makes e->maps for the kernel, before its function is begun: of all operands of which tiles of many rows can be had so. */
void mma_plan_boxes(struct emitter *e);
/* The map of a tile of so many lines, if there is one, into the operand. */
void mma_find_box(struct emitter *e, struct mma_operand *o, int lines);
int mma_box_lines(const struct mma_operand *o); /* of a box */
/* One thread has lines from `line` on, of STEP_CHUNKS chunks from number `chunk` on, brought to swizzled lines (simt.h) at `to`;
 * zeros where there is nothing. */
void mma_copy_box(struct emitter *e, const struct mma_operand *o, const struct index *at, LLVMValueRef line, LLVMValueRef chunk,
                  LLVMValueRef to, LLVMValueRef barrier);

/* Two floats as halves of a word in `t`, the first in the low one. */
LLVMValueRef mma_pair(struct emitter *e, enum dtype t, LLVMValueRef low, LLVMValueRef high);
/* Words into shared memory. */
void mma_store_chunk(struct emitter *e, LLVMValueRef to, struct index at,
                     const LLVMValueRef words[CHUNK_WORDS]);

#endif
