/*
 * matmul_t4 on the tier avx512: the blocking of matmul_q.inc around the micro-kernel of
 * tile_avx512.h. Bound as t8; three more operations a line split the nibbles. Measured on a Zen 4
 * (EPYC, family 25 model 17, 3.7 GHz, 470 GOP/s peak), one thread, other jobs running, with the
 * quantization of the activations: n = k = 2,048: m = 576 75 %, m = 96 75 %, m = 24 74 % of that
 * peak; tile alone with weights in L2, m = 96: 77 %.
 */
#include "impl.h"
#include "tile_avx512.h"

#define TILE_BITS 4
#define MATMUL tsr_matmul_t4_avx512
#include "matmul_q.inc"
