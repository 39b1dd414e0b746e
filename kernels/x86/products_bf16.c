/*
 * products_bf16.c: matmul_tf and conv2d_tf of --math fast on AVX512-BF16: inputs and weights rounded to bf16,
 * products of pairs added in f32 by vdpbf16ps, twice the work of an fma. Each factor errs by 2^-8 at most, so a
 * result errs by 2^-7 of the sum of its terms' magnitudes, and by the additions; denormals count as zero.
 *
 * Both are one algorithm: a product of m rows is a 1x1 convolution of a picture one pixel high. Pixels are
 * taken in strips of up to 96, k in blocks of 512, outputs in groups of 4 panels. For each block the pixels'
 * inputs are gathered (taps outside: zeros) and packed as pairs of bf16 once for all panels, the weights
 * likewise for each strip; between blocks the sums wait in y. The register tile is 6 pixels x 4 panels: 24 sums,
 * 4 lines and a broadcast of 32 zmm; a step is 24 products for 10 loads. Bound by vdpbf16ps.
 * With few rows a matmul is bound by reading the weights, which the exact kernel does as well.
 *
 * By hand and not through oneDNN: its primitives are made, cached and given memory per shape, and bring threads
 * of their own; an operator here is one pure function.
 *
 * One thread of a Zen 4 (EPYC, family 25 model 17), n = k = 2,048, m = 576, bf16 weights: 94 % of the
 * vdpbf16ps peak (two threads 87 %), f16 weights, which are packed, 85 %, f32 78 %.
 */
#include "impl.h"
#include "x86/vec_avx512.h"

#include <string.h>

enum {
    /* Long blocks, for sums are read and written once a block: 24.9 ms for 192 pixels and k of 128, 23.7 for 192
     * and 256, 23.1 for 96 and 512. Packed inputs are then 96 KiB and lines 64 KiB of the L2. */
    BF_STRIP = 96, /* pixels */
    BF_DEPTH = 512, /* k of a block */
    BF_PAIRS = BF_DEPTH / 2,
    BF_COLS = 4,
    BF_ROWS = 6,
    BF_ROWS_ALONE = 12, /* of one panel: chains that hide the latency (6) of a product */
    BF_MATMUL_ROWS = 8  /* fewer: the exact kernel */
};

struct bf_product {
    struct tsr_conv2d s;
    const float *x; /* [h, w, cin], pixels ldx apart */
    size_t ldx;
    const float *zeros; /* [cin] */
    struct tsr_tile w;
    const float *bias; /* [w.n] or NULL */
    float *y;          /* [oh * ow, w.n] */
    size_t ldy;
};

/* A run of k within a tap: `count` inputs from c on of tap (ky, kx). */
struct bf_run {
    ptrdiff_t ky, kx;
    size_t c, count;
};

struct bf_strip {
    const struct bf_product *p;
    size_t first, count;                      /* pixels */
    ptrdiff_t top[BF_STRIP], left[BF_STRIP];  /* the input pixel of tap (0, 0) of each */
    struct bf_run runs[BF_DEPTH];             /* those of a block */
    uint32_t x[BF_STRIP * BF_PAIRS];          /* [count, pairs] of bf16 */
    uint32_t lines[BF_COLS * BF_PAIRS * 16];  /* [columns, pairs, 16] of bf16 */
};

/* Cuts [k, k + depth) at the taps; returns the number of runs. */
static size_t bf_cut(struct bf_strip *s, size_t k, size_t depth)
{
    const struct tsr_conv2d *conv = &s->p->s;
    size_t runs = 0;

    for (size_t i = 0; i < depth; runs++) {
        const size_t tap = (k + i) / conv->cin, c = (k + i) % conv->cin;
        const size_t count = conv->cin - c < depth - i ? conv->cin - c : depth - i;

        s->runs[runs] = (struct bf_run){(ptrdiff_t)(tap / conv->kw), (ptrdiff_t)(tap % conv->kw), c, count};
        i += count;
    }
    return runs;
}

/* The inputs of a run at a pixel of the strip. */
static inline const float *bf_inputs(const struct bf_strip *s, const struct bf_run *run, size_t pixel)
{
    const struct bf_product *p = s->p;
    const ptrdiff_t y = s->top[pixel] + run->ky, x = s->left[pixel] + run->kx;

    if (y < 0 || x < 0 || y >= (ptrdiff_t)p->s.h || x >= (ptrdiff_t)p->s.w)
        return p->zeros + run->c;
    return p->x + ((size_t)y * p->s.w + (size_t)x) * p->ldx + run->c;
}

