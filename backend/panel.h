/* The two sides of a register tile in memory: rows of A, and panels of B (so many neighbouring outputs, all
 * inputs). Either lies right as it is (a row-major operand; a weight packed by pack.c), or is brought into
 * scratch first. */
#ifndef BACKEND_PANEL_H
#define BACKEND_PANEL_H
#include "backend/contraction.h"
#include "backend/micro.h"

struct panels {
    struct contraction c;
    enum atom atom;
    int outputs;        /* of one panel: vectors * lanes */
    int64_t inputs_max; /* the most inputs there can be, padded to the atom's k */
    /* A */
    bool a_staged;          /* rows are copied to scratch a block at a time */
    LLVMValueRef a_scratch; /* [block rows][inputs_max] */
    enum dtype a_type;      /* as micro reads it */
    LLVMValueRef wide_rows; /* of codes that are multiplied as pairs of i16: the block's rows so (micro_widen_row), or NULL */
    LLVMValueRef block_sums; /* of codes that matrix registers multiply, micro's; or NULL */
    LLVMValueRef offsets;   /* of codes, a strip's micro_offset: [block rows][inputs_max / 32]; NULL: there are none */
    /* B */
    const struct format_info *tile; /* B is a weight in packed tiles */
    bool b_packed; /* or a weight in panels: [outer][outputs / panel][inputs / k][panel][k] */
    LLVMValueRef
        b_scratch; /* else it is packed here, [block / panel][inputs_max / k][panel][k]; or packed tiles unpacked, at times */
    enum dtype b_type;
    struct unpacked unpacked; /* how packed tiles are, where they are */
};

/* Outputs of a panel that this operand is already packed in, for an atom of `k` inputs; 0: it is not. */
int panel_width(const struct buffer *b, int outputs_dim, int inputs_dim, int k);

void panels_init(struct emitter *e, struct panels *p, int block_rows, int block_outputs);
/* Copies rows begin..end (flat) of A into scratch, if they are staged. */
void panels_stage_rows(struct emitter *e, const struct panels *p, LLVMValueRef begin, LLVMValueRef end,
                       struct index *at);
/* One row of A, where the loops over rows stand, to `to`: groups of 32 inputs `step` bytes apart (0: one after the other); of amx_f32 each in its
 * parts (amx_store_parts). */
void panels_stage_row(struct emitter *e, const struct panels *p, LLVMValueRef to, int64_t step,
                      struct index *at);
/* Packs outputs begin..end of B into scratch, if they do not lie in panels. `panel` columns are padded with
 * zeros. */
void panels_pack_outputs(struct emitter *e, const struct panels *p, LLVMValueRef begin, LLVMValueRef end,
                         struct index *at);
/* Packed tiles of outputs begin..end into scratch as micro_unpack leaves them, room for which was made for so many outputs, `panel` of them in
 * a panel, and for as many rows of codes; then micro's B side is the part of them that starts at `first`, any multiple of its lanes. */
void panels_make_room(struct emitter *e, struct panels *p, int64_t rows, int64_t outputs, int panel);
int64_t panels_unpacked_bytes(const struct panels *p); /* of an output */
void panels_unpack_outputs(struct emitter *e, const struct panels *p, LLVMValueRef begin, LLVMValueRef end,
                           const struct index *at);
void panels_unpacked(struct emitter *e, const struct panels *p, LLVMValueRef first, LLVMValueRef block_begin,
                     const struct index *at, struct micro *m);
/* Fills in micro's A side: rows first .. first + m->rows, and the one before `end`, which is behind the first, in place of those from there on;
 * `block_begin` is the first row in scratch. */
void panels_rows(struct emitter *e, const struct panels *p, LLVMValueRef first, LLVMValueRef end,
                 LLVMValueRef block_begin, struct index *at, struct micro *m);
/* Fills in its B side: the panel that starts at output `first`; `block_begin` the first output in scratch. */
void panels_outputs(struct emitter *e, const struct panels *p, LLVMValueRef first, LLVMValueRef block_begin,
                    const struct index *at, struct micro *m);

/* Has micro ask for a part of the panel that starts at output `first`, where weights lie in panels: line number `part` of what each loop's
 * body multiplies, if that is so many. */
void panels_next(struct emitter *e, const struct panels *p, LLVMValueRef first, LLVMValueRef part, const struct index *at,
                 struct micro *m);

/* Leaves part number `part` of `parts` of the inputs, in stretches of 32. */
void panels_share_inputs(struct emitter *e, const struct panels *p, LLVMValueRef part, LLVMValueRef parts,
                         struct micro *m);

#endif
