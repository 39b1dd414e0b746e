/*
 * conv2d_t8 on the tier avx512: the strips of conv2d_t8.inc around the micro-kernel of
 * tile_avx512.h. Bound as matmul_t8. Measured on a Zen 4 (470 GOP/s a thread), 3x3, one thread: 128
 * channels 77-79 % of the int8 peak, 256 78-80 %, 512 80-81 %; the sums of a strip in L1 instead of
 * registers: 61-63 %, 68 %, 73-75 %.
 */
#include "impl.h"
#include "tile_avx512.h"

#define CONV2D tsr_conv2d_t8_avx512
#include "vec/conv2d_t8.inc"
