/*
 * rope and rope_table on Advanced SIMD: the body in vec/rope.inc over the vocabulary of vec_neon.h;
 * bound by L1 and L2 bandwidth, rope_table by the sines and cosines.
 */
#include "impl.h"
#include "arm/vec_neon.h"

#include "vec/rope.inc"
