/*
 * conv2d_cases.c: shapes and oracles of conv2d_t8, conv2d_tf and the picture operators upsample2x
 * and resize. Shape of a convolution: h, w, cin, cout, kernel size, stride, zero pixels before and
 * after (each axis), bias, format.
 */
#include "harness.h"

enum { H, W, CIN, COUT, SIZE, STRIDE, BEFORE, AFTER, BIAS, FORMAT };

/* Fills the shape of the convolution; 0 outputs where the window does not fit. */
static struct tsr_conv2d conv_shape(const size_t *d)
{
    const size_t padded_h = d[H] + d[BEFORE] + d[AFTER], padded_w = d[W] + d[BEFORE] + d[AFTER];

    return (struct tsr_conv2d){.h = d[H],
                               .w = d[W],
                               .cin = d[CIN],
                               .oh = padded_h < d[SIZE] ? 0 : (padded_h - d[SIZE]) / d[STRIDE] + 1,
                               .ow = padded_w < d[SIZE] ? 0 : (padded_w - d[SIZE]) / d[STRIDE] + 1,
                               .kh = d[SIZE],
                               .kw = d[SIZE],
                               .stride = d[STRIDE],
                               .pad_top = d[BEFORE],
                               .pad_left = d[BEFORE]};
}

/* The pixel that tap t of output (oy, ox) reads; outside: SIZE_MAX. */
static size_t pixel_of(const struct tsr_conv2d *s, size_t oy, size_t ox, size_t t)
{
    const size_t y = oy * s->stride + t / s->kw,
                 x = ox * s->stride + t % s->kw; /* in the padded picture */

    if (y < s->pad_top || y >= s->pad_top + s->h || x < s->pad_left || x >= s->pad_left + s->w)
        return SIZE_MAX;
    return (y - s->pad_top) * s->w + (x - s->pad_left);
}

/* ---- conv2d_t8 ---- */

static const struct shape conv_q_small[] = {
    {{1, 1, 1, 1, 1, 1, 0, 0, 1}},    {{3, 3, 32, 16, 3, 1, 1, 1, 0}},
    {{2, 5, 31, 17, 3, 1, 1, 1, 1}},  {{4, 3, 33, 16, 3, 1, 1, 1, 0}},
    {{3, 4, 64, 15, 3, 1, 1, 1, 1}},  {{4, 4, 96, 33, 3, 2, 0, 1, 1}},
    {{5, 5, 65, 8, 3, 2, 0, 1, 0}},   {{3, 6, 128, 32, 1, 1, 0, 0, 1}},
    {{2, 3, 129, 16, 3, 1, 1, 1, 0}}, {{2, 2, 160, 48, 3, 1, 1, 1, 1}},
    {{6, 6, 3, 20, 3, 3, 0, 0, 1}},   {{1, 9, 40, 16, 3, 1, 1, 1, 0}},
    {{0, 4, 32, 16, 3, 1, 1, 1, 0}},  {{2, 17, 32, 3, 3, 1, 1, 1, 1}},
    {{3, 3, 256, 16, 2, 1, 0, 0, 0}}, {{7, 9, 33, 20, 3, 1, 1, 1, 1}},
    {{15, 16, 96, 17, 3, 2, 0, 1, 1}}, {{13, 16, 160, 5, 1, 1, 0, 0, 0}},
    {{6, 9, 32, 130, 1, 1, 0, 0, 1}}, {{3, 5, 33, 145, 3, 1, 1, 1, 1}},
    {{7, 35, 128, 3, 1, 2, 0, 0, 0}}, {{3, 16, 128, 3, 3, 1, 1, 1, 1}},
    {{2, 31, 128, 3, 3, 1, 1, 1, 0}},
};
static const struct shape conv_q_real[] = {{{4, 24, 512, 512, 3, 1, 1, 1, 1}},
                                           {{24, 24, 256, 512, 1, 1, 0, 0, 1}},
                                           {{8, 384, 128, 3, 3, 1, 1, 1, 1}}};

