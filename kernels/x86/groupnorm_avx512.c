/*
 * groupnorm_sums on AVX-512: the body in vec/groupnorm.inc, whose head has the counts and shares, over the vocabulary of
 * vec_avx512.h; bound by memory for pictures, by L2 for what fits.
 */
#include "half.h"
#include "impl.h"
#include "x86/vec_avx512.h"

#include "vec/reduce.inc"
#include "vec/map.inc"
#include "vec/groupnorm.inc"
