/*
 * matmul_t8 on the tier avx512: the blocking of matmul_q.inc around the micro-kernel of
 * tile_avx512.h. Two rows or more are bound by vpdpbusd and fma (ceiling 86.5 % of the int8 peak on
 * Zen 4, tile_avx512.h), fewer by memory. Measured on a Zen 4 (EPYC, family 25 model 17, 3.7 GHz,
 * 470 GOP/s peak), one thread, other jobs running, with the quantization of the activations: n = k
 * = 2,048: m = 576 77 %, m = 96 77 %, m = 24 74 % of that peak; tile alone with weights in L2, m =
 * 96: 81 %. m = 1, 2, 4: 95-100 % of a one-stream read probe, m = 8 82 %.
 */
#include "impl.h"
#include "tile_avx512.h"

#define TILE_BITS 8
#define MATMUL tsr_matmul_t8_avx512
#include "matmul_q.inc"
