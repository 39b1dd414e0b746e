/*
 * rows_ref.c: operators on rows, element by element: softmax, silu, gelu_erf, gelu_tanh, silu_mul,
 * add, by the contracts of struct tsr_rows and tsr_rows2, silu_mul_quantize and cast.
 */
#include "ref/ref.h"

static float gelu_erf(float x)
{
    return fmaf(x, tsr_phi(x), 0.5f * x);
}

static float gelu_tanh(float x)
{
    const float cubic = fmaf((0.044715f * x) * x, x, x);

    return x / (1.0f + tsr_exp(-1.5957691f * cubic)); /* 2 sqrt(2 / pi) */
}

static void map(const struct tsr_rows *a, size_t begin, size_t end, float (*f)(float))
{
    for (size_t m = begin; m < end; m++)
        for (size_t i = 0; i < a->k; i++)
            a->y[m * a->ldy + i] = f(a->x[m * a->ldx + i]);
}

void tsr_silu_ref(const void *args, size_t begin, size_t end)
{
    map(args, begin, end, tsr_silu);
}

void tsr_gelu_erf_ref(const void *args, size_t begin, size_t end)
{
    map(args, begin, end, gelu_erf);
}

void tsr_gelu_tanh_ref(const void *args, size_t begin, size_t end)
{
    map(args, begin, end, gelu_tanh);
}

void tsr_softmax_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_rows *a = args;

    for (size_t row = begin; row < end; row++) {
        const float *x = a->x + row * a->ldx;
        float *y = a->y + row * a->ldy;
        float m = -INFINITY, total;
        struct tsr_sum sum = {0};

        for (size_t i = 0; i < a->k; i++)
            m = x[i] > m ? x[i] : m;
        for (size_t i = 0; i < a->k; i++) {
            y[i] = tsr_exp(x[i] - m);
            tsr_sum_add(&sum, y[i]);
        }
        total = (float)tsr_sum_total(&sum);
        for (size_t i = 0; i < a->k; i++)
            y[i] /= total;
    }
}

void tsr_add_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_rows2 *a = args;

    for (size_t m = begin; m < end; m++)
        for (size_t i = 0; i < a->k; i++)
            a->y[m * a->ldy + i] = a->a[m * a->lda + i] + a->b[m * a->ldb + i];
}

void tsr_silu_mul_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_rows2 *a = args;

    for (size_t m = begin; m < end; m++)
        for (size_t i = 0; i < a->k; i++)
            a->y[m * a->ldy + i] = tsr_silu(a->a[m * a->lda + i]) * a->b[m * a->ldb + i];
}

void tsr_silu_mul_quantize_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_rows2_quantize *a = args;
    const size_t k = a->rows.k, parts = tsr_ceil_div(k, TSR_ROW_PART);
    float y[TSR_ACT_BLOCK];

    for (size_t unit = begin; unit < end; unit++) {
        const size_t m = unit / parts, first = unit % parts * TSR_ROW_PART;

        for (size_t i = first; i < k && i < first + TSR_ROW_PART; i++) {
            y[i % TSR_ACT_BLOCK] =
                tsr_silu(a->rows.a[m * a->rows.lda + i]) * a->rows.b[m * a->rows.ldb + i];
            tsr_quantize_whole(&a->q, m, i, y, k);
        }
    }
}

void tsr_cast_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_cast *a = args;

    for (size_t i = begin * a->k; i < end * a->k; i++)
        if (a->format == TSR_F16)
            ((float *)a->y)[i] = tsr_f16_to_f32(((const uint16_t *)a->x)[i]);
        else
            ((uint16_t *)a->y)[i] = tsr_f32_to_f16(((const float *)a->x)[i]);
}
