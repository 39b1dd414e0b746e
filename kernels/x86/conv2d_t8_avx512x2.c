/*
 * conv2d_t8 for cores with two 512-bit pipes: conv2d_t8.inc around the tile of
 * matmul_t8_avx512x2.c, bound as that one. Two threads of the same Xeon, 3x3: 128 channels 53-55 %
 * of the int8 peak, 256 58 %, 512 54-58 %.
 */
#include "impl.h"
#define TILE_PAIR_ROWS 6
#include "tile_avx512.h"

#define CONV2D tsr_conv2d_t8_avx512x2
#include "vec/conv2d_t8.inc"
