/*
 * tile_i8mm.h: the micro-kernel of t8 and t4 tiles with I8MM, shared by matmul and conv2d.
 *
 * usdot takes the weights as its unsigned side as they lie (t4: as nibbles), by element of 16 codes
 * of a row. usmmla takes 2 outputs x 8 codes, which zip1 and zip2 of two neighbouring quads make,
 * times 2 rows x 8 codes, twice the products of a usdot; its 2 x 2 dots stay in that order through
 * the chain of scales, whose vectors are zipped to match, and are put in order once a block
 * (tile_order()). For R rows and C columns a group needs 8RC + 2R usdot and loads, or 4RC usmmla,
 * 10C zips and 4R loads and zips: usmmla wins for 6 rows and for 4 (t4: a tie), loses for 2; odd
 * rows take usdot.
 *
 * Accumulators: 6 rows x 2 columns = 12 dots, 12 partial sums of scales, 4 weights, activations as
 * they are used: 32 registers. A panel takes two passes of 2 columns, the second from L1. One or
 * two rows take all 4 columns in one pass.
 */
#ifndef TSR_TILE_I8MM_H
#define TSR_TILE_I8MM_H

#include "arm/tile_q.h"
#include "vec/tile_starts.h"

enum { TILE_ROWS = 6 };
#define TILE_SHAPES(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1)

TILE_INLINE int tile_span(int R, int P)
{
    (void)P; /* one panel */
    return R <= 2 ? 4 : 2;
}

/* Whether vectors are squares: vector [r][c] of an even row r holds outputs 4c, 4c + 1, of an odd
 * one outputs 4c + 2, 4c + 3, each for both rows of the pair. */
TILE_INLINE int tile_squares(int R)
{
    return R == 4 || R == 6;
}

TILE_INLINE int tile_zero_point(int bits)
{
    return 1 << (bits - 1);
}

/* The three that tile_rows.h says for other tiers. */
TILE_INLINE tile_int tile_start(const int32_t *start, int bits, int r, int R)
{
    const int32_t *pair = start + r / 2 * 2 * START_GROUPS;

    (void)bits;
    if (!tile_squares(R))
        return vdupq_n_s32(start[r * START_GROUPS]);
    return vzip1q_s32(vdupq_n_s32(pair[0]), vdupq_n_s32(pair[START_GROUPS]));
}

TILE_INLINE tile_float tile_spread(tile_float scales, int r, int R)
{
    if (!tile_squares(R))
        return scales;
    return r % 2 ? vzip2q_f32(scales, scales) : vzip1q_f32(scales, scales);
}

TILE_INLINE void tile_order(tile_float *even, tile_float *odd, int R)
{
    const tile_float a = *even, b = *odd;

    if (tile_squares(R)) {
        *even = vuzp1q_f32(a, b);
        *odd = vuzp2q_f32(a, b);
    }
}

/* dot + w times quad `lane` of x. */
TILE_INLINE tile_int tile_dot(tile_int dot, uint8x16_t w, int8x16_t x, int lane)
{
    switch (lane) {
    case 0:
        return vusdotq_laneq_s32(dot, w, x, 0);
    case 1:
        return vusdotq_laneq_s32(dot, w, x, 1);
    case 2:
        return vusdotq_laneq_s32(dot, w, x, 2);
    default:
        return vusdotq_laneq_s32(dot, w, x, 3);
    }
}

TILE_INLINE void tile_group_lanes(tile_int dot[TILE_ROWS][4], const uint8_t *w,
                                  const int8_t *const *x, size_t at, int bits, int R, int C)
{
    int8x16_t codes[TILE_ROWS];
    uint8x16_t line[4];

    TILE_UNROLL
    for (int q = 0; q < GROUP_QUADS; q++) {
        uint8x16_t quad[4];
        TILE_UNROLL
        for (int c = 0; c < C; c++)
            quad[c] = tile_codes(&line[c], w + c * 16, q, bits);
        TILE_UNROLL
        for (int r = 0; r < R; r++) {
            if (q % 4 == 0)
                codes[r] = vld1q_s8(x[r] + at + 4 * q);
            TILE_UNROLL
            for (int c = 0; c < C; c++)
                dot[r][c] = tile_hold(tile_dot(dot[r][c], quad[c], codes[r], q % 4));
        }
    }
}

/* Lanes 2i, 2i + 1 of a and b, side by side. */
TILE_INLINE int8x16_t tile_pair(int8x16_t a, int8x16_t b, int high)
{
    const int64x2_t x = vreinterpretq_s64_s8(a), y = vreinterpretq_s64_s8(b);

    return vreinterpretq_s8_s64(high ? vzip2q_s64(x, y) : vzip1q_s64(x, y));
}

TILE_INLINE void tile_group_squares(tile_int dot[TILE_ROWS][4], const uint8_t *w,
                                    const int8_t *const *x, size_t at, int bits, int R, int C)
{
    int8x16_t codes[TILE_ROWS];
    uint8x16_t line[4];

    TILE_UNROLL
    for (int q = 0; q < GROUP_QUADS; q += 2) {
        uint8x16_t low[4], high[4];
        TILE_UNROLL
        for (int c = 0; c < C; c++) {
            const uint32x4_t a = vreinterpretq_u32_u8(tile_codes(&line[c], w + c * 16, q, bits));
            const uint32x4_t b =
                vreinterpretq_u32_u8(tile_codes(&line[c], w + c * 16, q + 1, bits));
            low[c] = vreinterpretq_u8_u32(vzip1q_u32(a, b));
            high[c] = vreinterpretq_u8_u32(vzip2q_u32(a, b));
        }
        TILE_UNROLL
        for (int r = 0; r < R; r += 2) {
            if (q % 4 == 0) {
                codes[r] = vld1q_s8(x[r] + at + 4 * q);
                codes[r + 1] = vld1q_s8(x[r + 1] + at + 4 * q);
            }
            const int8x16_t pair = tile_pair(codes[r], codes[r + 1], q % 4 != 0);
            TILE_UNROLL
            for (int c = 0; c < C; c++) {
                dot[r][c] = tile_hold(vusmmlaq_s32(dot[r][c], low[c], pair));
                dot[r + 1][c] = tile_hold(vusmmlaq_s32(dot[r + 1][c], high[c], pair));
            }
        }
    }
}

/* dot[r][c] += the dots of one group, whose first line is at panel[0] + line_at. */
TILE_INLINE void tile_group(tile_int dot[TILE_ROWS][4], const uint8_t *const *panel, size_t line_at,
                            const int8_t *const *x, size_t at, int bits, int R, int P)
{
    if (tile_squares(R))
        tile_group_squares(dot, panel[0] + line_at, x, at, bits, R, tile_span(R, P));
    else
        tile_group_lanes(dot, panel[0] + line_at, x, at, bits, R, tile_span(R, P));
}

#include "vec/tile_block.inc"

#endif
