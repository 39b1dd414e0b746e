/*
 * silu, gelu_erf, gelu_tanh, silu_mul, add and softmax on AVX-512: the body in vec/rows.inc over the vocabulary of vec_avx512.h;
 * bound by the exponentials (add: by L2 bandwidth).
 */
#include "impl.h"
#include "x86/vec_avx512.h"

#include "vec/reduce.inc"
#include "vec/rows.inc"
