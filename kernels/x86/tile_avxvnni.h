/*
 * tile_avxvnni.h: the micro-kernel of t8 and t4 tiles on AVX-VNNI (256-bit vpdpbusd), shared by
 * matmul and conv2d. As tile_avx512.h, with a weight line as two ymm of 8 rows and 16 registers.
 *
 * Per group, row and half line: 8 vpdpbusd, 1 conversion, 1 fma. Registers of a tile of 5 rows x 1
 * panel: 10 dots, enough to cover a latency of 5 cycles at two a cycle; 2-4 weights, codes, mask;
 * the partial sums wait in L1, 10 loads and stores for 80 dots.
 */
#ifndef TSR_TILE_AVXVNNI_H
#define TSR_TILE_AVXVNNI_H

#include <immintrin.h>
#include <string.h>

#include "kernels.h"
#include "vec/tile_unroll.h"
#include "tile_ymm.h"

enum { TILE_ROWS = 5, TILE_PANELS = 1 };
#define TILE_SHAPES(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1)

/* dot[r][c] += four codes of row r times a quad, given as the two halves of its line. */
TILE_INLINE void tile_quad(tile_int dot[TILE_ROWS][2], const __m256i line[2],
                           const int8_t *const *x, size_t at, int R)
{
    TILE_UNROLL
    for (int r = 0; r < R; r++) {
        int32_t quad;
        memcpy(&quad, x[r] + at, 4);
        const __m256i codes = _mm256_set1_epi32(quad);
        TILE_UNROLL
        for (int c = 0; c < 2; c++)
            dot[r][c] = tile_hold(_mm256_dpbusd_avx_epi32(dot[r][c], line[c], codes));
    }
}

/* dot[r][c] += the dots of one group, whose first line is at panel[0] + line_at. */
TILE_INLINE void tile_group(tile_int dot[TILE_ROWS][2], const uint8_t *const *panel, size_t line_at,
                            const int8_t *const *x, size_t at, int bits, int R, int P)
{
    const __m256i nibble = _mm256_set1_epi8(15);
    const uint8_t *w = panel[0] + line_at;
    (void)P; /* one panel */

    TILE_UNROLL
    for (int q = 0; q < TSR_GROUP / 4; q++) {
        __m256i line[2];
        TILE_UNROLL
        for (int c = 0; c < 2; c++) {
            line[c] =
                _mm256_load_si256((const __m256i *)(w + q * bits / 8 * TSR_LINE_BYTES + c * 32));
            if (bits == 4)
                line[c] = _mm256_and_si256(q % 2 ? _mm256_srli_epi16(line[c], 4) : line[c], nibble);
        }
        tile_quad(dot, line, x, at + (size_t)(4 * q), R);
    }
}

#include "vec/tile_block.inc"

#endif