static size_t build_conv_q(struct call *c, const size_t *d)
{
    struct tsr_conv2d_q *a = (void *)&c->args;
    const size_t cin_p = tsr_round_up(d[CIN], TSR_GROUP);

    a->s = conv_shape(d);
    a->x = case_q8(c, d[H] * d[W], d[CIN], cin_p);
    a->weights = case_tile(c, TSR_T8, d[COUT], d[SIZE] * d[SIZE] * cin_p);
    a->bias = d[BIAS] ? case_plain(c, d[COUT], -1, 1) : NULL;
    a->zeros = memset(case_in(c, cin_p * 4, 4), 0, cin_p * 4);
    a->y = case_out(c, ELEMENT_F32, a->s.oh * a->s.ow, d[COUT], d[COUT]);
    return tsr_conv2d_q_units(a);
}

static void oracle_conv_q(struct call *c, const size_t *d)
{
    const struct tsr_conv2d_q *a = (void *)&c->args;
    const size_t cin_p = a->x.ldc, k = a->weights.k, steps = k / TSR_GROUP * 3 + 2;

    for (size_t at = 0; at < a->s.oh * a->s.ow * d[COUT]; at++) {
        const size_t n = at % d[COUT], o = at / d[COUT];
        double sum = a->bias ? (double)a->bias[n] : 0, magnitude = fabs(sum);

        for (size_t g = 0; g < k; g += TSR_GROUP) {
            const size_t pixel = pixel_of(&a->s, o / a->s.ow, o % a->s.ow, g / cin_p),
                         in = g % cin_p;
            double dot = 0, scale, term;

            for (size_t i = 0; i < TSR_GROUP; i++)
                dot += oracle_weight(&a->weights, n, g + i, &scale) *
                       (pixel == SIZE_MAX ? 0 : a->x.codes[pixel * cin_p + in + i]);
            term = dot * scale *
                   (pixel == SIZE_MAX ? 0
                                      : (double)a->x.scales[pixel * a->x.lds + in / TSR_ACT_BLOCK]);
            sum += term;
            magnitude += fabs(term);
        }
        oracle_near(c, a->y[at], sum, magnitude, (double)steps * EPS, (double)steps * TINY);
    }
}

const struct op_case tsr_case_conv2d_t8 = {build_conv_q, oracle_conv_q, SHAPES(conv_q_small),
                                           SHAPES(conv_q_real), 0};

/* ---- conv2d_tf ---- */

static const struct shape conv_f_small[] = {
    {{1, 1, 1, 1, 1, 1, 0, 0, 1, TSR_F32}},    {{3, 3, 3, 16, 3, 1, 1, 1, 0, TSR_F32}},
    {{4, 5, 7, 17, 3, 1, 1, 1, 1, TSR_F16}},   {{5, 4, 8, 15, 3, 2, 0, 1, 1, TSR_BF16}},
    {{3, 3, 17, 33, 3, 1, 1, 1, 0, TSR_BF16}}, {{6, 6, 3, 20, 3, 3, 0, 0, 1, TSR_F16}},
    {{2, 9, 16, 32, 1, 1, 0, 0, 0, TSR_F32}},  {{2, 2, 33, 48, 3, 1, 1, 1, 1, TSR_F32}},
    {{0, 3, 4, 16, 3, 1, 1, 1, 0, TSR_F32}},   {{4, 4, 5, 3, 2, 2, 0, 0, 1, TSR_BF16}},
    {{2, 17, 16, 3, 3, 1, 1, 1, 1, TSR_F16}},  {{3, 7, 64, 16, 3, 1, 1, 1, 0, TSR_F16}},
    {{3, 4, 5, 145, 3, 1, 1, 1, 1, TSR_F32}},  {{2, 3, 8, 272, 1, 1, 0, 0, 0, TSR_BF16}},
};
static const struct shape conv_f_real[] = {{{24, 24, 8, 256, 1, 1, 0, 0, 1, TSR_F32}},
                                           {{4, 24, 256, 512, 3, 1, 1, 1, 1, TSR_F16}},
                                           {{16, 384, 3, 128, 3, 1, 1, 1, 1, TSR_F32}},
                                           {{64, 384, 3, 1024, 16, 16, 0, 0, 1, TSR_F16}}};

