/*
 * quantize_avx512.h: blocks of 128 f32 to s8 codes on AVX-512, up to 16 blocks at a time.
 *
 * First their largest |x|, an integer maximum of the bits without sign, so that Inf and NaN show
 * themselves in the same register; a tree of shuffles brings the 16 maxima into one vector, and the
 * two divisions are done once for all. Then, in L1, the codes: x * inv is rounded to nearest even
 * by vcvtps2dq (MXCSR default) and lies within +-127, so the packs only narrow; they work within
 * 128-bit lanes, and one permutation puts the quads of 64 codes in order. Parts of sums are
 * vpdpbusd by ones; packs and vpmaddwd by ones add them up for four blocks together.
 *
 * Per 16 floats 2 operations for the maximum, 3.25 for the codes and 0.9 for maxima, divisions and
 * sums, of which a Zen 4 starts two 512-bit ones a cycle. Measured there, rows in L2: 4.4 cycles
 * per 16 floats, of which the maxima take 1.3, the codes 1.7 (both in L1) and L2 the rest: the next
 * row is asked for meanwhile. A plain copy of those 80 bytes takes 2.6. (Block by block, with a
 * division and a reduction each: 5.4.)
 */
#ifndef TSR_QUANTIZE_AVX512_H
#define TSR_QUANTIZE_AVX512_H

#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "kernels.h"

enum {
    TOGETHER = 16, /* blocks whose maxima make a vector */
    FOUR = 4,      /* blocks whose sums make a vector */
    INF = 0x7f800000,
    SMALLEST = 0x0d800000 /* 2^-100 */
};

/* The largest magnitudes of 128 floats, as bits, in 16 lanes. */
static inline __m512i largest(const float *x)
{
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    __m512i top[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};

#pragma GCC unroll 8
    for (size_t i = 0; i < TSR_ACT_BLOCK / 16; i++) {
        const __m512i bits = _mm512_castps_si512(_mm512_loadu_ps(x + 16 * i));
        top[i % 2] = _mm512_max_epi32(top[i % 2], _mm512_and_si512(bits, magnitude));
    }
    return _mm512_max_epi32(top[0], top[1]);
}

/* In each 128-bit lane the largest of that lane of each of four vectors. */
static inline __m512i largest_of_lanes(const __m512i *v)
{
    const __m512i ab =
        _mm512_max_epi32(_mm512_unpacklo_epi32(v[0], v[1]), _mm512_unpackhi_epi32(v[0], v[1]));
    const __m512i cd =
        _mm512_max_epi32(_mm512_unpacklo_epi32(v[2], v[3]), _mm512_unpackhi_epi32(v[2], v[3]));
    return _mm512_max_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
}

/* Lane i: the largest of vector i. */
static inline __m512i largest_of_16(const __m512i *v)
{
    const __m512i a = largest_of_lanes(v), b = largest_of_lanes(v + 4);
    const __m512i c = largest_of_lanes(v + 8), d = largest_of_lanes(v + 12);
    const __m512i ab =
        _mm512_max_epi32(_mm512_shuffle_i32x4(a, b, 0x44), _mm512_shuffle_i32x4(a, b, 0xee));
    const __m512i cd =
        _mm512_max_epi32(_mm512_shuffle_i32x4(c, d, 0x44), _mm512_shuffle_i32x4(c, d, 0xee));
    return _mm512_max_epi32(_mm512_shuffle_i32x4(ab, cd, 0x88), _mm512_shuffle_i32x4(ab, cd, 0xdd));
}

/* 64 codes of two groups, in order. */
static inline __m512i codes_of_64(const float *x, __m512 inv)
{
    __m512i v[4];

#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++)
        v[i] = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + 16 * i), inv));
    const __m512i quads =
        _mm512_packs_epi16(_mm512_packs_epi32(v[0], v[1]), _mm512_packs_epi32(v[2], v[3]));
    return _mm512_permutexvar_epi32(
        _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), quads);
}

/* Neighbouring s32 of a, then of b, added, by 128-bit lanes; all fit 16 bits. */
static inline __m512i add_pairs(__m512i a, __m512i b)
{
    return _mm512_madd_epi16(_mm512_packs_epi32(a, b), _mm512_set1_epi16(1));
}

