/*
 * matmul_t8 on the tier avx2: the blocking of matmul_q.inc around the micro-kernel of tile_avx2.h.
 * Bound by vpmaddubsw and vpaddw: 32 of the 40 or so operations of a group, row and half line.
 */
#include "impl.h"
#include "tile_avx2.h"

#define TILE_BITS 8
#define MATMUL tsr_matmul_t8_avx2
#include "vec/matmul_q.inc"
