/*
 * groupnorm_sums on Advanced SIMD: the body in vec/groupnorm.inc over the vocabulary of vec_neon.h; bound by memory for pictures,
 * by L2 for what fits. 4 sums side by side: sixteen q registers of sums and as many for the means and
 * the line.
 */
#include "half.h"
#include "impl.h"
#include "arm/vec_neon.h"

enum { GN_SUMS = 4 };

#include "vec/reduce.inc"
#include "vec/map.inc"
#include "vec/groupnorm.inc"
