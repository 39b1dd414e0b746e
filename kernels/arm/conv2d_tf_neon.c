/*
 * conv2d_tf on Advanced SIMD: the body in vec/conv2d_tf.inc over the vocabulary of vec_neon.h; bound by the f32 fma.
 */
#include "impl.h"
#include "arm/vec_neon.h"

#include "vec/chain.inc"
#include "vec/conv2d_tf.inc"
