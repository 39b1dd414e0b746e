/*
 * attention on Advanced SIMD: the body in vec/attention.inc over the vocabulary of vec_neon.h;
 * bound by the f32 fma for many query rows, by memory for one. The dots of a t8 cache are those of
 * tile_neon.h.
 */
#include "impl.h"
#include "arm/tile_neon.h"
#include "arm/vec_neon.h"

#define ATT_RUN void tsr_attention_neon
#define ATT_QUANTIZE tsr_quantize_rows_neon
#include "vec/elementary.inc"
#include "vec/chain.inc"
#include "vec/attention.inc"
#include "vec/attention_merge.inc"
