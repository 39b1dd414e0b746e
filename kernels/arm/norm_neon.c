/*
 * rmsnorm, layernorm and l2norm on Advanced SIMD: the body in vec/norm.inc over the vocabulary of vec_neon.h;
 * one or two passes that reduce the row and one that writes it; bound by L1 and L2 bandwidth.
 */
#include "impl.h"
#include "arm/vec_neon.h"

#include "vec/reduce.inc"
#include "vec/norm.inc"
