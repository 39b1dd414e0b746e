/*
 * vec_neon.h: the vector vocabulary of kernels/vec/ on Advanced SIMD: 16 f32 lanes are four q registers, lanes
 * 4i..4i+3 in q[i]. What each name means stands in x86/vec_avx512.h.
 *
 * There are no masked loads and stores: partial ones go through a small array that is copied by exactly n
 * elements, so nothing outside is touched. max is a compare and a select, because fmax orders NaN and zeros
 * otherwise than `a > b ? a : b`.
 */
#ifndef TSR_VEC_NEON_H
#define TSR_VEC_NEON_H

#include <arm_neon.h>
#include <math.h>
#include <sleef.h>
#include <stdint.h>
#include <string.h>

/* A tier beyond neon names itself first. */
#ifndef TSR_VEC
#define TSR_VEC(op) tsr_##op##_neon
#endif
#define VF_INLINE static inline __attribute__((always_inline))

/*
 * The register tile of vec/chain.inc: 5 rows x 1 column = 20 q of sums, 4 of the line and the broadcasts of 32.
 * 20 sums hide the latency of an fma (4 cycles, two a cycle).
 */
enum { VF_ROWS = 5, VF_COLS = 1, VF_WIDE = 2, VF_STEPS = 1 };

typedef struct {
    float32x4_t q[4];
} vf16;

/* The vector whose quarter i is `expression`. */
#define VF_EACH(expression)                                                                          \
    vf16 out;                                                                                        \
    for (int i = 0; i < 4; i++)                                                                      \
        out.q[i] = (expression);                                                                     \
    return out

static inline vf16 vf_splat(float x)
{
    VF_EACH(vdupq_n_f32(x));
}

static inline vf16 vf_load(const float *p)
{
    VF_EACH(vld1q_f32(p + 4 * i));
}

static inline vf16 vf_load_n(const float *p, size_t n)
{
    float whole[16] = {0};

    memcpy(whole, p, n * sizeof *p);
    return vf_load(whole);
}

static inline void vf_store(float *p, vf16 v)
{
    for (int i = 0; i < 4; i++)
        vst1q_f32(p + 4 * i, v.q[i]);
}

static inline void vf_store_n(float *p, vf16 v, size_t n)
{
    float whole[16];

    vf_store(whole, v);
    memcpy(p, whole, n * sizeof *p);
}

static inline vf16 vf_load_f16(const uint16_t *p)
{
    VF_EACH(vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * i))));
}

/* To nearest even; a NaN becomes the quiet one of its sign, as in half.h. */
static inline void vf_store_f16(uint16_t *p, vf16 v)
{
    for (int i = 0; i < 4; i++) {
        const uint32x4_t bits = vreinterpretq_u32_f32(v.q[i]);
        const uint32x4_t nan =
            vorrq_u32(vandq_u32(bits, vdupq_n_u32(0x80000000)), vdupq_n_u32(0x7fc00000));
        const float32x4_t x =
            vreinterpretq_f32_u32(vbslq_u32(vceqq_f32(v.q[i], v.q[i]), bits, nan));

        vst1_u16(p + 4 * i, vreinterpret_u16_f16(vcvt_f16_f32(x)));
    }
}

/* 16 s8 as f32; one f16 in all lanes. */
static inline vf16 vf_load_s8(const void *p)
{
    const int8x16_t x = vld1q_s8(p);
    const int16x8_t half[2] = {vmovl_s8(vget_low_s8(x)), vmovl_high_s8(x)};

    VF_EACH(vcvtq_f32_s32(
        vmovl_s16(i % 2 ? vget_high_s16(half[i / 2]) : vget_low_s16(half[i / 2]))));
}

static inline vf16 vf_splat_f16(const void *p)
{
    uint16_t half;

    memcpy(&half, p, sizeof half);
    VF_EACH(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(half))));
}

static inline vf16 vf_load_f16_n(const uint16_t *p, size_t n)
{
    uint16_t whole[16] = {0};

    memcpy(whole, p, n * sizeof *p);
    return vf_load_f16(whole);
}

static inline void vf_load_bf16x2(const uint16_t *p, vf16 *first, vf16 *second)
{
    for (int i = 0; i < 4; i++) {
        const uint32x4_t pair = vreinterpretq_u32_u16(vld1q_u16(p + 8 * i));

        first->q[i] = vreinterpretq_f32_u32(vshlq_n_u32(pair, 16));
        second->q[i] = vreinterpretq_f32_u32(vandq_u32(pair, vdupq_n_u32(0xffff0000)));
    }
}

static inline vf16 vf_add(vf16 a, vf16 b)
{
    VF_EACH(vaddq_f32(a.q[i], b.q[i]));
}

static inline vf16 vf_sub(vf16 a, vf16 b)
{
    VF_EACH(vsubq_f32(a.q[i], b.q[i]));
}

static inline vf16 vf_mul(vf16 a, vf16 b)
{
    VF_EACH(vmulq_f32(a.q[i], b.q[i]));
}

static inline vf16 vf_div(vf16 a, vf16 b)
{
    VF_EACH(vdivq_f32(a.q[i], b.q[i]));
}

