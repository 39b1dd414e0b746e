/*
 * attention for cores with two 512-bit pipes: zmm of the body in vec/attention.inc, and all 16 rows
 * of a tile at once, so that a line of keys or values is loaded and converted for 16 fma: 17 loads
 * for 16 fma, of which such a core starts two each a cycle. attention_avx512.c has ymm, half of
 * such a core's fma: the prompt of 576, 16 x 128, takes 1.6 times as long there with an f16
 * cache, 1.5 with q8. Measured on an Intel Xeon (Golden Cove or later), two threads, of the fma
 * peak: f16 58-61 %, q8 68 %, vision 55-59 %; one query reads its cache as fast as memory gives it.
 * A decoder's f32 head of 512 (45 %) is read from L3.
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
#include "vec/chain.inc"
#include "vec/attention.inc"
