/*
 * row_cases.c: shapes and oracles of the operators on rows: the norms, softmax, the activation
 * functions, add, argmax and sample; and those that end in codes. Lengths stand around 16 lanes,
 * the unrolled multiples of them, and the reduction's block of 1,024. These operators may work in
 * place, which is run too (not where codes come out).
 */
#include "harness.h"

/* m, k */
static const struct shape rows_small[] = {
    {{0, 16}},  {{2, 0}},    {{1, 1}},    {{3, 7}},    {{2, 8}},    {{2, 9}},
    {{3, 15}},  {{3, 16}},   {{3, 17}},   {{2, 31}},   {{2, 32}},   {{2, 33}},
    {{2, 47}},  {{2, 63}},   {{2, 64}},   {{2, 65}},   {{2, 100}},  {{2, 127}},
    {{3, 129}}, {{1, 1023}}, {{2, 1024}}, {{2, 1025}}, {{1, 2065}}, {{1, 3000}},
};
static const struct shape rows_real[] = {{{2, 2048}}, {{576, 1024}}, {{12, 5632}}, {{2, 16384}}};

/* ---- norms ---- */

static size_t build_norm(struct call *c, const size_t *d)
{
    struct tsr_norm *a = (void *)&c->args;

    a->m = d[0];
    a->k = d[1];
    a->eps = 1e-6f;
    a->ldx = case_ld(c, d[1]);
    a->x = case_f32(c, d[0], d[1], a->ldx);
    a->weight = case_plain(c, d[1], -2, 2);
    a->bias = case_plain(c, d[1], -1, 1);
    a->ldy = a->ldx;
    if (c->alias) {
        a->y = (float *)(uintptr_t)a->x;
        case_in_place(c, a->x, ELEMENT_F32, d[0], d[1], a->ldx);
    } else {
        a->ldy += 2;
        a->y = case_out(c, ELEMENT_F32, d[0], d[1], a->ldy);
    }
    return tsr_norm_units(a);
}

/* A reduction's relative error: 64 additions in a lane, the tree, the roundings around it. */
#define REDUCE (80 * EPS)

static double squares(const float *x, size_t k)
{
    double sum = 0;

    for (size_t i = 0; i < k; i++)
        sum += (double)x[i] * (double)x[i];
    return sum;
}

static void oracle_rmsnorm(struct call *c, const size_t *d)
{
    const struct tsr_norm *a = (void *)&c->args;

    for (size_t i = 0; i < d[0] * d[1]; i++) {
        const float *x = a->x + i / d[1] * a->ldx;
        const double sum = squares(x, d[1]);
        const double want = (double)x[i % d[1]] / sqrt(sum / (double)d[1] + (double)a->eps) *
                            (double)a->weight[i % d[1]];

        if (!(sum > FLT_MAX / 4))
            oracle_near(c, a->y[i / d[1] * a->ldy + i % d[1]], want, fabs(want), REDUCE, 4 * TINY);
    }
}

static void oracle_l2norm(struct call *c, const size_t *d)
{
    const struct tsr_norm *a = (void *)&c->args;

    for (size_t i = 0; i < d[0] * d[1]; i++) {
        const float *x = a->x + i / d[1] * a->ldx;
        const double sum = squares(x, d[1]), root = sqrt(sum);
        const double want = (double)x[i % d[1]] / (root > (double)a->eps ? root : (double)a->eps);

        if (!(sum > FLT_MAX / 4))
            oracle_near(c, a->y[i / d[1] * a->ldy + i % d[1]], want, fabs(want), REDUCE, 4 * TINY);
    }
}

/* The mean errs by REDUCE * mean |x|, which moves all. */
static void oracle_layernorm_row(struct call *c, const struct tsr_norm *a, const float *x, const float *y)
{
    double mean = 0, absolute = 0, variance = 0, r;

    for (size_t i = 0; i < a->k; i++) {
        mean += (double)x[i] / (double)a->k;
        absolute += fabs((double)x[i]) / (double)a->k;
    }
    for (size_t i = 0; i < a->k; i++)
        variance += pow((double)x[i] - mean, 2) / (double)a->k;
    if (absolute * (double)a->k > FLT_MAX / 4 || variance * (double)a->k > FLT_MAX / 4)
        return;
    r = 1 / sqrt(variance + (double)a->eps);
    for (size_t i = 0; i < a->k; i++) {
        const double centred = (double)x[i] - mean;
        const double w = (double)a->weight[i], b = (double)a->bias[i];
        const double magnitude =
            (fabs(centred) + 2 * absolute + fabs(centred) * absolute * r) * r * fabs(w) + fabs(b);

        oracle_near(c, y[i], centred * r * w + b, magnitude, REDUCE, 4 * TINY);
    }
}

