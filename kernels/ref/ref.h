/*
 * ref.h: what several reference operators share: the reduction of the contracts, reading a tile,
 * and the best of a row. Written to be read; every tier is compared with these words.
 */
#ifndef TSR_REF_H
#define TSR_REF_H

#include "half.h"
#include "impl.h"
#include "ref/math_ref.h"

#include <float.h>
#include <math.h>
#include <string.h>

_Static_assert(FLT_EVAL_METHOD == 0, "f32 arithmetic must round to f32");

/* ---- sum(x), the reduction ---- */

enum { TSR_LANES = 16 };

struct tsr_sum {
    float lane[TSR_LANES];
    double total;
    size_t count;
};

/* Adds the block so far to the total; an empty one adds +0. */
static inline void tsr_sum_fold(struct tsr_sum *s)
{
    for (size_t half = TSR_LANES / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++)
            s->lane[i] += s->lane[i + half];
    s->total += (double)s->lane[0];
    memset(s->lane, 0, sizeof s->lane);
}

static inline void tsr_sum_step(struct tsr_sum *s)
{
    if (++s->count % TSR_REDUCE_BLOCK == 0)
        tsr_sum_fold(s);
}

static inline void tsr_sum_add(struct tsr_sum *s, float x)
{
    s->lane[s->count % TSR_LANES] += x;
    tsr_sum_step(s);
}

static inline void tsr_sum_add_square(struct tsr_sum *s, float x)
{
    float *lane = &s->lane[s->count % TSR_LANES];

    *lane = fmaf(x, x, *lane);
    tsr_sum_step(s);
}

static inline double tsr_sum_total(struct tsr_sum *s)
{
    tsr_sum_fold(s);
    return s->total;
}

/* ---- silu ---- */

static inline float tsr_silu(float x)
{
    return x / (1.0f + tsr_exp(-x));
}

/* ---- s8 codes ---- */

/*
 * Codes and scale of one block of `count` values. The largest magnitude is found on the bits as
 * integers: Inf and NaN come out on top whatever the order, so every tier agrees without a rule for
 * comparing NaN. Below 2^-100 a block counts as zero: 127/amax would leave the normal range.
 */
static inline float tsr_quantize_block(int8_t *codes, const float *x, size_t count)
{
    const uint32_t infinity = 0x7f800000, tiny = 0x0d800000 /* 2^-100 */;
    uint32_t amax_bits = 0;
    float amax, inv;

    for (size_t i = 0; i < count; i++) {
        const uint32_t bits = tsr_bits(x[i]) & 0x7fffffff;

        amax_bits = bits > amax_bits ? bits : amax_bits;
    }
    if (amax_bits < tiny || amax_bits >= infinity) {
        memset(codes, 0, count);
        return amax_bits < tiny ? 0.0f : tsr_float(0x7fc00000);
    }
    amax = tsr_float(amax_bits);
    inv = 127.0f / amax;
    for (size_t i = 0; i < count; i++)
        codes[i] = (int8_t)rintf(x[i] * inv);
    return amax / 127.0f;
}

/*
 * Quantizes x [count], which is columns [first, first + count) of row m, with first a multiple of
 * 128; where the row ends within the last group, or ldc beyond it, the codes there are 0.
 */
static inline void tsr_quantize_part(const struct tsr_q8 *q, size_t m, size_t first, const float *x,
                                     size_t count)
{
    int8_t *codes = q->codes + m * q->ldc + first;
    int32_t *sums = q->sums + (m * q->ldc + first) / TSR_GROUP;
    const size_t padded = count % TSR_ACT_BLOCK ? q->ldc - first : count;

    for (size_t k = 0; k < count; k += TSR_ACT_BLOCK)
        q->scales[m * q->lds + (first + k) / TSR_ACT_BLOCK] = tsr_quantize_block(
            codes + k, x + k, count - k < TSR_ACT_BLOCK ? count - k : TSR_ACT_BLOCK);
    memset(codes + count, 0, padded - count);
    for (size_t g = 0; g < padded / TSR_GROUP; g++) {
        sums[g] = 0;
        for (size_t i = 0; i < TSR_GROUP; i++)
            sums[g] += codes[g * TSR_GROUP + i];
    }
}

/* Quantizes the block in y [128] that value i of a row of k completes, if it does. */
static inline void tsr_quantize_whole(const struct tsr_q8 *q, size_t m, size_t i, const float *y,
                                      size_t k)
{
    const size_t count = i % TSR_ACT_BLOCK + 1;

    if (count == TSR_ACT_BLOCK || i + 1 == k)
        tsr_quantize_part(q, m, i + 1 - count, y, count);
}

/* ---- tiles ---- */

