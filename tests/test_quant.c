/*
 * test_quant.c: formats and tiles: sizes, layout, packing. The files of the room are in
 * quant_gguf.c and quant_safetensors.c.
 */
#include <config.h>

#include "checked.h"
#include "half.h"
#include "names.h"
#include "quant.h"
#include "quant_files.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t formats[] = {TSR_F32, TSR_F16, TSR_BF16, TSR_T8, TSR_T4};
static const size_t sizes[][2] = {{1, 1},  {1, 31},  {15, 32},  {16, 33}, {17, 63},  {33, 64},
                                  {3, 65}, {48, 96}, {31, 127}, {2, 129}, {100, 257}};

enum { FORMATS = sizeof formats / sizeof formats[0], SIZES = sizeof sizes / sizeof sizes[0] };

/* ---- checked arithmetic ---- */

Test(checked, limits)
{
    uint64_t out = 7;
    size_t size = 7;

    cr_expect(tsr_checked_add(&out, UINT64_MAX - 1, 1) && out == UINT64_MAX);
    cr_expect(!tsr_checked_add(&out, UINT64_MAX, 1) && out == UINT64_MAX);
    cr_expect(tsr_checked_mul(&out, UINT64_C(1) << 32, 0xffffffff) && out == 0xffffffff00000000);
    cr_expect(!tsr_checked_mul(&out, UINT64_C(1) << 32, UINT64_C(1) << 32) &&
              out == 0xffffffff00000000);
    cr_expect(tsr_checked_mul(&out, UINT64_MAX, 0) && out == 0);
    cr_expect(tsr_checked_round_up(&out, UINT64_MAX - 63, 64) && out == UINT64_MAX - 63);
    cr_expect(!tsr_checked_round_up(&out, UINT64_MAX - 62, 64));
    cr_expect(tsr_checked_round_up(&out, 1, 64) && out == 64);
    cr_expect(tsr_checked_size(&size, PTRDIFF_MAX) && size == PTRDIFF_MAX);
    cr_expect(!tsr_checked_size(&size, (uint64_t)PTRDIFF_MAX + 1));
    cr_expect(tsr_checked_range(10, 0, 10) && tsr_checked_range(3, 7, 10));
    cr_expect(!tsr_checked_range(3, 8, 10) && !tsr_checked_range(11, 0, 10));
    cr_expect(!tsr_checked_range(UINT64_MAX - 31, 64, 100));
    cr_expect(tsr_checked_count(3, 5, 15) && !tsr_checked_count(3, 5, 14) &&
              !tsr_checked_count(UINT64_MAX, 1, 15));
}

Test(names, sorted)
{
    struct tsr_name names[] = {{"b", 0}, {"", 1}, {"ab", 2}, {"a", 3}};
    struct tsr_name twice[] = {{"x", 0}, {"y", 1}, {"x", 2}};

    cr_expect_null(tsr_names_sort(names, 4));
    for (size_t i = 0; i < 4; i++)
        cr_expect(tsr_names_find(names, 4, names[i].text) == names[i].index);
    cr_expect(tsr_names_find(names, 4, "c") == SIZE_MAX &&
              tsr_names_find(names, 0, "a") == SIZE_MAX);
    cr_expect(tsr_names_sort(twice, 3)->index == 2);
}

/* ---- sizes and names of formats ---- */

