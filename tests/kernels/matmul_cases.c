/*
 * matmul_cases.c: shapes and oracles of the operators that read tiles row by row: quantize_rows,
 * matmul_t8, matmul_t4, matmul_tf, gather_rows, codebook_nearest. Oracles sum in double, weight by
 * weight, and allow one rounding per step of the contract's chain.
 */
#include "harness.h"

/* ---- quantize_rows: m, k, multiple of ldc (32: conv2d, 64: matmul) ---- */

static const struct shape quantize_small[] = {
    {{0, 64, 64}},  {{1, 0, 64}},   {{1, 1, 64}},   {{3, 31, 32}},  {{3, 32, 32}},  {{2, 33, 64}},
    {{2, 63, 64}},  {{2, 64, 64}},  {{2, 65, 64}},  {{1, 96, 32}},  {{3, 127, 64}}, {{3, 128, 64}},
    {{3, 129, 64}}, {{1, 160, 32}}, {{2, 191, 32}}, {{4, 255, 64}}, {{1, 257, 64}}, {{2, 1000, 64}},
};
static const struct shape quantize_real[] = {{{2, 2048, 64}}, {{12, 5632, 64}}, {{2304, 512, 32}}};

static size_t build_quantize(struct call *c, const size_t *d)
{
    struct tsr_quantize *a = (void *)&c->args;
    const size_t m = d[0], k = d[1];

    a->m = m;
    a->k = k;
    a->ldx = case_ld(c, k);
    a->x = case_f32(c, m, k, a->ldx);
    a->q.ldc = tsr_round_up(k, d[2]);
    a->q.lds = tsr_ceil_div(k, TSR_ACT_BLOCK);
    a->q.codes = case_out(c, ELEMENT_I8, m, a->q.ldc, a->q.ldc);
    a->q.scales = case_out(c, ELEMENT_F32, m, a->q.lds, a->q.lds);
    a->q.sums = case_out(c, ELEMENT_I32, m, a->q.ldc / TSR_GROUP, a->q.ldc / TSR_GROUP);
    return tsr_quantize_units(a);
}

/* Exact: quotients of f32 rounded from double to f32 are the IEEE quotients; products are exact in
 * double. */
static void oracle_quantize(struct call *c, const size_t *d)
{
    const struct tsr_quantize *a = (void *)&c->args;

    (void)d;
    for (size_t m = 0; m < a->m; m++)
        for (size_t i = 0; i < a->q.ldc; i++) {
            const size_t first = i / 128 * 128, last = first + 128 < a->k ? first + 128 : a->k;
            double amax = 0, sum = 0, want = 0;
            int bad = 0;

            for (size_t j = first; j < last; j++) {
                const double x = fabs((double)a->x[m * a->ldx + j]);

                bad |= !isfinite(x);
                amax = x > amax ? x : amax;
            }
            if (!bad && amax >= 0x1p-100 && i < a->k)
                want = rint(
                    (double)(float)((double)a->x[m * a->ldx + i] * (double)(float)(127 / amax)));
            oracle_equal(c, a->q.codes[m * a->q.ldc + i], want);
            if (first < a->k)
                oracle_equal(c, (double)a->q.scales[m * a->q.lds + i / 128],
                             bad               ? NAN
                             : amax < 0x1p-100 ? 0
                                               : (double)(float)(amax / 127));
            for (size_t j = i / 32 * 32; j < i / 32 * 32 + 32; j++)
                sum += a->q.codes[m * a->q.ldc + j];
            oracle_equal(c, a->q.sums[(m * a->q.ldc + i) / 32], sum);
        }
}

const struct op_case tsr_case_quantize_rows = {build_quantize, oracle_quantize,
                                               SHAPES(quantize_small), SHAPES(quantize_real), 0};

/* ---- matmul_t8, matmul_t4: m, n, k, bias ---- */

