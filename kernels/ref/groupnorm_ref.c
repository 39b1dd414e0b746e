/*
 * groupnorm_ref.c: GroupNorm in its parts, by the contracts of struct tsr_groupnorm_sums, _fold and
 * _apply. Variance takes two passes: the one-pass form cancels. groupnorm_fold has no tier of its
 * own: it reads 4 bytes for every 4,096 of the map.
 */
#include "ref/ref.h"

static float element(const void *x, uint32_t format, size_t i)
{
    return format == TSR_F16 ? tsr_f16_to_f32(((const uint16_t *)x)[i]) : ((const float *)x)[i];
}

void tsr_groupnorm_sums_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_groupnorm_sums *a = args;
    const size_t width = a->channels / a->groups, elements = a->pixels * width;

    for (size_t block = begin; block < end; block++)
        for (size_t g = 0; g < a->groups; g++) {
            struct tsr_sum sum = {0};
            size_t i = block * TSR_REDUCE_BLOCK;

            for (; i < elements && i < (block + 1) * TSR_REDUCE_BLOCK; i++) {
                const float x =
                    element(a->x, a->format, i / width * a->channels + g * width + i % width);

                if (a->means == NULL)
                    tsr_sum_add(&sum, x);
                else
                    tsr_sum_add_square(&sum, x - a->means[g * width]);
            }
            a->sums[block * a->groups + g] = (float)tsr_sum_total(&sum); /* exact: one block */
        }
}

void tsr_groupnorm_fold_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_groupnorm_fold *a = args;
    const size_t width = a->channels / a->groups, elements = a->pixels * width;

    for (size_t g = begin; g < end; g++) {
        double total = 0;
        float v;

        for (size_t block = 0; block < tsr_ceil_div(elements, TSR_REDUCE_BLOCK); block++)
            total += (double)a->sums[block * a->groups + g];
        v = (float)(total / (double)elements);
        if (a->root)
            v = 1.0f / sqrtf(v + a->eps);
        for (size_t c = 0; c < width; c++)
            a->values[g * width + c] = v;
    }
}

void tsr_groupnorm_apply_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_groupnorm_apply *a = args;

    for (size_t i = begin * a->channels; i < end * a->channels; i++) {
        const size_t c = i % a->channels;
        const float x = element(a->x, a->format, i);
        const float y = fmaf((x - a->means[c]) * a->scales[c], a->weight[c], a->bias[c]);

        a->y[i] = a->silu ? tsr_silu(y) : y;
    }
}