/* The codes of a block; returns eight-code sums: lane i: 2 of codes 16i.., 2 of codes 64 + 16i.. */
static inline __m512i quantize_block(int8_t *codes, const float *x, __m512 inv, const float *next)
{
    __m512i part[2];

#pragma GCC unroll 2
    for (size_t i = 0; i < 2; i++) {
        const __m512i c = codes_of_64(x + 64 * i, inv);
#pragma GCC unroll 4
        for (size_t line = 0; line < 4; line++)
            _mm_prefetch((const char *)(next + 64 * i + 16 * line), _MM_HINT_T0);
        _mm512_storeu_si512(codes + 64 * i, c);
        part[i] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(1), c);
    }
    return add_pairs(part[0], part[1]);
}

/* The sums of the groups of four blocks, in order, from what quantize_block returned. */
static inline __m512i group_sums(const __m512i *eights)
{
    const __m512i low = add_pairs(eights[0], eights[1]), high = add_pairs(eights[2], eights[3]);
    const __m512i sums = _mm512_add_epi32(_mm512_shuffle_i32x4(low, high, 0x88),
                                          _mm512_shuffle_i32x4(low, high, 0xdd));
    return _mm512_permutexvar_epi32(
        _mm512_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15), sums);
}

/* Stores the first n of 16 lanes; a store under a mask is slow on Zen 4, and there rare. */
static inline void store_n(void *to, __m512i v, size_t n)
{
    if (n == 16)
        _mm512_storeu_si512(to, v);
    else
        _mm512_mask_storeu_epi32(to, (__mmask16)_bzhi_u32(0xffff, (unsigned)n), v);
}

/* Quantizes count <= 16 whole blocks. */
static inline __attribute__((always_inline)) void quantize_some(int8_t *codes, int32_t *sums,
                                                                float *scales, const float *x,
                                                                size_t count, const float *next)
{
    __m512i top[TOGETHER];
    float inverse[TOGETHER];

    for (size_t i = 0; i < TOGETHER; i++)
        top[i] = i < count ? largest(x + i * TSR_ACT_BLOCK) : _mm512_setzero_si512();
    const __m512i bits = largest_of_16(top);
    const __m512 amax = _mm512_castsi512_ps(bits), most = _mm512_set1_ps(127);
    const __mmask16 finite = _mm512_cmplt_epi32_mask(bits, _mm512_set1_epi32(INF));
    const __mmask16 normal = finite & _mm512_cmpge_epi32_mask(bits, _mm512_set1_epi32(SMALLEST));
    const __m512 scale = _mm512_maskz_div_ps(normal, amax, most);
    store_n(scales, _mm512_castps_si512(_mm512_mask_blend_ps(finite, _mm512_set1_ps(NAN), scale)),
            count);
    _mm512_storeu_ps(inverse, _mm512_maskz_div_ps(normal, most, amax)); /* 0: the codes are 0 */

    for (size_t b = 0; b < count; b += FOUR) {
        const size_t n = count - b < FOUR ? count - b : FOUR;
        __m512i eights[FOUR];
#pragma GCC unroll 4
        for (size_t i = 0; i < FOUR; i++)
            eights[i] =
                i < n
                    ? quantize_block(codes + (b + i) * TSR_ACT_BLOCK, x + (b + i) * TSR_ACT_BLOCK,
                                     _mm512_set1_ps(inverse[b + i]), next + (b + i) * TSR_ACT_BLOCK)
                    : _mm512_setzero_si512();
        store_n(sums + b * 4, group_sums(eights), 4 * n);
    }
    for (size_t i = 0; i < count && finite != 0xffff; i++)
        if (!(finite >> i & 1)) { /* Inf * 0 is no number */
            memset(codes + i * TSR_ACT_BLOCK, 0, TSR_ACT_BLOCK);
            memset(sums + i * 4, 0, 4 * sizeof *sums);
        }
}

/* Quantizes whole blocks, and asks meanwhile for the next: those after, or at the end `next`. */
static void quantize_blocks(int8_t *codes, int32_t *sums, float *scales, const float *x,
                            size_t blocks, const float *next)
{
    size_t b = 0;

    for (; b + TOGETHER <= blocks; b += TOGETHER) {
        const float *at = x + b * TSR_ACT_BLOCK;

        quantize_some(codes + b * TSR_ACT_BLOCK, sums + b * 4, scales + b, at, TOGETHER,
                      b + TOGETHER < blocks ? at + TOGETHER * TSR_ACT_BLOCK : next);
    }
    if (b < blocks)
        quantize_some(codes + b * TSR_ACT_BLOCK, sums + b * 4, scales + b, x + b * TSR_ACT_BLOCK,
                      blocks - b, next);
}

#include "vec/quantize_part.inc"

#endif