/* Packs the block [k, k + depth) of all pixels as pairs, an odd last one with zero. */
static void bf_pack_inputs(struct bf_strip *s, size_t k, size_t depth)
{
    const size_t runs = bf_cut(s, k, depth);
    float gathered[BF_DEPTH];

    for (size_t pixel = 0; pixel < s->count; pixel++) {
        const float *in = bf_inputs(s, s->runs, pixel);

        if (runs > 1) {
            float *to = gathered;

            for (size_t i = 0; i < runs; to += s->runs[i++].count)
                memcpy(to, bf_inputs(s, &s->runs[i], pixel), s->runs[i].count * sizeof *to);
            in = gathered;
        }
        for (size_t i = 0; i < depth; i += 32) {
            const size_t left = depth - i, low = left < 16 ? left : 16, high = left < 32 ? left - low : 16;
            const __m512 a = vf_load_n(in + i, low), b = vf_load_n(in + i + low, high);

            _mm512_storeu_si512(s->x + pixel * BF_PAIRS + i / 2, (__m512i)_mm512_cvtne2ps_pbh(b, a));
        }
    }
}

/* The lines [k, k + depth) of `columns` panels as pairs of bf16; k is even. Sets how far columns are apart. */
static const uint32_t *bf_pack_weights(struct bf_strip *s, size_t panel, size_t k, size_t depth,
                                       size_t columns, size_t *apart)
{
    const __m512i zip = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7,
                                         22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    const struct tsr_tile *w = &s->p->w;
    const size_t bytes = tsr_panel_bytes(w->format, w->k);
    const char *data = (const char *)w->data + panel * bytes;

    if (w->format == TSR_BF16) {
        *apart = bytes / 4;
        return (const uint32_t *)(const void *)data + k / 2 * 16;
    }
    *apart = BF_PAIRS * 16;
    for (size_t c = 0; c < columns; c++, data += bytes)
        for (size_t i = 0; i < depth; i += 2) {
            const size_t at = (k + i) * 16;
            __m512 a, b = vf_splat(0);

            if (w->format == TSR_F16) {
                a = vf_load_f16((const uint16_t *)(const void *)data + at);
                b = i + 1 < depth ? vf_load_f16((const uint16_t *)(const void *)data + at + 16) : b;
            } else {
                a = vf_load((const float *)(const void *)data + at);
                b = i + 1 < depth ? vf_load((const float *)(const void *)data + at + 16) : b;
            }
            _mm512_storeu_si512(s->lines + c * *apart + i / 2 * 16,
                                _mm512_permutexvar_epi16(zip, (__m512i)_mm512_cvtne2ps_pbh(b, a)));
        }
    return s->lines;
}

/* A block of k for some panels: where its lines are, and what its sums begin with. */
struct bf_block {
    const uint32_t *lines;
    size_t apart, pairs, n; /* n: outputs that exist of the last panel */
    int first;              /* the sums begin with `start`, else with what stands in y */
    vf16 start[BF_COLS];
    float *y; /* of the strip's first pixel */
    size_t ldy;
};

/* Adds the block to the sums of rows x columns from `pixel` on; a last panel in part stands alone. */
VF_INLINE void bf_tile(const struct bf_strip *s, const struct bf_block *b, size_t pixel, int rows, int columns)
{
    const uint32_t *x = s->x + pixel * BF_PAIRS;
    float *y = b->y + pixel * b->ldy;
    vf16 sums[BF_ROWS * BF_COLS];

#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int c = 0; c < columns; c++)
            sums[r * columns + c] = b->first       ? b->start[c]
                                    : columns == 1 ? vf_load_n(y + (size_t)r * b->ldy, b->n)
                                                   : vf_load(y + (size_t)r * b->ldy + 16 * c);
    for (size_t j = 0; j < b->pairs; j++) {
        __m512i line[BF_COLS];

#pragma GCC unroll 4
        for (int c = 0; c < columns; c++)
            line[c] = _mm512_loadu_si512(b->lines + (size_t)c * b->apart + j * 16);
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            const __m512i pair = _mm512_set1_epi32((int)x[(size_t)r * BF_PAIRS + j]);

#pragma GCC unroll 4
            for (int c = 0; c < columns; c++)
                sums[r * columns + c] =
                    _mm512_dpbf16_ps(sums[r * columns + c], (__m512bh)pair, (__m512bh)line[c]);
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int c = 0; c < columns; c++)
            if (columns == 1)
                vf_store_n(y + (size_t)r * b->ldy, sums[r], b->n);
            else
                vf_store(y + (size_t)r * b->ldy + 16 * c, sums[r * columns + c]);
}