static size_t build_conv_f(struct call *c, const size_t *d)
{
    struct tsr_conv2d_f *a = (void *)&c->args;

    a->s = conv_shape(d);
    a->x = case_f32(c, d[H] * d[W], d[CIN], d[CIN]);
    a->weights = case_tile(c, (uint32_t)d[FORMAT], d[COUT], d[SIZE] * d[SIZE] * d[CIN]);
    a->bias = d[BIAS] ? case_plain(c, d[COUT], -1, 1) : NULL;
    a->zeros = memset(case_in(c, d[CIN] * 4, 4), 0, d[CIN] * 4);
    a->y = case_out(c, ELEMENT_F32, a->s.oh * a->s.ow, d[COUT], d[COUT]);
    return tsr_conv2d_f_units(a);
}

static void oracle_conv_f(struct call *c, const size_t *d)
{
    const struct tsr_conv2d_f *a = (void *)&c->args;
    const size_t k = a->weights.k;

    for (size_t at = 0; at < a->s.oh * a->s.ow * d[COUT]; at++) {
        const size_t n = at % d[COUT], o = at / d[COUT];
        double sum = a->bias ? (double)a->bias[n] : 0, magnitude = fabs(sum), lost = 0;

        for (size_t i = 0; i < k; i++) {
            const size_t pixel = pixel_of(&a->s, o / a->s.ow, o % a->s.ow, i / d[CIN]);
            const double x = pixel == SIZE_MAX ? 0 : (double)a->x[pixel * d[CIN] + i % d[CIN]];
            const double term = oracle_term(c, oracle_weight(&a->weights, n, i, NULL), x, &lost);

            sum += term;
            magnitude += fabs(term);
        }
        oracle_near(c, a->y[at], sum, magnitude, (double)(k + 1) * EPS,
                    (double)(k + 1) * TINY + lost);
    }
}

const struct op_case tsr_case_conv2d_tf = {build_conv_f, oracle_conv_f, SHAPES(conv_f_small),
                                           SHAPES(conv_f_real), 0};

/* ---- upsample2x: h, w, c ---- */

static const struct shape upsample_small[] = {{{0, 3, 4}},  {{1, 1, 1}}, {{2, 0, 4}},
                                              {{3, 3, 0}},  {{2, 3, 7}}, {{3, 2, 16}},
                                              {{2, 5, 33}}, {{4, 4, 65}}};
static const struct shape upsample_real[] = {{{24, 24, 512}}, {{96, 96, 256}}};

static size_t build_upsample(struct call *c, const size_t *d)
{
    struct tsr_upsample *a = (void *)&c->args;

    a->h = d[0];
    a->w = d[1];
    a->c = d[2];
    a->x = case_f32(c, d[0] * d[1], d[2], d[2]);
    a->y = case_out(c, ELEMENT_F32, 4 * d[0] * d[1], d[2], d[2]);
    return tsr_upsample_units(a);
}

static void oracle_upsample(struct call *c, const size_t *d)
{
    const struct tsr_upsample *a = (void *)&c->args;
    const float *y = a->y;

    for (size_t i = 0; i < 2 * d[0]; i++)
        for (size_t j = 0; j < 2 * d[1]; j++)
            for (size_t k = 0; k < d[2]; k++)
                oracle_equal(c, (double)*y++,
                             (double)a->x[((i >> 1) * d[1] + (j >> 1)) * d[2] + k]);
}

const struct op_case tsr_case_upsample2x = {build_upsample, oracle_upsample, SHAPES(upsample_small),
                                            SHAPES(upsample_real), 0};

/* ---- resize: h, w, c, size, taps, vertical ---- */

