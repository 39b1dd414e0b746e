/*
 * norm_ref.c: rmsnorm, layernorm, l2norm and groupnorm, by the contracts of struct tsr_norm and
 * tsr_groupnorm, and the two that give codes. Variance takes two passes: the one-pass form cancels.
 */
#include "ref/ref.h"

static float reciprocal_root(double sum, size_t count, float eps)
{
    return 1.0f / sqrtf((float)(sum / (double)count) + eps);
}

static double sum_of_squares(const float *x, size_t k)
{
    struct tsr_sum sum = {0};

    for (size_t i = 0; i < k; i++)
        tsr_sum_add_square(&sum, x[i]);
    return tsr_sum_total(&sum);
}

void tsr_rmsnorm_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_norm *a = args;

    for (size_t m = begin; m < end; m++) {
        const float *x = a->x + m * a->ldx;
        float *y = a->y + m * a->ldy;
        const float r = reciprocal_root(sum_of_squares(x, a->k), a->k, a->eps);

        for (size_t i = 0; i < a->k; i++)
            y[i] = (x[i] * r) * a->weight[i];
    }
}

void tsr_l2norm_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_norm *a = args;

    for (size_t m = begin; m < end; m++) {
        const float *x = a->x + m * a->ldx;
        float *y = a->y + m * a->ldy;
        const float root = sqrtf((float)sum_of_squares(x, a->k));
        const float length = root > a->eps ? root : a->eps;

        for (size_t i = 0; i < a->k; i++)
            y[i] = x[i] / length;
    }
}

/* u and r of `rows` rows of `width` values, `ld` apart, taken together. */
static void mean_and_scale(float *u, float *r, const float *x, size_t ldx, size_t rows,
                           size_t width, float eps)
{
    struct tsr_sum sum = {0}, squares = {0};

    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < width; j++)
            tsr_sum_add(&sum, x[i * ldx + j]);
    *u = (float)(tsr_sum_total(&sum) / (double)(rows * width));
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < width; j++)
            tsr_sum_add_square(&squares, x[i * ldx + j] - *u);
    *r = reciprocal_root(tsr_sum_total(&squares), rows * width, eps);
}

/* The same rows normalized; weight and bias [width]. */
static void normalize(float *y, size_t ldy, const float *x, size_t ldx, size_t rows, size_t width,
                      const float *weight, const float *bias, float eps)
{
    float u, r;

    mean_and_scale(&u, &r, x, ldx, rows, width, eps);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < width; j++)
            y[i * ldy + j] = fmaf((x[i * ldx + j] - u) * r, weight[j], bias[j]);
}

void tsr_layernorm_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_norm *a = args;

    for (size_t m = begin; m < end; m++)
        normalize(a->y + m * a->ldy, a->ldy, a->x + m * a->ldx, a->ldx, 1, a->k, a->weight, a->bias,
                  a->eps);
}

void tsr_groupnorm_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_groupnorm *a = args;
    const size_t width = a->channels / a->groups;

    for (size_t g = begin; g < end; g++)
        normalize(a->y + g * width, a->channels, a->x + g * width, a->channels, a->pixels, width,
                  a->weight + g * width, a->bias + g * width, a->eps);
}

void tsr_rmsnorm_quantize_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_norm_quantize *a = args;
    const size_t k = a->norm.k;
    float y[TSR_ACT_BLOCK];

    for (size_t m = begin; m < end; m++) {
        const float *x = a->norm.x + m * a->norm.ldx;
        const float r = reciprocal_root(sum_of_squares(x, k), k, a->norm.eps);

        for (size_t i = 0; i < k; i++) {
            y[i % TSR_ACT_BLOCK] = (x[i] * r) * a->norm.weight[i];
            tsr_quantize_whole(&a->q, m, i, y, k);
        }
    }
}

void tsr_layernorm_quantize_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_norm_quantize *a = args;
    const size_t k = a->norm.k;
    float y[TSR_ACT_BLOCK], u, r;

    for (size_t m = begin; m < end; m++) {
        const float *x = a->norm.x + m * a->norm.ldx;

        mean_and_scale(&u, &r, x, a->norm.ldx, 1, k, a->norm.eps);
        for (size_t i = 0; i < k; i++) {
            y[i % TSR_ACT_BLOCK] = fmaf((x[i] - u) * r, a->norm.weight[i], a->norm.bias[i]);
            tsr_quantize_whole(&a->q, m, i, y, k);
        }
    }
}