Test(tile, bytes)
{
    enum { HALF_BITS = 4 * sizeof(size_t) };
    static const struct {
        uint32_t format;
        size_t n, k, bytes;
    } good[] = {
        {TSR_F32, 1, 1, 64},    {TSR_F16, 17, 3, 192},
        {TSR_BF16, 16, 3, 128}, {TSR_BF16, 16, 4, 128},
        {TSR_T8, 1, 1, 1088},   {TSR_T8, 16, 64, 1088},
        {TSR_T8, 17, 65, 4352}, {TSR_T4, 16, 64, 576},
        {TSR_T4, 33, 70, 3456}, {TSR_F32, 102400, 2048, (size_t)102400 * 2048 * 4},
    };
    static const struct {
        uint32_t format;
        size_t n, k;
        tsr_status status;
        const char *says;
    } bad[] = {
        {TSR_F32, 0, 1, TSR_MALFORMED, "empty"},
        {TSR_T4, 1, 0, TSR_MALFORMED, "empty"},
        {TSR_T4, SIZE_MAX, 1, TSR_MALFORMED, "overflow"},
        {TSR_T8, 1, SIZE_MAX, TSR_MALFORMED, "overflow"},
        {TSR_F32, (size_t)1 << HALF_BITS, (size_t)1 << HALF_BITS, TSR_MALFORMED, "overflow"},
        {TSR_F32, (size_t)1 << (HALF_BITS - 1), (size_t)1 << (HALF_BITS - 1), TSR_MALFORMED,
         "overflow"},
        {5, 1, 1, TSR_UNSUPPORTED, "format 5"},
        {~0u, 1, 1, TSR_UNSUPPORTED, "format"},
    };

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        size_t bytes = 0;
        struct tsr_error error = {0};

        cr_expect(tsr_tile_bytes(&bytes, good[i].format, good[i].n, good[i].k, &error) == TSR_OK);
        cr_expect(bytes == good[i].bytes, "case %zu: %zu bytes, expected %zu", i, bytes,
                  good[i].bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        size_t bytes;
        struct tsr_error error = {0};
        tsr_status status = tsr_tile_bytes(&bytes, bad[i].format, bad[i].n, bad[i].k, &error);

        expect_error("tile_bytes", status, &error, bad[i].status, bad[i].says);
    }
}

Test(tile, format_names)
{
    struct tsr_error error = {0};
    uint32_t format = 77;

    for (size_t i = 0; i < FORMATS; i++) {
        cr_expect(tsr_format_parse(&format, tsr_format_name(formats[i]), &error) == TSR_OK);
        cr_expect(format == formats[i]);
    }
    expect_error("parse", tsr_format_parse(&format, "q4_k", &error), &error, TSR_USAGE, "q4_k");
    cr_expect_str_eq(tsr_format_name(TSR_T4), "q4_0");
    cr_expect_str_eq(tsr_format_name(99), "unknown");
}

/* ---- the layout, read as kernels.h words it ---- */

static float scale_at(const uint8_t *block, size_t k, size_t r)
{
    uint16_t half;

    memcpy(&half, block + k / 32 % 2 * 32 + r * 2, 2);
    return tsr_f16_to_f32(half);
}

static float element(const struct tsr_tile *tile, size_t n, size_t k)
{
    const uint8_t *panel =
        (const uint8_t *)tile->data + n / 16 * tsr_panel_bytes(tile->format, tile->k);
    size_t r = n % 16, quad = k % 64 / 4, i = k % 4;
    uint16_t half;
    float value;
    int code;

    switch (tile->format) {
    case TSR_F32:
        memcpy(&value, panel + (k * 16 + r) * 4, 4);
        return value;
    case TSR_F16:
        memcpy(&half, panel + (k * 16 + r) * 2, 2);
        return tsr_f16_to_f32(half);
    case TSR_BF16:
        memcpy(&half, panel + ((k / 2 * 16 + r) * 2 + k % 2) * 2, 2);
        return tsr_bf16_to_f32(half);
    case TSR_T8:
        panel += k / 64 * 1088;
        return (float)(panel[64 + quad * 64 + 4 * r + i] - 128) * scale_at(panel, k, r);
    default:
        panel += k / 64 * 576;
        code = panel[64 + quad / 2 * 64 + 4 * r + i];
        code = quad % 2 == 0 ? code & 15 : code >> 4;
        return (float)(code - 8) * scale_at(panel, k, r);
    }
}

/* A tile of its own exact size, so that a sanitizer sees every byte too far. */
struct packed {
    struct tsr_tile tile;
    void *data;
    size_t bytes;
};

static struct packed pack(uint32_t format, const float *rows, size_t n, size_t k,
                          struct tsr_tile_loss *loss)
{
    struct packed p = {{NULL, n, k, format}, NULL, 0};
    struct tsr_error error = {0};

