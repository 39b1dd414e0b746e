/*
 * attention on AVX-512: ymm of the body in vec/attention.inc, for this tier's 32 registers and its vpdpbusd, which takes
 * a q8 prefill past f16. Two threads of a Zen 4, in the minute of attention_avx2.c's figures: prefill 576 causal, 16 x
 * 128, f16 75 % of the fma peak, q8 86 % (of the operations as f32); one query against 4,096 keys f16 1.4 times as fast as
 * there and q8 1.6 times as fast as f16, both above the read probe (the caches hold a part). f32 gains nothing (68 % for
 * 70 %), so it goes there; nor do zmm (prefill f16 64 %).
 */
#include "impl.h"
#include "x86/tile_avx512.h"

#define TSR_VEC(op) tsr_##op##_avx512
enum { VF_ROWS = 6, VF_COLS = 1, VF_WIDE = 8, VF_STEPS = 1 };
#include "x86/vec_avx2.h"

#define ATT_RUN static void attention_ymm
#define ATT_QUANTIZE tsr_quantize_rows_avx512
#include "vec/elementary.inc"
#include "vec/chain.inc"
#include "vec/attention.inc"
#include "vec/attention_merge.inc"

void tsr_attention_avx512(const void *args, size_t begin, size_t end)
{
    const struct tsr_attention *a = args;

    if (a->kv.format == TSR_F32)
        tsr_attention_avx2(args, begin, end);
    else
        attention_ymm(args, begin, end);
}
