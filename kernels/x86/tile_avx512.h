/*
 * tile_avx512.h: the micro-kernel of t8 and t4 tiles on AVX-512 VNNI, shared by matmul and conv2d.
 *
 * A weight line is one zmm (16 rows x one quad; t4: two quads); four activation codes of a row are
 * broadcast from memory; vpdpbusd takes the weights as its unsigned side, so the dot is exact for
 * every byte.
 *
 * Per group, row and panel: 8 vpdpbusd, 1 conversion, 1 fma; per block one more fma. A Zen 4 starts
 * one 512-bit dot or fma a cycle; conversions, integer operations and loads go beside them for
 * nothing (measured: 0.00 to 0.01 slots each), so 32 of 37 slots are dots and 86.5 % is the
 * ceiling. A 64-byte store costs 1.3 slots, so all sums stay in registers: a tile of 4 rows x 2
 * panels has 8 dots, 8 partial sums, 8 sums, 2 lines, codes and the nibble mask in 28 of 32. Per
 * 128 k it is 256 dots, 32 conversions, 40 fma, 144 broadcasts, 64 loads of lines (t4: and 96
 * operations for the nibbles). Measured with weights and codes in L2, k = 2,048, one thread: 83.5 % (t8) and
 * 84.6 % (t4) of the int8 peak; 6 rows x 2 panels with its sums in L1: 81.8 % and 79.8 %. Against one panel
 * a tile has up to 8 rows, whose codes are broadcast as the dots read them.
 *
 * TILE_PAIR_ROWS: the most rows against two panels, 6 in the tier avx512x2 (matmul_t8_avx512x2.c says why).
 */
#ifndef TSR_TILE_AVX512_H
#define TSR_TILE_AVX512_H

#include <immintrin.h>
#include <string.h>

#include "kernels.h"
#include "vec/tile_unroll.h"

/* The largest tile; all tiles. */
#ifndef TILE_PAIR_ROWS
#define TILE_PAIR_ROWS 4
#endif
enum { TILE_WIDTH = 16, TILE_ROWS = 8, TILE_PANELS = 2, TILE_WHOLE = 1 };
#if TILE_PAIR_ROWS == 6
#define TILE_TALL(X) X(5, 2) X(6, 2)
#else
#define TILE_TALL(X)
#endif
#define TILE_SHAPES(X)                                                                             \
    X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1) X(7, 1) X(8, 1)                                \
    X(1, 2) X(2, 2) X(3, 2) X(4, 2) TILE_TALL(X)

typedef int32_t tile_codes __attribute__((may_alias, aligned(1)));
typedef __m512i tile_int;
typedef __m512 tile_float;

/* The same vector, held in a register here: neither it nor a load moves over this place. */
TILE_INLINE tile_int tile_hold(tile_int x)
{
    __asm__ volatile("" : "+v"(x) : : "memory");
    return x;
}
TILE_INLINE tile_int tile_set_int(int32_t x)
{
    return _mm512_set1_epi32(x);
}
TILE_INLINE tile_float tile_set_float(float x)
{
    return _mm512_set1_ps(x);
}
TILE_INLINE tile_float tile_to_float(tile_int x)
{
    return _mm512_cvtepi32_ps(x);
}
TILE_INLINE tile_float tile_fma(tile_float a, tile_float b, tile_float c)
{
    return _mm512_fmadd_ps(a, b, c);
}
TILE_INLINE tile_float tile_load(const float *x)
{
    return _mm512_loadu_ps(x);
}
TILE_INLINE void tile_store(float *to, tile_float x)
{
    _mm512_storeu_ps(to, x);
}
TILE_INLINE tile_float tile_load_half(const void *x)
{
    return _mm512_cvtph_ps(_mm256_load_si256(x));
}
/* All columns have room. */
TILE_INLINE int tile_span(int R, int P)
{
    (void)R;
    return P * (TSR_PANEL / TILE_WIDTH);
}
/* Six rows of two panels have no room for their sums. */
TILE_INLINE void tile_park(tile_float *sum, int R, int P)
{
    if (R > 4 && P == 2)
        __asm__ volatile("" : "+m"(*sum));
}
TILE_INLINE int tile_zero_point(int bits)
{
    return 1 << (bits - 1);
}

#include "vec/tile_rows.h"

/* dot[r][p] += four codes of row r times a quad, given as one line per panel. */
TILE_INLINE void tile_quad(tile_int dot[TILE_ROWS][TILE_PANELS], const __m512i line[TILE_PANELS],
                           const int8_t *const *x, size_t at, int R, int P)
{
    TILE_UNROLL
    for (int r = 0; r < R; r++) {
        const tile_codes *quad = (const tile_codes *)(x[r] + at);
        if (P == 1) { /* the dot itself broadcasts; compilers take a register */
            __asm__ volatile("vpdpbusd %2%{1to16%}, %1, %0"
                             : "+v"(dot[r][0])
                             : "v"(line[0]), "m"(*quad)
                             : "memory");
        } else {
            const __m512i codes = _mm512_set1_epi32(*quad);
            TILE_UNROLL
            for (int p = 0; p < P; p++)
                dot[r][p] = tile_hold(_mm512_dpbusd_epi32(dot[r][p], line[p], codes));
        }
    }
}

/* The codes of a t4 line's quad 0 or 1. */
TILE_INLINE __m512i tile_nibbles(__m512i line, int quad)
{
    const __m512i low = _mm512_set1_epi8(15);

    if (quad == 0)
        return _mm512_and_si512(line, low);
#ifdef __GFNI__
    return _mm512_gf2p8affine_epi64_epi8(line, _mm512_set1_epi64(0x1020408000000000), 0);
#else
    return _mm512_and_si512(_mm512_srli_epi16(line, 4), low);
#endif
}

/* dot[r][p] += the dots of one group, whose first line is at panel[p] + line_at. */
TILE_INLINE void tile_group(tile_int dot[TILE_ROWS][TILE_PANELS], const uint8_t *const *panel,
                            size_t line_at, const int8_t *const *x, size_t at, int bits, int R,
                            int P)
{
    TILE_UNROLL
    for (int q = 0; q < TSR_GROUP / 4; q++) {
        __m512i line[TILE_PANELS];
        TILE_UNROLL
        for (int p = 0; p < P; p++) {
            line[p] = _mm512_load_si512(panel[p] + line_at + q * bits / 8 * TSR_LINE_BYTES);
            if (bits == 4)
                line[p] = tile_nibbles(line[p], q % 2);
        }
        tile_quad(dot, line, x, at + (size_t)(4 * q), R, P);
    }
}

#include "vec/tile_block.inc"

#endif
