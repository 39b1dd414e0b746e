/*
 * rope and rope_table on AVX2: the body in vec/rope.inc over the vocabulary of vec_avx2.h;
 * bound by L1 and L2 bandwidth, rope_table by the sines and cosines.
 */
#include "impl.h"
#include "x86/vec_avx2.h"

#include "vec/rope.inc"
