/*
 * matmul_t4 on the tier avxvnni: the blocking of matmul_q.inc around the micro-kernel of
 * tile_avxvnni.h. Not timed: no machine with AVX-VNNI was at hand. Tested by compiling the same
 * source for the AVX512VL encoding.
 */
#include "impl.h"
#include "tile_avxvnni.h"

#define TILE_BITS 4
#define MATMUL tsr_matmul_t4_avxvnni
#include "vec/matmul_q.inc"
