/*
 * matmul_ref.c: matmul_t8, matmul_t4 and matmul_tf, by the contracts of struct tsr_matmul_q and
 * tsr_matmul_f: one dot product per output, its roundings in the order of the contract.
 */
#include "ref/ref.h"

static void matmul_q(const struct tsr_matmul_q *a, size_t begin, size_t end)
{
    const size_t k_padded = tsr_round_up(a->w.k, TSR_BLOCK);

    for (size_t panel = begin; panel < end; panel++)
        for (size_t m = 0; m < a->m; m++) {
            float acc[TSR_PANEL];

            tsr_bias(acc, a->bias, panel, a->w.n);
            for (size_t k = 0; k < k_padded; k += TSR_ACT_BLOCK) {
                const size_t count = k_padded - k < TSR_ACT_BLOCK ? k_padded - k : TSR_ACT_BLOCK;

                tsr_block_dot(acc, &a->w, panel, k, count, a->x.codes + m * a->x.ldc + k,
                              a->x.sums + (m * a->x.ldc + k) / TSR_GROUP,
                              a->x.scales[m * a->x.lds + k / TSR_ACT_BLOCK]);
            }
            tsr_store(a->y + m * a->ldy, acc, panel, a->w.n);
        }
}

void tsr_matmul_t8_ref(const void *args, size_t begin, size_t end)
{
    matmul_q(args, begin, end);
}

void tsr_matmul_t4_ref(const void *args, size_t begin, size_t end)
{
    matmul_q(args, begin, end);
}

void tsr_matmul_tf_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_matmul_f *a = args;

    for (size_t panel = begin; panel < end; panel++)
        for (size_t m = 0; m < a->m; m++) {
            float acc[TSR_PANEL], w[TSR_PANEL];

            tsr_bias(acc, a->bias, panel, a->w.n);
            for (size_t k = 0; k < a->w.k; k++) {
                tsr_column(w, &a->w, panel, k);
                for (size_t r = 0; r < TSR_PANEL; r++)
                    acc[r] = fmaf(a->x[m * a->ldx + k], w[r], acc[r]);
            }
            tsr_store(a->y + m * a->ldy, acc, panel, a->w.n);
        }
}
