/*
 * elementary.h: the constants of exp and phi, whose steps are a contract (kernels.h), for
 * ref/math_ref.c and vec/elementary.inc.
 *
 * exp's are those of SLEEF 3.5.1's expf (u10): the function returns the bits of Sleef_finz_expf for
 * every argument (tests/test_kernels.c), which costs a call 29 instructions where these steps,
 * inlined, take 16 on AVX-512. The polynomial approximates (e^r - 1 - r) / r^2 for |r| <= ln2 / 2;
 * n ln2 is subtracted in two parts.
 *
 * phi(x) / x is a polynomial in s = 2 (x / 5.36)^2 - 1, in which its coefficients stay small. They
 * are weighted least squares with Lawson's iteration, which ends at the smallest largest error of
 * phi, 2.4e-8, rounded to f32; the last makes phi(+-5.36) +-1/2 exactly (it is 4e-8 less), so that
 * gelu of a very negative number is 0.
 */
#ifndef TSR_ELEMENTARY_H
#define TSR_ELEMENTARY_H

/* Added to |x| < 2^21, leaves the nearest integer n in the low bits, as n + 254: its halves,
 * rounded down and up, are the exponents of f32 that make 2^n in two factors. */
#define TSR_TO_INTEGER (0x1.8p23f + 254)

#define TSR_EXP_LOW (-105.0f) /* below -103.972 exp is 0 */
#define TSR_EXP_HIGH 100.0f   /* above 88.73 Inf */
#define TSR_LOG2_E 1.442695041f
#define TSR_LN2_HIGH 0.693145751953125f
#define TSR_LN2_LOW 1.428606765330187045e-06f
#define TSR_EXP_COEFFICIENTS                                                                       \
    {                                                                                              \
        0.000198527617612853646278381f, 0.00139304355252534151077271f,                             \
            0.00833336077630519866943359f, 0.0416664853692054748535156f,                           \
            0.166666671633720397949219f, 0.5f                                                      \
    }

#define TSR_PHI_END 5.36f
#define TSR_PHI_SCALE 0.0696146116f /* 2 / 5.36^2 */
#define TSR_PHI_COEFFICIENTS                                                                       \
    {                                                                                              \
        0.0003452887f, -0.00091453653f, 0.00081684545f, -0.0011546998f, 0.003442838f,              \
            -0.0063583613f, 0.009322177f, -0.013659708f, 0.01936638f, -0.025577335f, 0.032110866f, \
            -0.039364595f, 0.048805423f, -0.06580004f, 0.13190304f                                 \
    }

#endif
