/* What every compiled model's header shares: options, error codes. Installed; C and C++. */
#ifndef MDL_H
#define MDL_H
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Every call returns one of these; M_error(session) and mdl_options.error say the same in words. */
enum mdl_status {
    MDL_OK = 0,
    MDL_INVALID = 1,   /* an argument is wrong: a dim outside its range, an id outside its table; nothing changed */
    MDL_NO_MEMORY = 2, /* the system refused memory */
    MDL_IO = 3,        /* a file cannot be opened, read, mapped or written */
    MDL_MISMATCH = 4,  /* a file is damaged, or belongs to another build of the model */
    MDL_BUSY = 5,      /* the session is in a call of another thread */
    MDL_UNSUPPORTED = 6, /* this machine lacks what the model was compiled for */
    MDL_PEER = 7,        /* another rank failed, stalled or is gone; the model can only be closed */
    MDL_DEVICE = 8       /* the GPU or its driver failed, or a kernel did; the model can only be closed */
};
/* Whose algorithms make collectives. */
enum mdl_algorithm {
    MDL_AUTO = 0,   /* the communication library's where it has the type and the operation, else rings */
    MDL_RING = 1,   /* rings over point-to-point messages: the same bits for any engine */
    MDL_LIBRARY = 2 /* as AUTO */
};

struct mdl_comm;
/* How a model is opened. Start from MDL_OPTIONS, which leaves the choice to the library. */
struct mdl_options {
    uint32_t size;     /* sizeof(struct mdl_options), so that later versions can add fields */
    int32_t threads;   /* threads a call may use, the caller's included; 0: as many as the process may run on */
    char *error;       /* where to write why opening failed (may be NULL) */
    uint64_t error_size; /* bytes at `error` */
    /* Only of models with a mesh. */
    struct mdl_comm *comm; /* how this rank speaks to the others (runtime/comm.h); the caller's, used by one open model */
    int32_t timeout_ms;    /* a collective that takes longer has failed; 0: 60 seconds; negative: never */
    uint32_t algorithm;    /* enum mdl_algorithm */
    uint32_t reserved;
    const char *device; /* where to run: "cpu", "cuda:N" (the system's GPU number N); NULL: what the model was compiled
                           for, of GPUs that which is current in the calling thread, else the first */
};
#define MDL_OPTIONS {sizeof(struct mdl_options), 0, 0, 0, 0, 0, 0, 0, 0}

#ifdef __cplusplus
}
#endif
#endif
