/*
 * vq.c: the convolution blocks of VQ picture tokenizers (VQGAN; Esser et al. 2021, LlamaGen's
 * VQ-16).
 *
 * A map is [h, w, c] of f32, or of f16 if memory is short. A whole decoder runs in two maps of its
 * largest size: x, which the block reads and writes, and a. What enters a convolution is made a
 * band of rows at a time, right before it is used: normalized, activated and converted values, or
 * the rows of an upsampled map, exist for one band only. So a residual block walks x twice for the
 * sums of GroupNorm and once to make a, then a likewise to make x, and no map is written that is
 * not read again. A band is BAND_FLOATS, enough rows for all threads; the sums of an output do not
 * know the bands.
 */
#include "blocks.h"

#include <string.h>

enum { BAND_FLOATS = 9 << 17 }; /* 24 rows of 384 x 128: 4.5 MiB, beside maps of 72 */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Rows of a map that are worked on together. */
static size_t band_rows(size_t h, size_t row)
{
    const size_t rows = BAND_FLOATS / row;

    return smaller(h, rows > 0 ? rows : 1);
}

/* ---- maps ------------------------------------------------------------------------------------ */

static size_t element_bytes(uint32_t format)
{
    return format == TSR_F16 ? 2 : 4;
}

struct tsr_maps tsr_maps_take(struct tsr_exec *e, size_t elements)
{
    const uint32_t format = e->maps;

    return (struct tsr_maps){.x = tsr_take(e, elements, 1, element_bytes(format)),
                             .a = tsr_take(e, elements, 1, element_bytes(format)),
                             .format = format};
}

static uint8_t *element(void *map, uint32_t format, size_t at)
{
    return (uint8_t *)map + at * element_bytes(format);
}

/* Elements [at, at + m * k) of a map as f32: where they lie, or in memory that is taken. */
static float *read_rows(struct tsr_exec *e, void *map, uint32_t format, size_t at, size_t m,
                        size_t k)
{
    void *const x = element(map, format, at);
    float *y;

    if (format == TSR_F32)
        return x;
    y = tsr_floats(e, m, k);
    tsr_do_cast(e, &(struct tsr_cast){x, y, format, m, k});
    return y;
}

/* Where f32 to become elements from `at` on are to be put: their place, or memory that is taken. */
static float *place_rows(struct tsr_exec *e, void *map, uint32_t format, size_t at, size_t m,
                         size_t k)
{
    return format == TSR_F32 ? (float *)(void *)element(map, format, at) : tsr_floats(e, m, k);
}

/* Stores what place_rows was for. */
static void write_rows(struct tsr_exec *e, void *map, uint32_t format, size_t at, size_t m,
                       size_t k, float *rows)
{
    if (format == TSR_F16)
        tsr_do_cast(e, &(struct tsr_cast){rows, element(map, format, at), TSR_F32, m, k});
}

/* a is the map now, [h, w, c]. */
static void take_map(struct tsr_maps *maps, size_t h, size_t w, size_t c)
{
    void *const x = maps->x;

    maps->x = maps->a;
    maps->a = x;
    maps->h = h;
    maps->w = w;
    maps->c = c;
}

/* ---- what enters a convolution --------------------------------------------------------------- */

/* A GroupNorm of a map whose statistics are known. */
struct norm {
    const struct tsr_scale *scale;
    float *means, *scales; /* [c] */
};

static struct norm norm_of(struct tsr_exec *e, const struct tsr_scale *scale, float eps,
                           const void *map, uint32_t format, size_t pixels, size_t c)
{
    const struct norm norm = {scale, tsr_floats(e, 1, c), tsr_floats(e, 1, c)};
    const size_t mark = tsr_mark(e);
    struct tsr_groupnorm_sums sums = {
        .x = map, .format = format, .pixels = pixels, .channels = c, .groups = TSR_VQ_GROUPS};
    struct tsr_groupnorm_fold fold = {
        .values = norm.means, .pixels = pixels, .channels = c, .groups = TSR_VQ_GROUPS, .eps = eps};

    fold.sums = sums.sums = tsr_floats(e, tsr_groupnorm_sums_units(&sums), TSR_VQ_GROUPS);
    tsr_do_groupnorm_sums(e, &sums);
    tsr_do_groupnorm_fold(e, &fold);
    sums.means = norm.means;
    fold.values = norm.scales;
    fold.root = 1;
    tsr_do_groupnorm_sums(e, &sums);
    tsr_do_groupnorm_fold(e, &fold);
    tsr_release(e, mark);
    return norm;
}

static void normalize(struct tsr_exec *e, const struct norm *n, const void *x, uint32_t format,
                      size_t pixels, size_t c, int silu, float *y)
{
    tsr_do_groupnorm_apply(e, &(struct tsr_groupnorm_apply){.x = x,
                                                            .format = format,
                                                            .y = y,
                                                            .means = n->means,
                                                            .scales = n->scales,
                                                            .weight = n->scale->weight,
                                                            .bias = n->scale->bias,
                                                            .pixels = pixels,
                                                            .channels = c,
                                                            .silu = silu});
}

