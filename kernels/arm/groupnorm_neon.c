/*
 * groupnorm_sums on Advanced SIMD: the body in vec/groupnorm.inc, whose head has the counts and shares, over the vocabulary of
 * vec_neon.h; bound by memory for pictures, by L2 for what fits.
 */
#include "half.h"
#include "impl.h"
#include "arm/vec_neon.h"

#include "vec/reduce.inc"
#include "vec/map.inc"
#include "vec/groupnorm.inc"
