/*
 * rmsnorm, layernorm, l2norm, rmsnorm_quantize and layernorm_quantize on Advanced SIMD: the body in
 * vec/norm.inc, whose head has the counts, over the vocabulary of vec_neon.h: one pass a row, which
 * reduces the next ones; bound by what L2 takes and gives. Not measured on hardware.
 */
#include "impl.h"
#include "arm/vec_neon.h"
#include "arm/quantize_neon.h"

#include "vec/reduce.inc"
#include "vec/norm.inc"
