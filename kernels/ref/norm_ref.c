/*
 * norm_ref.c: rmsnorm, layernorm and l2norm, by the contract of struct tsr_norm, and the two that give codes. Variance
 * takes two passes: the one-pass form cancels.
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

static void mean_and_scale(float *u, float *r, const float *x, size_t k, float eps)
{
    struct tsr_sum sum = {0}, squares = {0};

    for (size_t i = 0; i < k; i++)
        tsr_sum_add(&sum, x[i]);
    *u = (float)(tsr_sum_total(&sum) / (double)k);
    for (size_t i = 0; i < k; i++)
        tsr_sum_add_square(&squares, x[i] - *u);
    *r = reciprocal_root(tsr_sum_total(&squares), k, eps);
}

void tsr_layernorm_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_norm *a = args;
    float u, r;

    for (size_t m = begin; m < end; m++) {
        const float *x = a->x + m * a->ldx;

        mean_and_scale(&u, &r, x, a->k, a->eps);
        for (size_t i = 0; i < a->k; i++)
            a->y[m * a->ldy + i] = fmaf((x[i] - u) * r, a->weight[i], a->bias[i]);
    }
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

        mean_and_scale(&u, &r, x, k, a->norm.eps);
        for (size_t i = 0; i < k; i++) {
            y[i % TSR_ACT_BLOCK] = fmaf((x[i] - u) * r, a->norm.weight[i], a->norm.bias[i]);
            tsr_quantize_whole(&a->q, m, i, y, k);
        }
    }
}
