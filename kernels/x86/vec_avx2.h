/*
 * vec_avx2.h: the vector vocabulary of kernels/vec/ on AVX2: 16 f32 lanes are two ymm, lanes 0..7
 * and 8..15. What each name means stands in vec_avx512.h.
 *
 * Partial loads and stores use vmaskmov, which does not touch masked elements; the masks are read
 * from a sliding table.
 */
#ifndef TSR_VEC_AVX2_H
#define TSR_VEC_AVX2_H

#include <immintrin.h>
#include <math.h>
#include <sleef.h>
#include <stdint.h>
#include <string.h>

#define VF_INLINE static inline __attribute__((always_inline))

/*
 * The register tile of vec/chain.inc: 6 rows x 1 column = 12 ymm of sums, 2 of the line, 1
 * broadcast of
 * 16. 12 sums hide the latency of an fma (4 to 5 cycles, two a cycle). A tier with more registers
 * names itself and its own tile first.
 */
#ifndef TSR_VEC
#define TSR_VEC(op) tsr_##op##_avx2
enum { VF_ROWS = 6, VF_COLS = 1, VF_WIDE = 4, VF_STEPS = 1 };
#endif

typedef struct {
    __m256 a, b;
} vf16;

static inline vf16 vf_pair(__m256 a, __m256 b)
{
    vf16 v = {a, b};

    return v;
}

/* Lanes 8 * half .. of which the first n - 8 * half are set. */
static inline __m256i vf_mask(size_t n, size_t half)
{
    static const int32_t table[32] = {-1, -1, -1, -1, -1, -1, -1, -1,
                                      -1, -1, -1, -1, -1, -1, -1, -1};

    return _mm256_loadu_si256((const __m256i *)(table + 16 - n + 8 * half));
}

static inline vf16 vf_splat(float x)
{
    return vf_pair(_mm256_set1_ps(x), _mm256_set1_ps(x));
}

static inline vf16 vf_load(const float *p)
{
    return vf_pair(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8));
}

static inline vf16 vf_load_n(const float *p, size_t n)
{
    return vf_pair(_mm256_maskload_ps(p, vf_mask(n, 0)), _mm256_maskload_ps(p + 8, vf_mask(n, 1)));
}

static inline void vf_store(float *p, vf16 v)
{
    _mm256_storeu_ps(p, v.a);
    _mm256_storeu_ps(p + 8, v.b);
}

static inline void vf_store_n(float *p, vf16 v, size_t n)
{
    _mm256_maskstore_ps(p, vf_mask(n, 0), v.a);
    _mm256_maskstore_ps(p + 8, vf_mask(n, 1), v.b);
}

static inline vf16 vf_load_f16(const uint16_t *p)
{
    return vf_pair(_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)),
                   _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p + 8))));
}

/* To nearest even; a NaN becomes the quiet one of its sign, as in half.h. */
static inline __m128i vf_half_8(__m256 v)
{
    const __m256 nan = _mm256_or_ps(_mm256_and_ps(v, _mm256_set1_ps(-0.0f)),
                                    _mm256_castsi256_ps(_mm256_set1_epi32(0x7fc00000)));

    v = _mm256_blendv_ps(v, nan, _mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    return _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline void vf_store_f16(uint16_t *p, vf16 v)
{
    _mm_storeu_si128((__m128i *)p, vf_half_8(v.a));
    _mm_storeu_si128((__m128i *)(p + 8), vf_half_8(v.b));
}

/* 16 s8 as f32; one f16 in all lanes. */
static inline vf16 vf_load_s8(const void *p)
{
    return vf_pair(
        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p))),
        _mm256_cvtepi32_ps(
            _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)((const char *)p + 8)))));
}

static inline vf16 vf_splat_f16(const void *p)
{
    int16_t half;

    memcpy(&half, p, sizeof half);
    return vf_pair(_mm256_cvtph_ps(_mm_set1_epi16(half)), _mm256_cvtph_ps(_mm_set1_epi16(half)));
}

