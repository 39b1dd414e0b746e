/*
 * tile_avx2.h: the micro-kernel of t8 and t4 tiles on AVX2, shared by matmul and conv2d.
 *
 * A weight line is two ymm of 8 rows x one quad. vpmaddubsw multiplies unsigned weights with signed
 * codes and adds pairs in s16, where whole bytes saturate; nibbles do not: a group's 8 quads of one
 * nibble sum to at most 8 x 2 x 15 x 127 = 30,480 (128: 30,720), so they are added in s16 and
 * widened by one vpmaddwd per group. t4 is its nibbles; t8 is its low nibbles plus 16 times its
 * high ones, the 16 being a factor of that vpmaddwd. Exact for every weight byte and every code.
 * (vpmaddubsw(abs(w), sign(a, w)) needs as many operations, and its sums cannot stay in s16.)
 *
 * Per group, row and half line: t4 8 vpmaddubsw + 8 vpaddw + vpmaddwd, t8 twice that; then
 * conversion and fma. Registers of a tile of 4 rows x 1 panel: 8 sums, 2 nibbles, codes, product,
 * mask; the rest waits in L1 between groups. tile_hold() matters: with the sums spilled (gcc 12), a
 * Zen 4 does t8 at half this pace. There a vpmaddubsw and its vpaddw take 0.61 cycles, so a group
 * of t4, 64 pairs, 24 operations for the nibbles and 32 at its end, takes 57 cycles or more, t8
 * 108; vpmaddubsw alone would take 32. Measured, one thread, m = 96: t4 47 %, t8 27 % of that peak.
 */
#ifndef TSR_TILE_AVX2_H
#define TSR_TILE_AVX2_H

#include <immintrin.h>
#include <string.h>

#include "kernels.h"
#include "vec/tile_unroll.h"
#include "tile_ymm.h"

enum { TILE_ROWS = 4, TILE_PANELS = 1 };
#define TILE_SHAPES(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1)

TILE_INLINE void tile_zero(__m256i sum[TILE_ROWS][2], int R)
{
    TILE_UNROLL
    for (int r = 0; r < R; r++)
        sum[r][0] = sum[r][1] = _mm256_setzero_si256();
}

/* dot[r][c] += weight * the sums of neighbouring s16. */
TILE_INLINE void tile_widen(tile_int dot[TILE_ROWS][2], __m256i sum[TILE_ROWS][2], int16_t weight,
                            int R)
{
    TILE_UNROLL
    for (int r = 0; r < R; r++) {
        TILE_UNROLL
        for (int c = 0; c < 2; c++)
            dot[r][c] = _mm256_add_epi32(dot[r][c],
                                         _mm256_madd_epi16(sum[r][c], _mm256_set1_epi16(weight)));
    }
}

/* sum[r][c] += products of nibble `high` of each line with its quad, in s16. */
TILE_INLINE void tile_nibbles(__m256i sum[TILE_ROWS][2], const uint8_t *w, const int8_t *const *x,
                              size_t at, int high, int bits, int R)
{
    const __m256i mask = _mm256_set1_epi8(15);
    TILE_UNROLL
    for (int j = 0; j < bits; j++) { /* a group has as many lines as a code has bits: 512 codes */
        __m256i nibble[2];
        TILE_UNROLL
        for (int c = 0; c < 2; c++) {
            const __m256i line =
                _mm256_load_si256((const __m256i *)(w + j * TSR_LINE_BYTES + c * 32));
            nibble[c] = _mm256_and_si256(high ? _mm256_srli_epi16(line, 4) : line, mask);
        }
        TILE_UNROLL
        for (int r = 0; r < R; r++) {
            int32_t quad;
            memcpy(&quad, x[r] + at + (bits == 8 ? 4 * j : 8 * j + 4 * high), 4);
            const __m256i codes = _mm256_set1_epi32(quad);
            TILE_UNROLL
            for (int c = 0; c < 2; c++)
                sum[r][c] =
                    tile_hold(_mm256_add_epi16(sum[r][c], _mm256_maddubs_epi16(nibble[c], codes)));
        }
    }
}

/* dot[r][c] += the dots of one group, whose first line is at panel[0] + line_at. */
TILE_INLINE void tile_group(tile_int dot[TILE_ROWS][2], const uint8_t *const *panel, size_t line_at,
                            const int8_t *const *x, size_t at, int bits, int R, int P)
{
    const uint8_t *w = panel[0] + line_at;
    __m256i sum[TILE_ROWS][2];
    (void)P; /* one panel */

    tile_zero(sum, R);
    tile_nibbles(sum, w, x, at, 0, bits, R);
    if (bits == 8) {
        tile_widen(dot, sum, 1, R);
        tile_zero(sum, R);
    }
    tile_nibbles(sum, w, x, at, 1, bits, R);
    tile_widen(dot, sum, bits == 8 ? 16 : 1, R);
}

#include "vec/tile_block.inc"

#endif
