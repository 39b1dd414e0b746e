/*
 * test_extremes.c: the inputs on which int8 matmuls are known to break (K1 to K7 of the catalogue),
 * for every tier of matmul_t8 and matmul_t4, against the contract written in plain C: dots in
 * int64_t from codes taken byte by byte, then the contract's chain of fmaf. Tolerance 0.
 *
 * The tests of test_kernels.c compare tiers with ref over random and extreme fills; here the
 * weight's and the activation's extremes meet in each combination, every pair of codes occurs, and
 * sums are as long as 32-bit accumulators of other designs bear them. There is no largest k: a dot
 * is over one group of 32, |dot| < 2^24. A zero point is 128 or 8, never stored; K8, an index beyond
 * a code book, is refused above the kernels (tests/hostile).
 */
#include <config.h>

#include "half.h"
#include "kernels.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 20, PANELS = 2, ROWS = 5, ANY = -1 };

/* Codes: a value, or ANY: every pair in turn. */
static const struct extreme {
    const char *name;
    int weight, other; /* of even and odd k; a byte for t8, two nibbles for t4 */
    int code, other_code;
    uint16_t scale; /* f16 */
    size_t k;
} extremes[] = {
    {"K1", 255, 255, 127, 127, 0x3c00, 256},
    {"K2", 255, 255, -128, -128, 0x3c00, 256},
    {"K3", 0, 0, -128, -128, 0x3c00, 256},
    {"K3 against 127", 0, 0, 127, 127, 0x3c00, 256},
    {"K4 65535", 255, 255, -128, -128, 0x3c00, 65535},
    {"K4 65793", 255, 255, -128, -128, 0x3c00, 65793},
    {"K4 65794", 255, 255, -128, -128, 0x3c00, 65794},
    {"K4 131071", 0, 0, -128, -128, 0x3c00, 131071},
    {"K4 131072", 0, 0, -128, -128, 0x3c00, 131072},
    {"K5 every pair", ANY, ANY, ANY, ANY, 0x3c00, 65536},
    {"K5 every pair, k odd", ANY, ANY, ANY, ANY, 0x2e66, 65531},
    {"K6 the largest scale", 255, 255, 127, 127, 0x7bff, 4096},
    {"K6 its negative", 0, 255, -128, 127, 0xfbff, 4096},
    {"K6 the smallest scale", 255, 0, 127, -128, 0x0001, 160},
    {"K7 nibbles 0", 0x00, 0x00, 127, -128, 0x3c00, 97},
    {"K7 nibbles 8", 0x88, 0x88, 127, -128, 0x3c00, 97},
    {"K7 nibbles 15", 0xff, 0xff, 127, -128, 0x3c00, 97},
    {"K7 nibbles 0 and 15", 0x0f, 0xf0, 127, -128, 0x3c00, 97},
    {"K7 a last group of 1", 0xf0, 0x0f, -128, 127, 0x3c00, 129},
    {"K7 a last group of 31", 0x08, 0xf8, -128, 127, 0xbc00, 63},
};

/* ---- a problem, with codes where the contract says that they lie ---- */

struct problem {
    const struct extreme *extreme;
    uint32_t format;
    size_t padded; /* k rounded up to 64 */
    uint8_t *tile;
    int8_t *codes;
    int32_t *sums;
    float *scales;
};

static int weight_of(const struct problem *p, size_t n, size_t k)
{
    const struct extreme *e = p->extreme;
    const int byte = e->weight == ANY ? (int)((k * 7 + n * 13) & 255)
                                      : (k % 2 == 0 ? e->weight : e->other);

    return p->format == TSR_T8 ? byte : (k / 2 % 2 == 0 ? byte & 15 : byte >> 4);
}

static int code_of(const struct problem *p, size_t m, size_t k)
{
    const struct extreme *e = p->extreme;

    if (k >= e->k)
        return 0;
    if (e->code == ANY)
        return (int)((k / 256 + m * 31) & 255) - 128;
    return k % 2 == 0 ? e->code : e->other_code;
}

static void *aligned(size_t bytes)
{
    void *memory = NULL;

    cr_assert(posix_memalign(&memory, 64, tsr_round_up(bytes, 64)) == 0);
    memset(memory, 0, bytes);
    return memory;
}

/* The tile: design, section 3. Padding has the code of zero and scale 0. */
static void fill_tile(struct problem *p)
{
    const size_t block = p->format == TSR_T8 ? TSR_T8_BYTES : TSR_T4_BYTES;
    const int zero = p->format == TSR_T8 ? 128 : 8;

    for (size_t n = 0; n < PANELS * TSR_PANEL; n++) {
        for (size_t k = 0; k < p->padded; k++) {
            uint8_t *at = p->tile + (n / TSR_PANEL * (p->padded / 64) + k / 64) * block;
            const int code = n < N && k < p->extreme->k ? weight_of(p, n, k) : zero;
            const size_t quad = k % 64 / 4, row = 4 * (n % TSR_PANEL) + k % 4;
            uint16_t scale = n < N && k / 32 * 32 < p->extreme->k ? p->extreme->scale : 0;

            memcpy(at + 2 * (k % 64 / 32 * TSR_PANEL + n % TSR_PANEL), &scale, 2);
            at += 64;
            if (p->format == TSR_T8)
                at[64 * quad + row] = (uint8_t)code;
            else
                at[64 * (quad / 2) + row] |= (uint8_t)(quad % 2 == 0 ? code : code << 4);
        }
    }
}

