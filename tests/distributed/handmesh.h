/* A model with a mesh of 2 x 2 ranks, made by hand: handmesh.c says in the language what it is. */
#ifndef TESTS_HANDMESH_H
#define TESTS_HANDMESH_H
#include "runtime/abi.h"
#include "runtime/comm.h"
#include <stdatomic.h>

enum { HANDMESH_MIX, HANDMESH_TURN, HANDMESH_WAIT };
extern const struct mdl_descriptor mdl_descriptor;
extern atomic_bool handmesh_awake; /* ends the naps of `wait`, all of them */

#endif