/* The input of a convolution, [h, w, c]. */
struct input {
    enum { PLAIN, NORM_SILU, UPSAMPLED } from;
    void *map; /* UPSAMPLED: [h / 2, w / 2, c] */
    uint32_t format;
    size_t h, w, c;
    const struct norm *norm; /* NORM_SILU */
};

static struct input input_map(const struct tsr_maps *maps)
{
    return (struct input){PLAIN, maps->x, maps->format, maps->h, maps->w, maps->c, NULL};
}

/* Rows [first, first + count). */
static const float *input_rows(struct tsr_exec *e, const struct input *in, size_t first,
                               size_t count)
{
    const size_t row = in->w * in->c;

    if (in->from == NORM_SILU) {
        float *y = tsr_floats(e, count, row);

        normalize(e, in->norm, element(in->map, in->format, first * row), in->format, count * in->w,
                  in->c, 1, y);
        return y;
    }
    if (in->from == UPSAMPLED) {
        const size_t from = first / 2, rows = (first + count + 1) / 2 - from, half = row / 2;
        float *y = tsr_floats(e, 2 * rows, row);
        const float *x = read_rows(e, in->map, in->format, from * half, rows, half);

        tsr_do_upsample2x(e, &(struct tsr_upsample){x, y, rows, in->w / 2, in->c});
        return y + first % 2 * row;
    }
    return read_rows(e, in->map, in->format, first * row, count, row);
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

/* Output rows [first, first + count) of a convolution of whole maps, to y. */
static void conv_band(struct tsr_exec *e, const struct tsr_conv *c, const struct tsr_conv2d *whole,
                      const struct input *in, size_t first, size_t count, float *y)
{
    const size_t mark = tsr_mark(e), top = first * whole->stride, pad = whole->pad_top;
    const size_t from = top > pad ? top - pad : 0;
    struct tsr_conv2d s = *whole;
    const float *x;

    s.h = smaller(whole->h, (first + count - 1) * whole->stride + whole->kh - pad) - from;
    s.oh = count;
    s.pad_top = from + pad - top;
    x = input_rows(e, in, from, s.h);
    if (c->w.format == TSR_T8)
        conv_t8(e, c, &s, x, y);
    else
        conv_tf(e, c, &s, x, y);
    tsr_release(e, mark);
}

/* The shape of one that gives [oh, ow] with `pad` zeros above and on the left. */
static struct tsr_conv2d conv_shape(const struct tsr_conv *c, const struct input *in, size_t stride,
                                    size_t pad, size_t oh, size_t ow)
{
    return (struct tsr_conv2d){in->h, in->w, c->cin, oh, ow, c->size, c->size, stride, pad, pad};
}

/* Rows of an output that are made together. */
static size_t conv_rows(const struct tsr_conv *c, const struct tsr_conv2d *s)
{
    const size_t in = s->w * s->cin, out = s->ow * c->w.n;

    return band_rows(s->oh, in > out ? in : out);
}

/* y = conv(in), a map of `format`. */
static void conv(struct tsr_exec *e, const struct tsr_conv *c, const struct tsr_conv2d *s,
                 const struct input *in, void *y, uint32_t format)
{
    const size_t band = conv_rows(c, s), row = s->ow * c->w.n;

    for (size_t first = 0; first < s->oh; first += band) {
        const size_t mark = tsr_mark(e), count = smaller(band, s->oh - first);
        float *rows = place_rows(e, y, format, first * row, count, row);

        conv_band(e, c, s, in, first, count, rows);
        write_rows(e, y, format, first * row, count, row, rows);
        tsr_release(e, mark);
    }
}

/* x = conv(in), by way of a. */
static void conv_map(struct tsr_exec *e, const struct tsr_conv *c, const struct input *in,
                     size_t stride, size_t pad, size_t oh, size_t ow, struct tsr_maps *maps)
{
    const struct tsr_conv2d s = conv_shape(c, in, stride, pad, oh, ow);

    conv(e, c, &s, in, maps->a, maps->format);
    take_map(maps, oh, ow, c->w.n);
}

void tsr_vq_in(struct tsr_exec *e, const struct tsr_conv *c, const float *x, size_t h, size_t w,
               struct tsr_maps *maps)
{
    const struct input in = {PLAIN, (void *)(uintptr_t)x, TSR_F32, h, w, c->cin, NULL};

    conv_map(e, c, &in, 1, c->size / 2, h, w, maps);
}

void tsr_vq_out(struct tsr_exec *e, const struct tsr_scale *norm, const struct tsr_conv *c,
                float eps, const struct tsr_maps *maps, float *y)
{
    const size_t mark = tsr_mark(e), h = maps->h, w = maps->w;
    const struct norm n = norm_of(e, norm, eps, maps->x, maps->format, h * w, maps->c);
    const struct input in = {NORM_SILU, maps->x, maps->format, h, w, maps->c, &n};
    const struct tsr_conv2d s = conv_shape(c, &in, 1, c->size / 2, h, w);

    conv(e, c, &s, &in, y, TSR_F32);
    tsr_release(e, mark);
}

void tsr_vq_up(struct tsr_exec *e, const struct tsr_conv *c, struct tsr_maps *maps)
{
    const size_t h = 2 * maps->h, w = 2 * maps->w;
    const struct input in = {UPSAMPLED, maps->x, maps->format, h, w, maps->c, NULL};

    conv_map(e, c, &in, 1, c->size / 2, h, w, maps);
}

void tsr_vq_down(struct tsr_exec *e, const struct tsr_conv *c, struct tsr_maps *maps)
{
    const struct input in = input_map(maps);

    conv_map(e, c, &in, 2, 0, maps->h / 2, maps->w / 2, maps);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

/* Rows [first, first + count) of x = shortcut(x) + conv2(silu(norm2(a))). */
static void res_band(struct tsr_exec *e, const struct tsr_vq_res *w, const struct tsr_conv2d *s,
                     const struct input *in, size_t first, size_t count,
                     const struct tsr_maps *maps)
{
    const size_t mark = tsr_mark(e), width = maps->w, pixels = count * width, cin = maps->c,
                 c = w->conv2.w.n;
    float *y = tsr_floats(e, pixels, c);
    float *x = read_rows(e, maps->x, maps->format, first * width * cin, count, width * cin);
    float *sum;

    conv_band(e, &w->conv2, s, in, first, count, y);
    if (w->shortcut.w.data != NULL) {
        float *shortcut = tsr_floats(e, pixels, c);

        tsr_linear_once(e, x, pixels, &w->shortcut, shortcut);
        x = shortcut;
    }
    sum = maps->format == TSR_F32 ? (float *)maps->x + first * width * c : y;
    tsr_do_add(e, &(struct tsr_rows2){x, c, y, c, sum, c, pixels, c});
    write_rows(e, maps->x, maps->format, first * width * c, count, width * c, sum);
    tsr_release(e, mark);
}

/* x is overwritten band by band: from its start where rows get no longer, else from its end. */
void tsr_vq_res(struct tsr_exec *e, const struct tsr_vq_res *w, float eps, struct tsr_maps *maps)
{
    const size_t mark = tsr_mark(e), height = maps->h, width = maps->w, pixels = height * width;
    const size_t cin = w->conv1.cin, cout = w->conv1.w.n;
    const struct norm norm1 = norm_of(e, &w->norm1, eps, maps->x, maps->format, pixels, cin);
    const struct input first = {NORM_SILU, maps->x, maps->format, height, width, cin, &norm1};
    const struct tsr_conv2d s1 = conv_shape(&w->conv1, &first, 1, 1, height, width);
    struct norm norm2;
    struct input second = {NORM_SILU, maps->a, maps->format, height, width, cout, &norm2};
    const struct tsr_conv2d s2 = conv_shape(&w->conv2, &second, 1, 1, height, width);
    const size_t band = band_rows(height, width * (cin > cout ? cin : cout)),
                 bands = tsr_ceil_div(height, band);

    conv(e, &w->conv1, &s1, &first, maps->a, maps->format);
    norm2 = norm_of(e, &w->norm2, eps, maps->a, maps->format, pixels, cout);
    for (size_t i = 0; i < bands; i++) {
        const size_t at = (cout > cin ? bands - 1 - i : i) * band;

        res_band(e, w, &s2, &second, at, smaller(band, height - at), maps);
    }
    maps->c = cout;
    tsr_release(e, mark);
}

void tsr_vq_attn(struct tsr_exec *e, const struct tsr_vq_attn *w, float eps, struct tsr_maps *maps)
{
    const size_t mark = tsr_mark(e), m = maps->h * maps->w, c = maps->c;
    const struct norm norm = norm_of(e, &w->norm, eps, maps->x, maps->format, m, c);
    float *x = read_rows(e, maps->x, maps->format, 0, m, c); /* [m, c], as all below */
    float *mix = tsr_floats(e, m, c);
    float *q = tsr_floats(e, m, c);
    float *k = tsr_floats(e, m, c);
    float *v = tsr_floats(e, m, c);
    struct tsr_input in = tsr_input(mix, m, c);

    normalize(e, &norm, maps->x, maps->format, m, c, 0, mix);
    tsr_linear(e, &in, &w->q, q);
    tsr_linear(e, &in, &w->k, k);
    tsr_linear(e, &in, &w->v, v);
    tsr_full_attention(e, q, k, v, m, 1, c, mix);
    tsr_linear_once(e, mix, m, &w->o, q);
    tsr_accumulate(e, x, q, m, c);
    write_rows(e, maps->x, maps->format, 0, m, c, x);
    tsr_release(e, mark);
}
