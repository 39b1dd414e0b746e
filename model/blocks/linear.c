/*
 * linear.c: linear layers over any tile, and the small blocks made of them.
 *
 * A t8 or t4 matrix takes its input as s8 codes. Quantizing belongs to the input, not to the layer:
 * q, k and v read the same rows, so do gate and up; struct tsr_input quantizes on first use and
 * remembers. A wide float matrix takes the f32 rows as they are.
 */
#include "blocks.h"

static void code(struct tsr_exec *e, struct tsr_input *in)
{
    const size_t ldc = tsr_round_up(in->k, TSR_BLOCK);
    const size_t lds = tsr_ceil_div(in->k, TSR_ACT_BLOCK);

    in->q = (struct tsr_q8){.codes = tsr_take(e, in->m, ldc, sizeof(int8_t)),
                            .scales = tsr_floats(e, in->m, lds),
                            .sums = tsr_take(e, in->m, ldc / TSR_GROUP, sizeof(int32_t)),
                            .ldc = ldc,
                            .lds = lds};
    in->coded = 1;
    tsr_do_quantize_rows(
        e, &(struct tsr_quantize){.x = in->x, .ldx = in->ldx, .q = in->q, .m = in->m, .k = in->k});
}

void tsr_linear(struct tsr_exec *e, struct tsr_input *in, const struct tsr_linear *l, float *y)
{
    if (l->w.format != TSR_T8 && l->w.format != TSR_T4) {
        tsr_do_matmul_tf(e, &(struct tsr_matmul_f){.x = in->x,
                                                   .ldx = in->ldx,
                                                   .w = l->w,
                                                   .bias = l->bias,
                                                   .y = y,
                                                   .ldy = l->w.n,
                                                   .m = in->m});
        return;
    }
    if (!in->coded)
        code(e, in);
    const struct tsr_matmul_q args = {
        .x = in->q, .w = l->w, .bias = l->bias, .y = y, .ldy = l->w.n, .m = in->m};
    if (l->w.format == TSR_T8)
        tsr_do_matmul_t8(e, &args);
    else
        tsr_do_matmul_t4(e, &args);
}

void tsr_linear_once(struct tsr_exec *e, const float *x, size_t m, const struct tsr_linear *l,
                     float *y)
{
    const size_t mark = tsr_mark(e);
    struct tsr_input in = tsr_input(x, m, l->w.k);

    tsr_linear(e, &in, l, y);
    tsr_release(e, mark);
}

void tsr_gelu_mlp(struct tsr_exec *e, const float *x, size_t m, const struct tsr_linear *first,
                  const struct tsr_linear *second, float *y)
{
    const size_t mark = tsr_mark(e), hidden = first->w.n;
    float *h = tsr_floats(e, m, hidden); /* [m, hidden] */

    tsr_linear_once(e, x, m, first, h);
    tsr_do_gelu_erf(
        e, &(struct tsr_rows){.x = h, .ldx = hidden, .y = h, .ldy = hidden, .m = m, .k = hidden});
    tsr_linear_once(e, h, m, second, y);
    tsr_release(e, mark);
}

static struct tsr_norm norm_args(const float *x, size_t m, size_t k, const struct tsr_scale *s,
                                 float eps, float *y)
{
    return (struct tsr_norm){.x = x,
                             .ldx = k,
                             .y = y,
                             .ldy = k,
                             .weight = s->weight,
                             .bias = s->bias,
                             .m = m,
                             .k = k,
                             .eps = eps};
}

void tsr_rmsnorm(struct tsr_exec *e, const float *x, size_t m, size_t k, const struct tsr_scale *s,
                 float eps, float *y)
{
    const struct tsr_norm args = norm_args(x, m, k, s, eps, y);
    tsr_do_rmsnorm(e, &args);
}

void tsr_layernorm(struct tsr_exec *e, const float *x, size_t m, size_t k,
                   const struct tsr_scale *s, float eps, float *y)
{
    const struct tsr_norm args = norm_args(x, m, k, s, eps, y);
    tsr_do_layernorm(e, &args);
}

void tsr_accumulate(struct tsr_exec *e, float *x, const float *y, size_t m, size_t k)
{
    tsr_do_add(e, &(struct tsr_rows2){
                      .a = x, .lda = k, .b = y, .ldb = k, .y = x, .ldy = k, .m = m, .k = k});
}
