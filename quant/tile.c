/*
 * tile.c: rows of f32 into tiles and back (the layout is written at struct tsr_tile in kernels.h).
 *
 * A tile is packed panel by panel, and a panel group by group: 32 k of its 16 rows are transposed
 * into x[32][16], so that every step of choosing scales and codes is a loop over 16 independent
 * rows. Such loops vectorize on any ISA without changing the order of one sum: the same input gives
 * the same file everywhere. A group reads and writes no other group's bytes.
 *
 * t8: scale = f16(amax / 127), then codes; it loses nothing of a Q8_0 block, whose largest code is
 * 127. t4: the scale of a group is searched. Rounding the largest weight to -8 is rarely best: a
 * little clipping, or using -8 for the one large weight of either sign, gives smaller errors. Each
 * candidate scale is the group's extreme weight over a divisor, rounded to f16 before codes are
 * chosen, so that the error compared is the error stored. From the best one, twice: the
 * least-squares scale of its codes, sum(q x)/sum(q q), is one more candidate. The divisors 8, 7, 6,
 * 5, 4 are there so that weights on a grid of 4 bits (a Q4_0 file) have the exact scale among the
 * candidates; 3, 2, 1 are the same grids as 6 and 4 (for scales above 2^-12). On Gaussian weights
 * the rms relative error is 8.11 %, against 8.59 % of Q4_0's rule and 8.09 % of all f16 scales
 * tried.
 */
#include "checked.h"
#include "half.h"
#include "quant.h"

#include <float.h>
#include <math.h>

_Static_assert(FLT_EVAL_METHOD == 0, "f32 arithmetic must round to f32 in every step");

enum { ROWS = TSR_PANEL, GROUP = TSR_GROUP };

typedef float lanes[ROWS];

/* Why a weight could not be packed. */
enum flaw { FINE, NOT_FINITE, TOO_LARGE };

/* ---- sizes and names ------------------------------------------------------------------------- */

tsr_status tsr_tile_bytes(size_t *bytes, uint32_t format, size_t n, size_t k,
                          struct tsr_error *error)
{
    uint64_t rows, columns, total;

    if (format > TSR_T4)
        return tsr_fail(error, TSR_UNSUPPORTED, "tile format %u is not known", (unsigned)format);
    if (n == 0 || k == 0)
        return tsr_fail(error, TSR_MALFORMED, "a matrix [%zu, %zu] is empty", n, k);
    /* No format takes more than 68 bytes for a k of a panel, and 64 k are padded to at most once.
     */
    if (!tsr_checked_round_up(&rows, n, ROWS) || !tsr_checked_round_up(&columns, k, TSR_BLOCK) ||
        !tsr_checked_mul(&total, columns, 68) || !tsr_checked_mul(&total, total, rows / ROWS) ||
        total > (uint64_t)PTRDIFF_MAX)
        return tsr_fail(error, TSR_MALFORMED,
                        "overflow: a matrix [%zu, %zu] does not fit into memory", n, k);
    *bytes = (size_t)(rows / ROWS) * tsr_panel_bytes(format, k);
    return TSR_OK;
}

static const char *const format_names[] = {"f32", "f16", "bf16", "q8_0", "q4_0"};

tsr_status tsr_format_parse(uint32_t *format, const char *name, struct tsr_error *error)
{
    for (uint32_t f = TSR_F32; f <= TSR_T4; f++) {
        if (strcmp(name, format_names[f]) == 0) {
            *format = f;
            return TSR_OK;
        }
    }
    return tsr_fail(error, TSR_USAGE, "unknown type '%.40s': use f32, f16, bf16, q8_0 or q4_0",
                    name);
}

const char *tsr_format_name(uint32_t format)
{
    return format <= TSR_T4 ? format_names[format] : "unknown";
}

/* ---- groups: where the bytes of 32 k lie in a panel ------------------------------------------ */

