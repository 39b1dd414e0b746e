/*
 * matmul_t4 for cores with two 512-bit pipes, as matmul_t8_avx512x2.c. The two operations that a
 * line's nibbles take (GFNI shifts and masks in one) run in the same pipes, 64 per 128 k and two
 * panels: 69 % of the int8 peak is the most that 6 rows leave. Measured there, in L2: 59.6 %, with
 * three operations 57.8 %.
 */
#include "impl.h"
#define TILE_PAIR_ROWS 6
#include "tile_avx512.h"

#define TILE_BITS 4
#define MATMUL tsr_matmul_t4_avx512x2
#include "vec/matmul_q.inc"
