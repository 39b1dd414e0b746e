/*
 * probe_avxvnni.c: peaks of AVX-VNNI: 256-bit vpdpbusd.
 */
#include "probe.h"

#include <immintrin.h>

#define PREFIX avxvnni
#define VI __m256i
#define VF __m256
#define ZEROI _mm256_setzero_si256()
#define ZEROF _mm256_setzero_ps()
#define LOADI(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define STOREI(p, v) _mm256_storeu_si256((__m256i *)(void *)(p), v)
#define LOWI(v) _mm256_castsi256_si128(v)
#define ORI(a, b) _mm256_or_si256(a, b)
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define DOT8(c, a, b) _mm256_dpbusd_avx_epi32(c, a, b)
#define CVT(v) _mm256_cvtepi32_ps(v)
#define QUAD(c, a, b) DOT8(c, a, b)
#define GROUP_END(c, start) (c)
#define MIX_EACH(step) step(0) step(1) step(2) step(3) /* of 16 registers */
#include "probe_x86.inc"