static struct problem make(const struct extreme *e, uint32_t format)
{
    struct problem p = {.extreme = e, .format = format, .padded = tsr_round_up(e->k, 64)};
    const size_t blocks = tsr_ceil_div(e->k, TSR_ACT_BLOCK);

    p.tile = aligned(PANELS * tsr_panel_bytes(format, e->k));
    p.codes = aligned(ROWS * p.padded);
    p.sums = aligned(ROWS * p.padded / TSR_GROUP * sizeof *p.sums);
    p.scales = aligned(ROWS * blocks * sizeof *p.scales);
    fill_tile(&p);
    for (size_t m = 0; m < ROWS; m++)
        for (size_t k = 0; k < p.padded; k++) {
            p.codes[m * p.padded + k] = (int8_t)code_of(&p, m, k);
            p.sums[(m * p.padded + k) / TSR_GROUP] += code_of(&p, m, k);
        }
    for (size_t i = 0; i < ROWS * blocks; i++)
        p.scales[i] = 0.5f + (float)(i % 3);
    return p;
}

static void drop(struct problem *p)
{
    free(p->tile);
    free(p->codes);
    free(p->sums);
    free(p->scales);
}

/* ---- the contract ---- */

static float expected(const struct problem *p, size_t m, size_t n)
{
    const size_t blocks = tsr_ceil_div(p->extreme->k, TSR_ACT_BLOCK);
    const float scale = tsr_f16_to_f32(p->extreme->scale);
    const int zero = p->format == TSR_T8 ? 128 : 8;
    float sum = 0;

    for (size_t b = 0; b < blocks; b++) {
        float term = 0;

        for (size_t g = b * TSR_ACT_BLOCK; g < (b + 1) * TSR_ACT_BLOCK && g < p->padded; g += TSR_GROUP) {
            int64_t dot = 0;

            for (size_t k = g; k < g + TSR_GROUP; k++)
                if (k < p->extreme->k)
                    dot += (int64_t)(weight_of(p, n, k) - zero) * code_of(p, m, k);
            cr_assert(llabs(dot) < 1 << 24);
            term = fmaf((float)dot, g < p->extreme->k ? scale : 0, term);
        }
        sum = fmaf(term, p->scales[m * blocks + b], sum);
    }
    return sum;
}

static void check(const struct tsr_impl *impl, const struct problem *p, size_t rows, const float *want)
{
    float y[ROWS * N] = {0};
    const struct tsr_matmul_q a = {
        .x = {p->codes, p->scales, p->sums, p->padded, tsr_ceil_div(p->extreme->k, TSR_ACT_BLOCK)},
        .w = {p->tile, N, p->extreme->k, p->format},
        .y = y,
        .ldy = N,
        .m = rows};

    impl->run(&a, 0, tsr_matmul_q_units(&a));
    for (size_t i = 0; i < rows * N; i++)
        cr_assert(memcmp(&y[i], &want[i], sizeof *y) == 0,
                  "%s, %s, %s: row %zu, output %zu is %.9g, must be %.9g", tsr_op_names[impl->op],
                  tsr_tier_names[impl->tier], p->extreme->name, i / N, i % N, (double)y[i],
                  (double)want[i]);
}

Test(extremes, matmul_q, .timeout = 300)
{
    int runs = 0;

    for (size_t i = 0; i < 2 * sizeof extremes / sizeof *extremes; i++) {
        const uint32_t format = i % 2 == 0 ? TSR_T8 : TSR_T4;
        struct problem p = make(&extremes[i / 2], format);
        float want[ROWS * N];

        for (size_t j = 0; j < ROWS * N; j++)
            want[j] = expected(&p, j / N, j % N);
        for (size_t j = 0; j < tsr_impl_count; j++) {
            const struct tsr_impl *impl = &tsr_impls[j];

            if (impl->op != (format == TSR_T8 ? TSR_OP_matmul_t8 : TSR_OP_matmul_t4) ||
                !(tsr_cpu_tiers() >> impl->tier & 1))
                continue;
            for (size_t rows = 1; rows <= ROWS; rows += 2, runs++)
                check(impl, &p, rows, want);
        }
        drop(&p);
    }
    printf("%d runs of %zu extremes\n", runs, sizeof extremes / sizeof *extremes);
    cr_assert(runs >= (int)(2 * 3 * sizeof extremes / sizeof *extremes));
}