static inline const uint8_t *tsr_panel(const struct tsr_tile *w, size_t panel)
{
    return (const uint8_t *)w->data + panel * tsr_panel_bytes(w->format, w->k);
}

/* Column k of a panel of f32, f16 or bf16, as f32. */
static inline void tsr_column(float column[TSR_PANEL], const struct tsr_tile *w, size_t panel,
                              size_t k)
{
    const uint8_t *data = tsr_panel(w, panel);

    for (size_t r = 0; r < TSR_PANEL; r++)
        switch (w->format) {
        case TSR_F32:
            column[r] = ((const float *)(const void *)data)[k * TSR_PANEL + r];
            break;
        case TSR_F16:
            column[r] = tsr_f16_to_f32(((const uint16_t *)(const void *)data)[k * TSR_PANEL + r]);
            break;
        default: /* bf16: pairs of k */
            column[r] = tsr_bf16_to_f32(
                ((const uint16_t *)(const void *)data)[(k / 2 * TSR_PANEL + r) * 2 + k % 2]);
        }
}

/* The block of 64 k of a t8 or t4 panel that holds k. */
static inline const uint8_t *tsr_block(const struct tsr_tile *w, size_t panel, size_t k)
{
    return tsr_panel(w, panel) +
           k / TSR_BLOCK * (w->format == TSR_T8 ? (size_t)TSR_T8_BYTES : (size_t)TSR_T4_BYTES);
}

/* The unsigned code of row r at k, from its block; quad q of a t4 block is a half of line q / 2. */
static inline int tsr_code(const uint8_t *block, uint32_t format, size_t r, size_t k)
{
    const uint8_t *lines = block + TSR_LINE_BYTES;
    const size_t quad = k % TSR_BLOCK / 4, in_line = 4 * r + k % 4;

    if (format == TSR_T8)
        return lines[quad * TSR_LINE_BYTES + in_line];
    return lines[quad / 2 * TSR_LINE_BYTES + in_line] >> quad % 2 * 4 & 15;
}

static inline int tsr_zero_point(uint32_t format)
{
    return format == TSR_T8 ? 128 : 8;
}

/* The scale of row r for the group of 32 that holds k. */
static inline float tsr_scale(const uint8_t *block, size_t r, size_t k)
{
    return tsr_f16_to_f32(
        ((const uint16_t *)(const void *)block)[k % TSR_BLOCK / TSR_GROUP * TSR_PANEL + r]);
}

/*
 * acc[r] = fma(t[r], xs, acc[r]) for one activation block: weight codes [k, k + count) of all rows
 * of a panel with `count` activation codes (a multiple of 32), their sums and their scale.
 */
static inline void tsr_block_dot(float acc[TSR_PANEL], const struct tsr_tile *w, size_t panel,
                                 size_t k, size_t count, const int8_t *codes, const int32_t *sums,
                                 float xs)
{
    const int zero = tsr_zero_point(w->format);

    for (size_t r = 0; r < TSR_PANEL; r++) {
        float t = 0;

        for (size_t g = 0; g < count; g += TSR_GROUP) {
            const uint8_t *block = tsr_block(w, panel, k + g);
            int32_t dot = -zero * sums[g / TSR_GROUP];

            for (size_t i = g; i < g + TSR_GROUP; i++)
                dot += tsr_code(block, w->format, r, k + i) * codes[i];
            t = fmaf((float)dot, tsr_scale(block, r, k + g), t);
        }
        acc[r] = fmaf(t, xs, acc[r]);
    }
}

/* acc[r] = bias of output panel * 16 + r, or +0; +0 beyond n. */
static inline void tsr_bias(float acc[TSR_PANEL], const float *bias, size_t panel, size_t n)
{
    for (size_t r = 0; r < TSR_PANEL; r++)
        acc[r] = bias && panel * TSR_PANEL + r < n ? bias[panel * TSR_PANEL + r] : 0.0f;
}

/* Stores the rows of a panel that exist. */
static inline void tsr_store(float *y, const float acc[TSR_PANEL], size_t panel, size_t n)
{
    for (size_t r = 0; r < TSR_PANEL && panel * TSR_PANEL + r < n; r++)
        y[panel * TSR_PANEL + r] = acc[r];
}

/* ---- the best of a row ---- */

struct tsr_best {
    float value;
    int32_t index;
    int found;
};

/* Offers values in ascending index: the lowest index wins a tie, NaN never wins. */
static inline void tsr_best_offer(struct tsr_best *best, float value, size_t index)
{
    if (isnan(value) || (best->found && !(value > best->value)))
        return;
    best->value = value;
    best->index = (int32_t)index;
    best->found = 1;
}

#endif
