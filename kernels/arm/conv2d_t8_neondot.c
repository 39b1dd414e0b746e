/*
 * conv2d_t8 on the tier neondot: the blocking of vec/conv2d_t8.inc around the micro-kernel of
 * tile_neondot.h: 12 dots and 12 sums of scales at 6 rows x 2 columns, and the inner loop of
 * matmul_t8_neondot.c with its instructions per tile line.
 */
#include "impl.h"
#include "arm/tile_neondot.h"

#define CONV2D tsr_conv2d_t8_neondot
#include "vec/conv2d_t8.inc"
