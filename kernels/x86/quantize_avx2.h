/*
 * quantize_avx2.h: blocks of 128 f32 to s8 codes on AVX2. The largest |x| is an integer maximum of
 * the bits without sign, so Inf and NaN show themselves in the same register; x * inv is rounded to
 * nearest even by vcvtps2dq (MXCSR default) and lies within +-127, so the packs only narrow. They
 * work within 128-bit lanes; one permutation puts the quads of 32 codes in order. A group's sum is
 * vpmaddubsw and vpmaddwd by ones, and the sums of four groups are one tree of horizontal adds.
 *
 * The blocking, two passes over eight blocks, is vec/quantize_blocks.inc's. Measured on a Zen 4,
 * one thread: 39-47 GB/s of x read (block by block: 31-35).
 */
#ifndef TSR_QUANTIZE_AVX2_H
#define TSR_QUANTIZE_AVX2_H

#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "kernels.h"

/* The largest magnitude of 128 floats, as bits. */
static int32_t largest(const float *x)
{
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    __m256i top[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};

#pragma GCC unroll 16
    for (size_t i = 0; i < TSR_ACT_BLOCK / 8; i++) {
        const __m256i bits = _mm256_castps_si256(_mm256_loadu_ps(x + 8 * i));
        top[i % 2] = _mm256_max_epi32(top[i % 2], _mm256_and_si256(bits, magnitude));
    }
    top[0] = _mm256_max_epi32(top[0], top[1]);
    __m128i t = _mm_max_epi32(_mm256_castsi256_si128(top[0]), _mm256_extracti128_si256(top[0], 1));
    t = _mm_max_epi32(t, _mm_shuffle_epi32(t, 0x4e));
    t = _mm_max_epi32(t, _mm_shuffle_epi32(t, 0xb1));
    return _mm_cvtsi128_si32(t);
}

/* 32 codes of a group, in order. */
static inline __m256i group_codes(const float *x, __m256 inv)
{
    __m256i v[4];

#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++)
        v[i] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8 * i), inv));
    const __m256i quads =
        _mm256_packs_epi16(_mm256_packs_epi32(v[0], v[1]), _mm256_packs_epi32(v[2], v[3]));
    return _mm256_permutevar8x32_epi32(quads, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

/* Quantizes 128 floats whose largest magnitude is given as bits; returns the scale. */
static inline float quantize_block(int8_t *codes, int32_t *sums, const float *x, int32_t bits)
{
    __m256i part[4];
    float amax;
    memcpy(&amax, &bits, sizeof amax);

    if (bits >= 0x7f800000 || amax < 0x1p-100F) {
        memset(codes, 0, TSR_ACT_BLOCK);
        memset(sums, 0, 4 * sizeof *sums);
        return bits >= 0x7f800000 ? NAN : 0;
    }
    const __m256 inv = _mm256_set1_ps(127.0F / amax);
#pragma GCC unroll 4
    for (size_t g = 0; g < 4; g++) {
        const __m256i c = group_codes(x + g * TSR_GROUP, inv);
        _mm256_storeu_si256((__m256i *)(codes + g * TSR_GROUP), c);
        part[g] =
            _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), c), _mm256_set1_epi16(1));
    }
    const __m256i all =
        _mm256_hadd_epi32(_mm256_hadd_epi32(part[0], part[1]), _mm256_hadd_epi32(part[2], part[3]));
    _mm_storeu_si128((__m128i *)sums,
                     _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1)));
    return amax / 127.0F;
}

#include "vec/quantize_blocks.inc"
#include "vec/quantize_part.inc"

#endif
