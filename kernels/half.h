/*
 * half.h: f16 and bf16 as 16 bits, converted to and from f32, round to nearest even. Branch-free
 * (every case is computed, then chosen), so that loops over arrays vectorize on any ISA.
 */
#ifndef TSR_HALF_H
#define TSR_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint32_t tsr_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float tsr_float(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* Too large: infinity. NaN: a quiet NaN. */
static inline uint16_t tsr_f32_to_f16(float x)
{
    uint32_t u = tsr_bits(x) & 0x7fffffff;
    uint32_t sign = tsr_bits(x) >> 16 & 0x8000;
    uint32_t normal = (u - 0x38000000 + 0xfff + (u >> 13 & 1)) >> 13; /* exponent rebiased */
    uint32_t small = tsr_bits(tsr_float(u) + 0.5f) - 0x3f000000; /* unit 2^-24 = the ulp of 0.5 */
    uint32_t y = u < 0x38800000 ? small : normal;

    y = u >= 0x477ff000 ? 0x7c00 : y;
    y = u > 0x7f800000 ? 0x7e00 : y;
    return (uint16_t)(sign | y);
}

static inline float tsr_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, u = (uint32_t)(h & 0x7fff) << 13;
    uint32_t normal = u + 0x38000000, special = u + 0x70000000;
    float small = (float)(int32_t)(h & 0x3ff) * 0x1p-24f;
    uint32_t y = u < 0x00800000 ? tsr_bits(small) : normal;

    y = u >= 0x0f800000 ? special : y;
    return tsr_float(sign | y);
}

/* Too large: infinity. NaN: a quiet NaN. */
static inline uint16_t tsr_f32_to_bf16(float x)
{
    uint32_t u = tsr_bits(x);
    uint32_t rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16;

    return (uint16_t)((u & 0x7fffffff) > 0x7f800000 ? (u >> 16 | 0x40) : rounded);
}

static inline float tsr_bf16_to_f32(uint16_t h)
{
    return tsr_float((uint32_t)h << 16);
}

#endif
