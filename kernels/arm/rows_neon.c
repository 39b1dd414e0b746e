/*
 * silu, gelu_erf, gelu_tanh, silu_mul, silu_mul_quantize, groupnorm_apply, softmax, add and cast on Advanced SIMD: the body
 * in vec/rows.inc, whose head has the counts, over the vocabulary of vec_neon.h; bound by the
 * exponentials (add, cast: by L2 bandwidth).
 */
#include "half.h"
#include "impl.h"
#include "arm/vec_neon.h"
#include "arm/quantize_neon.h"

#include "vec/reduce.inc"
#include "vec/map.inc"
#include "vec/rows.inc"
#include "vec/add.inc"
