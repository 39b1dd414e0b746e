/*
 * quantize_rows_ref.c: activations to s8, by the contract of struct tsr_quantize.
 *
 * The largest magnitude is found on the bits as integers: Inf and NaN come out on top whatever the
 * order, so every tier agrees without a rule for comparing NaN. Below 2^-100 a block counts as
 * zero: 127/amax would leave the normal range.
 */
#include "ref/ref.h"

enum { INFINITY_BITS = 0x7f800000, TINY_BITS = 0x0d800000 /* 2^-100 */ };

/* Codes and scale of one block of `count` values. */
static float quantize_block(int8_t *codes, const float *x, size_t count)
{
    uint32_t amax_bits = 0;
    float amax, inv;

    for (size_t i = 0; i < count; i++) {
        const uint32_t bits = tsr_bits(x[i]) & 0x7fffffff;

        amax_bits = bits > amax_bits ? bits : amax_bits;
    }
    if (amax_bits < TINY_BITS || amax_bits >= INFINITY_BITS) {
        memset(codes, 0, count);
        return amax_bits < TINY_BITS ? 0.0f : tsr_float(0x7fc00000);
    }
    amax = tsr_float(amax_bits);
    inv = 127.0f / amax;
    for (size_t i = 0; i < count; i++)
        codes[i] = (int8_t)rintf(x[i] * inv);
    return amax / 127.0f;
}

void tsr_quantize_rows_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_quantize *a = args;

    for (size_t m = begin; m < end; m++) {
        int8_t *codes = a->q.codes + m * a->q.ldc;
        int32_t *sums = a->q.sums + m * (a->q.ldc / TSR_GROUP);

        for (size_t k = 0; k < a->k; k += TSR_ACT_BLOCK) {
            const size_t count = a->k - k < TSR_ACT_BLOCK ? a->k - k : TSR_ACT_BLOCK;

            a->q.scales[m * a->q.lds + k / TSR_ACT_BLOCK] =
                quantize_block(codes + k, a->x + m * a->ldx + k, count);
        }
        for (size_t k = a->k; k < a->q.ldc; k++)
            codes[k] = 0;
        for (size_t g = 0; g < a->q.ldc / TSR_GROUP; g++) {
            sums[g] = 0;
            for (size_t i = 0; i < TSR_GROUP; i++)
                sums[g] += codes[g * TSR_GROUP + i];
        }
    }
}
