/*
 * matmul_t8 on the tier avx512: the blocking of matmul_q.inc around the micro-kernel of
 * tile_avx512.h, where the count per tile stands. Bound by vpdpbusd and fma (ceiling 86.5 % of the
 * int8 peak on Zen 4), and by L2, which delivers 68 lines per tile and 128 k: the same tile on t4,
 * with half the lines, is 2 to 4 points faster. Measured on a Zen 4 (EPYC, family 25 model 17, 3.7
 * GHz, 470 GOP/s a thread), medians of n = 5,632, k = 2,048: m = 576 76 % with one thread, 75-80 %
 * with two; m = 96 76-77 %, 78-82 %; m = 24 76-78 %, 79-83 %. Rows up to four are bound by memory:
 * m = 1 29.2 GB/s of a plain read's 28.3 (one thread), 54 of 57 (two); m = 2 28.0 of 30.0, 52 of 58.
 */
#include "impl.h"
#include "tile_avx512.h"

#define TILE_BITS 8
#define MATMUL tsr_matmul_t8_avx512
#include "vec/matmul_q.inc"