static const struct shape matmul_q_small[] = {
    {{0, 16, 64, 0}},   {{1, 0, 64, 0}},     {{1, 16, 0, 1}},    {{1, 1, 1, 1}},
    {{1, 15, 31, 0}},   {{1, 16, 32, 1}},    {{1, 17, 33, 0}},   {{2, 16, 63, 1}},
    {{2, 31, 64, 0}},   {{2, 32, 65, 1}},    {{3, 33, 96, 0}},   {{3, 48, 127, 1}},
    {{4, 16, 128, 0}},  {{4, 47, 129, 1}},   {{5, 17, 160, 0}},  {{6, 33, 191, 1}},
    {{7, 16, 192, 0}},  {{8, 49, 193, 1}},   {{9, 16, 255, 0}},  {{10, 20, 256, 1}},
    {{11, 5, 257, 0}},  {{12, 64, 320, 1}},  {{13, 17, 64, 0}},  {{14, 16, 384, 1}},
    {{15, 18, 448, 0}}, {{16, 33, 130, 1}},  {{17, 16, 200, 0}}, {{25, 80, 66, 1}},
    {{33, 19, 576, 0}}, {{1, 130, 1024, 1}}, {{32, 48, 63, 1}},  {{34, 133, 33, 1}},
    {{47, 16, 128, 0}}, {{196, 3, 129, 1}}, {{40, 17, 0, 1}},
};
static const struct shape matmul_q_real[] = {
    {{1, 2048, 2048, 0}}, {{2, 2048, 2048, 0}},  {{2, 5632, 2048, 0}},  {{2, 2048, 5632, 0}},
    {{4, 6144, 2048, 0}}, {{12, 2048, 2048, 0}}, {{2, 16384, 2048, 1}}, {{576, 256, 1024, 1}},
};

static size_t build_matmul_q(struct call *c, const size_t *d, uint32_t format)
{
    struct tsr_matmul_q *a = (void *)&c->args;
    const size_t m = d[0], n = d[1], k = d[2];

    a->m = m;
    a->x = case_q8(c, m, k, tsr_round_up(k, TSR_BLOCK));
    a->w = case_tile(c, format, n, k);
    a->bias = d[3] ? case_plain(c, n, -1, 1) : NULL;
    a->ldy = case_ld(c, n);
    a->y = case_out(c, ELEMENT_F32, m, n, a->ldy);
    a->streams = n % 2 ? 4 : 1;
    return tsr_matmul_q_units(a);
}

static size_t build_matmul_t8(struct call *c, const size_t *d)
{
    return build_matmul_q(c, d, TSR_T8);
}

static size_t build_matmul_t4(struct call *c, const size_t *d)
{
    return build_matmul_q(c, d, TSR_T4);
}

static void oracle_matmul_q(struct call *c, const size_t *d)
{
    const struct tsr_matmul_q *a = (void *)&c->args;
    const size_t steps = a->x.ldc / TSR_GROUP * 3 + 2;

    for (size_t m = 0; m < a->m; m++)
        for (size_t n = 0; n < a->w.n; n++) {
            double sum = a->bias ? (double)a->bias[n] : 0, magnitude = fabs(sum);

            for (size_t g = 0; g < a->x.ldc; g += TSR_GROUP) {
                double dot = 0, scale = 0, term;

                for (size_t k = g; k < g + TSR_GROUP; k++)
                    dot += oracle_weight(&a->w, n, k, &scale) * a->x.codes[m * a->x.ldc + k];
                term = dot * scale * (double)a->x.scales[m * a->x.lds + g / TSR_ACT_BLOCK];
                sum += term;
                magnitude += fabs(term);
            }
            oracle_near(c, a->y[m * a->ldy + n], sum, magnitude, (double)steps * EPS,
                        (double)steps * TINY);
        }
    (void)d;
}

const struct op_case tsr_case_matmul_t8 = {build_matmul_t8, oracle_matmul_q, SHAPES(matmul_q_small),
                                           SHAPES(matmul_q_real), 0};
const struct op_case tsr_case_matmul_t4 = {build_matmul_t4, oracle_matmul_q, SHAPES(matmul_q_small),
                                           SHAPES(matmul_q_real), 0};

/* ---- matmul_tf: m, n, k, bias, format ---- */

