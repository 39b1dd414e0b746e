/*
 * attention on Advanced SIMD: the body in vec/attention.inc over the vocabulary of vec_neon.h;
 * bound by the f32 fma for many query rows, by memory for one.
 */
#include "impl.h"
#include "arm/vec_neon.h"

#include "vec/chain.inc"
#include "vec/attention.inc"