/* The scales [16] f16 and the lines of the group at k; a block holds two groups. */
static uint8_t *group_scales(uint8_t *panel, size_t block_bytes, size_t k)
{
    return panel + k / TSR_BLOCK * block_bytes + k / GROUP % 2 * (ROWS * 2);
}

static uint8_t *group_lines(uint8_t *panel, size_t block_bytes, size_t k)
{
    size_t half = (block_bytes - TSR_LINE_BYTES) / 2;

    return panel + k / TSR_BLOCK * block_bytes + TSR_LINE_BYTES + k / GROUP % 2 * half;
}

static void put_half(uint8_t *to, uint16_t h)
{
    memcpy(to, &h, sizeof h);
}

static uint16_t get_half(const uint8_t *from)
{
    uint16_t h;

    memcpy(&h, from, sizeof h);
    return h;
}

/* Rounds to the nearest integer, ties to even, for |x| < 2^22: the ulp of 1.5 * 2^23 is 1. */
static inline float nearest(float x)
{
    return (x + 0x1.8p23f) - 0x1.8p23f;
}

/* A scale as it will be stored, -0 as +0. */
static inline float stored_scale(float x)
{
    return tsr_f16_to_f32(tsr_f32_to_f16(x)) + 0.0f;
}

/* ---- t8 -------------------------------------------------------------------------------------- */

static enum flaw encode_t8(uint8_t *panel, size_t k, size_t count, lanes *restrict x /* [32] */)
{
    uint8_t *scales = group_scales(panel, TSR_T8_BYTES, k),
            *lines = group_lines(panel, TSR_T8_BYTES, k);
    uint8_t codes[GROUP][ROWS];
    lanes amax = {0}, inverse;

    (void)count; /* padded with zeros to the group */
    for (size_t i = 0; i < GROUP; i++)
        for (size_t r = 0; r < ROWS; r++)
            amax[r] = fabsf(x[i][r]) > amax[r] ? fabsf(x[i][r]) : amax[r];
    for (size_t r = 0; r < ROWS; r++) {
        float scale = stored_scale(amax[r] / 127.0f);

        if (isinf(scale))
            return TOO_LARGE;
        inverse[r] = scale > 0 ? 1.0f / scale : 0.0f;
        put_half(scales + 2 * r, tsr_f32_to_f16(scale));
    }
    for (size_t i = 0; i < GROUP; i++)
        for (size_t r = 0; r < ROWS; r++) {
            float v = x[i][r] * inverse[r];

            v = v < -127.0f ? -127.0f : v;
            v = v > 127.0f ? 127.0f : v;
            codes[i][r] = (uint8_t)((int)nearest(v) + 128);
        }
    for (size_t i = 0; i < GROUP; i++)
        for (size_t r = 0; r < ROWS; r++)
            lines[i / 4 * TSR_LINE_BYTES + 4 * r + i % 4] = codes[i][r];
    return FINE;
}

static void decode_t8(const uint8_t *panel, size_t k, size_t count, lanes *restrict x /* [32] */)
{
    const uint8_t *scales = group_scales((uint8_t *)panel, TSR_T8_BYTES, k);
    const uint8_t *lines = group_lines((uint8_t *)panel, TSR_T8_BYTES, k);

    for (size_t i = 0; i < count; i++)
        for (size_t r = 0; r < ROWS; r++)
            x[i][r] = (float)(lines[i / 4 * TSR_LINE_BYTES + 4 * r + i % 4] - 128) *
                      tsr_f16_to_f32(get_half(scales + 2 * r));
}

/* ---- t4 -------------------------------------------------------------------------------------- */

/* What the extreme weight is divided by, best guess first. */
static const float divisors[] = {-8.0f,  7.0f,   6.0f,  5.0f,  4.0f, -8.7f,
                                 -8.35f, -7.65f, -7.3f, -9.1f, 7.4f, 7.8f};

/* The best scale so far of each row, its squared error, and the least-squares scale of its codes.
 */
struct choice {
    lanes scale, error, fitted;
};

