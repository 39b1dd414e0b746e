/*
 * silu, gelu_erf, gelu_tanh, silu_mul, silu_mul_quantize, groupnorm_apply and softmax on AVX-512: the body in
 * vec/rows.inc over the vocabulary of vec_avx512.h; bound by their instructions (exp 16 a vector, phi 19, around them
 * 2 to 6) and divisions: gelu_erf reaches 38 %, silu 32 % of the f32 peak as counted in work.c, in and out of L2 (one
 * thread of an Intel Xeon; with SLEEF's functions, called, they took 8.5 and 1.3 times as long). add and cast are not here: with L2's bandwidth as its
 * bound AVX2 reached 98 % of it and AVX-512 86 % (one thread of a Zen 4).
 */
#include "impl.h"
#include "x86/vec_avx512.h"
#include "x86/quantize_avx512.h"

#include "vec/elementary.inc"
#include "vec/reduce.inc"
#include "vec/map.inc"
#include "vec/rows.inc"