static inline vf16 vf_sqrt(vf16 a)
{
    VF_EACH(vsqrtq_f32(a.q[i]));
}

static inline vf16 vf_fma(vf16 a, vf16 b, vf16 c)
{
    VF_EACH(vfmaq_f32(c.q[i], a.q[i], b.q[i]));
}

static inline vf16 vf_neg(vf16 a)
{
    VF_EACH(vnegq_f32(a.q[i]));
}

static inline vf16 vf_abs(vf16 a)
{
    VF_EACH(vabsq_f32(a.q[i]));
}

static inline vf16 vf_max_bits(vf16 a, vf16 b)
{
    VF_EACH(vreinterpretq_f32_u32(
        vmaxq_u32(vreinterpretq_u32_f32(a.q[i]), vreinterpretq_u32_f32(b.q[i]))));
}

/* fcvtns saturates. */
static inline void vf_store_s8(void *p, vf16 v)
{
    int16x8_t half[2];

    for (int i = 0; i < 2; i++)
        half[i] = vqmovn_high_s32(vqmovn_s32(vcvtnq_s32_f32(v.q[2 * i])),
                                  vcvtnq_s32_f32(v.q[2 * i + 1]));
    vst1q_s8(p, vmaxq_s8(vqmovn_high_s16(vqmovn_s16(half[0]), half[1]), vdupq_n_s8(-127)));
}

static inline float32x4_t vf_max4(float32x4_t a, float32x4_t b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

static inline vf16 vf_max(vf16 a, vf16 b)
{
    VF_EACH(vf_max4(a.q[i], b.q[i]));
}

static inline vf16 vf_first_n(vf16 a, vf16 b, size_t n)
{
    static const uint32_t index[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const uint32x4_t count = vdupq_n_u32((uint32_t)n);

    VF_EACH(vbslq_f32(vcltq_u32(vld1q_u32(index + 4 * i), count), a.q[i], b.q[i]));
}

static inline void vf_unzip(vf16 a, vf16 b, vf16 *even, vf16 *odd)
{
    const vf16 from[2] = {a, b};

    for (int i = 0; i < 4; i++) {
        const float32x4_t low = from[i / 2].q[2 * (i % 2)], high = from[i / 2].q[2 * (i % 2) + 1];

        even->q[i] = vuzp1q_f32(low, high);
        odd->q[i] = vuzp2q_f32(low, high);
    }
}

static inline void vf_zip(vf16 even, vf16 odd, vf16 *a, vf16 *b)
{
    vf16 *const to[2] = {a, b};

    for (int i = 0; i < 4; i++) {
        to[i / 2]->q[2 * (i % 2)] = vzip1q_f32(even.q[i], odd.q[i]);
        to[i / 2]->q[2 * (i % 2) + 1] = vzip2q_f32(even.q[i], odd.q[i]);
    }
}

static inline float vf_sum(vf16 v)
{
    float32x4_t x = vaddq_f32(vaddq_f32(v.q[0], v.q[2]), vaddq_f32(v.q[1], v.q[3]));
    float32x2_t y = vadd_f32(vget_low_f32(x), vget_high_f32(x));

    return vget_lane_f32(y, 0) + vget_lane_f32(y, 1);
}

static inline float vf_largest(vf16 v)
{
    float32x4_t x = vf_max4(vf_max4(v.q[0], v.q[2]), vf_max4(v.q[1], v.q[3]));
    float32x4_t y = vf_max4(x, vextq_f32(x, x, 2));
    const float a = vgetq_lane_f32(y, 0), b = vgetq_lane_f32(y, 1);

    return a > b ? a : b;
}

/* x within [low, high]; a NaN stays one. */
static inline vf16 vf_hold(vf16 x, float low, float high)
{
    VF_EACH(vminq_f32(vmaxq_f32(x.q[i], vdupq_n_f32(low)), vdupq_n_f32(high)));
}

/* In two steps, because 2^n itself may be no normal number: (u * 2^half) * 2^(n - half), the first
 * exact. */
static inline float32x4_t vf_scale4(float32x4_t u, float32x4_t shifted)
{
    const uint32x4_t whole = vreinterpretq_u32_f32(shifted), half = vshrq_n_u32(whole, 1);
    const uint32x4_t rest = vsubq_u32(whole, half);

    u = vmulq_f32(u, vreinterpretq_f32_u32(vshlq_n_u32(half, 23)));
    return vmulq_f32(u, vreinterpretq_f32_u32(vshlq_n_u32(rest, 23)));
}

/* u * 2^n, n an integer of [-152, 145] and u about 1: one rounding. shifted: n + TSR_TO_INTEGER. */
static inline vf16 vf_scale(vf16 u, vf16 n, vf16 shifted)
{
    (void)n;
    VF_EACH(vf_scale4(u.q[i], shifted.q[i]));
}

static inline vf16 vf_sin(vf16 x)
{
    VF_EACH(Sleef_finz_sinf4_u10advsimd(x.q[i]));
}

static inline vf16 vf_cos(vf16 x)
{
    VF_EACH(Sleef_finz_cosf4_u10advsimd(x.q[i]));
}

static inline void vf_done(void)
{
}

#undef VF_EACH

#endif