    cr_assert(tsr_tile_bytes(&p.bytes, format, n, k, &error) == TSR_OK);
    cr_assert(posix_memalign(&p.data, 64, p.bytes) == 0);
    memset(p.data, 0xa5, p.bytes); /* padding must be written too */
    cr_assert(tsr_tile_pack(p.data, format, rows, n, k, loss, &error) == TSR_OK, "%s",
              error.message);
    p.tile.data = p.data;
    return p;
}

static float *normal_rows(size_t n, size_t k, uint64_t seed)
{
    float *rows = malloc(n * k * sizeof *rows);

    cr_assert_not_null(rows);
    for (size_t i = 0; i < n * k; i++)
        rows[i] = 0.02f * random_normal(&seed);
    return rows;
}

Test(tile, unpack_reads_the_layout)
{
    for (size_t f = 0; f < FORMATS; f++)
        for (size_t s = 0; s < SIZES; s++) {
            size_t n = sizes[s][0], k = sizes[s][1];
            float *rows = normal_rows(n, k, 1 + s), *back = malloc(n * k * sizeof *back);
            struct packed p = pack(formats[f], rows, n, k, NULL);

            tsr_tile_unpack(back, &p.tile);
            for (size_t i = 0; i < n * k; i++)
                cr_assert(back[i] == element(&p.tile, i / k, i % k), "%s [%zu, %zu] at %zu",
                          tsr_format_name(formats[f]), n, k, i);
            free(p.data);
            free(rows);
            free(back);
        }
}

Test(tile, padding)
{
    for (size_t f = 0; f < FORMATS; f++)
        for (size_t s = 0; s < SIZES; s++) {
            size_t n = sizes[s][0], k = sizes[s][1];
            float *rows = normal_rows(n, k, 3);
            struct packed p = pack(formats[f], rows, n, k, NULL);
            size_t pad = formats[f] >= TSR_T8 ? 64 : formats[f] == TSR_BF16 ? 2 : 1;
            struct tsr_tile whole = {p.data, tsr_round_up(n, 16), tsr_round_up(k, pad), formats[f]};

            for (size_t row = 0; row < whole.n; row++)
                for (size_t i = 0; i < whole.k; i++)
                    if (row >= n || i >= k)
                        cr_assert(element(&whole, row, i) == 0);
            free(p.data);
            free(rows);
        }
    /* zero codes and scale 0, to the byte */
    float one = 1;
    struct packed p = pack(TSR_T8, &one, 1, 1, NULL);
    const uint8_t *bytes = p.data;

    for (size_t i = 2; i < 64; i++)
        cr_expect(bytes[i] == 0);
    cr_expect(bytes[64] == 255);
    for (size_t i = 65; i < 1088; i++)
        cr_expect(bytes[i] == 128);
    free(p.data);
}

Test(tile, slices_are_the_whole)
{
    size_t n = 75, k = 97;
    float *rows = normal_rows(n, k, 5);

    for (size_t f = 0; f < FORMATS; f++) {
        struct packed whole = pack(formats[f], rows, n, k, NULL);
        uint8_t *slices = malloc(whole.bytes);

        for (size_t row = 0, step; row < n; row += step) {
            step = row == 16 ? 32 : 16;
            cr_assert(tsr_tile_pack(slices + row / 16 * tsr_panel_bytes(formats[f], k), formats[f],
                                    rows + row * k, n - row < step ? n - row : step, k, NULL,
                                    NULL) == TSR_OK);
        }
        cr_expect(memcmp(slices, whole.data, whole.bytes) == 0, "%s", tsr_format_name(formats[f]));
        free(slices);
        free(whole.data);
    }
    free(rows);
}

/* ---- what survives ---- */

/* Packs and unpacks; the number of elements that changed (as bits, -0 counts as 0). */
static size_t changed(uint32_t format, const float *rows, size_t n, size_t k)
{
    struct packed p = pack(format, rows, n, k, NULL);
    float *back = malloc(n * k * sizeof *back);
    size_t count = 0;

    tsr_tile_unpack(back, &p.tile);
    for (size_t i = 0; i < n * k; i++)
        count += back[i] != rows[i];
    free(back);
    free(p.data);
    return count;
}

