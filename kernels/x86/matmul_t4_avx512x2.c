/*
 * matmul_t4 for cores with two 512-bit pipes, as matmul_t8_avx512x2.c. The three operations that a
 * line's nibbles take run in the same pipes, 96 per 128 k and two panels: 65 % of the int8 peak is
 * the most that 6 rows leave, 60 % that 4 do. Measured there: 60.1 and 56.4 %.
 */
#include "impl.h"
#define TILE_PAIR_ROWS 6
#include "tile_avx512.h"

#define TILE_BITS 4
#define MATMUL tsr_matmul_t4_avx512x2
#include "vec/matmul_q.inc"