static inline float code_t4(float x, float inverse)
{
    float v = x * inverse;

    v = v < -8.0f ? -8.0f : v;
    v = v > 7.0f ? 7.0f : v;
    return nearest(v);
}

static inline float inverse_of(float scale)
{
    return scale != 0.0f && !isinf(scale) ? 1.0f / scale : 0.0f;
}

/* Tries one stored scale per row. An infinite scale has error NaN and is never chosen. */
static void try_scales(struct choice *restrict best, lanes *restrict x /* [32] */,
                       const float *restrict scale /* [16] */)
{
    lanes inverse, error = {0}, qx = {0}, qq = {0};

    for (size_t r = 0; r < ROWS; r++)
        inverse[r] = inverse_of(scale[r]);
    for (size_t i = 0; i < GROUP; i++)
        for (size_t r = 0; r < ROWS; r++) {
            float q = code_t4(x[i][r], inverse[r]);
            float d = x[i][r] - q * scale[r];

            error[r] += d * d;
            qx[r] += q * x[i][r];
            qq[r] += q * q;
        }
    for (size_t r = 0; r < ROWS; r++) {
        int better = error[r] < best->error[r];

        best->error[r] = better ? error[r] : best->error[r];
        best->scale[r] = better ? scale[r] : best->scale[r];
        best->fitted[r] = better ? qx[r] / (qq[r] > 0.0f ? qq[r] : 1.0f) : best->fitted[r];
    }
}

static enum flaw encode_t4(uint8_t *panel, size_t k, size_t count, lanes *restrict x /* [32] */)
{
    uint8_t *scales = group_scales(panel, TSR_T4_BYTES, k),
            *lines = group_lines(panel, TSR_T4_BYTES, k);
    uint8_t codes[GROUP][ROWS];
    struct choice best;
    lanes extreme = {0}, scale;

    (void)count; /* padded with zeros to the group */
    for (size_t i = 0; i < GROUP; i++)
        for (size_t r = 0; r < ROWS; r++)
            extreme[r] = fabsf(x[i][r]) > fabsf(extreme[r]) ? x[i][r] : extreme[r];
    for (size_t r = 0; r < ROWS; r++) {
        best.error[r] = INFINITY;
        best.scale[r] = best.fitted[r] = 0.0f;
    }
    for (size_t c = 0; c < sizeof divisors / sizeof divisors[0]; c++) {
        for (size_t r = 0; r < ROWS; r++)
            scale[r] = stored_scale(extreme[r] / divisors[c]);
        try_scales(&best, x, scale);
    }
    for (size_t r = 0; r < ROWS; r++)
        if (isinf(best.error[r])) /* no finite scale */
            return TOO_LARGE;
    for (int again = 0; again < 2; again++) {
        for (size_t r = 0; r < ROWS; r++)
            scale[r] = stored_scale(best.fitted[r]);
        try_scales(&best, x, scale);
    }
    for (size_t r = 0; r < ROWS; r++) {
        scale[r] = inverse_of(best.scale[r]);
        put_half(scales + 2 * r, tsr_f32_to_f16(best.scale[r]));
    }
    for (size_t i = 0; i < GROUP; i++)
        for (size_t r = 0; r < ROWS; r++)
            codes[i][r] = (uint8_t)((int)code_t4(x[i][r], scale[r]) + 8);
    for (size_t i = 0; i < GROUP; i++) /* quads 2j and 2j+1 share line j */
        for (size_t r = 0; r < ROWS; r++)
            if (i / 4 % 2 == 0)
                lines[i / 8 * TSR_LINE_BYTES + 4 * r + i % 4] =
                    (uint8_t)(codes[i][r] | codes[i + 4][r] << 4);
    return FINE;
}

