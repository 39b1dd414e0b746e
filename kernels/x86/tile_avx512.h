/*
 * tile_avx512.h: the micro-kernel of t8 and t4 tiles on AVX-512 VNNI, shared by matmul and conv2d.
 *
 * A weight line is one zmm (16 rows x one quad; t4: two quads); four activation codes of a row are
 * broadcast from memory; vpdpbusd takes the weights as its unsigned side, so the dot is exact for
 * every byte.
 *
 * Per group, row and panel: 8 vpdpbusd, 1 conversion, 1 fma; per block one more fma. Where the dots
 * and the fmas share two pipes and conversions have others (Zen 4), 32 of 37 slots are dots: 86.5 %
 * is the ceiling. Registers of a tile of 6 rows x 2 panels: 12 dots, 12 partial sums, 2-4 weight
 * lines; eight of the twelve accumulators wait in L1. t4 adds an and, a shift and an and per line,
 * which other pipes take.
 */
#ifndef TSR_TILE_AVX512_H
#define TSR_TILE_AVX512_H

#include <immintrin.h>
#include <string.h>

#include "kernels.h"
#include "tile_unroll.h"

/* The largest tile; the rows up to which panels run one by one, as one stream; all tiles. */
enum { TILE_WIDTH = 16, TILE_ROWS = 6, TILE_PANELS = 2, STREAM_ROWS = 6 };
#define TILE_SHAPES(X)                                                                             \
    X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1) X(1, 2) X(2, 2) X(3, 2) X(4, 2) X(5, 2) X(6, 2)

typedef __m512i tile_int;
typedef __m512 tile_float;

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
    return _mm512_load_ps(x);
}
TILE_INLINE void tile_store(float *to, tile_float x)
{
    _mm512_store_ps(to, x);
}
TILE_INLINE tile_float tile_load_half(const void *x)
{
    return _mm512_cvtph_ps(_mm256_load_si256(x));
}

/* dot[r][p] += four codes of row r times a quad, given as one line per panel. */
TILE_INLINE void tile_quad(tile_int dot[TILE_ROWS][TILE_PANELS], const __m512i line[TILE_PANELS],
                           const int8_t *const *x, size_t at, int R, int P)
{
    TILE_UNROLL
    for (int r = 0; r < R; r++) {
        int32_t quad;
        memcpy(&quad, x[r] + at, 4);
        const __m512i codes = _mm512_set1_epi32(quad);
        TILE_UNROLL
        for (int p = 0; p < P; p++)
            dot[r][p] = _mm512_dpbusd_epi32(dot[r][p], line[p], codes);
    }
}

/* dot[r][p] += the dots of one group; w: its first line in panel 0, `step` bytes from panel to
 * panel. */
TILE_INLINE void tile_group(tile_int dot[TILE_ROWS][TILE_PANELS], const uint8_t *w, size_t step,
                            const int8_t *const *x, size_t at, int bits, int R, int P)
{
    const __m512i nibble = _mm512_set1_epi8(15);
    TILE_UNROLL
    for (int j = 0; j < bits; j++) { /* a group has as many lines as a code has bits: 512 codes */
        __m512i line[TILE_PANELS], high[TILE_PANELS];
        TILE_UNROLL
        for (int p = 0; p < P; p++) {
            line[p] = _mm512_load_si512(w + j * TSR_LINE_BYTES + (size_t)p * step);
            if (bits == 4) {
                high[p] = _mm512_and_si512(_mm512_srli_epi16(line[p], 4), nibble);
                line[p] = _mm512_and_si512(line[p], nibble);
            }
        }
        tile_quad(dot, line, x, at + (size_t)(32 / bits * j), R, P);
        if (bits == 4)
            tile_quad(dot, high, x, at + (size_t)(8 * j + 4), R, P);
    }
}

#include "tile_block.inc"

#endif
