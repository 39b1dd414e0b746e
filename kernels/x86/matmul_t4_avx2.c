/*
 * matmul_t4 on the tier avx2: the blocking of matmul_q.inc around the micro-kernel of tile_avx2.h.
 * Bound by vpmaddubsw and vpaddw: 16 of the 20 or so operations of a group, row and half line.
 */
#include "impl.h"
#include "tile_avx2.h"

#define TILE_BITS 4
#define MATMUL tsr_matmul_t4_avx2
#include "vec/matmul_q.inc"
