/*
 * matmul_tf on the tier avx2: the body in vec/matmul_tf.inc over vec_avx2.h.
 * 6 rows x 1 panel (bf16: 4): 12 fma, 6 broadcasts, 2 loads a step. Measured on a Zen 4 (EPYC,
 * family 25 model 17, 118 GFLOP/s f32 peak), one thread, other jobs running, n = k = 2,048: m = 576
 * f32 85 %, f16 84 % of that peak.
 */
#include "impl.h"
#include "x86/vec_avx2.h"

#include "vec/chain.inc"
#include "vec/matmul_tf.inc"
