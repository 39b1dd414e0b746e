/*
 * rope and rope_table on AVX2: the body in vec/rope.inc, whose head has the counts, over the
 * vocabulary of vec_avx2.h; bound by L2 bandwidth, rope_table by the sines and cosines. On a Zen 4,
 * one thread, 127 % of the L2 copy probe, in place.
 */
#include "impl.h"
#include "x86/vec_avx2.h"

#include "vec/rope.inc"
