/*
 * fill.c: what the buffers hold, and the independent arithmetic that oracles share (see harness.h).
 * Values come from a generator seeded by shape and fill, so every placement of a test holds the
 * same ones.
 */
#include "harness.h"

/* splitmix64 */
uint32_t case_random(struct call *c)
{
    uint64_t z = c->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)(z >> 32);
}

float case_uniform(struct call *c, float low, float high)
{
    return low + (high - low) * ((float)(case_random(c) >> 8) * 0x1p-24f);
}

size_t case_ld(const struct call *c, size_t cols)
{
    return cols + (c->fill % 2 ? 3 : 0);
}

float fill_value(struct call *c, size_t row, size_t i, size_t cols)
{
    static const uint32_t nans[4] = {0x7fc00000, 0xffc00000, 0x7f800001, 0xffffffff};
    const uint32_t bits = case_random(c);
    const float value = case_uniform(c, -4, 4);
    const int special = row % 2 == 0 && (i == cols / 2 || bits % 64 == 0 ||
                                         (row % 4 == 2 && i == 0) || row % 8 == 4);

    switch (c->fill) {
    case FILL_MIN:
        return -FLT_MAX;
    case FILL_MAX:
        return FLT_MAX;
    case FILL_ALTERNATING:
        return i % 2 ? 1.5f : -1.5f;
    case FILL_HUGE:
        return i == (row * 7 + cols / 3) % (cols + !cols) ? 1e30f : value;
    case FILL_DENORMAL:
        return tsr_float(bits & 0x807fffff);
    case FILL_ZERO:
        return tsr_float(bits & 0x80000000);
    case FILL_NAN:
        return special ? tsr_float(nans[bits >> 8 & 3]) : value;
    case FILL_INF:
        return special ? (bits >> 8 & 1 ? INFINITY : -INFINITY) : value;
    case FILL_BYTES:
        return tsr_float(bits);
    default:
        return value;
    }
}

float *case_f32(struct call *c, size_t rows, size_t cols, size_t ld)
{
    float *x = case_in(c, (rows ? (rows - 1) * ld + cols : 0) * sizeof *x, sizeof *x);

    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < cols; i++)
            x[r * ld + i] = fill_value(c, r, i, cols);
    return x;
}

float *case_plain(struct call *c, size_t count, float low, float high)
{
    float *x = case_in(c, count * sizeof *x, sizeof *x);

    for (size_t i = 0; i < count; i++)
        x[i] = case_uniform(c, low, high);
    return x;
}

/* ---- tiles and activations ---- */

/* The bits of a weight scale: f16. */
static uint16_t fill_scale(struct call *c)
{
    const uint32_t bits = case_random(c);
    const uint16_t ordinary = tsr_f32_to_f16(case_uniform(c, -0.1f, 0.1f));

    switch (c->fill) {
    case FILL_HUGE:
        return bits & 1 ? 0x7bff : 0xfbff;
    case FILL_DENORMAL:
        return bits & 0x83ff;
    case FILL_ZERO:
        return bits & 0x8000;
    case FILL_NAN:
        return bits % 16 == 0 ? 0x7e00 | (bits >> 8 & 0x81ff) : ordinary;
    case FILL_INF:
        return bits % 16 == 0 ? 0x7c00 | (bits >> 8 & 0x8000) : ordinary;
    case FILL_BYTES:
        return (uint16_t)bits;
    default:
        return ordinary;
    }
}

/* Bytes of weight codes; FILL_HUGE: nibbles 12 to 15, for dots as large as they get with odd low
 * bits. */
static void fill_codes(struct call *c, uint8_t *byte, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        const uint8_t bits = (uint8_t)case_random(c);

        switch (c->fill) {
        case FILL_MIN:
            byte[i] = 0;
            break;
        case FILL_MAX:
            byte[i] = 255;
            break;
        case FILL_ALTERNATING:
            byte[i] = (i / 4 % 2 ? 0xf0 : 0x0f) ^ (i % 2 ? 0xff : 0);
            break;
        case FILL_HUGE:
            byte[i] = bits | 0xcc;
            break;
        default:
            byte[i] = bits;
        }
    }
}

