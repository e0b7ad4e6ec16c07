/* The hand-made model on the stand-in for a GPU, for Criterion tests of the runtime. */
#ifndef TESTS_GPU_DEVICE_H
#define TESTS_GPU_DEVICE_H
#include "runtime/mdl.h"
#include "tests/gpu/handmade.h"
#include "tests/run/handmade_calls.h"

enum { DEVICE_S = 100 };

/* The stand-in, watched (watched_cuda.h). */
struct watch {
    void (*fail)(const char *name, long call, int code);
    long (*calls)(const char *name);
    long (*done)(const char *name);
    const char *(*name)(int number);
};

struct fixture {
    struct mdl_model *model;
    struct mdl_session *session;
    struct watch watch;
    char error[512]; /* of opening */
    struct handmade_call call;
};

/* Points the runtime at the watched stand-in; the counts begin at 0. */
void device_watch(struct fixture *f);
/* mdl_open; its status. */
int device_open(struct fixture *f, const struct mdl_descriptor *d, const char *device);
/* Watches, opens the hand-made model and a session, makes inputs. */
void device_start(struct fixture *f);
void device_end(struct fixture *f);

/* Calls mix with S elements, in the fixture's session. */
int device_mix(struct fixture *f, int64_t extent);
int device_outer(struct mdl_session *s, int32_t m, int32_t n, const int32_t *x, const int32_t *y, int32_t *z);

#endif
