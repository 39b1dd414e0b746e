/*
 * test_maps.c: residual blocks that work band by band give the bits of the plain way with a map for every step; and a
 * decoder of 384 x 384 stays within its memory.
 */
#include "blocks/blocks.h"
#include "conditions.h"
#include "families/vq16.h"
#include "quant.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A map of 3.1 million floats: bands of 57, 57 and 36 rows (BAND_FLOATS in blocks/vq.c); under an emulator of 65 and 55. */
static size_t H = 150, W = 160, C = 128;

static float *numbers(size_t count, float low, float high)
{
    static uint32_t state = 1;
    float *x = aligned_alloc(64, tsr_round_up(count * sizeof *x, 64));

    cr_assert_not_null(x);
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = low + (high - low) * (float)(state >> 8) / 16777216.0f;
    }
    return x;
}

static struct tsr_tile tile(uint32_t format, size_t n, size_t k)
{
    struct tsr_tile t = {NULL, n, k, format};
    float *rows = numbers(n * k, -0.05f, 0.05f);
    size_t bytes;
    void *data;

    cr_assert_eq(tsr_tile_bytes(&bytes, format, n, k, NULL), TSR_OK);
    t.data = data = aligned_alloc(64, tsr_round_up(bytes, 64));
    cr_assert_eq(tsr_tile_pack(data, format, rows, n, k, NULL, NULL), TSR_OK);
    free(rows);
    return t;
}

static struct tsr_scale scale(size_t c)
{
    return (struct tsr_scale){numbers(c, 0.5f, 1.5f), numbers(c, -0.5f, 0.5f)};
}

static struct tsr_conv conv(uint32_t format, size_t cin, size_t cout)
{
    return (struct tsr_conv){tile(format, cout, 9 * cin), numbers(cout, -1, 1), 3, cin};
}

static struct tsr_exec stack(size_t bytes)
{
    struct tsr_exec e = {.kernels = tsr_kernels_select(tsr_cpu_tiers()), .bytes = bytes};

    e.base = tsr_block_new(bytes);
    cr_assert_not_null(e.base);
    return e;
}

/* GroupNorm as layernorm of each group's elements, gathered in their order; then silu. */
static void normed(struct tsr_exec *e, const struct tsr_scale *s, const float *x, size_t c, float *y)
{
    const size_t mark = tsr_mark(e), width = c / 32, n = H * W * width;
    float *group = tsr_floats(e, 3, n), *weight = group + n, *bias = weight + n;

    for (size_t g = 0; g < 32; g++) {
        for (size_t i = 0; i < n; i++) {
            const size_t channel = g * width + i % width;

            group[i] = x[i / width * c + channel];
            weight[i] = s->weight[channel];
            bias[i] = s->bias[channel];
        }
        tsr_do_layernorm(e, &(struct tsr_norm){group, n, group, n, weight, bias, 1, n, 1e-6f});
        for (size_t i = 0; i < n; i++)
            y[i / width * c + g * width + i % width] = group[i];
    }
    tsr_do_silu(e, &(struct tsr_rows){y, c, y, c, H * W, c});
    tsr_release(e, mark);
}

/* One convolution by one call of the operator on whole maps. */
static void convolved(struct tsr_exec *e, const struct tsr_conv *c, float *x, float *y)
{
    const struct tsr_conv2d s = {H, W, c->cin, H, W, 3, 3, 1, 1, 1};
    const size_t mark = tsr_mark(e), groups = c->cin / TSR_GROUP;
    const struct tsr_q8 q = {tsr_take(e, H * W, c->cin, 1), tsr_floats(e, H * W, 1),
                             tsr_take(e, H * W, groups, 4), c->cin, 1};
    void *zeros = memset(tsr_take(e, c->cin, 4, 1), 0, c->cin * 4);

    if (c->w.format == TSR_T8) {
        tsr_do_quantize_rows(e, &(struct tsr_quantize){x, c->cin, q, H * W, c->cin});
        tsr_do_conv2d_t8(e, &(struct tsr_conv2d_q){s, q, c->w, c->bias, y, zeros});
    } else
        tsr_do_conv2d_tf(e, &(struct tsr_conv2d_f){s, x, c->w, c->bias, y, zeros});
    tsr_release(e, mark);
}

/* x as a map of `format` keeps it. */
static void kept(struct tsr_exec *e, uint32_t format, float *x, size_t count)
{
    const size_t mark = tsr_mark(e);
    void *half = tsr_take(e, count, 2, 1);

    if (format == TSR_F16) {
        tsr_do_cast(e, &(struct tsr_cast){x, half, TSR_F32, 1, count});
        tsr_do_cast(e, &(struct tsr_cast){half, x, TSR_F16, 1, count});
    }
    tsr_release(e, mark);
}

