/*
 * silu, gelu_erf, gelu_tanh, silu_mul, silu_mul_quantize, add and softmax on AVX2: the body in
 * vec/rows.inc, whose head has the counts and shares, over the vocabulary of vec_avx2.h; bound by
 * the exponentials (add: by L2 bandwidth).
 */
#include "impl.h"
#include "x86/vec_avx2.h"
#include "x86/quantize_avx2.h"

#include "vec/reduce.inc"
#include "vec/map.inc"
#include "vec/rows.inc"
#include "vec/add.inc"
