/* Rules of decompose.def for f64: NULL for other types. */
#ifndef PASSES_DECOMPOSE_F64_H
#define PASSES_DECOMPOSE_F64_H
#include "passes/rules.h"

rule_function attention_of_f64, rope_of_f64;
#endif
