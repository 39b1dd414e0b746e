/*
 * attention for cores with two 512-bit pipes: zmm of the body in vec/attention.inc, 8 rows x 2
 * columns a step: 10 loads, and conversions of two lines for the first 8 rows, for 16 fma, of which such a
 * core starts two a cycle (16 rows x 1 column took 17 loads, and 1.03 to 1.15 times as long).
 * attention_avx512.c has ymm, half of such a core's fma: the prompt of 576, 16 x 128, took 1.6 times as
 * long there with an f16 cache, 1.5 with q8. One query reads its cache at 84 to 92 % of a plain read. A
 * sixth of the time of a vision layer is the softmax (exp: 16 instructions for 16), and its products
 * reach 80 % of the peak. A decoder's f32 head of 512 is read from L3.
 */
#include "impl.h"
#define TILE_PAIR_ROWS 6
#include "x86/tile_avx512.h"

#define TSR_VEC(op) tsr_##op##_avx512x2
enum { VF_ROWS = 8, VF_COLS = 2, VF_WIDE = 8, VF_STEPS = 1 };
#include "x86/vec_avx512.h"

#define ATT_EARLY(format) 1
#define ATT_RUN void tsr_attention_avx512x2
#define ATT_QUANTIZE tsr_quantize_rows_avx512
#include "vec/elementary.inc"
#include "vec/chain.inc"
#include "vec/attention.inc"
