/*
 * groupnorm_sums on AVX-512: the body in vec/groupnorm.inc over the vocabulary of vec_avx512.h; bound by memory for pictures,
 * by L2 for what fits. 16 sums side by side: sixteen zmm of sums: 256 neighbouring bytes of a pixel, whole
 * lines that the prefetchers follow.
 */
#include "half.h"
#include "impl.h"
#include "x86/vec_avx512.h"

enum { GN_SUMS = 16 };

#include "vec/reduce.inc"
#include "vec/map.inc"
#include "vec/groupnorm.inc"