static void decode_t4(const uint8_t *panel, size_t k, size_t count, lanes *restrict x /* [32] */)
{
    const uint8_t *scales = group_scales((uint8_t *)panel, TSR_T4_BYTES, k);
    const uint8_t *lines = group_lines((uint8_t *)panel, TSR_T4_BYTES, k);

    for (size_t i = 0; i < count; i++)
        for (size_t r = 0; r < ROWS; r++) {
            int byte = lines[i / 8 * TSR_LINE_BYTES + 4 * r + i % 4];

            x[i][r] = (float)((byte >> (i / 4 % 2 * 4) & 15) - 8) *
                      tsr_f16_to_f32(get_half(scales + 2 * r));
        }
}

/* ---- f32, f16, bf16 -------------------------------------------------------------------------- */

static enum flaw encode_f32(uint8_t *panel, size_t k, size_t count, lanes *restrict x)
{
    memcpy(panel + k * sizeof(lanes), x, count * sizeof(lanes));
    return FINE;
}

static void decode_f32(const uint8_t *panel, size_t k, size_t count, lanes *restrict x)
{
    memcpy(x, panel + k * sizeof(lanes), count * sizeof(lanes));
}

static enum flaw encode_f16(uint8_t *panel, size_t k, size_t count, lanes *restrict x)
{
    for (size_t i = 0; i < count; i++)
        for (size_t r = 0; r < ROWS; r++) {
            uint16_t h = tsr_f32_to_f16(x[i][r]);

            if ((h & 0x7fff) == 0x7c00)
                return TOO_LARGE;
            put_half(panel + ((k + i) * ROWS + r) * 2, h);
        }
    return FINE;
}

static void decode_f16(const uint8_t *panel, size_t k, size_t count, lanes *restrict x)
{
    for (size_t i = 0; i < count; i++)
        for (size_t r = 0; r < ROWS; r++)
            x[i][r] = tsr_f16_to_f32(get_half(panel + ((k + i) * ROWS + r) * 2));
}

/* Element (k, r) of a bf16 panel: lines of two k. */
static size_t bf16_at(size_t k, size_t r)
{
    return k / 2 * TSR_LINE_BYTES + r * 4 + k % 2 * 2;
}

static enum flaw encode_bf16(uint8_t *panel, size_t k, size_t count, lanes *restrict x)
{
    for (size_t i = 0; i < count + count % 2; i++) /* x is zero beyond count */
        for (size_t r = 0; r < ROWS; r++) {
            uint16_t h = tsr_f32_to_bf16(x[i][r]);

            if ((h & 0x7fff) == 0x7f80)
                return TOO_LARGE;
            put_half(panel + bf16_at(k + i, r), h);
        }
    return FINE;
}

static void decode_bf16(const uint8_t *panel, size_t k, size_t count, lanes *restrict x)
{
    for (size_t i = 0; i < count; i++)
        for (size_t r = 0; r < ROWS; r++)
            x[i][r] = tsr_bf16_to_f32(get_half(panel + bf16_at(k + i, r)));
}

/* ---- the formats ----------------------------------------------------------------------------- */

/* One group of a panel: k is a multiple of 32; `count` of its 32 k are there. */
static const struct codec {
    enum flaw (*encode)(uint8_t *panel, size_t k, size_t count, lanes *restrict x);
    void (*decode)(const uint8_t *panel, size_t k, size_t count, lanes *restrict x);
    size_t pad; /* k is padded to a multiple of this */
} codecs[] = {
    [TSR_F32] = {encode_f32, decode_f32, 1},      [TSR_F16] = {encode_f16, decode_f16, 1},
    [TSR_BF16] = {encode_bf16, decode_bf16, 1}, /* its own padding to 2 needs no further group */
    [TSR_T8] = {encode_t8, decode_t8, TSR_BLOCK}, [TSR_T4] = {encode_t4, decode_t4, TSR_BLOCK},
};

/* x[32][16] = the transposed group at k0 of `rows` rows, zero where there is nothing; 0 if all are
 * finite. */
