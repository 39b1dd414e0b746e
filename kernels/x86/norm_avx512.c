/*
 * rmsnorm, layernorm, l2norm, rmsnorm_quantize and layernorm_quantize on AVX-512: the body in
 * vec/norm.inc, whose head has the counts, over the vocabulary of vec_avx512.h: one pass a row, which
 * reduces the next ones; bound by what L2 takes and gives. One thread of a Xeon, rows
 * in L2, shares of the L2 copy: rmsnorm 88 %, layernorm 70 %. (Zen 4, with passes of their own for
 * reductions: 77 and 53 %.)
 */
#include "impl.h"
#include "x86/vec_avx512.h"
#include "x86/quantize_avx512.h"

#include "vec/reduce.inc"
#include "vec/norm.inc"
