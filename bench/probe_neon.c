/*
 * probe_neon.c: peaks of Advanced SIMD and of DotProd, for AArch64. Without sdot the int8 peak is
 * that of smlal with its 16-bit sums.
 */
#include "probe.h"

#include <arm_neon.h>

enum { CHAINS = PROBE_CHAINS };

static void read_neon(const void *args, size_t begin, size_t end)
{
    const struct probe_read *const a = args;
    const size_t part = a->piece / a->streams;
    uint8x16_t sum0 = vdupq_n_u8(0), sum1 = sum0, sum2 = sum0, sum3 = sum0;

    for (size_t i = begin * a->passes; i < end * a->passes; i++) {
        const uint8_t *const piece = (const uint8_t *)a->data + i / a->passes * a->piece;

        for (size_t at = 0; at < part; at += 64) {
            for (const uint8_t *p = piece + at; p < piece + a->piece; p += part) {
                if (a->prefetch != 0)
                    __builtin_prefetch(p + a->prefetch);
                sum0 = vorrq_u8(sum0, vld1q_u8(p));
                sum1 = vorrq_u8(sum1, vld1q_u8(p + 16));
                sum2 = vorrq_u8(sum2, vld1q_u8(p + 32));
                sum3 = vorrq_u8(sum3, vld1q_u8(p + 48));
            }
        }
        __asm__ volatile("" ::: "memory");
    }
    sum0 = vorrq_u8(vorrq_u8(sum0, sum1), vorrq_u8(sum2, sum3));
    *a->sink = vgetq_lane_u64(vreinterpretq_u64_u8(sum0), 0);
}

static void copy_neon(const void *args, size_t begin, size_t end)
{
    const struct probe_copy *const a = args;

    for (size_t i = begin * a->passes; i < end * a->passes; i++) {
        const uint8_t *const from = (const uint8_t *)a->from + i / a->passes * a->piece;
        uint8_t *const to = (uint8_t *)a->to + i / a->passes * a->piece;

        for (size_t at = 0; at < a->piece; at += 32) {
            vst1q_u8(to + at, vld1q_u8(from + at));
            vst1q_u8(to + at + 16, vld1q_u8(from + at + 16));
        }
        __asm__ volatile("" ::: "memory");
    }
}

#define PEAK(name, type, zero, step)                                                               \
    static void name(const void *args, size_t begin, size_t end)                                   \
    {                                                                                              \
        type c[CHAINS];                                                                            \
        (void)args;                                                                                \
        for (size_t i = 0; i < CHAINS; i++)                                                        \
            c[i] = zero;                                                                           \
        for (size_t r = begin * PROBE_ROUNDS; r < end * PROBE_ROUNDS; r++) {                       \
            _Pragma("GCC unroll 16") for (size_t i = 0; i < CHAINS; i++)                           \
            {                                                                                      \
                c[i] = step;                                                                       \
                __asm__ volatile("" : "+w"(c[i]));                                                 \
            }                                                                                      \
        }                                                                                          \
    }

PEAK(f32_neon, float32x4_t, vdupq_n_f32(0), vfmaq_f32(c[i], c[i], c[i]))
PEAK(i8_neon, int16x8_t, vdupq_n_s16(0), vmlal_s8(c[i], vdup_n_s8(1), vdup_n_s8(1)))

const struct probe_set probes_neon = {
    .read = read_neon,
    .copy = copy_neon,
    .f32 = f32_neon,
    .i8 = i8_neon,
    .f32_ops = 2.0 * PROBE_ROUNDS * CHAINS * 4,
    .i8_ops = 2.0 * PROBE_ROUNDS * CHAINS * 8,
};