/* All pixels of the strip, `rows` at a time, then two, then one. */
VF_INLINE void bf_pixels(const struct bf_strip *s, const struct bf_block *b, int rows, int columns)
{
    size_t at = 0;

    for (; at + (size_t)rows <= s->count; at += (size_t)rows)
        bf_tile(s, b, at, rows, columns);
    for (; at + 2 <= s->count; at += 2)
        bf_tile(s, b, at, 2, columns);
    if (at < s->count)
        bf_tile(s, b, at, 1, columns);
}

static void bf_pixels_wide(const struct bf_strip *s, const struct bf_block *b)
{
    bf_pixels(s, b, BF_ROWS, BF_COLS);
}

static void bf_pixels_alone(const struct bf_strip *s, const struct bf_block *b)
{
    bf_pixels(s, b, BF_ROWS_ALONE, 1);
}

/* Adds the block [k, k + depth), whose inputs are packed, to the outputs of `columns` panels. */
static void bf_panels(struct bf_strip *s, size_t panel, size_t columns, size_t k, size_t depth)
{
    const struct bf_product *p = s->p;
    const size_t left = p->w.n - (panel + columns - 1) * 16;
    struct bf_block b = {.pairs = (depth + 1) / 2,
                         .n = left < 16 ? left : 16,
                         .first = k == 0,
                         .y = p->y + s->first * p->ldy + panel * 16,
                         .ldy = p->ldy};

    for (size_t c = 0; c < columns; c++)
        b.start[c] = p->bias ? vf_load_n(p->bias + (panel + c) * 16, c + 1 < columns ? 16 : b.n) : vf_splat(0);
    b.lines = bf_pack_weights(s, panel, k, depth, columns, &b.apart);
    if (columns == BF_COLS)
        bf_pixels_wide(s, &b);
    else
        bf_pixels_alone(s, &b);
}

/* The pixels [first, last) of panels [begin, end). */
static void bf_compute(const struct bf_product *p, size_t first, size_t last, size_t begin, size_t end)
{
    struct bf_strip s;

    s.p = p;
    for (s.first = first; s.first < last; s.first += s.count) {
        s.count = last - s.first < BF_STRIP ? last - s.first : BF_STRIP;
        for (size_t i = 0; i < s.count; i++) {
            s.top[i] = (ptrdiff_t)((s.first + i) / p->s.ow * p->s.stride) - (ptrdiff_t)p->s.pad_top;
            s.left[i] = (ptrdiff_t)((s.first + i) % p->s.ow * p->s.stride) - (ptrdiff_t)p->s.pad_left;
        }
        for (size_t k = 0; k < p->w.k || k == 0; k += BF_DEPTH) {
            const size_t depth = p->w.k - k < BF_DEPTH ? p->w.k - k : BF_DEPTH;

            if (depth > 0)
                bf_pack_inputs(&s, k, depth);
            for (size_t panel = begin, columns; panel < end; panel += columns) {
                columns = end - panel >= BF_COLS && (panel + BF_COLS) * 16 <= p->w.n ? BF_COLS : 1;
                bf_panels(&s, panel, columns, k, depth);
            }
        }
    }
}

void tsr_matmul_tf_bf16(const void *args, size_t begin, size_t end)
{
    const struct tsr_matmul_f *a = args;
    const struct bf_product p = {{1, a->m, a->w.k, 1, a->m, 1, 1, 1, 0, 0},
                                 a->x, a->ldx, NULL, a->w, a->bias, a->y, a->ldy};

    if (a->m < BF_MATMUL_ROWS)
        tsr_matmul_tf_avx512(args, begin, end);
    else
        bf_compute(&p, 0, a->m, begin, end);
}

void tsr_conv2d_tf_bf16(const void *args, size_t begin, size_t end)
{
    const struct tsr_conv2d_f *a = args;
    const struct bf_product p = {a->s, a->x, a->s.cin, a->zeros, a->weights, a->bias, a->y, a->weights.n};

    for (struct tsr_conv_part part; begin < end; begin += part.units) {
        part = tsr_conv_part(&a->s, a->weights.n, begin, end);
        bf_compute(&p, part.pixel, part.last, part.panel, part.end);
    }
}
