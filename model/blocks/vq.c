/*
 * vq.c: the convolution blocks of VQ picture tokenizers (VQGAN; Esser et al. 2021, LlamaGen's
 * VQ-16).
 *
 * Maps are [h, w, c]. A whole decoder runs in two maps of its largest size: x, which the block reads
 * and writes, and one to work in. A residual block's convolutions work in place: the output lies a
 * band of rows and one more away from the input, so a band can be written while the rows that it and
 * the later bands read are still there; the first convolution moves the map down by that much, the
 * second, last band first, up again. A band is BAND_FLOATS, enough rows for all threads; the sums of
 * an output do not know the bands. Where a block changes the channels a working map holds both.
 */
#include "blocks.h"

#include <string.h>

enum { BAND_FLOATS = 2 << 20 }; /* 42 rows of 384 x 128: 8 MiB, beside maps of 72 */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Rows of a map that are convolved together. */
static size_t band_rows(size_t h, size_t row)
{
    const size_t rows = BAND_FLOATS / row;

    return smaller(h, rows > 0 ? rows : 1);
}

size_t tsr_work_floats(size_t h, size_t w, size_t c, int changes)
{
    const size_t map = h * w * c, in_place = map + smaller(map, BAND_FLOATS) + 2 * w * c;

    return changes && 2 * map > in_place ? 2 * map : in_place;
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

/* Output rows [first, first + count) of a convolution of whole maps. */
static void conv_band(struct tsr_exec *e, const struct tsr_conv *c, const struct tsr_conv2d *whole,
                      size_t first, size_t count, const float *x, float *y)
{
    const size_t mark = tsr_mark(e), top = first * whole->stride, pad = whole->pad_top;
    const size_t from = top > pad ? top - pad : 0;
    struct tsr_conv2d s = *whole;

    s.h = smaller(whole->h, (first + count - 1) * whole->stride + whole->kh - pad) - from;
    s.oh = count;
    s.pad_top = from + pad - top;
    x += from * whole->w * whole->cin;
    y += first * whole->ow * c->w.n;
    if (c->w.format == TSR_T8)
        conv_t8(e, c, &s, x, y);
    else
        conv_tf(e, c, &s, x, y);
    tsr_release(e, mark);
}

/* All bands, the last one first if `backwards`. */
static void conv_bands(struct tsr_exec *e, const struct tsr_conv *c, const struct tsr_conv2d *s,
                       int backwards, const float *x, float *y)
{
    const size_t in = s->w * s->cin, out = s->ow * c->w.n;
    const size_t band = band_rows(s->oh, in > out ? in : out), bands = tsr_ceil_div(s->oh, band);

    for (size_t i = 0; i < bands; i++) {
        const size_t first = (backwards ? bands - 1 - i : i) * band;

        conv_band(e, c, s, first, smaller(band, s->oh - first), x, y);
    }
}

void tsr_conv(struct tsr_exec *e, const struct tsr_conv *c, const float *x, size_t h, size_t w,
              size_t stride, size_t pad, float *y, size_t oh, size_t ow)
{
    const struct tsr_conv2d s = {h, w, c->cin, oh, ow, c->size, c->size, stride, pad, pad};

    conv_bands(e, c, &s, 0, x, y);
}

/* x = the map [h, w, c] in a. */
static void take_map(struct tsr_exec *e, struct tsr_maps *maps, size_t h, size_t w, size_t c)
{
    if (tsr_live(e))
        memcpy(maps->x, maps->a, h * w * c * sizeof *maps->x);
    maps->h = h;
    maps->w = w;
    maps->c = c;
}

void tsr_conv_map(struct tsr_exec *e, const struct tsr_conv *c, struct tsr_maps *maps)
{
    tsr_conv(e, c, maps->x, maps->h, maps->w, 1, c->size / 2, maps->a, maps->h, maps->w);
    take_map(e, maps, maps->h, maps->w, c->w.n);
}

/* y = W x + bias at each of the pixels, band by band: an input may have to be quantized. */
static void linear_pixels(struct tsr_exec *e, const struct tsr_linear *l, const float *x,
                          size_t pixels, float *y)
{
    const size_t band = band_rows(pixels, l->w.k);

    for (size_t at = 0; at < pixels; at += band)
        tsr_linear_once(e, x + at * l->w.k, smaller(band, pixels - at), l, y + at * l->w.n);
}

void tsr_linear_map(struct tsr_exec *e, const struct tsr_linear *l, struct tsr_maps *maps)
{
    linear_pixels(e, l, maps->x, maps->h * maps->w, maps->a);
    take_map(e, maps, maps->h, maps->w, l->w.n);
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

/* x += what the two convolutions make of it, in place in a; c channels throughout. */
static void res_in_place(struct tsr_exec *e, const struct tsr_vq_res *w, float eps,
                         const struct tsr_maps *maps)
{
    const size_t height = maps->h, width = maps->w, c = maps->c, pixels = height * width;
    const struct tsr_conv2d s = {height, width, c, height, width, w->conv1.size, w->conv1.size,
                                 1, 1, 1};
    float *low = maps->a;
    float *high = low + (band_rows(height, width * c) + 1) * width * c;

    norm_silu(e, &w->norm1, eps, pixels, c, maps->x, high);
    conv_bands(e, &w->conv1, &s, 0, high, low);
    norm_silu(e, &w->norm2, eps, pixels, c, low, low);
    conv_bands(e, &w->conv2, &s, 1, low, high);
    tsr_accumulate(e, maps->x, high, pixels, c);
}

void tsr_vq_res(struct tsr_exec *e, const struct tsr_vq_res *w, float eps, struct tsr_maps *maps)
{
    const size_t height = maps->h, width = maps->w, pixels = height * width;
    const size_t cin = w->conv1.cin, cout = w->conv1.w.n;
    float *x = maps->x, *a = maps->a, *b = a + pixels * (cin > cout ? cin : cout);

    if (w->shortcut.w.data == NULL) {
        res_in_place(e, w, eps, maps);
        return;
    }
    norm_silu(e, &w->norm1, eps, pixels, cin, x, a);                  /* a [h, w, cin] */
    tsr_conv(e, &w->conv1, a, height, width, 1, 1, b, height, width); /* b [h, w, cout] */
    norm_silu(e, &w->norm2, eps, pixels, cout, b, b);
    tsr_conv(e, &w->conv2, b, height, width, 1, 1, a, height, width); /* a [h, w, cout] */
    linear_pixels(e, &w->shortcut, x, pixels, b);                     /* b [h, w, cout] */
    tsr_do_add(e, &(struct tsr_rows2){.a = b,
                                      .lda = cout,
                                      .b = a,
                                      .ldb = cout,
                                      .y = x,
                                      .ldy = cout,
                                      .m = pixels,
                                      .k = cout});
    maps->c = cout;
}

void tsr_vq_attn(struct tsr_exec *e, const struct tsr_vq_attn *w, float eps, struct tsr_maps *maps)
{
    const size_t mark = tsr_mark(e), m = maps->h * maps->w, c = maps->c;
    struct tsr_input in = tsr_input(maps->a, m, c);
    float *q = tsr_floats(e, m, c); /* [m, c], as all below */
    float *k = tsr_floats(e, m, c);
    float *v = tsr_floats(e, m, c);
    float *mix = tsr_floats(e, m, c);

    groupnorm(e, &w->norm, eps, m, c, maps->x, maps->a);
    tsr_linear(e, &in, &w->q, q);
    tsr_linear(e, &in, &w->k, k);
    tsr_linear(e, &in, &w->v, v);
    tsr_full_attention(e, q, k, v, m, 1, c, mix);
    tsr_linear_once(e, mix, m, &w->o, maps->a);
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
    take_map(e, maps, oh, ow, c->w.n);
}