static inline vf16 vf_load_f16_n(const uint16_t *p, size_t n)
{
    uint16_t whole[16] = {0};

    for (size_t i = 0; i < n; i++)
        whole[i] = p[i];
    return vf_load_f16(whole);
}

static inline void vf_load_bf16x2(const uint16_t *p, vf16 *first, vf16 *second)
{
    const __m256i high = _mm256_set1_epi32((int)0xffff0000);
    __m256i a = _mm256_loadu_si256((const __m256i *)p);
    __m256i b = _mm256_loadu_si256((const __m256i *)(p + 16));

    first->a = _mm256_castsi256_ps(_mm256_slli_epi32(a, 16));
    first->b = _mm256_castsi256_ps(_mm256_slli_epi32(b, 16));
    second->a = _mm256_castsi256_ps(_mm256_and_si256(a, high));
    second->b = _mm256_castsi256_ps(_mm256_and_si256(b, high));
}

static inline vf16 vf_add(vf16 a, vf16 b)
{
    return vf_pair(_mm256_add_ps(a.a, b.a), _mm256_add_ps(a.b, b.b));
}

static inline vf16 vf_sub(vf16 a, vf16 b)
{
    return vf_pair(_mm256_sub_ps(a.a, b.a), _mm256_sub_ps(a.b, b.b));
}

static inline vf16 vf_mul(vf16 a, vf16 b)
{
    return vf_pair(_mm256_mul_ps(a.a, b.a), _mm256_mul_ps(a.b, b.b));
}

static inline vf16 vf_div(vf16 a, vf16 b)
{
    return vf_pair(_mm256_div_ps(a.a, b.a), _mm256_div_ps(a.b, b.b));
}

static inline vf16 vf_sqrt(vf16 a)
{
    return vf_pair(_mm256_sqrt_ps(a.a), _mm256_sqrt_ps(a.b));
}

static inline vf16 vf_fma(vf16 a, vf16 b, vf16 c)
{
    return vf_pair(_mm256_fmadd_ps(a.a, b.a, c.a), _mm256_fmadd_ps(a.b, b.b, c.b));
}

static inline vf16 vf_neg(vf16 a)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);

    return vf_pair(_mm256_xor_ps(a.a, sign), _mm256_xor_ps(a.b, sign));
}

static inline vf16 vf_max(vf16 a, vf16 b)
{
    return vf_pair(_mm256_max_ps(a.a, b.a), _mm256_max_ps(a.b, b.b));
}

static inline vf16 vf_abs(vf16 a)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);

    return vf_pair(_mm256_andnot_ps(sign, a.a), _mm256_andnot_ps(sign, a.b));
}

static inline __m256 vf_max_bits_8(__m256 a, __m256 b)
{
    return _mm256_castsi256_ps(_mm256_max_epu32(_mm256_castps_si256(a), _mm256_castps_si256(b)));
}

static inline vf16 vf_max_bits(vf16 a, vf16 b)
{
    return vf_pair(vf_max_bits_8(a.a, b.a), vf_max_bits_8(a.b, b.b));
}

static inline __m256i vf_held_8(__m256 v)
{
    v = _mm256_max_ps(_mm256_min_ps(v, _mm256_set1_ps(127)), _mm256_set1_ps(-127));
    return _mm256_cvtps_epi32(v);
}

static inline void vf_store_s8(void *p, vf16 v)
{
    const __m256i x = _mm256_permute4x64_epi64(
        _mm256_packs_epi32(vf_held_8(v.a), vf_held_8(v.b)), 0xd8);

    _mm_storeu_si128(p, _mm_packs_epi16(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1)));
}

