/*
 * silu, gelu_erf, gelu_tanh, silu_mul, add and softmax on AVX2: the body in vec/rows.inc over the vocabulary of vec_avx2.h;
 * bound by the exponentials (add: by L2 bandwidth).
 */
#include "impl.h"
#include "x86/vec_avx2.h"

#include "vec/reduce.inc"
#include "vec/rows.inc"