static void oracle_layernorm(struct call *c, const size_t *d)
{
    const struct tsr_norm *a = (void *)&c->args;

    for (size_t m = 0; m < d[0]; m++)
        oracle_layernorm_row(c, a, a->x + m * a->ldx, a->y + m * a->ldy);
}

const struct op_case tsr_case_rmsnorm = {build_norm, oracle_rmsnorm, SHAPES(rows_small),
                                         SHAPES(rows_real), 1};
const struct op_case tsr_case_layernorm = {build_norm, oracle_layernorm, SHAPES(rows_small),
                                           SHAPES(rows_real), 1};
const struct op_case tsr_case_l2norm = {build_norm, oracle_l2norm, SHAPES(rows_small),
                                        SHAPES(rows_real), 1};

/* ---- softmax, silu, gelu ---- */

static size_t build_rows(struct call *c, const size_t *d)
{
    struct tsr_rows *a = (void *)&c->args;

    a->m = d[0];
    a->k = d[1];
    a->ldx = case_ld(c, d[1]);
    a->x = case_f32(c, d[0], d[1], a->ldx);
    a->ldy = a->ldx;
    if (c->alias) {
        a->y = (float *)(uintptr_t)a->x;
        case_in_place(c, a->x, ELEMENT_F32, d[0], d[1], a->ldx);
    } else {
        a->ldy += 2;
        a->y = case_out(c, ELEMENT_F32, d[0], d[1], a->ldy);
    }
    return tsr_rows_units(a);
}

static void oracle_softmax(struct call *c, const size_t *d)
{
    const struct tsr_rows *a = (void *)&c->args;

    for (size_t m = 0; m < d[0]; m++) {
        const float *x = a->x + m * a->ldx;
        double most = -INFINITY, least = INFINITY, sum = 0;

        for (size_t i = 0; i < d[1]; i++) {
            most = fmax(most, (double)x[i]);
            least = fmin(least, (double)x[i]);
        }
        for (size_t i = 0; i < d[1]; i++)
            sum += exp((double)x[i] - most);
        for (size_t i = 0; i < d[1]; i++) {
            const double away = fmax((double)x[i] - most, -200),
                         want = exp((double)x[i] - most) / sum;

            if (most - least <= FLT_MAX)
                oracle_near(c, a->y[m * a->ldy + i], want, want, REDUCE - away * EPS, 4 * TINY);
        }
    }
}

static void oracle_silu(struct call *c, const size_t *d)
{
    const struct tsr_rows *a = (void *)&c->args;

    for (size_t i = 0; i < d[0] * d[1]; i++) {
        const double x = (double)a->x[i / d[1] * a->ldx + i % d[1]];

        oracle_near(c, a->y[i / d[1] * a->ldy + i % d[1]], oracle_silu_of(x), fabs(oracle_silu_of(x)), 8 * EPS,
                    SILU_FLOOR);
    }
}

static void oracle_gelu_erf(struct call *c, const size_t *d)
{
    const struct tsr_rows *a = (void *)&c->args;

    for (size_t i = 0; i < d[0] * d[1]; i++) {
        const double x = (double)a->x[i / d[1] * a->ldx + i % d[1]];

        oracle_near(c, a->y[i / d[1] * a->ldy + i % d[1]], x / 2 * (1 + erf(x / sqrt(2))), fabs(x),
                    4 * EPS, 4 * TINY);
    }
}

static void oracle_gelu_tanh(struct call *c, const size_t *d)
{
    const struct tsr_rows *a = (void *)&c->args;

    for (size_t i = 0; i < d[0] * d[1]; i++) {
        const double x = (double)a->x[i / d[1] * a->ldx + i % d[1]];
        const double inner = sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x);

        oracle_near(c, a->y[i / d[1] * a->ldy + i % d[1]], x / 2 * (1 + tanh(inner)), fabs(x),
                    8 * EPS, 4 * TINY);
    }
}

const struct op_case tsr_case_softmax = {build_rows, oracle_softmax, SHAPES(rows_small),
                                         SHAPES(rows_real), 1};
const struct op_case tsr_case_silu = {build_rows, oracle_silu, SHAPES(rows_small),
                                      SHAPES(rows_real), 1};
const struct op_case tsr_case_gelu_erf = {build_rows, oracle_gelu_erf, SHAPES(rows_small),
                                          SHAPES(rows_real), 1};
const struct op_case tsr_case_gelu_tanh = {build_rows, oracle_gelu_tanh, SHAPES(rows_small),
                                           SHAPES(rows_real), 1};

