/*
 * conv2d_tf on AVX-512: the body in vec/conv2d_tf.inc over the vocabulary of vec_avx512.h;
 * bound by the f32 fma. One thread of a Zen 4, 3x3 layers of the VQ-16 decoder (128 -> 128 at 384 wide, 256 ->
 * 256 at 96, 512 -> 512 at 24): 88 to 92 % of the fma peak; oneDNN beside it 95 to 98 %.
 */
#include "impl.h"
#include "x86/vec_avx512.h"

#include "vec/chain.inc"
#include "vec/conv2d_tf.inc"
