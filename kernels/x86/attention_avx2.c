/*
 * attention on AVX2: the body in vec/attention.inc over the vocabulary of vec_avx2.h;
 * bound by the f32 fma for many query rows, by memory for one.
 */
#include "impl.h"
#include "x86/vec_avx2.h"

#include "vec/chain.inc"
#include "vec/attention.inc"
