/*
 * conv2d_t8 on the tier i8mm: the blocking of vec/conv2d_t8.inc around the micro-kernel of
 * tile_i8mm.h: 12 dots and 12 sums of scales at 6 rows x 2 columns, and the inner loop of
 * matmul_t8_i8mm.c with its instructions per tile line.
 */
#include "impl.h"
#include "arm/tile_i8mm.h"

#define CONV2D tsr_conv2d_t8_i8mm
#include "vec/conv2d_t8.inc"