static const struct shape resize_small[] = {
    {{0, 4, 3, 5, 2, 0}},   {{1, 1, 3, 1, 1, 0}},   {{1, 1, 3, 1, 1, 1}},   {{3, 7, 3, 5, 4, 0}},
    {{7, 3, 3, 5, 4, 1}},   {{4, 16, 3, 33, 4, 0}}, {{16, 4, 3, 33, 4, 1}}, {{2, 40, 3, 9, 19, 0}},
    {{40, 2, 3, 9, 19, 1}}, {{3, 17, 1, 16, 5, 0}}, {{17, 67, 1, 3, 5, 1}}, {{5, 23, 4, 24, 6, 1}},
};
static const struct shape resize_real[] = {{{768, 1024, 3, 384, 12, 0}},
                                           {{768, 384, 3, 288, 12, 1}}};

/*
 * Coefficients as a filter has them: they sum to one (2^22) up to the overshoot of Lanczos, so that
 * no s32 sum overflows. In some fills the sum is pushed below 0 or above 255 to meet both clips.
 */
static size_t build_resize(struct call *c, const size_t *d)
{
    struct tsr_resize *a = (void *)&c->args;
    const size_t in = d[5] ? d[0] : d[1], size = d[3], taps = d[4], rows = d[0] * d[1] * d[2];
    int32_t *first, *count, *coef;
    uint8_t *x;

    a->h = d[0];
    a->w = d[1];
    a->c = d[2];
    a->size = size;
    a->taps = taps;
    a->vertical = (int)d[5];
    a->x = x = case_in(c, rows, 1);
    for (size_t i = 0; i < rows; i++)
        x[i] = c->fill == FILL_MIN ? 0 : c->fill == FILL_MAX ? 255 : (uint8_t)case_random(c);
    a->first = first = case_in(c, size * 4, 4);
    a->count = count = case_in(c, size * 4, 4);
    a->coef = coef = case_in(c, size * taps * 4, 4);
    for (size_t o = 0; o < size; o++) {
        const size_t most = taps < in ? taps : in;

        count[o] = (int32_t)(most ? 1 + case_random(c) % most : 0);
        first[o] = (int32_t)(o + 1 == size ? in - (size_t)count[o]
                                           : case_random(c) % (in - (size_t)count[o] + 1));
        for (int32_t i = 0; i < count[o]; i++)
            coef[o * taps + (size_t)i] =
                (int32_t)(case_uniform(c, -0.4f, 1.2f) * 0x1p22f) / count[o];
        if (c->fill == FILL_ALTERNATING || c->fill == FILL_HUGE)
            coef[o * taps] = c->fill == FILL_HUGE ? 2900000 : -2900000;
    }
    a->y = case_out(c, ELEMENT_U8, d[5] ? size : d[0], (d[5] ? d[1] : size) * d[2],
                    (d[5] ? d[1] : size) * d[2]);
    return tsr_resize_units(a);
}

static void oracle_resize(struct call *c, const size_t *d)
{
    const struct tsr_resize *a = (void *)&c->args;
    const uint8_t *y = a->y;

    for (size_t r = 0; r < (d[5] ? d[3] : d[0]); r++)
        for (size_t x = 0; x < (d[5] ? d[1] : d[3]); x++)
            for (size_t k = 0; k < d[2]; k++, y++) {
                const size_t o = d[5] ? r : x;
                double sum = 0.5; /* in pixels: exact, for products have 30 bits */

                for (size_t i = 0; i < (size_t)a->count[o]; i++) {
                    const size_t at = (size_t)a->first[o] + i;
                    const size_t pixel = d[5] ? at * d[1] + x : r * d[1] + at;

                    sum += a->x[pixel * d[2] + k] * (a->coef[o * d[4] + i] * 0x1p-22);
                }
                oracle_equal(c, *y, fmin(fmax(floor(sum), 0), 255));
            }
}

const struct op_case tsr_case_resize = {build_resize, oracle_resize, SHAPES(resize_small),
                                        SHAPES(resize_real), 0};
