/*
 * matmul_tf on Advanced SIMD: the body in vec/matmul_tf.inc over vec_neon.h; bound by the f32 fma for many rows, by
 * memory for one.
 */
#include "impl.h"
#include "arm/vec_neon.h"

#include "vec/chain.inc"
#include "vec/matmul_tf.inc"
