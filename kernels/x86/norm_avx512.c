/*
 * rmsnorm, layernorm, l2norm, rmsnorm_quantize and layernorm_quantize on AVX-512: the body in
 * vec/norm.inc, whose head has the counts, over the vocabulary of vec_avx512.h: one or two passes
 * that reduce the row and one that writes it; bound by L1 loads and L2 bandwidth. Zen 4, one
 * thread, shares of the L2 copy: rmsnorm 77 %, layernorm 53 %.
 */
#include "impl.h"
#include "x86/vec_avx512.h"
#include "x86/quantize_avx512.h"

#include "vec/reduce.inc"
#include "vec/norm.inc"
