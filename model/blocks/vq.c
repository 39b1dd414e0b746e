/*
 * vq.c: the convolution blocks of VQ picture tokenizers (VQGAN; Esser et al. 2021, LlamaGen's
 * VQ-16).
 *
 * Maps are [h, w, c]. A whole decoder runs in three maps of its largest size: x, which the block
 * reads and writes, and two to work in. A block with a shortcut needs no fourth, because its input
 * is dead once the shortcut has been taken.
 */
#include "blocks.h"

#include <string.h>

static void swap(float **p, float **q)
{
    float *t = *p;
    *p = *q;
    *q = t;
}

/* ---- convolutions ---------------------------------------------------------------------------- */

static void conv_t8(struct tsr_exec *e, const struct tsr_conv *c, const struct tsr_conv2d *s,
                    const float *x, float *y)
{
    const size_t m = s->h * s->w, ldc = tsr_round_up(s->cin, TSR_GROUP);
    const struct tsr_q8 q = {.codes = tsr_take(e, m, ldc, sizeof(int8_t)),
                             .scales = tsr_floats(e, m, tsr_ceil_div(s->cin, TSR_ACT_BLOCK)),
                             .sums = tsr_take(e, m, ldc / TSR_GROUP, sizeof(int32_t)),
                             .ldc = ldc,
                             .lds = tsr_ceil_div(s->cin, TSR_ACT_BLOCK)};
    void *zeros = tsr_take(e, ldc, 4, 1);

    if (tsr_live(e))
        memset(zeros, 0, ldc * 4);
    tsr_do_quantize_rows(
        e, &(struct tsr_quantize){.x = x, .ldx = s->cin, .q = q, .m = m, .k = s->cin});
    tsr_do_conv2d_t8(
        e, &(struct tsr_conv2d_q){
               .s = *s, .x = q, .weights = c->w, .bias = c->bias, .y = y, .zeros = zeros});
}

static void conv_tf(struct tsr_exec *e, const struct tsr_conv *c, const struct tsr_conv2d *s,
                    const float *x, float *y)
{
    float *zeros = tsr_floats(e, 1, s->cin);

    if (tsr_live(e))
        memset(zeros, 0, s->cin * sizeof *zeros);
    tsr_do_conv2d_tf(
        e, &(struct tsr_conv2d_f){
               .s = *s, .x = x, .weights = c->w, .bias = c->bias, .y = y, .zeros = zeros});
}

void tsr_conv(struct tsr_exec *e, const struct tsr_conv *c, const float *x, size_t h, size_t w,
              size_t stride, size_t pad, float *y, size_t oh, size_t ow)
{
    const size_t mark = tsr_mark(e);
    const struct tsr_conv2d s = {.h = h,
                                 .w = w,
                                 .cin = c->cin,
                                 .oh = oh,
                                 .ow = ow,
                                 .kh = c->size,
                                 .kw = c->size,
                                 .stride = stride,
                                 .pad_top = pad,
                                 .pad_left = pad};

    if (c->w.format == TSR_T8)
        conv_t8(e, c, &s, x, y);
    else
        conv_tf(e, c, &s, x, y);
    tsr_release(e, mark);
}

void tsr_conv_map(struct tsr_exec *e, const struct tsr_conv *c, struct tsr_maps *maps)
{
    tsr_conv(e, c, maps->x, maps->h, maps->w, 1, c->size / 2, maps->a, maps->h, maps->w);
    swap(&maps->x, &maps->a);
    maps->c = c->w.n;
}

void tsr_linear_map(struct tsr_exec *e, const struct tsr_linear *l, struct tsr_maps *maps)
{
    tsr_linear_once(e, maps->x, maps->h * maps->w, l, maps->a);
    swap(&maps->x, &maps->a);
    maps->c = l->w.n;
}

/* ---- norms ----------------------------------------------------------------------------------- */