/* With weights of `format` and maps of another: where a step of the block ends a map is rounded, and nowhere else. */
static void check_res(uint32_t format, uint32_t maps_format, size_t cin, size_t cout)
{
    const size_t most = cin > cout ? cin : cout, map = H * W * most;
    struct tsr_exec e = stack((size_t)1 << 28);
    struct tsr_vq_res w = {scale(cin), scale(cout), conv(format, cin, cout),
                           conv(format, cout, cout), {{0}, NULL}};
    struct tsr_maps maps;
    float *x = numbers(map, -2, 2);
    float *a = numbers(map, 0, 0), *b = numbers(map, 0, 0), *sum = x;

    e.maps = maps_format;
    maps = tsr_maps_take(&e, map);
    if (cin != cout)
        w.shortcut = (struct tsr_linear){tile(format, cout, cin), numbers(cout, -1, 1)};
    maps.h = H;
    maps.w = W;
    maps.c = cin;
    if (maps_format == TSR_F16)
        tsr_do_cast(&e, &(struct tsr_cast){x, maps.x, TSR_F32, 1, H * W * cin});
    else
        memcpy(maps.x, x, H * W * cin * sizeof *x);
    tsr_vq_res(&e, &w, 1e-6f, &maps);

    kept(&e, maps_format, x, H * W * cin);
    normed(&e, &w.norm1, x, cin, a);
    convolved(&e, &w.conv1, a, b);
    kept(&e, maps_format, b, H * W * cout);
    normed(&e, &w.norm2, b, cout, b);
    convolved(&e, &w.conv2, b, a);
    if (cin != cout)
        tsr_linear_once(&e, x, H * W, &w.shortcut, sum = b);
    tsr_accumulate(&e, sum, a, H * W, cout);
    kept(&e, maps_format, sum, H * W * cout);
    if (maps_format == TSR_F16)
        tsr_do_cast(&e, &(struct tsr_cast){maps.x, a, TSR_F16, 1, H * W * cout});
    cr_expect_eq(maps.c, cout);
    cr_expect_eq(memcmp(maps_format == TSR_F16 ? a : maps.x, sum, H * W * cout * sizeof *sum), 0,
                 "%s, maps of %s, %zu to %zu channels", tsr_format_name(format), tsr_format_name(maps_format), cin,
                 cout);
    free(x);
    free(a);
    free(b);
    tsr_block_free(e.base);
}

Test(maps, bands_are_the_same, .timeout = 300)
{
    static const struct {
        uint32_t format, maps_format;
        size_t in, out; /* shares of the channels */
    } blocks[] = {{TSR_T8, TSR_F32, 1, 1},  {TSR_F32, TSR_F16, 2, 1}, {TSR_F32, TSR_F32, 1, 2},
                  {TSR_F32, TSR_F32, 1, 1}, {TSR_T8, TSR_F32, 2, 1},  {TSR_T8, TSR_F16, 1, 1}};
    const unsigned tried = repeats("residual blocks", sizeof blocks / sizeof *blocks, 2);

    if (emulated()) {
        printf("under an emulator: maps of 120 x 280 x 64 in place of 150 x 160 x 128\n");
        H = 120;
        W = 280;
        C = 64;
    }
    for (unsigned i = 0; i < tried; i++)
        check_res(blocks[i].format, blocks[i].maps_format, C / blocks[i].in, C / blocks[i].out);
}

/* Gives the weights their shapes and no data. */
static tsr_status shape_only(void *data, const struct tsr_slot *slot, struct tsr_error *error)
{
    const uint32_t format = *(const uint32_t *)data;
    const struct tsr_tile w = {slot, slot->n, slot->k, format}; /* data: any address */
    struct tsr_conv *c = slot->target;

    (void)error;
    if (slot->bias)
        return TSR_OK;
    if (slot->kind == TSR_ROW_CONV)
        *c = (struct tsr_conv){w, NULL, slot->conv_size, slot->cin};
    else if (slot->kind == TSR_ROW_LINEAR_BIAS || slot->kind == TSR_ROW_CODEBOOK)
        *(struct tsr_tile *)slot->target = w;
    return TSR_OK;
}

/* Two maps of 72 MiB in f32, of 36 in f16, and bands. */
Test(maps, memory_of_a_decoder_of_384_pixels)
{
    const struct tsr_list channels = {.count = 5, .items = {128, 128, 256, 256, 512}};
    const struct tsr_vq16_shape shape = {24, 16384, 8, 256, 128, 2, &channels};
    static const struct {
        uint32_t weights, maps;
        size_t over, under; /* MiB */
    } cases[] = {
        {TSR_F32, TSR_F32, 144, 160}, {TSR_T8, TSR_F32, 144, 160}, {TSR_F32, TSR_F16, 72, 96}, {TSR_T8, TSR_F16, 72, 96}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t format = cases[i].weights;
        struct tsr_walk walk = {.visit = shape_only, .data = &format};
        struct tsr_vq16 weights = {.codebook = {NULL, 0, 0, 0}};
        struct tsr_exec dry = {.maps = cases[i].maps};

        tsr_vq16_walk(&walk, &shape, "", "", &weights);
        cr_assert_eq(walk.status, TSR_OK);
        tsr_vq16_decode(&dry, &shape, &weights, NULL, NULL);
        printf("weights %s, maps %s: %.1f MiB\n", tsr_format_name(cases[i].weights), tsr_format_name(cases[i].maps),
               (double)dry.peak / (1 << 20));
        cr_expect_lt(dry.peak, cases[i].under << 20);
        cr_expect_gt(dry.peak, cases[i].over << 20);
    }
}
