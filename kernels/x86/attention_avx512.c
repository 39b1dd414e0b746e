/*
 * attention on AVX-512: the body in vec/attention.inc over the vocabulary of vec_avx512.h;
 * bound by the f32 fma for many query rows, by memory for one.
 */
#include "impl.h"
#include "x86/vec_avx512.h"

#include "vec/chain.inc"
#include "vec/attention.inc"
