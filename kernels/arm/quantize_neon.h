/*
 * quantize_neon.h: blocks of 128 f32 to s8 codes on Advanced SIMD. The largest |x| is an integer
 * maximum of the bits without sign, so Inf and NaN show themselves in the same register; x * inv is
 * rounded to nearest even by fcvtns and lies within +-127, so uzp1 of the low halves narrows it. A
 * group's sum is saddlp and sadalp, and the sums of four groups one tree of addp. The blocking, two
 * passes over eight blocks, is vec/quantize_blocks.inc's.
 *
 * Accumulators: 4 maxima (smax has a latency of 2 to 3 cycles, one or two a cycle). Per 16 values:
 * 4 loads, ands and maxima in the first pass; 4 loads, fmul and fcvtns, 3 uzp1, a store and a
 * widening add in the second.
 */
#ifndef TSR_QUANTIZE_NEON_H
#define TSR_QUANTIZE_NEON_H

#include <arm_neon.h>
#include <math.h>
#include <string.h>

#include "kernels.h"
#include "vec/tile_unroll.h"

/* The largest magnitude of 128 floats, as bits. */
static int32_t largest(const float *x)
{
    int32x4_t top[4];

    TILE_UNROLL
    for (int i = 0; i < 32; i++) {
        const int32x4_t bits =
            vandq_s32(vreinterpretq_s32_f32(vld1q_f32(x + 4 * i)), vdupq_n_s32(0x7fffffff));
        top[i % 4] = i < 4 ? bits : vmaxq_s32(top[i % 4], bits);
    }
    return vmaxvq_s32(vmaxq_s32(vmaxq_s32(top[0], top[1]), vmaxq_s32(top[2], top[3])));
}

/* 16 codes. */
static inline int8x16_t codes_of_16(const float *x, float32x4_t inv)
{
    int16x8_t v[4];

    TILE_UNROLL
    for (int i = 0; i < 4; i++)
        v[i] = vreinterpretq_s16_s32(vcvtnq_s32_f32(vmulq_f32(vld1q_f32(x + 4 * i), inv)));
    return vuzp1q_s8(vreinterpretq_s8_s16(vuzp1q_s16(v[0], v[1])),
                     vreinterpretq_s8_s16(vuzp1q_s16(v[2], v[3])));
}

/* Quantizes 128 floats whose largest magnitude is given as bits; returns the scale. */
static inline float quantize_block(int8_t *codes, int32_t *sums, const float *x, int32_t bits)
{
    int32x4_t part[4];
    float amax;
    memcpy(&amax, &bits, sizeof amax);

    if (bits >= 0x7f800000 || amax < 0x1p-100F) {
        memset(codes, 0, TSR_ACT_BLOCK);
        memset(sums, 0, 4 * sizeof *sums);
        return bits >= 0x7f800000 ? NAN : 0;
    }
    const float32x4_t inv = vdupq_n_f32(127.0F / amax);
    TILE_UNROLL
    for (int g = 0; g < 4; g++) {
        const int8x16_t low = codes_of_16(x + g * TSR_GROUP, inv);
        const int8x16_t high = codes_of_16(x + g * TSR_GROUP + 16, inv);
        vst1q_s8(codes + g * TSR_GROUP, low);
        vst1q_s8(codes + g * TSR_GROUP + 16, high);
        part[g] = vpaddlq_s16(vpadalq_s8(vpaddlq_s8(low), high));
    }
    vst1q_s32(sums, vpaddq_s32(vpaddq_s32(part[0], part[1]), vpaddq_s32(part[2], part[3])));
    return amax / 127.0F;
}

#include "vec/quantize_blocks.inc"
#include "vec/quantize_part.inc"

#endif
