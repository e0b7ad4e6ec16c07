/* The engine that is NCCL. */
#include "runtime/comm.h"
#include <stdio.h>

int mdl_comm_nccl(struct mdl_comm *bootstrap, char *error, uint64_t size, struct mdl_comm **comm) {
    (void)bootstrap;
    *comm = NULL;
    snprintf(error, size, "this build cannot use NCCL yet");
    return MDL_UNSUPPORTED;
}
