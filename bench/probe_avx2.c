/*
 * probe_avx2.c: peaks of AVX2. Without a dot-product instruction the int8 peak is that of
 * vpmaddubsw alone: a kernel can spread the widening of its 16-bit sums over several quads.
 */
#include "probe.h"

#include <immintrin.h>

#define PREFIX avx2
#define VI __m256i
#define VF __m256
#define ZEROI _mm256_setzero_si256()
#define ZEROF _mm256_setzero_ps()
#define LOADI(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define STOREI(p, v) _mm256_storeu_si256((__m256i *)(void *)(p), v)
#define LOWI(v) _mm256_castsi256_si128(v)
#define ORI(a, b) _mm256_or_si256(a, b)
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define DOT8(c, a, b) _mm256_maddubs_epi16(a, c)
#define CVT(v) _mm256_cvtepi32_ps(v)
#define QUAD(c, a, b) _mm256_add_epi16(c, _mm256_maddubs_epi16(a, b))
#define GROUP_END(c, ones) _mm256_madd_epi16(c, ones)
#define MIX_EACH(step) step(0) step(1) step(2) step(3) /* of 16 registers */
#define WIDEN(c, ones) _mm256_madd_epi16(c, ones)
#include "probe_x86.inc"
