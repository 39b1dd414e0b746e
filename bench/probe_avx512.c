/*
 * probe_avx512.c: peaks of AVX-512: 512-bit fma and vpdpbusd.
 */
#include "probe.h"

#include <immintrin.h>

#ifndef PREFIX /* probe_bf16.c and probe_amx.c have more */
#define PREFIX avx512
#endif
#define VI __m512i
#define VF __m512
#define ZEROI _mm512_setzero_si512()
#define ZEROF _mm512_setzero_ps()
#define LOADI(p) _mm512_loadu_si512(p)
#define STOREI(p, v) _mm512_storeu_si512(p, v)
#define LOWI(v) _mm512_castsi512_si128(v)
#define ORI(a, b) _mm512_or_si512(a, b)
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define DOT8(c, a, b) _mm512_dpbusd_epi32(c, a, b)
#define CVT(v) _mm512_cvtepi32_ps(v)
#define QUAD(c, a, b) DOT8(c, a, b)
#define GROUP_END(c, start) (c)
#define MIX_EACH(step) step(0) step(1) step(2) step(3) step(4) step(5) step(6) step(7)
#include "probe_x86.inc"
