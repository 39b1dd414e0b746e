/*
 * matmul_tf on the tier avx512: the body in vec/matmul_tf.inc over vec_avx512.h.
 * 8 rows x 2 panels: 16 fma, 8 broadcasts, 2 loads a step. Measured on a Zen 4 (EPYC, family 25
 * model 17, 118 GFLOP/s f32 peak), one thread, other jobs running, n = k = 2,048: m = 576 f32 94 %,
 * f16 83 %, bf16 91 % of that peak, m = 24 76-82 %; m = 1 26 GB/s, above a one-stream read probe.
 */
#include "impl.h"
#include "x86/vec_avx512.h"

#include "vec/chain.inc"
#include "vec/matmul_tf.inc"
