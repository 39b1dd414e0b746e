/*
 * attention on AVX2: the body in vec/attention.inc over the vocabulary of vec_avx2.h and the dots of tile_avx2.h. Many rows
 * are bound by the f32 fma: per 16 keys x d, 2 loads, 6 broadcasts, 12 fma. One row is bound by memory. Two threads of a
 * Zen 4 (EPYC, family 25 model 17): prefill 576 causal, 16 x 128, f16 73 % of the fma peak over the operations needed; full
 * 576, 16 x 64, f32 70 %; one head of 512 84 %; one query against 4,096 keys, f16 91 % of the read bandwidth, q8 76 %.
 * A q8 prefill is slower than f16 here (54 %): without vpdpbusd the dots take the time of the fma they replace.
 */
#include "impl.h"
#include "x86/tile_avx2.h"
#include "x86/vec_avx2.h"

#define ATT_RUN void tsr_attention_avx2
#define ATT_QUANTIZE tsr_quantize_rows_avx2
#include "vec/elementary.inc"
#include "vec/chain.inc"
#include "vec/attention.inc"
#include "vec/attention_merge.inc"
