/*
 * map_cases.c: shapes and oracles of the operators on maps of f32 or f16: the parts of GroupNorm,
 * and cast. Widths of groups divide 16, as a decoder's do, or not; pixels stand around the blocks
 * of 1,024 elements of a group. Groups by the sixteen are what AVX-512 takes together.
 */
#include "harness.h"

/* A block's relative error: 64 additions in a lane, the tree, the roundings around it. */
#define REDUCE (80 * EPS)

static double map_value(const void *x, uint32_t format, size_t i)
{
    return format == TSR_F16 ? oracle_f16(((const uint16_t *)x)[i]) : (double)((const float *)x)[i];
}

/* ---- groupnorm_sums: pixels, channels, groups, format, with means ---- */

#define SUMS(pixels, channels, groups)                                                             \
    {{pixels, channels, groups, TSR_F32, 0}},                                                      \
    {                                                                                              \
        {                                                                                          \
            pixels, channels, groups, TSR_F16, 1                                                   \
        }                                                                                          \
    }
static const struct shape sums_small[] = {
    SUMS(0, 8, 2),
    SUMS(1, 1, 1),
    SUMS(5, 6, 2),
    SUMS(3, 34, 2),
    SUMS(16, 64, 4),
    SUMS(33, 64, 2),
    SUMS(100, 24, 2),
    SUMS(40, 96, 3),
    SUMS(21, 99, 1),
    SUMS(300, 12, 3),
    SUMS(1025, 16, 16),
    SUMS(17, 32, 32),
    SUMS(513, 32, 16),
    SUMS(259, 64, 16),
    SUMS(258, 128, 32),
    SUMS(257, 16, 4),
    SUMS(129, 128, 16),
    SUMS(130, 32, 4),
    SUMS(65, 256, 16),
    SUMS(64, 64, 4),
    {{258, 64, 16, TSR_F32, 1}},
    {{131, 128, 16, TSR_F32, 1}},
    {{66, 256, 16, TSR_F16, 0}},
};
static const struct shape sums_real[] = {SUMS(576, 512, 32), SUMS(9216, 256, 32),
                                         SUMS(9300, 128, 32)};

static size_t build_groupnorm_sums(struct call *c, const size_t *d)
{
    struct tsr_groupnorm_sums *a = (void *)&c->args;

    a->pixels = d[0];
    a->channels = d[1];
    a->groups = d[2];
    a->format = (uint32_t)d[3];
    a->x = case_floats(c, a->format, d[0] * d[1], d[1], 1);
    a->means = NULL;
    if (d[4]) {
        float *means = case_plain(c, d[1], -1, 1);

        for (size_t i = 0; i < d[1]; i++)
            means[i] = means[i - i % (d[1] / d[2])];
        a->means = means;
    }
    a->sums = case_out(c, ELEMENT_F32, tsr_groupnorm_sums_units(a), d[2], d[2]);
    return tsr_groupnorm_sums_units(a);
}

static void oracle_groupnorm_sums(struct call *c, const size_t *d)
{
    const struct tsr_groupnorm_sums *a = (void *)&c->args;
    const size_t width = d[1] / d[2], elements = d[0] * width;

    for (size_t i = 0; i < tsr_groupnorm_sums_units(a) * d[2]; i++) {
        const size_t block = i / d[2], g = i % d[2];
        double sum = 0, magnitude = 0;

        for (size_t e = block * 1024; e < elements && e < (block + 1) * 1024; e++) {
            const double x = map_value(a->x, a->format, e / width * d[1] + g * width + e % width);
            const double u = a->means != NULL ? (double)a->means[g * width] : 0;

            sum += a->means != NULL ? (x - u) * (x - u) : x;
            magnitude += a->means != NULL ? pow(fabs(x) + fabs(u), 2) : fabs(x);
        }
        if (!(magnitude > FLT_MAX / 4))
            oracle_near(c, a->sums[i], sum, magnitude, REDUCE, 1024 * TINY);
    }
}

const struct op_case tsr_case_groupnorm_sums = {build_groupnorm_sums, oracle_groupnorm_sums,
                                                SHAPES(sums_small), SHAPES(sums_real), 0};

/* ---- groupnorm_fold: pixels, channels, groups, root ---- */

static const struct shape fold_small[] = {
    {{1, 1, 1, 0}}, {{5, 6, 2, 1}}, {{257, 128, 32, 0}}, {{600, 64, 16, 1}}, {{3000, 12, 3, 0}}};
static const struct shape fold_real[] = {{{147456, 128, 32, 0}}, {{147456, 128, 32, 1}}};

static size_t build_groupnorm_fold(struct call *c, const size_t *d)
{
    struct tsr_groupnorm_fold *a = (void *)&c->args;

    a->pixels = d[0];
    a->channels = d[1];
    a->groups = d[2];
    a->root = (int)d[3];
    a->eps = 1e-6f;
    a->sums = case_f32(c, tsr_ceil_div(d[0] * (d[1] / d[2]), 1024), d[2], d[2]);
    a->values = case_out(c, ELEMENT_F32, 1, a->channels, a->channels);
    return tsr_groupnorm_fold_units(a);
}

