/*
 * softmax, silu, gelu_erf, gelu_tanh, silu_mul, silu_mul_quantize and groupnorm_apply of --math fast on NEON: the
 * body of the exact ones, vec/rows.inc, with the short polynomials of vec/fast.inc.
 */
#include "impl.h"
#include "arm/vec_neon.h"
#include "arm/quantize_neon.h"

#undef TSR_VEC
#define TSR_VEC(op) tsr_##op##_neonfast

#include "vec/reduce.inc"
#include "vec/map.inc"
#include "vec/fast.inc"
#include "vec/rows.inc"
