/* tile_ymm.h: the vectors of a tile with 256-bit registers, for tile_avx2.h and tile_avxvnni.h. */
#ifndef TSR_TILE_YMM_H
#define TSR_TILE_YMM_H

#include <immintrin.h>

#include "kernels.h"
#include "vec/tile_unroll.h"

enum { TILE_WIDTH = 8, TILE_WHOLE = 0 };

typedef __m256i tile_int;
typedef __m256 tile_float;

/* The same vector, held in a register here: neither it nor a load moves over this place. */
TILE_INLINE tile_int tile_hold(tile_int x)
{
    __asm__ volatile("" : "+x"(x) : : "memory");
    return x;
}
TILE_INLINE tile_int tile_set_int(int32_t x)
{
    return _mm256_set1_epi32(x);
}
TILE_INLINE tile_float tile_set_float(float x)
{
    return _mm256_set1_ps(x);
}
TILE_INLINE tile_float tile_to_float(tile_int x)
{
    return _mm256_cvtepi32_ps(x);
}
TILE_INLINE tile_float tile_fma(tile_float a, tile_float b, tile_float c)
{
    return _mm256_fmadd_ps(a, b, c);
}
TILE_INLINE tile_float tile_load(const float *x)
{
    return _mm256_loadu_ps(x);
}
TILE_INLINE void tile_store(float *to, tile_float x)
{
    _mm256_storeu_ps(to, x);
}
TILE_INLINE tile_float tile_load_half(const void *x)
{
    return _mm256_cvtph_ps(_mm_load_si128(x));
}

/* All columns have room. */
TILE_INLINE int tile_span(int R, int P)
{
    (void)R;
    return P * (TSR_PANEL / TILE_WIDTH);
}
TILE_INLINE void tile_park(tile_float *sum, int R, int P)
{
    (void)sum, (void)R, (void)P;
}
TILE_INLINE int tile_zero_point(int bits)
{
    return 1 << (bits - 1);
}

#include "vec/tile_rows.h"

#endif
