/*
 * attention on AVX2: the body in vec/attention.inc over the vocabulary of vec_avx2.h; bound by the f32 fma for many query
 * rows, by memory for one. Two threads of a Zen 4 (EPYC, family 25 model 17): prefill 576 causal, 16 x 128, f16 cache 68 %
 * of the fma peak; full 576, 16 x 64, f32 68 %; one head of 512 79 %; one query against 4,096 keys 85 % of the read
 * bandwidth. The same body on AVX-512 reached 64, 58, 66 and 87 % in the same minute, so there is none.
 */
#include "impl.h"
#include "x86/vec_avx2.h"

#include "vec/chain.inc"
#include "vec/attention.inc"
