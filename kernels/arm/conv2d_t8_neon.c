/*
 * conv2d_t8 on the tier neon: the blocking of vec/conv2d_t8.inc around the micro-kernel of
 * tile_neon.h: 16 registers of sums at 4 rows x 2 columns, and the inner loop of matmul_t8_neon.c
 * with its instructions per tile line.
 */
#include "impl.h"
#include "arm/tile_neon.h"

#define CONV2D tsr_conv2d_t8_neon
#include "vec/conv2d_t8.inc"
