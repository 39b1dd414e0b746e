/*
 * groupnorm on Advanced SIMD: the body in vec/groupnorm.inc over the vocabulary of vec_neon.h; bound by memory for
 * pictures, by L2 for what fits.
 */
#include "impl.h"
#include "arm/vec_neon.h"

#include "vec/reduce.inc"
#include "vec/groupnorm.inc"