/* ---- silu_mul, add: m, k, one row of b repeated ---- */

static const struct shape rows2_small[] = {
    {{0, 16, 0}},  {{2, 0, 0}},   {{1, 1, 0}},   {{3, 7, 1}},   {{3, 8, 0}},
    {{3, 9, 1}},   {{3, 15, 0}},  {{3, 16, 1}},  {{3, 17, 0}},  {{2, 31, 1}},
    {{2, 32, 0}},  {{2, 33, 1}},  {{2, 63, 0}},  {{2, 64, 1}},  {{2, 65, 0}},
    {{2, 100, 1}}, {{2, 127, 0}}, {{2, 128, 1}}, {{2, 129, 0}}, {{1, 1000, 0}},
};
static const struct shape rows2_real[] = {{{2, 5632, 0}}, {{576, 4096, 1}}, {{12, 2048, 0}}};

static size_t build_rows2(struct call *c, const size_t *d)
{
    struct tsr_rows2 *a = (void *)&c->args;
    const int repeated = (int)d[2], share_b = c->alias == 2 && !repeated;

    a->m = d[0];
    a->k = d[1];
    a->lda = case_ld(c, d[1]);
    a->a = case_f32(c, d[0], d[1], a->lda);
    a->ldb = repeated ? 0 : case_ld(c, d[1]);
    a->b = case_f32(c, repeated && d[0] ? 1 : d[0], d[1], a->ldb);
    a->ldy = a->lda;
    if (c->alias) {
        a->y = (float *)(uintptr_t)(share_b ? a->b : a->a);
        case_in_place(c, a->y, ELEMENT_F32, d[0], d[1], a->ldy);
    } else {
        a->ldy += 2;
        a->y = case_out(c, ELEMENT_F32, d[0], d[1], a->ldy);
    }
    return tsr_rows2_units(a);
}

static void oracle_rows2(struct call *c, const size_t *d, int is_add)
{
    const struct tsr_rows2 *t = (void *)&c->args;

    for (size_t i = 0; i < d[0] * d[1]; i++) {
        const size_t m = i / d[1], at = i % d[1];
        const double a = (double)t->a[m * t->lda + at], b = (double)t->b[m * t->ldb + at];
        const float y = t->y[m * t->ldy + at];

        if (is_add)
            oracle_equal(c, (double)y, (double)(float)(a + b));
        else
            oracle_near(c, y, oracle_silu_of(a) * b, fmax(fabs(oracle_silu_of(a) * b), fabs(oracle_silu_of(a))), 10 * EPS,
                        SILU_FLOOR * fmax(fabs(b), 1));
    }
}

static void oracle_add(struct call *c, const size_t *d)
{
    oracle_rows2(c, d, 1);
}

static void oracle_silu_mul(struct call *c, const size_t *d)
{
    oracle_rows2(c, d, 0);
}

const struct op_case tsr_case_silu_mul = {build_rows2, oracle_silu_mul, SHAPES(rows2_small),
                                          SHAPES(rows2_real), 2};
const struct op_case tsr_case_add = {build_rows2, oracle_add, SHAPES(rows2_small),
                                     SHAPES(rows2_real), 2};

/* ---- norm or silu_mul, then quantize_rows: m, k, multiple of ldc, one row of b repeated ---- */

static const struct shape coded_small[] = {
    {{0, 64, 64, 0}},   {{2, 0, 64, 0}},    {{1, 1, 64, 1}},    {{3, 31, 32, 0}},
    {{3, 33, 32, 1}},   {{5, 63, 64, 0}},   {{4, 64, 64, 1}},   {{2, 100, 32, 0}},
    {{3, 127, 64, 1}},  {{7, 128, 64, 0}},  {{3, 129, 64, 1}},  {{1, 160, 32, 0}},
    {{2, 1000, 64, 1}}, {{6, 1024, 64, 0}}, {{3, 1025, 64, 1}}, {{3, 2047, 64, 0}},
    {{2, 2049, 32, 1}}, {{1, 2177, 64, 0}}, {{2, 3000, 64, 1}},
};
static const struct shape coded_real[] = {
    {{2, 2048, 64, 0}}, {{577, 1024, 64, 0}}, {{12, 5632, 64, 0}}};

static void build_codes(struct call *c, struct tsr_q8 *q, const size_t *d)
{
    q->ldc = tsr_round_up(d[1], d[2]);
    q->lds = tsr_ceil_div(d[1], TSR_ACT_BLOCK);
    q->codes = case_out(c, ELEMENT_I8, d[0], q->ldc, q->ldc);
    q->scales = case_out(c, ELEMENT_F32, d[0], q->lds, q->lds);
    q->sums = case_out(c, ELEMENT_I32, d[0], q->ldc / TSR_GROUP, q->ldc / TSR_GROUP);
}

