/*
 * groupnorm_sums on AVX2: the body in vec/groupnorm.inc over the vocabulary of vec_avx2.h; bound by memory for pictures,
 * by L2 for what fits. 4 sums side by side: eight ymm of sums hide the latency of an addition (4 cycles, two a cycle)
 * and leave eight for the means and the line.
 */
#include "half.h"
#include "impl.h"
#include "x86/vec_avx2.h"

enum { GN_SUMS = 4 };

#include "vec/reduce.inc"
#include "vec/map.inc"
#include "vec/groupnorm.inc"
