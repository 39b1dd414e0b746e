/*
 * tile_neon.h: the micro-kernel of t8 and t4 tiles on Advanced SIMD without dot products
 * (Cortex-A72 and older), shared by matmul and conv2d.
 *
 * Products are s16, by smull and smlal of 8 codes. t4: a lane adds 8 products of a nibble, at most
 * 8 x 15 x 128 = 15,360, so a group stays in s16 and is widened once; 2 x 8 multiplications per row
 * and column, then addp and sadalp. t8: a lane has room for two products of s8, but for
 * (-128) x (-128) twice; so even quads take u8 - 128 (eor 0x80) and odd quads 127 - u8 (eor 0x7f),
 * whose product is subtracted: both lie in [-16,256, 16,384], their difference within 32,640. One
 * sadalp per two products. Odd quads then have the zero point 127, one too small: their sum of
 * codes, a saddlv per row and group, is added to the group's dots.
 *
 * Accumulators: t8 two s32 registers per row and column (sadalp keeps a quad's two halves, and its
 * 4 outputs, apart), t4 two of s16. 4 rows x 2 columns or 2 x 4: 16, with 8 partial sums of scales.
 * The 8 others: weights of two columns, an activation at a time, with two rows activations of both
 * and a column at a time; masks; a product. What is added to a group's dots waits in general
 * registers. An activation quad is one ld1r of a pointer that moves on; with an offset it would
 * take an ldr and a dup. Nothing is spilled but one partial sum of t8 x 2 rows. Bound by the
 * multiplier, one a cycle on an A72.
 */
#ifndef TSR_TILE_NEON_H
#define TSR_TILE_NEON_H

#include "arm/tile_q.h"

enum { TILE_ROWS = 4 };
#define TILE_SHAPES(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1)

TILE_INLINE int tile_span(int R, int P)
{
    (void)P; /* one panel */
    return R <= 2 ? 4 : 2;
}
/* t8: what is left of it stands in tile_odd(). */
TILE_INLINE int tile_zero_point(int bits)
{
    return bits == 8 ? 0 : 8;
}

#include "vec/tile_rows.h"

/* No load moves over this place. */
TILE_INLINE void tile_fence(void)
{
    __asm__ volatile("" : : : "memory");
}

/* The same number, in a general register here. */
TILE_INLINE int32_t tile_wait(int32_t x)
{
    __asm__ volatile("" : "+r"(x));
    return x;
}

/* Four times the quad at *x, which moves on to the next: one instruction, where an offset takes
 * two. */
TILE_INLINE int8x16_t tile_quad(const int8_t **x)
{
    int8x16_t quad;

    __asm__ volatile("ld1r {%0.4s}, [%1], #4" : "=w"(quad), "+r"(*x) : : "memory");
    return quad;
}

/* -(sum of the codes of the odd quads of a group). */
TILE_INLINE int32_t tile_odd(const int8_t *x)
{
    const int32x4_t low = vreinterpretq_s32_s8(vld1q_s8(x));
    const int32x4_t high = vreinterpretq_s32_s8(vld1q_s8(x + 16));

    return -vaddlvq_s8(vreinterpretq_s8_s32(vuzp2q_s32(low, high)));
}

/* Two quads of a column times those of a row, q and q + 1. */
TILE_INLINE void tile_step_t8(int32x4_t *low, int32x4_t *high, int8x16_t even, int8x16_t odd,
                              int8x16_t x0, int8x16_t x1, int q)
{
    int16x8_t p = vmull_s8(vget_low_s8(even), vget_low_s8(x0));
    p = vmlsl_s8(p, vget_low_s8(odd), vget_low_s8(x1));
    *low = q ? vpadalq_s16(*low, p) : vpaddlq_s16(p);
    tile_fence();
    p = vmlsl_high_s8(vmull_high_s8(even, x0), odd, x1);
    *high = q ? vpadalq_s16(*high, p) : vpaddlq_s16(p);
    tile_fence();
}

TILE_INLINE int8x16_t tile_flip(const uint8_t *w, uint8_t bits)
{
    return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(w), vdupq_n_u8(bits)));
}