static const struct shape matmul_f_small[] = {
    {{0, 16, 8, 0, TSR_F32}},    {{1, 0, 8, 0, TSR_F32}},     {{1, 16, 0, 1, TSR_BF16}},
    {{1, 1, 1, 1, TSR_F32}},     {{1, 16, 2, 0, TSR_F16}},    {{1, 17, 3, 1, TSR_BF16}},
    {{2, 33, 7, 0, TSR_F32}},    {{2, 16, 8, 1, TSR_F16}},    {{2, 31, 9, 0, TSR_BF16}},
    {{3, 48, 15, 1, TSR_F32}},   {{3, 32, 16, 0, TSR_F16}},   {{4, 47, 17, 1, TSR_BF16}},
    {{4, 65, 64, 0, TSR_F32}},   {{5, 15, 31, 1, TSR_F16}},   {{5, 80, 33, 0, TSR_BF16}},
    {{6, 16, 65, 1, TSR_F32}},   {{7, 20, 40, 0, TSR_F16}},   {{8, 64, 100, 1, TSR_BF16}},
    {{9, 16, 127, 0, TSR_F32}},  {{12, 40, 128, 1, TSR_F16}}, {{13, 17, 129, 0, TSR_BF16}},
    {{16, 33, 50, 1, TSR_F32}},  {{17, 96, 21, 0, TSR_F16}},  {{25, 16, 11, 1, TSR_BF16}},
    {{1, 160, 300, 0, TSR_F32}}, {{1, 33, 257, 0, TSR_F16}},  {{1, 97, 255, 1, TSR_BF16}},
};
static const struct shape matmul_f_real[] = {{{2, 2048, 2048, 0, TSR_F16}},
                                             {{1, 2048, 2048, 0, TSR_BF16}},
                                             {{2, 4096, 1024, 1, TSR_F32}},
                                             {{576, 256, 1024, 1, TSR_F16}},
                                             {{2, 2048, 8, 1, TSR_F32}}};

static size_t build_matmul_tf(struct call *c, const size_t *d)
{
    struct tsr_matmul_f *a = (void *)&c->args;
    const size_t m = d[0], n = d[1], k = d[2];

    a->m = m;
    a->ldx = case_ld(c, k);
    a->x = case_f32(c, m, k, a->ldx);
    a->w = case_tile(c, (uint32_t)d[4], n, k);
    a->bias = d[3] ? case_plain(c, n, -1, 1) : NULL;
    a->ldy = case_ld(c, n);
    a->y = case_out(c, ELEMENT_F32, m, n, a->ldy);
    return tsr_matmul_f_units(a);
}

static void oracle_matmul_tf(struct call *c, const size_t *d)
{
    const struct tsr_matmul_f *a = (void *)&c->args;

    for (size_t m = 0; m < a->m; m++)
        for (size_t n = 0; n < a->w.n; n++) {
            double sum = a->bias ? (double)a->bias[n] : 0, magnitude = fabs(sum), lost = 0;

            for (size_t k = 0; k < a->w.k; k++) {
                const double term = oracle_term(c, (double)a->x[m * a->ldx + k],
                                                oracle_weight(&a->w, n, k, NULL), &lost);

                sum += term;
                magnitude += fabs(term);
            }
            oracle_near(c, a->y[m * a->ldy + n], sum, magnitude, (double)(d[2] + 1) * EPS,
                        (double)(d[2] + 1) * TINY + lost);
        }
}

const struct op_case tsr_case_matmul_tf = {build_matmul_tf, oracle_matmul_tf,
                                           SHAPES(matmul_f_small), SHAPES(matmul_f_real), 0};

/* ---- gather_rows: n, k, count, format ---- */

static const struct shape gather_small[] = {
    {{16, 64, 0, TSR_T8}},  {{1, 1, 1, TSR_T8}},     {{16, 31, 5, TSR_T8}},
    {{17, 64, 9, TSR_T8}},  {{40, 129, 6, TSR_T8}},  {{1, 1, 1, TSR_T4}},
    {{16, 63, 5, TSR_T4}},  {{17, 65, 9, TSR_T4}},   {{40, 200, 6, TSR_T4}},
    {{33, 128, 7, TSR_T4}}, {{5, 0, 2, TSR_F32}},    {{16, 15, 5, TSR_F32}},
    {{19, 17, 8, TSR_F32}}, {{16, 16, 5, TSR_F16}},  {{35, 33, 8, TSR_F16}},
    {{16, 1, 4, TSR_BF16}}, {{17, 32, 5, TSR_BF16}}, {{31, 47, 8, TSR_BF16}},
    {{18, 8, 20, TSR_F32}},
};
static const struct shape gather_real[] = {{{4096, 2048, 64, TSR_T8}},
                                           {{4096, 2048, 64, TSR_T4}},
                                           {{16384, 8, 576, TSR_F32}},
                                           {{4096, 2048, 64, TSR_F16}}};

