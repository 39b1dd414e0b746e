/*
 * linear.c: linear layers over any tile, and the small blocks made of them.
 *
 * A t8 or t4 matrix takes its input as s8 codes, a wide float matrix as f32 rows. Making them
 * belongs to the input, not to the layer: q, k and v read the same rows, so do gate and up; struct
 * tsr_input makes what is asked for on first use and remembers. Where nobody asks for f32 rows, a
 * norm or silu_mul writes codes and saves writing the rows and reading them again.
 */
#include "blocks.h"

static struct tsr_norm norm_args(const float *x, size_t m, size_t k, const struct tsr_scale *s,
                                 float eps)
{
    return (struct tsr_norm){
        .x = x, .ldx = k, .weight = s->weight, .bias = s->bias, .m = m, .k = k, .eps = eps};
}

/* ---- inputs ---------------------------------------------------------------------------------- */

struct tsr_input tsr_input(const float *x, size_t m, size_t k)
{
    return (struct tsr_input){.from = TSR_FROM_ROWS, .x = x, .ldx = k, .m = m, .k = k};
}

struct tsr_input tsr_input_rmsnorm(const float *x, size_t m, size_t k, const struct tsr_scale *s,
                                   float eps)
{
    return (struct tsr_input){
        .from = TSR_FROM_RMSNORM, .norm = norm_args(x, m, k, s, eps), .m = m, .k = k};
}

struct tsr_input tsr_input_layernorm(const float *x, size_t m, size_t k, const struct tsr_scale *s,
                                     float eps)
{
    return (struct tsr_input){
        .from = TSR_FROM_LAYERNORM, .norm = norm_args(x, m, k, s, eps), .m = m, .k = k};
}

struct tsr_input tsr_input_silu_mul(float *a, const float *b, size_t m, size_t k)
{
    return (struct tsr_input){
        .from = TSR_FROM_SILU_MUL,
        .pair = {.a = a, .lda = k, .b = b, .ldb = k, .y = a, .ldy = k, .m = m, .k = k},
        .m = m,
        .k = k};
}

/* The f32 rows. */
static const float *rows_of(struct tsr_exec *e, struct tsr_input *in)
{
    if (in->x != NULL)
        return in->x;
    in->ldx = in->k;
    if (in->from == TSR_FROM_SILU_MUL) {
        tsr_do_silu_mul(e, &in->pair);
        in->x = in->pair.y;
        return in->x;
    }
    in->norm.y = tsr_floats(e, in->m, in->k);
    in->norm.ldy = in->k;
    if (in->from == TSR_FROM_RMSNORM)
        tsr_do_rmsnorm(e, &in->norm);
    else
        tsr_do_layernorm(e, &in->norm);
    in->x = in->norm.y;
    return in->x;
}

/* The codes, of the f32 rows if there are any. */
static const struct tsr_q8 *codes_of(struct tsr_exec *e, struct tsr_input *in)
{
    const size_t ldc = tsr_round_up(in->k, TSR_BLOCK);
    const size_t lds = tsr_ceil_div(in->k, TSR_ACT_BLOCK);

    if (in->coded)
        return &in->q;
    in->coded = 1;
    in->q = (struct tsr_q8){.codes = tsr_take(e, in->m, ldc, sizeof(int8_t)),
                            .scales = tsr_floats(e, in->m, lds),
                            .sums = tsr_take(e, in->m, ldc / TSR_GROUP, sizeof(int32_t)),
                            .ldc = ldc,
                            .lds = lds};
    if (in->x != NULL)
        tsr_do_quantize_rows(
            e,
            &(struct tsr_quantize){.x = in->x, .ldx = in->ldx, .q = in->q, .m = in->m, .k = in->k});
    else if (in->from == TSR_FROM_SILU_MUL)
        tsr_do_silu_mul_quantize(e, &(struct tsr_rows2_quantize){.rows = in->pair, .q = in->q});
    else if (in->from == TSR_FROM_RMSNORM)
        tsr_do_rmsnorm_quantize(e, &(struct tsr_norm_quantize){.norm = in->norm, .q = in->q});
    else
        tsr_do_layernorm_quantize(e, &(struct tsr_norm_quantize){.norm = in->norm, .q = in->q});
    return &in->q;
}

/* ---- layers ---------------------------------------------------------------------------------- */

void tsr_linear(struct tsr_exec *e, struct tsr_input *in, const struct tsr_linear *l, float *y)
{
    if (l->w.format != TSR_T8 && l->w.format != TSR_T4) {
        const float *x = rows_of(e, in);

        tsr_do_matmul_tf(e, &(struct tsr_matmul_f){.x = x,
                                                   .ldx = in->ldx,
                                                   .w = l->w,
                                                   .bias = l->bias,
                                                   .y = y,
                                                   .ldy = l->w.n,
                                                   .m = in->m});
        return;
    }
    const struct tsr_matmul_q args = {.x = *codes_of(e, in),
                                      .w = l->w,
                                      .bias = l->bias,
                                      .y = y,
                                      .ldy = l->w.n,
                                      .m = in->m,
                                      .streams = e->kernels.streams};
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

void tsr_gelu_mlp(struct tsr_exec *e, struct tsr_input in, const struct tsr_linear *first,
                  const struct tsr_linear *second, float *y)
{
    const size_t mark = tsr_mark(e), m = in.m, hidden = first->w.n;
    float *h = tsr_floats(e, m, hidden); /* [m, hidden] */
    const size_t above = tsr_mark(e);

    tsr_linear(e, &in, first, h);
    tsr_release(e, above);
    tsr_do_gelu_erf(
        e, &(struct tsr_rows){.x = h, .ldx = hidden, .y = h, .ldy = hidden, .m = m, .k = hidden});
    tsr_linear_once(e, h, m, second, y);
    tsr_release(e, mark);
}

void tsr_accumulate(struct tsr_exec *e, float *x, const float *y, size_t m, size_t k)
{
    tsr_do_add(e, &(struct tsr_rows2){
                      .a = x, .lda = k, .b = y, .ldb = k, .y = x, .ldy = k, .m = m, .k = k});
}