static inline vf16 vf_first_n(vf16 a, vf16 b, size_t n)
{
    return vf_pair(_mm256_blendv_ps(b.a, a.a, _mm256_castsi256_ps(vf_mask(n, 0))),
                   _mm256_blendv_ps(b.b, a.b, _mm256_castsi256_ps(vf_mask(n, 1))));
}

/* Evens (or odds) of 8 + 8 elements: within 128-bit halves first, then the middle quarters change
 * places. */
static inline __m256 vf_quarters(__m256 v)
{
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(v), 0xd8));
}

static inline void vf_unzip(vf16 a, vf16 b, vf16 *even, vf16 *odd)
{
    *even = vf_pair(vf_quarters(_mm256_shuffle_ps(a.a, a.b, 0x88)),
                    vf_quarters(_mm256_shuffle_ps(b.a, b.b, 0x88)));
    *odd = vf_pair(vf_quarters(_mm256_shuffle_ps(a.a, a.b, 0xdd)),
                   vf_quarters(_mm256_shuffle_ps(b.a, b.b, 0xdd)));
}

static inline vf16 vf_zip8(__m256 even, __m256 odd)
{
    __m256 low = _mm256_unpacklo_ps(even, odd), high = _mm256_unpackhi_ps(even, odd);

    return vf_pair(_mm256_permute2f128_ps(low, high, 0x20),
                   _mm256_permute2f128_ps(low, high, 0x31));
}

static inline void vf_zip(vf16 even, vf16 odd, vf16 *a, vf16 *b)
{
    *a = vf_zip8(even.a, odd.a);
    *b = vf_zip8(even.b, odd.b);
}

static inline float vf_sum(vf16 v)
{
    __m256 x = _mm256_add_ps(v.a, v.b);
    __m128 y = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));

    y = _mm_add_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_add_ss(y, _mm_movehdup_ps(y)));
}

static inline float vf_largest(vf16 v)
{
    __m256 x = _mm256_max_ps(v.a, v.b);
    __m128 y = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));

    y = _mm_max_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_max_ss(y, _mm_movehdup_ps(y)));
}

static inline __m256 vf_hold_8(__m256 x, float low, float high)
{
    return _mm256_min_ps(_mm256_set1_ps(high), _mm256_max_ps(_mm256_set1_ps(low), x));
}

/* x within [low, high]; a NaN stays one. */
static inline vf16 vf_hold(vf16 x, float low, float high)
{
    return vf_pair(vf_hold_8(x.a, low, high), vf_hold_8(x.b, low, high));
}

/* In two steps, because 2^n itself may be no normal number: (u * 2^half) * 2^(n - half), the first
 * exact. */
static inline __m256 vf_scale_8(__m256 u, __m256 shifted)
{
    const __m256i whole = _mm256_castps_si256(shifted), half = _mm256_srli_epi32(whole, 1);
    const __m256i rest = _mm256_sub_epi32(whole, half);

    u = _mm256_mul_ps(u, _mm256_castsi256_ps(_mm256_slli_epi32(half, 23)));
    return _mm256_mul_ps(u, _mm256_castsi256_ps(_mm256_slli_epi32(rest, 23)));
}

/* u * 2^n, n an integer of [-152, 145] and u about 1: one rounding. shifted: n + TSR_TO_INTEGER. */
static inline vf16 vf_scale(vf16 u, vf16 n, vf16 shifted)
{
    (void)n;
    return vf_pair(vf_scale_8(u.a, shifted.a), vf_scale_8(u.b, shifted.b));
}

static inline vf16 vf_sin(vf16 x)
{
    return vf_pair(Sleef_finz_sinf8_u10avx2(x.a), Sleef_finz_sinf8_u10avx2(x.b));
}

static inline vf16 vf_cos(vf16 x)
{
    return vf_pair(Sleef_finz_cosf8_u10avx2(x.a), Sleef_finz_cosf8_u10avx2(x.b));
}

static inline void vf_done(void)
{
    _mm256_zeroupper();
}

#endif