static size_t build_gather(struct call *c, const size_t *d)
{
    struct tsr_gather *a = (void *)&c->args;
    int32_t *ids;

    a->w = case_tile(c, (uint32_t)d[3], d[0], d[1]);
    a->count = d[2];
    a->ids = ids = case_in(c, d[2] * sizeof *ids, sizeof *ids);
    for (size_t i = 0; i < d[2]; i++)
        ids[i] = (int32_t)(i ? case_random(c) % d[0] : d[0] - 1);
    a->ldy = case_ld(c, d[1]);
    a->y = case_out(c, ELEMENT_F32, d[2], d[1], a->ldy);
    return tsr_gather_units(a);
}

static void oracle_gather(struct call *c, const size_t *d)
{
    const struct tsr_gather *a = (void *)&c->args;

    for (size_t i = 0; i < d[2]; i++)
        for (size_t k = 0; k < d[1]; k++)
            oracle_equal(c, (double)a->y[i * a->ldy + k],
                         (double)(float)oracle_weight(&a->w, (size_t)a->ids[i], k, NULL));
}

const struct op_case tsr_case_gather_rows = {build_gather, oracle_gather, SHAPES(gather_small),
                                             SHAPES(gather_real), 0};

/* ---- codebook_nearest: m, n, k, bias ---- */

static const struct shape codebook_small[] = {
    {{0, 16, 8, 0}},  {{1, 1, 8, 1}},   {{2, 15, 8, 0}},  {{3, 16, 7, 1}},
    {{3, 17, 8, 0}},  {{4, 31, 1, 1}},  {{2, 33, 0, 1}},  {{5, 100, 8, 1}},
    {{2, 257, 9, 0}}, {{3, 48, 16, 1}}, {{2, 65, 33, 0}}, {{1, 130, 64, 1}},
};
static const struct shape codebook_real[] = {{{96, 16384, 8, 1}}};

static size_t build_codebook(struct call *c, const size_t *d)
{
    struct tsr_codebook *a = (void *)&c->args;

    a->m = d[0];
    a->ldx = case_ld(c, d[2]);
    a->x = case_f32(c, d[0], d[2], a->ldx);
    a->w = case_tile(c, TSR_F32, d[1], d[2]);
    a->bias = d[3] ? case_plain(c, d[1], -1, 1) : NULL;
    a->index = case_out(c, ELEMENT_I32, 1, d[0], d[0]);
    return tsr_codebook_units(a);
}

/* The score of code n for row m in double, and how far the f32 chain may be from it. */
static double score(const struct tsr_codebook *a, size_t m, size_t n, double *bound)
{
    double sum = a->bias ? (double)a->bias[n] : 0, magnitude = fabs(sum);

    for (size_t k = 0; k < a->w.k; k++) {
        const double term = (double)a->x[m * a->ldx + k] * oracle_weight(&a->w, n, k, NULL);

        sum += term;
        magnitude += fabs(term);
    }
    *bound = magnitude > FLT_MAX / 4 ? INFINITY : (double)(a->w.k + 1) * (magnitude * EPS + TINY);
    return sum;
}

/* The chosen code is, within rounding, as good as every other; codes that score NaN are not chosen.
 */
static void oracle_codebook(struct call *c, const size_t *d)
{
    const struct tsr_codebook *a = (void *)&c->args;

    for (size_t m = 0; m < d[0]; m++) {
        const size_t chosen = (size_t)a->index[m];
        double bound, other_bound;
        const double best = chosen < d[1] ? score(a, m, chosen, &bound) : NAN;
        int fine = chosen < d[1];

        for (size_t n = 0; n < d[1] && fine; n++) {
            const double other = score(a, m, n, &other_bound);

            fine = isnan(other) || isinf(other_bound) || isinf(bound) ||
                   best + bound >= other - other_bound;
        }
        oracle_equal(c, fine, 1);
    }
}

const struct op_case tsr_case_codebook_nearest = {build_codebook, oracle_codebook,
                                                  SHAPES(codebook_small), SHAPES(codebook_real), 0};
