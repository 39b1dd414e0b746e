/*
 * tile_q.h: the vectors of a tile of t8 or t4 on Advanced SIMD, for tile_neon.h, tile_neondot.h and
 * tile_i8mm.h: a register is 4 outputs x one quad of codes, a panel four columns of them.
 */
#ifndef TSR_TILE_Q_H
#define TSR_TILE_Q_H

#include <arm_neon.h>
#include <string.h>

#include "kernels.h"
#include "vec/tile_unroll.h"

enum { TILE_WIDTH = 4, TILE_PANELS = 1, TILE_WHOLE = 0, GROUP_QUADS = TSR_GROUP / 4 };

typedef int32x4_t tile_int;
typedef float32x4_t tile_float;

/* The same vector, held in a register here: neither it nor a load moves over this place. */
TILE_INLINE tile_int tile_hold(tile_int x)
{
    __asm__ volatile("" : "+w"(x) : : "memory");
    return x;
}
TILE_INLINE tile_int tile_set_int(int32_t x)
{
    return vdupq_n_s32(x);
}
TILE_INLINE tile_float tile_set_float(float x)
{
    return vdupq_n_f32(x);
}
TILE_INLINE tile_float tile_to_float(tile_int x)
{
    return vcvtq_f32_s32(x);
}
TILE_INLINE tile_float tile_fma(tile_float a, tile_float b, tile_float c)
{
    return vfmaq_f32(c, a, b);
}
TILE_INLINE tile_float tile_load(const float *x)
{
    return vld1q_f32(x);
}
TILE_INLINE void tile_store(float *to, tile_float x)
{
    vst1q_f32(to, x);
}
TILE_INLINE tile_float tile_load_half(const void *x)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(x)));
}

/* With many rows the sums wait in memory: gcc would rather keep them than what a group adds to. */
TILE_INLINE void tile_park(tile_float *sum, int R, int P)
{
    (void)P; /* one panel */
    if (R > 2)
        __asm__ volatile("" : "+m"(*sum));
}

/*
 * Codes of quad q for four outputs; w: their place in the first line of the group. *line holds the
 * line from an even quad to the next.
 */
TILE_INLINE uint8x16_t tile_codes(uint8x16_t *line, const uint8_t *w, int q, int bits)
{
    if (bits == 8 || q % 2 == 0)
        *line = vld1q_u8(w + q * bits / 8 * TSR_LINE_BYTES);
    if (bits == 8)
        return *line;
    return q % 2 ? vshrq_n_u8(*line, 4) : vandq_u8(*line, vdupq_n_u8(15));
}

#endif
