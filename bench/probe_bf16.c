/*
 * probe_bf16.c: the peaks of AVX-512 and that of vdpbf16ps, pairs of bf16 multiplied and added in f32.
 */
#include <immintrin.h>

#define PREFIX bf16
#define DOT16(c, a, b) _mm512_dpbf16_ps(c, (__m512bh)(a), (__m512bh)(b))
#include "probe_avx512.c"