static void groupnorm(struct tsr_exec *e, const struct tsr_scale *s, float eps, size_t pixels,
                      size_t channels, const float *x, float *y)
{
    tsr_do_groupnorm(e, &(struct tsr_groupnorm){.x = x,
                                                .y = y,
                                                .weight = s->weight,
                                                .bias = s->bias,
                                                .pixels = pixels,
                                                .channels = channels,
                                                .groups = TSR_VQ_GROUPS,
                                                .eps = eps});
}

static void norm_silu(struct tsr_exec *e, const struct tsr_scale *s, float eps, size_t pixels,
                      size_t channels, const float *x, float *y)
{
    groupnorm(e, s, eps, pixels, channels, x, y);
    tsr_do_silu(e,
                &(struct tsr_rows){
                    .x = y, .ldx = channels, .y = y, .ldy = channels, .m = pixels, .k = channels});
}

void tsr_norm_silu_map(struct tsr_exec *e, const struct tsr_scale *s, float eps,
                       struct tsr_maps *maps)
{
    norm_silu(e, s, eps, maps->h * maps->w, maps->c, maps->x, maps->x);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

void tsr_vq_res(struct tsr_exec *e, const struct tsr_vq_res *w, float eps, struct tsr_maps *maps)
{
    const size_t height = maps->h, width = maps->w, pixels = height * width;
    const size_t cin = w->conv1.cin, cout = w->conv1.w.n;
    float *x = maps->x, *a = maps->a, *b = maps->b;

    norm_silu(e, &w->norm1, eps, pixels, cin, x, a);                  /* a [h, w, cin] */
    tsr_conv(e, &w->conv1, a, height, width, 1, 1, b, height, width); /* b [h, w, cout] */
    norm_silu(e, &w->norm2, eps, pixels, cout, b, b);
    tsr_conv(e, &w->conv2, b, height, width, 1, 1, a, height, width); /* a [h, w, cout] */
    if (w->shortcut.w.data != NULL) {
        tsr_linear_once(e, x, pixels, &w->shortcut, b); /* b [h, w, cout] */
        swap(&maps->x, &maps->b);
    }
    tsr_accumulate(e, maps->x, a, pixels, cout);
    maps->c = cout;
}

void tsr_vq_attn(struct tsr_exec *e, const struct tsr_vq_attn *w, float eps, struct tsr_maps *maps)
{
    const size_t mark = tsr_mark(e), m = maps->h * maps->w, c = maps->c;
    struct tsr_input in = tsr_input(maps->a, m, c);
    float *q = tsr_floats(e, m, c); /* [m, c], as all below */
    float *k = tsr_floats(e, m, c);
    float *v = tsr_floats(e, m, c);

    groupnorm(e, &w->norm, eps, m, c, maps->x, maps->a);
    tsr_linear(e, &in, &w->q, q);
    tsr_linear(e, &in, &w->k, k);
    tsr_linear(e, &in, &w->v, v);
    tsr_full_attention(e, q, k, v, m, 1, c, maps->b);
    tsr_linear_once(e, maps->b, m, &w->o, maps->a);
    tsr_accumulate(e, maps->x, maps->a, m, c);
    tsr_release(e, mark);
}

void tsr_vq_up(struct tsr_exec *e, const struct tsr_conv *c, struct tsr_maps *maps)
{
    tsr_do_upsample2x(e, &(struct tsr_upsample){
                             .x = maps->x, .y = maps->a, .h = maps->h, .w = maps->w, .c = maps->c});
    maps->h *= 2;
    maps->w *= 2;
    tsr_conv(e, c, maps->a, maps->h, maps->w, 1, 1, maps->x, maps->h, maps->w);
    maps->c = c->w.n;
}

void tsr_vq_down(struct tsr_exec *e, const struct tsr_conv *c, struct tsr_maps *maps)
{
    const size_t oh = maps->h / 2, ow = maps->w / 2;

    tsr_conv(e, c, maps->x, maps->h, maps->w, 2, 0, maps->a, oh, ow);
    swap(&maps->x, &maps->a);
    maps->h = oh;
    maps->w = ow;
    maps->c = c->w.n;
}
