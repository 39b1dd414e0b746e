/*
 * conv2d_ref.c: conv2d_t8 and conv2d_tf, by the contracts of struct tsr_conv2d_q and tsr_conv2d_f.
 * A tap outside the picture reads a pixel of zeros and is run over like any other, so that an Inf
 * in the weights shows at the border too, in every tier.
 */
#include "ref/ref.h"

/* The index of the pixel that tap (ky, kx) of output (oy, ox) reads, or -1 if that is outside. */
static ptrdiff_t tap_pixel(const struct tsr_conv2d *s, size_t oy, size_t ox, size_t ky, size_t kx)
{
    const ptrdiff_t y = (ptrdiff_t)(oy * s->stride + ky) - (ptrdiff_t)s->pad_top;
    const ptrdiff_t x = (ptrdiff_t)(ox * s->stride + kx) - (ptrdiff_t)s->pad_left;

    if (y < 0 || x < 0 || y >= (ptrdiff_t)s->h || x >= (ptrdiff_t)s->w)
        return -1;
    return y * (ptrdiff_t)s->w + x;
}

/* acc += the taps of one output pixel for one panel of outputs, quantized. */
static void taps_q(float acc[TSR_PANEL], const struct tsr_conv2d_q *a, size_t panel, size_t oy,
                   size_t ox)
{
    const struct tsr_conv2d *s = &a->s;
    const size_t cin_p = tsr_round_up(s->cin, TSR_GROUP);

    for (size_t tap = 0; tap < s->kh * s->kw; tap++) {
        const ptrdiff_t pixel = tap_pixel(s, oy, ox, tap / s->kw, tap % s->kw);
        const size_t row = pixel < 0 ? 0 : (size_t)pixel;
        const int8_t *codes = pixel < 0 ? a->zeros : a->x.codes + row * a->x.ldc;
        const int32_t *sums = pixel < 0 ? a->zeros : a->x.sums + row * (a->x.ldc / TSR_GROUP);
        const float *scales = pixel < 0 ? a->zeros : a->x.scales + row * a->x.lds;

        for (size_t c = 0; c < cin_p; c += TSR_ACT_BLOCK) {
            const size_t count = cin_p - c < TSR_ACT_BLOCK ? cin_p - c : TSR_ACT_BLOCK;

            tsr_block_dot(acc, &a->weights, panel, tap * cin_p + c, count, codes + c,
                          sums + c / TSR_GROUP, scales[c / TSR_ACT_BLOCK]);
        }
    }
}

/* The same for f32, f16 and bf16 weights. */
static void taps_f(float acc[TSR_PANEL], const struct tsr_conv2d_f *a, size_t panel, size_t oy,
                   size_t ox)
{
    const struct tsr_conv2d *s = &a->s;

    for (size_t tap = 0; tap < s->kh * s->kw; tap++) {
        const ptrdiff_t pixel = tap_pixel(s, oy, ox, tap / s->kw, tap % s->kw);
        const float *x = pixel < 0 ? a->zeros : a->x + (size_t)pixel * s->cin;

        for (size_t c = 0; c < s->cin; c++) {
            float w[TSR_PANEL];

            tsr_column(w, &a->weights, panel, tap * s->cin + c);
            for (size_t r = 0; r < TSR_PANEL; r++)
                acc[r] = fmaf(x[c], w[r], acc[r]);
        }
    }
}

void tsr_conv2d_t8_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_conv2d_q *a = args;
    const size_t cout = a->weights.n;

    for (struct tsr_conv_part part; begin < end; begin += part.units) {
        part = tsr_conv_part(&a->s, cout, begin, end);
        for (size_t pixel = part.pixel; pixel < part.last; pixel++)
            for (size_t panel = part.panel; panel < part.end; panel++) {
                float acc[TSR_PANEL];

                tsr_bias(acc, a->bias, panel, cout);
                taps_q(acc, a, panel, pixel / a->s.ow, pixel % a->s.ow);
                tsr_store(a->y + pixel * cout, acc, panel, cout);
            }
    }
}

void tsr_conv2d_tf_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_conv2d_f *a = args;
    const size_t cout = a->weights.n;

    for (struct tsr_conv_part part; begin < end; begin += part.units) {
        part = tsr_conv_part(&a->s, cout, begin, end);
        for (size_t pixel = part.pixel; pixel < part.last; pixel++)
            for (size_t panel = part.panel; panel < part.end; panel++) {
                float acc[TSR_PANEL];

                tsr_bias(acc, a->bias, panel, cout);
                taps_f(acc, a, panel, pixel / a->s.ow, pixel % a->s.ow);
                tsr_store(a->y + pixel * cout, acc, panel, cout);
            }
    }
}