TILE_INLINE void tile_group_t8(tile_int dot[TILE_ROWS][4], const uint8_t *w, const int8_t *const *x,
                               size_t at, int R, int C)
{
    int32x4_t low[TILE_ROWS][4], high[TILE_ROWS][4];
    const int8_t *from[TILE_ROWS];
    int32_t start[TILE_ROWS];

    TILE_UNROLL
    for (int r = 0; r < R; r++) {
        from[r] = x[r] + at;
        start[r] = tile_wait(tile_odd(from[r]));
    }
    TILE_UNROLL
    for (int q = 0; q < GROUP_QUADS; q += 2, w += 2 * TSR_LINE_BYTES) {
        int8x16_t even[4], odd[4], x0[TILE_ROWS], x1[TILE_ROWS];
        if (R > 1 && C > R) {
            TILE_UNROLL
            for (int r = 0; r < R; r++) {
                x0[r] = tile_quad(&from[r]);
                x1[r] = tile_quad(&from[r]);
            }
            TILE_UNROLL
            for (int c = 0; c < C; c++) {
                even[c] = tile_flip(w + c * 16, 128);
                odd[c] = tile_flip(w + c * 16 + TSR_LINE_BYTES, 127);
                TILE_UNROLL
                for (int r = 0; r < R; r++)
                    tile_step_t8(&low[r][c], &high[r][c], even[c], odd[c], x0[r], x1[r], q);
            }
        } else {
            TILE_UNROLL
            for (int c = 0; c < C; c++) {
                even[c] = tile_flip(w + c * 16, 128);
                odd[c] = tile_flip(w + c * 16 + TSR_LINE_BYTES, 127);
            }
            TILE_UNROLL
            for (int r = 0; r < R; r++) {
                x0[r] = tile_quad(&from[r]);
                x1[r] = tile_quad(&from[r]);
                TILE_UNROLL
                for (int c = 0; c < C; c++)
                    tile_step_t8(&low[r][c], &high[r][c], even[c], odd[c], x0[r], x1[r], q);
            }
        }
    }
    TILE_UNROLL
    for (int r = 0; r < R; r++) {
        TILE_UNROLL
        for (int c = 0; c < C; c++)
            dot[r][c] = vaddq_s32(vpaddq_s32(low[r][c], high[r][c]), vdupq_n_s32(start[r]));
    }
}

/* Quad q, nibbles, of a column times that of a row. */
TILE_INLINE void tile_step_t4(int16x8_t *low, int16x8_t *high, int8x16_t nibble, int8x16_t quad,
                              int q)
{
    const int8x8_t half = vget_low_s8(nibble), x = vget_low_s8(quad);
    *low = q ? vmlal_s8(*low, half, x) : vmull_s8(half, x);
    tile_fence();
    *high = q ? vmlal_high_s8(*high, nibble, quad) : vmull_high_s8(nibble, quad);
    tile_fence();
}

TILE_INLINE void tile_group_t4(tile_int dot[TILE_ROWS][4], const uint8_t *w, const int8_t *const *x,
                               size_t at, int R, int C)
{
    int16x8_t low[TILE_ROWS][4], high[TILE_ROWS][4];
    const int8_t *from[TILE_ROWS];
    int32_t start[TILE_ROWS];
    uint8x16_t line[4];

    TILE_UNROLL
    for (int r = 0; r < R; r++) {
        from[r] = x[r] + at;
        start[r] = tile_wait(vgetq_lane_s32(dot[r][0], 0));
    }
    TILE_UNROLL
    for (int q = 0; q < GROUP_QUADS; q++) {
        int8x16_t nibble[4], quad[TILE_ROWS];
        if (R > 1 && C > R) {
            TILE_UNROLL
            for (int r = 0; r < R; r++)
                quad[r] = tile_quad(&from[r]);
            TILE_UNROLL
            for (int c = 0; c < C; c++) {
                nibble[c] = vreinterpretq_s8_u8(tile_codes(&line[c], w + c * 16, q, 4));
                TILE_UNROLL
                for (int r = 0; r < R; r++)
                    tile_step_t4(&low[r][c], &high[r][c], nibble[c], quad[r], q);
            }
        } else {
            TILE_UNROLL
            for (int c = 0; c < C; c++)
                nibble[c] = vreinterpretq_s8_u8(tile_codes(&line[c], w + c * 16, q, 4));
            TILE_UNROLL
            for (int r = 0; r < R; r++) {
                quad[r] = tile_quad(&from[r]);
                TILE_UNROLL
                for (int c = 0; c < C; c++)
                    tile_step_t4(&low[r][c], &high[r][c], nibble[c], quad[r], q);
            }
        }
    }
    TILE_UNROLL
    for (int r = 0; r < R; r++) {
        const int32x4_t sum = vdupq_n_s32(tile_wait(start[r]));
        TILE_UNROLL
        for (int c = 0; c < C; c++)
            dot[r][c] = vpadalq_s16(sum, vpaddq_s16(low[r][c], high[r][c]));
    }
}

/* dot[r][c] += the dots of one group, whose first line is at panel[0] + line_at. */
TILE_INLINE void tile_group(tile_int dot[TILE_ROWS][4], const uint8_t *const *panel, size_t line_at,
                            const int8_t *const *x, size_t at, int bits, int R, int P)
{
    if (bits == 8)
        tile_group_t8(dot, panel[0] + line_at, x, at, R, tile_span(R, P));
    else
        tile_group_t4(dot, panel[0] + line_at, x, at, R, tile_span(R, P));
}

#include "vec/tile_block.inc"

#endif
