/*
 * rope and rope_table on Advanced SIMD: the body in vec/rope.inc, whose head has the counts, over
 * the vocabulary of vec_neon.h; bound by L2 bandwidth, rope_table by the sines and cosines. Not
 * measured on hardware.
 */
#include "impl.h"
#include "arm/vec_neon.h"

#include "vec/rope.inc"
