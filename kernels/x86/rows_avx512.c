/*
 * silu, gelu_erf, gelu_tanh, silu_mul, silu_mul_quantize, groupnorm_apply and softmax on AVX-512: the body in
 * vec/rows.inc, whose head has the counts and shares, over the vocabulary of vec_avx512.h; bound by
 * the exponentials, 1.5x to 1.8x the speed of AVX2. add and cast are not here: with L2's bandwidth as its
 * bound AVX2 reached 98 % of it and AVX-512 86 % (one thread of a Zen 4).
 */
#include "impl.h"
#include "x86/vec_avx512.h"
#include "x86/quantize_avx512.h"

#include "vec/reduce.inc"
#include "vec/map.inc"
#include "vec/rows.inc"