static size_t build_norm_quantize(struct call *c, const size_t *d)
{
    struct tsr_norm_quantize *a = (void *)&c->args;
    const size_t ld = case_ld(c, d[1]);

    a->norm = (struct tsr_norm){.x = case_f32(c, d[0], d[1], ld),
                                .ldx = ld,
                                .weight = case_plain(c, d[1], -2, 2),
                                .bias = case_plain(c, d[1], -1, 1),
                                .m = d[0],
                                .k = d[1],
                                .eps = 1e-6f};
    build_codes(c, &a->q, d);
    return tsr_norm_quantize_units(a);
}

static size_t build_rows2_quantize(struct call *c, const size_t *d)
{
    struct tsr_rows2_quantize *a = (void *)&c->args;
    const size_t ld = case_ld(c, d[1]), repeated = d[3] && d[0];

    a->rows = (struct tsr_rows2){.a = case_f32(c, d[0], d[1], ld),
                                 .lda = ld,
                                 .b = case_f32(c, repeated ? 1 : d[0], d[1], ld),
                                 .ldb = repeated ? 0 : ld,
                                 .m = d[0],
                                 .k = d[1]};
    build_codes(c, &a->q, d);
    return tsr_rows2_quantize_units(a);
}

/* The codes of rows y [m, k], by the operators one after the other: the same bits. */
static void oracle_codes(struct call *c, const size_t *d, const struct tsr_q8 *q, const float *y)
{
    struct tsr_q8 want = *q;

    want.codes = malloc(d[0] * q->ldc + 1);
    want.scales = malloc((d[0] * q->lds + 1) * sizeof(float));
    want.sums = malloc((d[0] * q->ldc / TSR_GROUP + 1) * sizeof(int32_t));
    if (!want.codes || !want.scales || !want.sums)
        abort();
    tsr_quantize_rows_ref(
        &(struct tsr_quantize){.x = y, .ldx = d[1], .q = want, .m = d[0], .k = d[1]}, 0, d[0]);
    for (size_t i = 0; i < d[0] * q->lds; i++)
        oracle_equal(c, (double)q->scales[i], (double)want.scales[i]);
    for (size_t i = 0; i < d[0] * q->ldc; i++)
        oracle_equal(c, q->codes[i], want.codes[i]);
    for (size_t i = 0; i < d[0] * q->ldc / TSR_GROUP; i++) {
        double sum = 0;

        for (size_t j = 0; j < TSR_GROUP; j++)
            sum += q->codes[i * TSR_GROUP + j];
        oracle_equal(c, q->sums[i], sum);
    }
    free(want.codes);
    free(want.scales);
    free(want.sums);
}

static void oracle_norm_quantize(struct call *c, const size_t *d, tsr_kernel *norm)
{
    const struct tsr_norm_quantize *a = (void *)&c->args;
    struct tsr_norm args = a->norm;

    args.ldy = d[1];
    args.y = malloc((d[0] * d[1] + 1) * sizeof(float));
    if (!args.y)
        abort();
    norm(&args, 0, d[0]);
    oracle_codes(c, d, &a->q, args.y);
    free(args.y);
}

static void oracle_rmsnorm_quantize(struct call *c, const size_t *d)
{
    oracle_norm_quantize(c, d, tsr_rmsnorm_ref);
}

static void oracle_layernorm_quantize(struct call *c, const size_t *d)
{
    oracle_norm_quantize(c, d, tsr_layernorm_ref);
}

static void oracle_silu_mul_quantize(struct call *c, const size_t *d)
{
    const struct tsr_rows2_quantize *a = (void *)&c->args;
    struct tsr_rows2 args = a->rows;

    args.ldy = d[1];
    args.y = malloc((d[0] * d[1] + 1) * sizeof(float));
    if (!args.y)
        abort();
    tsr_silu_mul_ref(&args, 0, d[0]);
    oracle_codes(c, d, &a->q, args.y);
    free(args.y);
}

const struct op_case tsr_case_rmsnorm_quantize = {build_norm_quantize, oracle_rmsnorm_quantize,
                                                  SHAPES(coded_small), SHAPES(coded_real), 0};
const struct op_case tsr_case_layernorm_quantize = {build_norm_quantize, oracle_layernorm_quantize,
                                                    SHAPES(coded_small), SHAPES(coded_real), 0};
const struct op_case tsr_case_silu_mul_quantize = {build_rows2_quantize, oracle_silu_mul_quantize,
                                                   SHAPES(coded_small), SHAPES(coded_real), 0};
