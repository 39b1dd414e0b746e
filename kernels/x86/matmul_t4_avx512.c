/*
 * matmul_t4 on the tier avx512: the blocking of matmul_q.inc around the micro-kernel of
 * tile_avx512.h, where the count per tile stands. Bound by vpdpbusd and fma (ceiling 86.5 % of the
 * int8 peak on Zen 4); the three more operations a line that split the nibbles go beside them.
 * Measured on a Zen 4 (EPYC, family 25 model 17, 3.7 GHz, 470 GOP/s a thread), medians of n = 5,632,
 * k = 2,048: m = 576 79 % with one thread, 77-81 % with two; m = 96 80-81 %, 82-84 %; m = 24 80-82 %,
 * 81-84 %. One and two rows are bound by memory: m = 1 29.8 GB/s of a plain read's 29.9 (one
 * thread).
 */
#include "impl.h"
#include "tile_avx512.h"

#define TILE_BITS 4
#define MATMUL tsr_matmul_t4_avx512
#include "vec/matmul_q.inc"