static void oracle_groupnorm_fold(struct call *c, const size_t *d)
{
    const struct tsr_groupnorm_fold *a = (void *)&c->args;
    const size_t width = d[1] / d[2], elements = d[0] * width;

    for (size_t i = 0; i < a->channels; i++) {
        double mean = 0, magnitude = 0;

        for (size_t block = 0; block < tsr_ceil_div(elements, 1024); block++) {
            const double sum = (double)a->sums[block * d[2] + i / width];

            mean += sum / (double)elements;
            magnitude += fabs(sum) / (double)elements;
        }
        if (!a->root)
            oracle_near(c, a->values[i], mean, magnitude, EPS, TINY);
        else if (mean > magnitude / 2)
            oracle_near(c, a->values[i], 1 / sqrt(mean + (double)a->eps),
                        1 / sqrt(mean + (double)a->eps), 4 * EPS, TINY);
    }
}

const struct op_case tsr_case_groupnorm_fold = {build_groupnorm_fold, oracle_groupnorm_fold,
                                                SHAPES(fold_small), SHAPES(fold_real), 0};

/* ---- groupnorm_apply: pixels, channels, format, silu ---- */

static const struct shape apply_small[] = {
    {{0, 16, TSR_F32, 0}},  {{1, 1, TSR_F32, 1}},   {{3, 7, TSR_F16, 0}},  {{5, 16, TSR_F16, 1}},
    {{2, 33, TSR_F32, 0}},  {{3, 64, TSR_F32, 1}},  {{2, 95, TSR_F16, 1}}, {{3, 128, TSR_F16, 0}},
    {{2, 100, TSR_F32, 1}}, {{4, 256, TSR_F32, 0}},
};
static const struct shape apply_real[] = {{{576, 512, TSR_F32, 1}}, {{768, 128, TSR_F16, 1}}};

static size_t build_groupnorm_apply(struct call *c, const size_t *d)
{
    struct tsr_groupnorm_apply *a = (void *)&c->args;

    a->pixels = d[0];
    a->channels = d[1];
    a->format = (uint32_t)d[2];
    a->silu = (int)d[3];
    a->x = case_floats(c, a->format, d[0] * d[1], d[1], 1);
    a->means = case_plain(c, d[1], -1, 1);
    a->scales = case_plain(c, d[1], 0.5f, 3);
    a->weight = case_plain(c, d[1], -2, 2);
    a->bias = case_plain(c, d[1], -1, 1);
    if (c->alias && a->format == TSR_F32) {
        a->y = (float *)(uintptr_t)a->x;
        case_in_place(c, a->x, ELEMENT_F32, d[0], d[1], d[1]);
    } else
        a->y = case_out(c, ELEMENT_F32, d[0], d[1], d[1]);
    return tsr_groupnorm_apply_units(a);
}

static void oracle_groupnorm_apply(struct call *c, const size_t *d)
{
    const struct tsr_groupnorm_apply *a = (void *)&c->args;

    for (size_t i = 0; i < d[0] * d[1]; i++) {
        const size_t k = i % d[1];
        const double x = map_value(a->x, a->format, i), u = (double)a->means[k];
        const double factor = (double)a->scales[k] * (double)a->weight[k],
                     bias = (double)a->bias[k];
        const double y = (x - u) * factor + bias;
        const double centred = fabs(x) + fabs(u), magnitude = centred * fabs(factor) + fabs(bias);

        if (magnitude > FLT_MAX / 4 || centred * (double)a->scales[k] > FLT_MAX / 4)
            continue;
        oracle_near(c, a->y[i], a->silu ? oracle_silu_of(y) : y, magnitude, 8 * EPS,
                    a->silu ? SILU_FLOOR : 4 * TINY);
    }
}

const struct op_case tsr_case_groupnorm_apply = {build_groupnorm_apply, oracle_groupnorm_apply,
                                                 SHAPES(apply_small), SHAPES(apply_real), 1};

/* ---- cast: m, k, format of the input ---- */

static const struct shape cast_small[] = {
    {{0, 16, TSR_F32}}, {{1, 1, TSR_F16}},  {{3, 7, TSR_F32}},   {{5, 16, TSR_F16}},
    {{4, 16, TSR_F32}}, {{2, 33, TSR_F16}}, {{3, 127, TSR_F32}}, {{2, 1025, TSR_F16}},
};
static const struct shape cast_real[] = {{{24, 49152, TSR_F32}}, {{24, 49152, TSR_F16}}};

static size_t build_cast(struct call *c, const size_t *d)
{
    struct tsr_cast *a = (void *)&c->args;

    a->m = d[0];
    a->k = d[1];
    a->format = (uint32_t)d[2];
    a->x = case_floats(c, a->format, d[0] * d[1], d[1], 1);
    a->y = case_out(c, a->format == TSR_F32 ? ELEMENT_F16 : ELEMENT_F32, d[0], d[1], d[1]);
    return tsr_cast_units(a);
}

static void oracle_cast(struct call *c, const size_t *d)
{
    const struct tsr_cast *a = (void *)&c->args;

    for (size_t i = 0; i < d[0] * d[1]; i++)
        if (a->format == TSR_F32)
            oracle_equal(c, oracle_f16(((const uint16_t *)a->y)[i]),
                         oracle_to_f16((double)((const float *)a->x)[i]));
        else
            oracle_equal(c, (double)((const float *)a->y)[i],
                         oracle_f16(((const uint16_t *)a->x)[i]));
}

const struct op_case tsr_case_cast = {build_cast, oracle_cast, SHAPES(cast_small),
                                      SHAPES(cast_real), 0};