static uint32_t load_group(lanes *restrict x, const float *restrict rows, size_t n, size_t k,
                           size_t k0)
{
    size_t count = k0 < k ? (k - k0 < GROUP ? k - k0 : GROUP) : 0;
    uint32_t bad = 0;

    if (n < ROWS || count < GROUP)
        memset(x, 0, GROUP * sizeof(lanes));
    for (size_t r = 0; r < n; r++)
        for (size_t i = 0; i < count; i++)
            x[i][r] = rows[r * k + k0 + i];
    for (size_t i = 0; i < GROUP; i++)
        for (size_t r = 0; r < ROWS; r++)
            bad |= (tsr_bits(x[i][r]) & 0x7fffffff) >= 0x7f800000;
    return bad;
}

static void add_loss(struct tsr_tile_loss *loss, lanes *restrict x, lanes *restrict y)
{
    for (size_t i = 0; i < GROUP; i++)
        for (size_t r = 0; r < ROWS; r++) {
            double d = (double)x[i][r] - (double)y[i][r];

            loss->value2 += (double)x[i][r] * (double)x[i][r];
            loss->error2 += d * d;
            loss->error_max = fabs(d) > loss->error_max ? fabs(d) : loss->error_max;
        }
}

/* Packs one panel of n <= 16 rows; *at says which k is at fault. */
static enum flaw pack_panel(uint8_t *panel, uint32_t format, const float *rows, size_t n, size_t k,
                            struct tsr_tile_loss *loss, size_t *at)
{
    const struct codec *codec = &codecs[format];
    size_t end = tsr_round_up(k, codec->pad);
    lanes x[GROUP], y[GROUP] = {{0}};

    for (size_t k0 = 0; k0 < end; k0 += GROUP) {
        size_t count = end - k0 < GROUP ? end - k0 : GROUP;
        enum flaw flaw = load_group(x, rows, n, k, k0) ? NOT_FINITE : FINE;

        if (flaw == FINE)
            flaw = codec->encode(panel, k0, count, x);
        if (flaw != FINE) {
            *at = k0;
            return flaw;
        }
        if (loss != NULL) {
            memset(y, 0, sizeof y);
            codec->decode(panel, k0, count, y);
            add_loss(loss, x, y);
        }
    }
    return FINE;
}

tsr_status tsr_tile_pack(void *out, uint32_t format, const float *rows, size_t n, size_t k,
                         struct tsr_tile_loss *loss, struct tsr_error *error)
{
    size_t bytes;
    tsr_status status = tsr_tile_bytes(&bytes, format, n, k, error);

    if (status != TSR_OK)
        return status;
    for (size_t row = 0; row < n; row += ROWS) {
        uint8_t *panel = (uint8_t *)out + row / ROWS * tsr_panel_bytes(format, k);
        size_t at = 0;

        switch (pack_panel(panel, format, rows + row * k, n - row < ROWS ? n - row : ROWS, k, loss,
                           &at)) {
        case NOT_FINITE:
            return tsr_fail(error, TSR_MALFORMED,
                            "a weight in rows %zu.., columns %zu.. is not a finite number", row,
                            at);
        case TOO_LARGE:
            return tsr_fail(error, TSR_UNSUPPORTED,
                            "a weight in rows %zu.., columns %zu.. is too large for %s: use f32",
                            row, at, format_names[format]);
        case FINE:
            break;
        }
    }
    return TSR_OK;
}

void tsr_tile_unpack(float *rows, const struct tsr_tile *tile)
{
    const struct codec *codec = &codecs[tile->format];
    size_t n = tile->n, k = tile->k;
    lanes x[GROUP];

    for (size_t row = 0; row < n; row += ROWS) {
        const uint8_t *panel =
            (const uint8_t *)tile->data + row / ROWS * tsr_panel_bytes(tile->format, k);

        for (size_t k0 = 0; k0 < k; k0 += GROUP) {
            size_t count = k - k0 < GROUP ? k - k0 : GROUP;

            codec->decode(panel, k0, count, x);
            for (size_t r = 0; r < ROWS && row + r < n; r++)
                for (size_t i = 0; i < count; i++)
                    rows[(row + r) * k + k0 + i] = x[i][r];
        }
    }
}
