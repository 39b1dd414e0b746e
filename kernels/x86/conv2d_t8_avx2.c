/*
 * conv2d_t8 on the tier avx2: the strips of conv2d_t8.inc around the micro-kernel of tile_avx2.h.
 * Bound as matmul_t8 there: two nibbles a weight, 36 operations per group, row and half line.
 */
#include "impl.h"
#include "tile_avx2.h"

#define CONV2D tsr_conv2d_t8_avx2
#include "vec/conv2d_t8.inc"
