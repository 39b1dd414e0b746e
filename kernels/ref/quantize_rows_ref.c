/*
 * quantize_rows_ref.c: activations to s8, by the contract of struct tsr_quantize; the arithmetic is
 * in ref.h, which the operators that end in it share.
 */
#include "ref/ref.h"

void tsr_quantize_rows_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_quantize *a = args;

    for (size_t m = begin; m < end; m++)
        tsr_quantize_part(&a->q, m, 0, a->x + m * a->ldx, a->k);
}