/* Rows on the grid of an 8- or 4-bit format: one f16 scale per 32 k; `largest` is the largest
 * |code|, there at least once. */
static float *grid_rows(size_t n, size_t k, int largest, int bits, uint64_t *state)
{
    float *rows = malloc(n * k * sizeof *rows);

    for (size_t at = 0; at < n * k; at += 32) {
        uint16_t half = (uint16_t)(0x0c00 + random_bits(state) % 0x6800); /* 2^-12.. */
        float scale = tsr_f16_to_f32(half);
        size_t peak = at + random_bits(state) % 32;

        if (bits == 4 && random_bits(state) % 2)
            scale = -scale;
        for (size_t i = at; i < at + 32; i++) {
            int code = (int)(random_bits(state) % (unsigned)(2 * largest + 1)) - largest;

            if (bits == 4 && code == 8)
                code = 7;
            rows[i] = (float)(i == peak ? -largest : code) * scale;
        }
    }
    return rows;
}

Test(tile, float_formats_lose_nothing)
{
    size_t n = 19, k = 70;
    float *rows = normal_rows(n, k, 9);

    rows[0] = -0.0f;
    rows[1] = 0x1p-149f;
    rows[2] = 3e38f;
    cr_expect(changed(TSR_F32, rows, n, k) == 0);
    for (size_t i = 0; i < n * k; i++)
        rows[i] = tsr_bf16_to_f32(tsr_f32_to_bf16(rows[i]));
    cr_expect(changed(TSR_BF16, rows, n, k) == 0);
    rows[2] = 65504;
    for (size_t i = 0; i < n * k; i++)
        rows[i] = tsr_f16_to_f32(tsr_f32_to_f16(rows[i]));
    cr_expect(changed(TSR_F16, rows, n, k) == 0);
    free(rows);
}

Test(tile, grids_of_q8_0_and_q4_0_lose_nothing)
{
    uint64_t state = 11;

    for (int round = 0; round < 20; round++) {
        float *rows = grid_rows(32, 96, 127, 8, &state);

        cr_expect(changed(TSR_T8, rows, 32, 96) == 0);
        free(rows);
        for (int largest = 1; largest <= 8; largest++) {
            rows = grid_rows(32, 96, largest, 4, &state);
            cr_expect(changed(TSR_T4, rows, 32, 96) == 0, "largest code %d", largest);
            free(rows);
        }
    }
}

/* The error of a group for a scale, in double. */
static double group_error(const float *x, float scale)
{
    double error = 0;

    for (int i = 0; i < 32; i++) {
        float q = scale != 0 ? nearbyintf(x[i] / scale) : 0;
        double d;

        q = q < -8 ? -8 : q > 7 ? 7 : q;
        d = (double)x[i] - (double)(q * scale);
        error += d * d;
    }
    return error;
}

/* q4_0 is never worse than the plain rule in any group, and within 1 % of trying every f16 scale
 * over all. */
Test(tile, search_of_the_q4_0_scale)
{
    size_t n = 16, k = 512;
    float *rows = normal_rows(n, k, 13), *back = malloc(n * k * sizeof *back);
    struct packed p = pack(TSR_T4, rows, n, k, NULL);
    double ours = 0, best = 0;

    tsr_tile_unpack(back, &p.tile);
    for (const float *x = rows; x < rows + n * k; x += 32) {
        float extreme = 0, plain;
        double error = 0, least = INFINITY;

        for (int i = 0; i < 32; i++) {
            double d = (double)x[i] - (double)back[x - rows + i];

            error += d * d;
            extreme = fabsf(x[i]) > fabsf(extreme) ? x[i] : extreme;
        }
        plain = tsr_f16_to_f32(tsr_f32_to_f16(extreme / -8));
        cr_expect(error <= group_error(x, plain) * (1 + 1e-6));
        for (uint16_t half = tsr_f32_to_f16(fabsf(extreme) / 12);
             half < tsr_f32_to_f16(fabsf(extreme) / 5); half++)
            for (int sign = -1; sign <= 1; sign += 2) {
                double e = group_error(x, (float)sign * tsr_f16_to_f32(half));

                least = e < least ? e : least;
            }
        ours += error;
        best += least;
    }
    cr_expect(sqrt(ours / best) < 1.01, "%f times the best rms error", sqrt(ours / best));
    free(rows);
    free(back);
    free(p.data);
}

