/*
 * gather_ref.c: rows of any tile as f32 (token embeddings, codebooks), by the contract of struct
 * tsr_gather, and codebook_nearest, which goes the other way, by that of struct tsr_codebook.
 */
#include "ref/ref.h"

/* Element (row, k) of any tile. */
static float element(const struct tsr_tile *w, size_t row, size_t k)
{
    const size_t panel = row / TSR_PANEL, r = row % TSR_PANEL;
    const uint8_t *block;
    float column[TSR_PANEL];

    if (w->format != TSR_T8 && w->format != TSR_T4) {
        tsr_column(column, w, panel, k);
        return column[r];
    }
    block = tsr_block(w, panel, k);
    return (float)(tsr_code(block, w->format, r, k) - tsr_zero_point(w->format)) *
           tsr_scale(block, r, k);
}

void tsr_gather_rows_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_gather *a = args;

    for (size_t i = begin; i < end; i++)
        for (size_t k = 0; k < a->w.k; k++)
            a->y[i * a->ldy + k] = element(&a->w, (size_t)a->ids[i], k);
}

void tsr_codebook_nearest_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_codebook *a = args;

    for (size_t m = begin; m < end; m++) {
        struct tsr_best best = {0};

        for (size_t panel = 0; panel * TSR_PANEL < a->w.n; panel++) {
            float acc[TSR_PANEL], w[TSR_PANEL];

            tsr_bias(acc, a->bias, panel, a->w.n);
            for (size_t k = 0; k < a->w.k; k++) {
                tsr_column(w, &a->w, panel, k);
                for (size_t r = 0; r < TSR_PANEL; r++)
                    acc[r] = fmaf(a->x[m * a->ldx + k], w[r], acc[r]);
            }
            for (size_t r = 0; r < TSR_PANEL && panel * TSR_PANEL + r < a->w.n; r++)
                tsr_best_offer(&best, acc[r], panel * TSR_PANEL + r);
        }
        a->index[m] = best.index;
    }
}
