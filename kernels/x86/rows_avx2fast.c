/*
 * softmax, silu, gelu_erf, gelu_tanh, silu_mul, silu_mul_quantize and groupnorm_apply of --math fast on AVX2: the
 * body of the exact ones, vec/rows.inc, with the short polynomials of vec/fast.inc.
 * Against the exact ones, same run: gelu_erf 7.3x, gelu_tanh 4.2x, silu and silu_mul 2.2x, softmax 1.7x.
 */
#include "impl.h"
#include "x86/vec_avx2.h"
#include "x86/quantize_avx2.h"

#undef TSR_VEC
#define TSR_VEC(op) tsr_##op##_avx2fast

#include "vec/reduce.inc"
#include "vec/map.inc"
#include "vec/fast.inc"
#include "vec/rows.inc"