/* An activation code. */
static int8_t fill_code(struct call *c, size_t i)
{
    const uint32_t bits = case_random(c);

    switch (c->fill) {
    case FILL_MIN:
        return -128;
    case FILL_MAX:
        return 127;
    case FILL_ALTERNATING:
        return i % 2 ? 127 : -128;
    case FILL_HUGE:
        return (int8_t)(96 + bits % 32);
    case FILL_ZERO:
        return 0;
    default:
        return (int8_t)(bits & 0xff);
    }
}

static void fill_quantized(struct call *c, uint8_t *data, size_t bytes, size_t block_bytes)
{
    for (size_t at = 0; at < bytes; at += block_bytes) {
        for (size_t i = 0; i < TSR_LINE_BYTES / 2; i++) {
            const uint16_t scale = fill_scale(c);

            memcpy(data + at + 2 * i, &scale, 2);
        }
        fill_codes(c, data + at + TSR_LINE_BYTES, block_bytes - TSR_LINE_BYTES);
    }
}

/* Special values spread over the whole tile: every 64th element, every other row of them. */
struct tsr_tile case_tile(struct call *c, uint32_t format, size_t n, size_t k)
{
    const size_t bytes = tsr_ceil_div(n, TSR_PANEL) * tsr_panel_bytes(format, k);
    uint8_t *data = case_in(c, bytes, format == TSR_F16 ? 32 : 64);
    const size_t size = format == TSR_F32 ? 4 : 2;

    if (format == TSR_T8 || format == TSR_T4)
        fill_quantized(c, data, bytes, format == TSR_T8 ? TSR_T8_BYTES : TSR_T4_BYTES);
    else
        for (size_t i = 0; i < bytes / size; i++) {
            const float x = fill_value(c, i / 64, i % 64, 64);
            const uint16_t half = c->fill == FILL_BYTES ? (uint16_t)case_random(c)
                                  : format == TSR_F16   ? tsr_f32_to_f16(x)
                                                        : tsr_f32_to_bf16(x);

            if (size == 4)
                memcpy(data + 4 * i, &x, 4);
            else
                memcpy(data + 2 * i, &half, 2);
        }
    return (struct tsr_tile){data, n, k, format};
}

void *case_floats(struct call *c, uint32_t format, size_t count, size_t run, size_t align)
{
    const size_t size = format == TSR_F32 ? 4 : 2;
    uint8_t *data = case_in(c, count * size, align * size);

    for (size_t i = 0; i < count; i++) {
        const float x = fill_value(c, i / run, i % run, run);
        const uint16_t half =
            c->fill == FILL_BYTES ? (uint16_t)case_random(c) : tsr_f32_to_f16(x);

        memcpy(data + i * size, format == TSR_F32 ? (const void *)&x : (const void *)&half, size);
    }
    return data;
}

struct tsr_q8 case_q8(struct call *c, size_t m, size_t k, size_t ldc)
{
    struct tsr_q8 q = {.ldc = ldc, .lds = tsr_ceil_div(k, TSR_ACT_BLOCK)};

    q.codes = case_in(c, m * ldc, 1);
    q.sums = case_in(c, m * ldc / TSR_GROUP * sizeof *q.sums, sizeof *q.sums);
    q.scales = case_in(c, m * q.lds * sizeof *q.scales, sizeof *q.scales);
    for (size_t i = 0; i < m * ldc; i++)
        q.codes[i] = i % ldc < k ? fill_code(c, i) : 0;
    for (size_t g = 0; g < m * ldc / TSR_GROUP; g++) {
        q.sums[g] = 0;
        for (size_t i = 0; i < TSR_GROUP; i++)
            q.sums[g] += q.codes[g * TSR_GROUP + i];
    }
    for (size_t i = 0; i < m * q.lds; i++) /* huge dots and huge scales together would all be Inf */
        q.scales[i] = c->fill == FILL_HUGE ? case_uniform(c, 0.5f, 2)
                                           : fill_value(c, i / q.lds, i % q.lds, q.lds);
    return q;
}

