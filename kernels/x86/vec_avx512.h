/*
 * vec_avx512.h: the vector vocabulary of kernels/vec/ on AVX-512: 16 f32 lanes are one zmm.
 *
 * Bodies in kernels/vec/ are written once over `vf16`, a vector of 16 f32 lanes, and the functions
 * below; vec_avx2.h has the same names for two ymm, vec_neon.h for four q registers. Every function
 * is one IEEE operation per lane (or moves lanes), so a body returns the same bits on every ISA.
 *
 *   _n     only the first n of 16 lanes are touched in memory (0 <= n <= 16); others load as +0
 *   max    a > b ? a : b, as vmaxps
 *   sum    the tree of the contract: (i, i+8), (i, i+4), (i, i+2), (i, i+1)
 */
#ifndef TSR_VEC_AVX512_H
#define TSR_VEC_AVX512_H

#include <immintrin.h>
#include <math.h>
#include <sleef.h>
#include <stdint.h>
#include <string.h>

#define VF_INLINE static inline __attribute__((always_inline))
#ifndef TSR_VEC
#define TSR_VEC(op) tsr_##op##_avx512

/*
 * The register tile of vec/chain.inc: 8 rows x 2 columns = 16 sums, 2 lines and a broadcast of 32
 * zmm. 16 sums hide the latency of an fma (4 cycles, two a cycle) twice over. VF_WIDE columns when
 * there is one row.
 */
enum { VF_ROWS = 8, VF_COLS = 2, VF_WIDE = 8, VF_STEPS = 4 };
#endif

typedef __m512 vf16;

static inline __mmask16 vf_mask(size_t n)
{
    return (__mmask16)_bzhi_u32(0xffff, (unsigned)n);
}

static inline vf16 vf_splat(float x)
{
    return _mm512_set1_ps(x);
}

static inline vf16 vf_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline vf16 vf_load_n(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(vf_mask(n), p);
}

static inline void vf_store(float *p, vf16 v)
{
    _mm512_storeu_ps(p, v);
}

static inline void vf_store_n(float *p, vf16 v, size_t n)
{
    _mm512_mask_storeu_ps(p, vf_mask(n), v);
}

/* f16 is converted exactly. */
static inline vf16 vf_load_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

/* To nearest even; a NaN becomes the quiet one of its sign, as in half.h. */
static inline void vf_store_f16(uint16_t *p, vf16 v)
{
    const __m512i sign = _mm512_and_si512(_mm512_castps_si512(v), _mm512_set1_epi32(INT32_MIN));

    v = _mm512_mask_mov_ps(
        v, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q),
        _mm512_castsi512_ps(_mm512_or_si512(sign, _mm512_set1_epi32(0x7fc00000))));
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}

static inline vf16 vf_load_s8(const void *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}

static inline vf16 vf_splat_f16(const void *p)
{
    int16_t half;

    memcpy(&half, p, sizeof half);
    return _mm512_cvtph_ps(_mm256_set1_epi16(half));
}

static inline vf16 vf_load_f16_n(const uint16_t *p, size_t n)
{
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(vf_mask(n), p));
}

/* A line of 16 bf16 pairs: the first and the second of each pair. */
static inline void vf_load_bf16x2(const uint16_t *p, vf16 *first, vf16 *second)
{
    __m512i line = _mm512_loadu_si512(p);

    *first = _mm512_castsi512_ps(_mm512_slli_epi32(line, 16));
    *second = _mm512_castsi512_ps(_mm512_and_si512(line, _mm512_set1_epi32((int)0xffff0000)));
}

static inline vf16 vf_add(vf16 a, vf16 b)
{
    return _mm512_add_ps(a, b);
}

static inline vf16 vf_sub(vf16 a, vf16 b)
{
    return _mm512_sub_ps(a, b);
}

static inline vf16 vf_mul(vf16 a, vf16 b)
{
    return _mm512_mul_ps(a, b);
}

static inline vf16 vf_div(vf16 a, vf16 b)
{
    return _mm512_div_ps(a, b);
}

static inline vf16 vf_sqrt(vf16 a)
{
    return _mm512_sqrt_ps(a);
}

static inline vf16 vf_fma(vf16 a, vf16 b, vf16 c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline vf16 vf_neg(vf16 a)
{
    return _mm512_xor_ps(a, _mm512_set1_ps(-0.0f));
}

static inline vf16 vf_max(vf16 a, vf16 b)
{
    return _mm512_max_ps(a, b);
}

static inline vf16 vf_abs(vf16 a)
{
    return _mm512_abs_ps(a);
}

/* max of the bits as unsigned integers: above all magnitudes Inf, above it NaN. */
static inline vf16 vf_max_bits(vf16 a, vf16 b)
{
    return _mm512_castsi512_ps(_mm512_max_epu32(_mm512_castps_si512(a), _mm512_castps_si512(b)));
}

/* Held within +-127 and rounded to the nearest even, as s8; no lane is NaN. */
static inline void vf_store_s8(void *p, vf16 v)
{
    v = _mm512_max_ps(_mm512_min_ps(v, _mm512_set1_ps(127)), _mm512_set1_ps(-127));
    _mm_storeu_si128(p, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v)));
}

/* The first n lanes of a, the others of b. */
static inline vf16 vf_first_n(vf16 a, vf16 b, size_t n)
{
    return _mm512_mask_blend_ps(vf_mask(n), b, a);
}

/* The even and the odd elements of the 32 in a, b; and back. */
static inline void vf_unzip(vf16 a, vf16 b, vf16 *even, vf16 *odd)
{
    const __m512i index =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);

    *even = _mm512_permutex2var_ps(a, index, b);
    *odd = _mm512_permutex2var_ps(a, _mm512_add_epi32(index, _mm512_set1_epi32(1)), b);
}

static inline void vf_zip(vf16 even, vf16 odd, vf16 *a, vf16 *b)
{
    const __m512i index = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);

    *a = _mm512_permutex2var_ps(even, index, odd);
    *b = _mm512_permutex2var_ps(even, _mm512_add_epi32(index, _mm512_set1_epi32(8)), odd);
}

static inline float vf_sum(vf16 v)
{
    __m256 x = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 y = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));

    y = _mm_add_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_add_ss(y, _mm_movehdup_ps(y)));
}

/* The largest lane; no lane is NaN. */
static inline float vf_largest(vf16 v)
{
    __m256 x = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 y = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));

    y = _mm_max_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_max_ss(y, _mm_movehdup_ps(y)));
}

/* x within [low, high]; a NaN stays one. */
static inline vf16 vf_hold(vf16 x, float low, float high)
{
    return _mm512_min_ps(_mm512_set1_ps(high), _mm512_max_ps(_mm512_set1_ps(low), x));
}

/* u * 2^n, n an integer of [-152, 145] and u about 1: one rounding. shifted: n + TSR_TO_INTEGER. */
static inline vf16 vf_scale(vf16 u, vf16 n, vf16 shifted)
{
    (void)shifted;
    return _mm512_scalef_ps(u, n);
}

static inline vf16 vf_sin(vf16 x)
{
    return Sleef_finz_sinf16_u10avx512f(x);
}

static inline vf16 vf_cos(vf16 x)
{
    return Sleef_finz_cosf16_u10avx512f(x);
}

/* At the end of an operator that hands vectors from function to function: gcc then forgets to give the upper
 * halves back, and all SSE code that follows would run slower. */
static inline void vf_done(void)
{
    _mm256_zeroupper();
}

#endif
