/*
 * matmul_t8 for cores that start two 512-bit operations a cycle: matmul_q.inc around tile_avx512.h
 * with tiles of 6 rows x 2 panels. Dots, conversions and fma share those two pipes: 32 of 41 slots
 * are dots, 78 % is the ceiling. Eight chains of dots, each waiting 5 cycles, would fill 1.6 of two
 * slots a cycle but for the next group's, which a core's schedulers see only in part: 12 fill them.
 * Partial sums take the registers, so the sums of a block wait in L1, where a store of 64 bytes
 * costs such a core nothing (a Zen 4 1.3 dots, so avx512 has 4 rows). Per 128 k, 384 dots, 48
 * conversions, 60 fma, 208 broadcasts, 64 loads of lines. Measured on an Intel Xeon (Golden Cove or
 * later, 3.7 GHz), weights and codes in L2, k = 2,048, one thread, of the int8 peak: 66.5 %, 4 x
 * 2 64.6 %.
 */
#include "impl.h"
#define TILE_PAIR_ROWS 6
#include "tile_avx512.h"

#define TILE_BITS 8
#define MATMUL tsr_matmul_t8_avx512x2
#include "vec/matmul_q.inc"
