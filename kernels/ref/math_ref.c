/*
 * math_ref.c: exp and phi as their contract says (kernels.h), and the only file that calls SLEEF's
 * scalar functions.
 *
 * Sleef_finz_<f>1_u10purecfma computes <f> to 1 ulp in plain C with fma, and returns the bits of
 * the vector forms Sleef_finz_<f>{8_u10avx2, 16_u10avx512f, 4_u10advsimd}: SLEEF calls these
 * "deterministic". That equality is what makes one contract for all tiers possible; the kernel
 * tests check it on the linked library, and the fingerprint tells apart versions of SLEEF whose
 * bits differ.
 *
 * sleef.h declares the purecfma functions only where FP_FAST_FMA is defined. <math.h> does that
 * under gcc with -mfma; clang has the instruction but not the macro, so it is defined here for it.
 */
#include "ref/math_ref.h"
#include "elementary.h"
#include "half.h"
#include "kernels.h"

#include <math.h>
#if !defined(FP_FAST_FMA) && defined(__FMA__)
#define FP_FAST_FMA
#endif
#include <sleef.h>
#include <string.h>

/* x within [low, high]; a NaN stays one. */
static float hold(float x, float low, float high)
{
    return x < low ? low : x > high ? high : x;
}

/* acc = c[0]; acc = fma(acc, x, c[i]) for the others. */
static float polynomial(float x, const float *c, size_t count)
{
    float acc = c[0];

    for (size_t i = 1; i < count; i++)
        acc = fmaf(acc, x, c[i]);
    return acc;
}

/* 2^n, -126 <= n <= 127. */
static float power2(int n)
{
    return tsr_float((uint32_t)(n + 127) << 23);
}

float tsr_exp(float x)
{
    static const float c[] = TSR_EXP_COEFFICIENTS;
    const float held = hold(x, TSR_EXP_LOW, TSR_EXP_HIGH);
    const float n = (held * TSR_LOG2_E + TSR_TO_INTEGER) - TSR_TO_INTEGER; /* the nearest integer */
    const float r = fmaf(n, -TSR_LN2_LOW, fmaf(n, -TSR_LN2_HIGH, held));
    const float u = 1.0f + fmaf(r * r, polynomial(r, c, sizeof c / sizeof *c), r);
    const int whole = isnan(x) ? 0 : (int)n, half = whole / 2;

    return u * power2(half) * power2(whole - half); /* the first product is exact */
}

float tsr_phi(float x)
{
    static const float c[] = TSR_PHI_COEFFICIENTS;
    const float held = hold(x, -TSR_PHI_END, TSR_PHI_END);

    return held * polynomial(fmaf(held * held, TSR_PHI_SCALE, -1.0f), c, sizeof c / sizeof *c);
}

float tsr_sin(float x)
{
    return Sleef_finz_sinf1_u10purecfma(x);
}

float tsr_cos(float x)
{
    return Sleef_finz_cosf1_u10purecfma(x);
}

double tsr_pow(double x, double y)
{
    return Sleef_finz_powd1_u10purecfma(x, y);
}

double tsr_log(double x)
{
    return Sleef_finz_logd1_u10purecfma(x);
}

/* FNV-1a over `bytes` bytes: any change of any bit changes the result. */
static uint32_t mix(uint32_t hash, const void *data, size_t bytes)
{
    const unsigned char *byte = data;

    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ byte[i]) * UINT32_C(16777619);
    return hash;
}

/* 512 points: +-[2^-8, 1000), spaced evenly in the logarithm so that every range reduction is met.
 */
uint32_t tsr_math_fingerprint(void)
{
    float (*const functions[])(float) = {tsr_sin, tsr_cos};
    uint32_t hash = UINT32_C(2166136261);

    for (uint32_t i = 0; i < 512; i++) {
        const uint32_t bits = (i & 1) << 31 | (UINT32_C(0x3b800000) + i * 290000);
        float x, y;
        double power, logarithm;

        memcpy(&x, &bits, sizeof x);
        for (size_t f = 0; f < sizeof functions / sizeof functions[0]; f++) {
            y = functions[f](x);
            hash = mix(hash, &y, sizeof y);
        }
        power = tsr_pow(10000.0, -(double)i / 512);
        logarithm = tsr_log(1.0 + i);
        hash = mix(hash, &power, sizeof power);
        hash = mix(hash, &logarithm, sizeof logarithm);
    }
    return hash;
}
