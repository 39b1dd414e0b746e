/*
 * rope_ref.c: rope_table and rope, by the contracts of struct tsr_rope_table and tsr_rope.
 * Positions are given, not counted, so that a family may number pictures as it likes.
 */
#include "ref/ref.h"

void tsr_rope_table_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_rope_table *a = args;

    for (size_t m = begin; m < end; m++)
        for (size_t i = 0; i < a->half; i++) {
            const float angle = a->positions[m] * a->inv_freq[i];

            a->cosines[m * a->half + i] = tsr_cos(angle);
            a->sines[m * a->half + i] = tsr_sin(angle);
        }
}

void tsr_rope_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_rope *t = args;
    const size_t half = t->d / 2;

    for (size_t m = begin; m < end; m++)
        for (size_t h = 0; h < t->heads; h++)
            for (size_t p = 0; p < half; p++) {
                float *x = t->x + m * t->ldx + h * t->d;
                float *first = t->interleaved ? x + 2 * p : x + p;
                float *second = t->interleaved ? first + 1 : first + half;
                const float a = *first, b = *second;
                const float c = t->cosines[m * half + p], s = t->sines[m * half + p];

                *first = fmaf(-b, s, a * c);
                *second = fmaf(a, s, b * c);
            }
}
