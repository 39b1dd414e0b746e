/*
 * rmsnorm, layernorm, l2norm, rmsnorm_quantize and layernorm_quantize on Advanced SIMD: the body in
 * vec/norm.inc, whose head has the counts, over the vocabulary of vec_neon.h: one or two passes
 * that reduce the row and one that writes it; bound by L1 loads and L2 bandwidth. Not measured on
 * hardware.
 */
#include "impl.h"
#include "arm/vec_neon.h"
#include "arm/quantize_neon.h"

#include "vec/reduce.inc"
#include "vec/norm.inc"
