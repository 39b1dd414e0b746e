/*
 * tile_neondot.h: the micro-kernel of t8 and t4 tiles with DotProd, shared by matmul and conv2d.
 *
 * sdot by element: 4 outputs x one quad, times one of the four quads of a register that holds 16
 * codes of a row, so activations are loaded once per 4 quads and never broadcast. sdot is signed on
 * both sides: nibbles are, t8 codes after one eor with 0x80, which leaves no zero point.
 *
 * Accumulators: 6 rows x 2 columns = 12 dots, 12 partial sums of scales, 2 weights and 6 registers
 * of activations: all 32 registers, and enough chains to hide sdot's latency (4 cycles, two a
 * cycle). A panel takes two passes of 2 columns, the second from L1: 4 columns at once would spill
 * the partial sums at 4 rows. One or two rows take all 4 columns in one pass.
 */
#ifndef TSR_TILE_NEONDOT_H
#define TSR_TILE_NEONDOT_H

#include "arm/tile_q.h"

enum { TILE_ROWS = 6 };
#define TILE_SHAPES(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1)

TILE_INLINE int tile_span(int R, int P)
{
    (void)P; /* one panel */
    return R <= 2 ? 4 : 2;
}
TILE_INLINE int tile_zero_point(int bits)
{
    return bits == 8 ? 0 : 8;
}

#include "vec/tile_rows.h"

/* dot + w times quad `lane` of x. */
TILE_INLINE tile_int tile_dot(tile_int dot, int8x16_t w, int8x16_t x, int lane)
{
    switch (lane) {
    case 0:
        return vdotq_laneq_s32(dot, w, x, 0);
    case 1:
        return vdotq_laneq_s32(dot, w, x, 1);
    case 2:
        return vdotq_laneq_s32(dot, w, x, 2);
    default:
        return vdotq_laneq_s32(dot, w, x, 3);
    }
}

/* dot[r][c] += the dots of one group, whose first line is at panel[0] + line_at. */
TILE_INLINE void tile_group(tile_int dot[TILE_ROWS][4], const uint8_t *const *panel, size_t line_at,
                            const int8_t *const *x, size_t at, int bits, int R, int P)
{
    int8x16_t codes[TILE_ROWS];
    uint8x16_t line[4];

    TILE_UNROLL
    for (int q = 0; q < GROUP_QUADS; q++) {
        int8x16_t w[4];
        TILE_UNROLL
        for (int c = 0; c < tile_span(R, P); c++) {
            w[c] = vreinterpretq_s8_u8(tile_codes(&line[c], panel[0] + line_at + c * 16, q, bits));
            if (bits == 8)
                w[c] = veorq_s8(w[c], vdupq_n_s8(-128));
        }
        TILE_UNROLL
        for (int r = 0; r < R; r++) {
            if (q % 4 == 0)
                codes[r] = vld1q_s8(x[r] + at + 4 * q);
            TILE_UNROLL
            for (int c = 0; c < tile_span(R, P); c++)
                dot[r][c] = tile_hold(tile_dot(dot[r][c], w[c], codes[r], q % 4));
        }
    }
}

#include "vec/tile_block.inc"

#endif