Test(tile, loss)
{
    size_t n = 21, k = 75;
    float *rows = normal_rows(n, k, 17), *back = malloc(n * k * sizeof *back);

    for (size_t f = 0; f < FORMATS; f++) {
        struct tsr_tile_loss loss = {1, 2, 0}; /* it is added to */
        struct packed p = pack(formats[f], rows, n, k, &loss);
        double value2 = 1, error2 = 2, most = 0;

        tsr_tile_unpack(back, &p.tile);
        for (size_t i = 0; i < n * k; i++) {
            double d = fabs((double)rows[i] - (double)back[i]);

            value2 += (double)rows[i] * (double)rows[i];
            error2 += d * d;
            most = d > most ? d : most;
        }
        cr_expect(fabs(loss.value2 - value2) < 1e-9 && fabs(loss.error2 - error2) < 1e-9);
        cr_expect(loss.error_max == most);
        free(p.data);
    }
    free(rows);
    free(back);
}

/* ---- weights that are not numbers, too large, or next to nothing ---- */

Test(tile, weights_out_of_range)
{
    static const struct {
        uint32_t format;
        float value;
        tsr_status status;
        const char *says;
    } cases[] = {
        {TSR_F32, NAN, TSR_MALFORMED, "rows 16.., columns 32.."},
        {TSR_F16, INFINITY, TSR_MALFORMED, "not a finite"},
        {TSR_BF16, -INFINITY, TSR_MALFORMED, "not a finite"},
        {TSR_T8, NAN, TSR_MALFORMED, "not a finite"},
        {TSR_T4, -NAN, TSR_MALFORMED, "not a finite"},
        {TSR_F16, 65520, TSR_UNSUPPORTED, "too large for f16"},
        {TSR_F16, -1e6f, TSR_UNSUPPORTED, "too large for f16"},
        {TSR_BF16, 3.4e38f, TSR_UNSUPPORTED, "too large for bf16"},
        {TSR_T8, 127 * 65520.0f, TSR_UNSUPPORTED, "too large for q8_0"},
        {TSR_T8, 3e38f, TSR_UNSUPPORTED, "too large for q8_0"},
        {TSR_T4, 1e6f, TSR_UNSUPPORTED, "too large for q4_0"},
        {TSR_T4, -3e38f, TSR_UNSUPPORTED, "too large for q4_0"},
        {TSR_F32, 3e38f, TSR_OK, ""},
        {TSR_F16, 65519, TSR_OK, ""},
        {TSR_T8, 127 * 65504.0f, TSR_OK, ""},
        {TSR_T4, -8 * 65504.0f, TSR_OK, ""},
        {TSR_T8, 1e-30f, TSR_OK, ""},
        {TSR_T4, 0x1p-149f, TSR_OK, ""},
    };
    enum { N = 17, K = 40 };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        float rows[N * K] = {0}, back[N * K];
        struct tsr_error error = {0};
        struct tsr_tile tile = {NULL, N, K, cases[i].format};
        size_t bytes;
        void *out;
        tsr_status status;

        rows[16 * K + 39] = cases[i].value;
        cr_assert(tsr_tile_bytes(&bytes, cases[i].format, N, K, &error) == TSR_OK);
        cr_assert(posix_memalign(&out, 64, bytes) == 0);
        tile.data = out;
        status = tsr_tile_pack(out, cases[i].format, rows, N, K, NULL, &error);
        expect_error(cases[i].says, status, &error, cases[i].status, cases[i].says);
        if (status == TSR_OK) {
            tsr_tile_unpack(back, &tile);
            for (int j = 0; j < N * K; j++)
                cr_assert(isfinite(back[j]) && fabsf(back[j] - rows[j]) <= fabsf(rows[j]));
        }
        free(out);
    }
}
