/* A model on its way from kernels to files: the emitters, the kernels compiled so far, the weights' places.
 *
 *     kernels.c  every kernel once ──► emitters' modules ──► objects ─┐
 *     weights.c  every tensor once ──► m.weights, or embedded         ├─ link.c ──► libm.so
 *     tables.c   descriptor, steps, refs; entry.c: m_open, m_forward ─┘
 */
#ifndef BACKEND_CODE_H
#define BACKEND_CODE_H
#include "backend/emit.h"
#include "ir/output.h"
#include "runtime/abi.h"

enum { MAX_EMITTERS = 2 };

/* A kernel or guard as machine code, called by all steps that differ only in buffers. */
struct kernel_code {
    const char *key;  /* what makes it this kernel: body, types, layouts, schedule */
    uint64_t hash;    /* of the key */
    const char *name; /* "k0.linear", of the first that was seen; unique */
    int number;       /* in the descriptor's table */
    int64_t scratch;  /* bytes a thread needs; a warp of a GPU */
    int warps;        /* of a GPU's block */
    int64_t shared;   /* bytes of its shared memory */
    int64_t part;     /* bytes of memory that blocks share, for each */
    const struct operand_map *maps; /* [maps_count] of a GPU's operands, with extents over `function`'s dims */
    int maps_count;
    bool resident; /* on a GPU, no more blocks than run at a time */
    const struct function *function; /* for which it was compiled */
    struct kernel_code *next;
};

/* One tensor of the weights: a param's, or a constant outside of kernels. */
struct weight {
    const struct global *global;
    int64_t element;
    const struct node *constant;
    const char *name;
    int64_t offset, bytes;
    int section;    /* of the weights, which ranks map by sections */
    uint32_t *sums; /* [copies of the section] CRC-32C, once packed */
    struct weight *next;
};

/* Weights that the same ranks have, in as many pieces: a copy for each choice of coordinates on `axes`. Without a mesh
 * there is one section, which is all. */
struct section {
    uint32_t axes;                /* bit a: mesh axis a cuts its tensors */
    uint64_t only[MAX_MESH_AXES]; /* bit c: ranks with this coordinate use it; 0: all */
    int64_t bytes;                /* of a copy, to whole pages */
    int64_t image, file;          /* where it begins for a rank; where its first copy begins in the file's data */
    int64_t copies;
};

struct code {
    struct graph *graph;
    struct arena *arena;
    int number;           /* of the library's programs */
    const struct code *next; /* the program after this one; NULL: the last */
    const struct backend_options *options;
    const char *source; /* path of the .mdl */
    struct emitter *emitters[MAX_EMITTERS]; /* of the host's modules; tables go to the first */
    int emitters_count;
    struct emitter *device; /* the module of a GPU's kernels; NULL: kernels are the host's */
    struct kernel_code *kernels, **kernels_end;
    int kernels_count;
    struct weight *weights, **weights_end;
    int weights_count;
    int64_t weights_bytes; /* as a rank sees them */
    int64_t file_bytes;    /* of the data in their file */
    const struct mesh *mesh; /* that the functions run on; NULL: none, one rank is all */
    struct section *sections;
    int sections_count, sections_capacity;
    uint64_t (**used)[MAX_MESH_AXES]; /* [globals][elements] as `only` of sections */
    struct weight **global_weights; /* [globals]: its first tensor, or NULL */
    bool io_failed;                 /* an error was the system's, not the model's */
    int64_t *state_offsets;         /* [globals]; of a state's first element */
    int64_t state_bytes;
    uint8_t build_id[32];
    const struct code *like; /* the program before this one whose weights lie in the same way, so that one file is both's; or NULL */
    struct mdl_image *images; /* [images_count]: the device's code */
    int images_count;
    const char *embedded; /* the weights' bytes, or NULL: they go to a file */
    int *local;           /* [local_count] numbers of values in the key at hand */
    int local_count;
};

/* run_tool.c: runs a program to its end; false: it could not be run, or failed, which has been said. */
bool code_run(struct code *c, char *const *arguments, const char *purpose);

