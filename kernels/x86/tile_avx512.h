/*
 * tile_avx512.h: the micro-kernel of t8 and t4 tiles on AVX-512 VNNI, shared by matmul and conv2d.
 *
 * tile_block() runs one activation block (up to 128 k: 1..4 groups of 32) of R activation rows against P
 * panels of 16 weight rows and adds it to R x P accumulators of 16 f32, exactly as the contract of
 * matmul_t8 orders the roundings. A weight line is one zmm (16 rows x one quad; t4: two quads); four
 * activation codes of a row are broadcast from memory; vpdpbusd takes the weights as its unsigned side, so
 * the dot is exact for every byte. The integer accumulators start at -zero * sum, which makes the zero
 * point free. R and P must be compile-time constants: the functions are always inlined and unrolled.
 *
 * Per group, row and panel: 8 vpdpbusd, 1 conversion, 1 fma; per block 1 more fma. Where the dots and the
 * fmas share two pipes and conversions have others (Zen 4), 32 of 37 slots are dots: 86.5 % is the ceiling.
 * Registers at R x P = 6 x 2: 12 dots, 12 partial sums, 2-4 weight lines; the accumulators stay in L1.
 */
#ifndef TSR_TILE_AVX512_H
#define TSR_TILE_AVX512_H

#include <immintrin.h>
#include <string.h>

#include "kernels.h"

#define TILE_INLINE static inline __attribute__((always_inline))
#if defined(__clang__) /* a count would unroll before inlining makes R and P known */
#define TILE_UNROLL _Pragma("clang loop unroll(full)")
#else
#define TILE_UNROLL _Pragma("GCC unroll 16")
#endif

/* The largest tile; the rows that still run as one stream of panels; all tiles. */
enum { TILE_ROWS = 6, TILE_PANELS = 2, STREAM_ROWS = 6 };
#define TILE_SHAPES(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1) X(1, 2) X(2, 2) X(3, 2) X(4, 2) X(5, 2) X(6, 2)

/* What differs between t8 and t4: bytes of a block of 64 k, lines of a group of 32 k, log2 of the zero point. */
TILE_INLINE size_t tile_block_bytes(int bits) { return bits == 8 ? TSR_T8_BYTES : TSR_T4_BYTES; }
TILE_INLINE size_t tile_group_lines(int bits) { return bits == 8 ? 8 : 4; }

/* dot[r][p] += four codes of row r times quad `quad` (given as a line of one quad per panel). */
TILE_INLINE void tile_quad(__m512i dot[TILE_ROWS][TILE_PANELS], const __m512i line[TILE_PANELS],
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

/* dot[r][p] += the dots of one group; w: its first line in panel 0, `step` bytes from panel to panel. */
TILE_INLINE void tile_group(__m512i dot[TILE_ROWS][TILE_PANELS], const uint8_t *w, size_t step,
                            const int8_t *const *x, size_t at, int bits, int R, int P)
{
    const __m512i nibble = _mm512_set1_epi8(15);
    TILE_UNROLL
    for (size_t j = 0; j < tile_group_lines(bits); j++) {
        __m512i line[TILE_PANELS], high[TILE_PANELS];
        TILE_UNROLL
        for (int p = 0; p < P; p++) {
            line[p] = _mm512_load_si512(w + j * TSR_LINE_BYTES + (size_t)p * step);
            if (bits == 4) {
                high[p] = _mm512_and_si512(_mm512_srli_epi16(line[p], 4), nibble);
                line[p] = _mm512_and_si512(line[p], nibble);
            }
        }
        if (bits == 8) {
            tile_quad(dot, line, x, at + 4 * j, R, P);
        } else {
            tile_quad(dot, line, x, at + 8 * j, R, P);
            tile_quad(dot, high, x, at + 8 * j + 4, R, P);
        }
    }
}

/*
 * acc[r][p] = fma(t, scales[r], acc[r][p]), t the chain over `groups` (1..4) groups from group `first` of the
 * stored block at w on. x: codes of the R rows at the block's first k; sums: of the same groups.
 */
TILE_INLINE void tile_block(float acc[TILE_ROWS][TILE_PANELS][16], const uint8_t *w, size_t step,
                            size_t first, const int8_t *const *x, const int32_t *const *sums,
                            const float *const *scales, size_t at, size_t groups, int bits, int R, int P)
{
    const __m512 zero = _mm512_setzero_ps();
    const size_t lines = tile_group_lines(bits);
    __m512 t[TILE_ROWS][TILE_PANELS];
    int32_t start[4][TILE_ROWS]; /* -zero point * sum */

    for (size_t g = 0; g < groups; g++) {
        TILE_UNROLL
        for (int r = 0; r < R; r++)
            start[g][r] = -sums[r][at / TSR_GROUP + g] * (1 << (bits - 1));
    }
    TILE_UNROLL
    for (int r = 0; r < R; r++) {
        TILE_UNROLL
        for (int p = 0; p < P; p++)
            t[r][p] = zero;
    }
    for (size_t g = 0; g < groups; g++) {
        const uint8_t *block = w + (first + g) / 2 * tile_block_bytes(bits);
        const size_t half = (first + g) % 2;
        __m512i dot[TILE_ROWS][TILE_PANELS];
        TILE_UNROLL
        for (int r = 0; r < R; r++) {
            TILE_UNROLL
            for (int p = 0; p < P; p++)
                dot[r][p] = _mm512_set1_epi32(start[g][r]);
        }
        tile_group(dot, block + (1 + half * lines) * TSR_LINE_BYTES, step, x, at + g * TSR_GROUP, bits, R, P);
        TILE_UNROLL
        for (int p = 0; p < P; p++) {
            const __m512 ws = _mm512_cvtph_ps(
                _mm256_load_si256((const __m256i *)(block + (size_t)p * step + half * 32)));
            TILE_UNROLL
            for (int r = 0; r < R; r++)
                t[r][p] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[r][p]), ws, t[r][p]);
        }
    }
    TILE_UNROLL
    for (int r = 0; r < R; r++) {
        const __m512 scale = _mm512_set1_ps(scales[r][at / TSR_ACT_BLOCK]);
        TILE_UNROLL
        for (int p = 0; p < P; p++)
            _mm512_store_ps(acc[r][p], _mm512_fmadd_ps(t[r][p], scale, _mm512_load_ps(acc[r][p])));
    }
}

#endif