/* ---- oracles ---- */

static void oracle_fail(struct call *c, double got, double want, double bound)
{
    if (c->oracle_failures++ == 0)
        snprintf(c->oracle_message, sizeof c->oracle_message,
                 "ref gave %.9g, want %.17g within %.3g", got, want, bound);
}

void oracle_near(struct call *c, float got, double want, double magnitude, double relative,
                 double absolute)
{
    const double bound =
        absolute + (c->bound > 0 ? c->bound * magnitude + FAST_TINY : relative * magnitude);

    if (magnitude > FLT_MAX / 4)
        return;
    if (!isfinite(want) || !isfinite(bound) ? isfinite(got) : !(fabs((double)got - want) <= bound))
        oracle_fail(c, (double)got, want, bound);
}

double oracle_term(const struct call *c, double a, double b, double *lost)
{
    const double term = a * b, smaller = fmin(fabs(a), fabs(b));

    if (c->bound > 0 && smaller < (double)FLT_MIN)
        *lost += fabs(term);
    return term;
}

void oracle_equal(struct call *c, double got, double want)
{
    if (!(got == want || (isnan(got) && isnan(want))))
        oracle_fail(c, got, want, 0);
}

double oracle_silu_of(double x)
{
    return x / (1 + exp(-x));
}

double oracle_f16(uint16_t h)
{
    const int exponent = h >> 10 & 31, fraction = h & 1023;
    double x = exponent == 31 ? (fraction ? NAN : INFINITY)
               : exponent     ? ldexp(1024 + fraction, exponent - 25)
                              : ldexp(fraction, -24);

    return h >> 15 ? -x : x;
}

double oracle_to_f16(double x)
{
    double unit, y;

    if (!isfinite(x) || x == 0)
        return x;
    unit = ldexp(1, (ilogb(x) < -14 ? -14 : ilogb(x)) - 10);
    y = rint(x / unit) * unit;
    return fabs(y) > 65504 ? copysign(INFINITY, x) : y;
}

double oracle_weight(const struct tsr_tile *w, size_t n, size_t k, double *scale)
{
    const size_t panel = n / 16, r = n % 16;
    const uint8_t *byte = w->data;
    uint16_t half;
    float single;
    double code, factor;

    if (w->format == TSR_F32) {
        memcpy(&single, byte + ((panel * w->k + k) * 16 + r) * 4, 4);
        return (double)single;
    }
    if (w->format == TSR_F16) {
        memcpy(&half, byte + ((panel * w->k + k) * 16 + r) * 2, 2);
        return oracle_f16(half);
    }
    if (w->format == TSR_BF16) {
        const uint8_t *pair = byte + ((panel * ((w->k + 1) / 2) + k / 2) * 16 + r) * 4;
        const uint8_t bytes[4] = {0, 0, pair[k % 2 * 2], pair[k % 2 * 2 + 1]};

        memcpy(&single, bytes, 4);
        return (double)single;
    }
    byte += (panel * ((w->k + 63) / 64) + k / 64) * (w->format == TSR_T8 ? 1088 : 576);
    memcpy(&half, byte + (k % 64 / 32 * 16 + r) * 2, 2);
    byte += 64;
    k %= 64;
    if (w->format == TSR_T8)
        code = byte[k / 4 * 64 + 4 * r + k % 4] - 128;
    else
        code = (byte[k / 8 * 64 + 4 * r + k % 4] / (k / 4 % 2 ? 16 : 1) & 15) - 8;
    factor = oracle_f16(half);
    if (!scale)
        return code * factor;
    *scale = factor;
    return code;
}