/* backend.c: reports errno at an output's path; false. */
bool code_io_error(struct code *c, const char *path);

/* ready.c: whether the graph is one of kernels with buffers; false after a diagnostic. */
bool graph_ready(struct code *c);

/* Where a value of a function's level lives. */
struct home {
    enum mdl_space space;
    uint32_t index;
    int64_t offset, stride;
    uint32_t loop;
    const struct global *global; /* params and states: how elements are stored */
};

/* homes.c: which loop of the variant a scan is: numbers are given in order of the text. */
struct home home_of(struct code *c, const struct function *f, const struct value *v);
uint32_t home_loop(const struct function *f, const struct node *scan);
int64_t
home_bytes(const struct global *g); /* of one tensor of a param or state, to a multiple of MDL_ALIGN */
void homes_place_states(struct code *c);

/* kernels.c: the code of a kernel or guard node of function f, compiled now if it is new; NULL after a
 * diagnostic. */
const struct kernel_code *kernel_of(struct code *c, const struct function *f, const struct node *n);
LLVMTypeRef kernel_type(struct emitter *e); /* of mdl_kernel */

/* mesh.c: coordinates of the mesh's axes become dims of all functions. */
void mesh_add_coordinates(struct code *c);
/* Which ranks' programs use each global. */
void mesh_mark_uses(struct code *c);
void mesh_mark_function(const struct code *c, const struct function *f, uint64_t *only /* [axes] */);
/* The section for tensors that these axes cut and these ranks use; made if it is new. */
int mesh_section(struct code *c, uint32_t axes, const uint64_t *only);
/* Where the sections lie, once all tensors are in them. */
void mesh_place_sections(struct code *c);
/* Bytes from the section's first copy to that of a rank with coordinate 1 on the axis. */
int64_t section_stride(const struct code *c, const struct section *s, int axis);
/* The coordinates that copy number `copy` is for, [axes of the mesh]. */
void section_coordinates(const struct code *c, const struct section *s, int64_t copy, int64_t *coordinates);

/* weights.c */
const struct weight *weight_of_global(struct code *c, const struct global *g, int64_t element);
const struct weight *weight_of_constant(struct code *c, const struct node *n);
void weights_place(struct code *c); /* every tensor the functions use */
/* A program of first .. c whose weights lie in a file just as c's do, NULL: none. */
const struct code *weights_like(const struct code *first, const struct code *c);
/* Packs weights that go into the library; others are packed when their file is written. */
bool weights_pack(struct code *c);
/* Packs everything into its file; makes the build id. */
bool weights_write(struct code *c, const struct output *o);

/* tables.c, entry.c: into emitter 0's module; false after a diagnostic. */
bool tables_emit(struct code *c, enum artifact kind);
void entry_emit(struct code *c, LLVMValueRef descriptor);
/* The function's variants are consecutive functions of one name; the first of them is what callers see. */
const struct function *general_variant(const struct graph *g, const char *name);
int given_dims(const struct function *f); /* dims that callers pass; they come first */
bool function_has_shape(
    const struct function *f); /* some extent of a result depends on a dim: m_f_shape exists */
bool is_variant_of_earlier(const struct graph *g, const struct function *f);

/* target.c: the CPU features that code for t needs, as the runtime checks them: "avx2 fma". */
const char *target_needs(struct arena *a, const struct target *t);

/* header.c; whether its functions' names differ from each other: false after a diagnostic. */
bool header_names_differ(struct code *c);
char *header_text(struct code *c);

/* build_id.c: from weights' names, places and sums, the graph's text and the compiler's version. */
void build_id_make(struct code *c);

/* What a program's descriptor is called in the library: mdl_descriptor of the first. */
const char *descriptor_name(struct code *c);
/* ... and its weights file, after the library's stem: ".weights" of the first. */
const char *weights_suffix(const struct code *c);

/* link.c: libm.so at `output` from objects, through the system's C compiler driver. */
bool link_library(struct code *c, const char *const *objects, int count, const char *output);

#endif
