/*
 * silu, gelu_erf, gelu_tanh, silu_mul, silu_mul_quantize, groupnorm_apply, softmax, add and cast on Advanced SIMD: the body
 * in vec/rows.inc over the vocabulary of vec_neon.h; bound by their instructions (exp 21 a vector, phi 19, around them 2
 * to 6) and divisions (add, cast: by L2 bandwidth).
 */
#include "half.h"
#include "impl.h"
#include "arm/vec_neon.h"
#include "arm/quantize_neon.h"

#include "vec/elementary.inc"
#include "vec/reduce.inc"
#include "vec/map.inc"
#include "vec/rows.inc"
#include "vec/add.inc"
