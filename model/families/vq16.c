/*
 * vq16.c: the VQ-16 picture tokenizer (vq16.h).
 *
 * Both halves are a middle (residual block, attention, residual block) at the lowest resolution and
 * a level of residual blocks per resolution, attention after each block of the lowest. In
 * checkpoints a half's level 0 is the one that is run first: the encoder's is the full size, the
 * decoder's the smallest.
 *
 * The codebook's rows are normalized to length 1 before use, in both directions, and so are the
 * latents that are encoded (the library's port does neither when encoding; the authors' code does).
 * Nearest is then the largest dot product. GroupNorm has 32 groups and eps 1e-6 throughout; there
 * is no tanh at the end.
 */
#include "families/vq16.h"

static const float eps = 1e-6f;

/* ---- tensors --------------------------------------------------------------------------------- */

#define OF(type, member) offsetof(struct type, member)
#define ROWS(rows) rows, sizeof rows / sizeof *rows
#define SAME NULL
enum { LINEAR = TSR_ROW_LINEAR_BIAS, CONV = TSR_ROW_CONV, SCALE = TSR_ROW_SCALE_BIAS };

/* Letters: N codes, E their width, L latent channels, i and o channels in and out. */
static const struct tsr_row codebook_rows[] = {
    {"codebook", "quantize.embedding", SAME, "NE", TSR_ROW_CODEBOOK, OF(tsr_vq16, codebook)},
    {"post_quant", "post_quant_conv", SAME, "LE11", LINEAR, OF(tsr_vq16, to_latent)},
};
static const struct tsr_row quant_rows[] = {
    {"quant", "quant_conv", SAME, "EL11", LINEAR, OF(tsr_vq16, from_latent)},
};
static const struct tsr_row res_rows[] = {
    {"norm1", "norm1", SAME, "i", SCALE, OF(tsr_vq_res, norm1)},
    {"conv1", "conv1", SAME, "oi33", CONV, OF(tsr_vq_res, conv1)},
    {"norm2", "norm2", SAME, "o", SCALE, OF(tsr_vq_res, norm2)},
    {"conv2", "conv2", SAME, "oo33", CONV, OF(tsr_vq_res, conv2)},
};
static const struct tsr_row shortcut_rows[] = {
    {"shortcut", "nin_shortcut", SAME, "oi11", LINEAR, OF(tsr_vq_res, shortcut)},
};
static const struct tsr_row attn_rows[] = {
    {"norm", "norm", SAME, "o", SCALE, OF(tsr_vq_attn, norm)},
    {"q", "q", SAME, "oo11", LINEAR, OF(tsr_vq_attn, q)},
    {"k", "k", SAME, "oo11", LINEAR, OF(tsr_vq_attn, k)},
    {"v", "v", SAME, "oo11", LINEAR, OF(tsr_vq_attn, v)},
    {"out", "proj_out", SAME, "oo11", LINEAR, OF(tsr_vq_attn, o)},
};
static const struct tsr_row in_rows[] = {
    {"in", "conv_in", SAME, "oi33", CONV, OF(tsr_vq16_half, in)},
};
static const struct tsr_row out_rows[] = {
    {"norm", "norm_out", SAME, "i", SCALE, OF(tsr_vq16_half, norm)},
    {"out", "conv_out", SAME, "oi33", CONV, OF(tsr_vq16_half, out)},
};
static const struct tsr_row resample_rows[][1] = {
    {{"down", "downsample.conv", SAME, "oo33", CONV, OF(tsr_vq16_level, resample)}},
    {{"up", "upsample.conv", SAME, "oo33", CONV, OF(tsr_vq16_level, resample)}},
};

/* Names below a half: in GGUF, of the library, official; those of a level differ between the
 * halves. */
typedef const char *const names[3];
static names here = {"", "", ""};
static names mid_names[] = {{"mid.res.0.", "mid.block_1.", "mid.0."},
                            {"mid.attn.", "mid.attn_1.", "mid.1."},
                            {"mid.res.1.", "mid.block_2.", "mid.2."}};
static names level_names[] = {{"#.", "down.#.", "conv_blocks.#."},
                              {"#.", "up.#.", "conv_blocks.#."}};
static names block_names[] = {{"#.res.#.", "down.#.block.#.", "conv_blocks.#.res.#."},
                              {"#.res.#.", "up.#.block.#.", "conv_blocks.#.res.#."}};
static names attn_names[] = {{"#.attn.#.", "down.#.attn.#.", "conv_blocks.#.attn.#."},
                             {"#.attn.#.", "up.#.attn.#.", "conv_blocks.#.attn.#."}};

/* The walk through one half. */
struct half_walk {
    struct tsr_walk *walk;
    const struct tsr_vq16_shape *shape;
    const char *library, *official; /* prefixes of the whole tokenizer */
    int decoder;
};

static void walk_rows(const struct half_walk *h, names at, const struct tsr_row *rows, size_t count,
                      void *base, size_t i, size_t j)
{
    const char *half = h->decoder ? "decoder." : "encoder.";
    const struct tsr_group group = {.path = {{h->decoder ? "vq.dec." : "vq.enc.", at[0]},
                                             {h->library, half, at[1]},
                                             {h->official, half, at[2]}},
                                    .part = h->decoder ? TSR_PART_DECODER : TSR_PART_ENCODER,
                                    .rows = rows,
                                    .count = count};
    tsr_walk_group(h->walk, &group, base, i, j);
}

static void walk_res(const struct half_walk *h, names at, struct tsr_vq_res *res, size_t cin,
                     size_t cout, size_t i, size_t j)
{
    h->walk->dim['i'] = cin;
    h->walk->dim['o'] = cout;
    walk_rows(h, at, ROWS(res_rows), res, i, j);
    if (cin != cout)
        walk_rows(h, at, ROWS(shortcut_rows), res, i, j);
}

static void walk_mid(const struct half_walk *h, struct tsr_vq16_half *w, size_t channels)
{
    walk_res(h, mid_names[0], &w->mid[0], channels, channels, 0, 0);
    walk_rows(h, mid_names[1], ROWS(attn_rows), &w->mid_attn, 0, 0);
    walk_res(h, mid_names[2], &w->mid[1], channels, channels, 0, 0);
}

/* The levels in the order they run; returns the channels of the last. */
static size_t walk_levels(const struct half_walk *h, struct tsr_vq16_half *w, size_t cin)
{
    const size_t levels = h->shape->channels->count, blocks = h->shape->blocks + (size_t)h->decoder;

    for (size_t l = 0; l < levels; l++) {
        const size_t cout = h->shape->channels->items[h->decoder ? levels - 1 - l : l];
        const size_t lowest = h->decoder ? 0 : levels - 1;
        for (size_t b = 0; b < blocks; b++, cin = cout) {
            walk_res(h, block_names[h->decoder], &w->levels[l].res[b], cin, cout, l, b);
            if (l == lowest)
                walk_rows(h, attn_names[h->decoder], ROWS(attn_rows), &w->levels[l].attn[b], l, b);
        }
        h->walk->dim['o'] = cout;
        if (l + 1 < levels)
            walk_rows(h, level_names[h->decoder], ROWS(resample_rows[h->decoder]), &w->levels[l], l,
                      0);
    }
    return cin;
}

static size_t lowest_channels(const struct tsr_vq16_shape *s)
{
    return s->channels->items[s->channels->count - 1];
}

static void walk_half(const struct half_walk *h, struct tsr_vq16_half *w, size_t cin, size_t cout)
{
    const size_t lowest = lowest_channels(h->shape);
    size_t channels = h->decoder ? lowest : h->shape->base;

    h->walk->dim['i'] = cin;
    h->walk->dim['o'] = channels;
    walk_rows(h, here, ROWS(in_rows), w, 0, 0);
    if (h->decoder)
        walk_mid(h, w, lowest);
    channels = walk_levels(h, w, channels);
    if (!h->decoder)
        walk_mid(h, w, lowest);
    h->walk->dim['i'] = channels;
    h->walk->dim['o'] = cout;
    walk_rows(h, here, ROWS(out_rows), w, 0, 0);
}

void tsr_vq16_walk(struct tsr_walk *walk, const struct tsr_vq16_shape *s, const char *library,
                   const char *official, struct tsr_vq16 *w)
{
    const struct tsr_group codebook = {
        {{"vq."}, {library}, {official}}, TSR_PART_DECODER, ROWS(codebook_rows)};
    const struct tsr_group quant = {
        {{"vq."}, {library}, {official}}, TSR_PART_ENCODER, ROWS(quant_rows)};
    const struct half_walk encoder = {walk, s, library, official, 0},
                           decoder = {walk, s, library, official, 1};

    walk->dim['N'] = s->codebook;
    walk->dim['E'] = s->code_width;
    walk->dim['L'] = s->latent;
    tsr_walk_group(walk, &codebook, w, 0, 0);
    walk_half(&decoder, &w->decoder, s->latent, 3);
    tsr_walk_group(walk, &quant, w, 0, 0);
    walk_half(&encoder, &w->encoder, 3, s->latent);
}

/* ---- shape ----------------------------------------------------------------------------------- */

size_t tsr_vq16_side(const struct tsr_vq16_shape *s)
{
    return s->grid << (s->channels->count - 1);
}

tsr_status tsr_vq16_check(const struct tsr_vq16_shape *s, struct tsr_error *error)
{
    const struct tsr_list *channels = s->channels;

    if (tsr_vq16_side(s) > 8192)
        return tsr_fail(error, TSR_MALFORMED,
                        "drawn pictures of %zu codes a side and %u levels are larger than "
                        "8192 pixels",
                        s->grid, channels->count);
    for (uint32_t i = 0; i < channels->count; i++)
        if (channels->items[i] % TSR_VQ_GROUPS != 0)
            return tsr_fail(error, TSR_MALFORMED,
                            "level %u of the picture decoder has %u channels, not a multiple "
                            "of %d",
                            i, channels->items[i], TSR_VQ_GROUPS);
    if (s->base % TSR_VQ_GROUPS != 0 || lowest_channels(s) > TSR_HEAD_MAX)
        return tsr_fail(error, TSR_UNSUPPORTED,
                        "picture decoder of %zu base channels and %zu at its lowest level", s->base,
                        lowest_channels(s));
    return TSR_OK;
}

/* ---- passes ---------------------------------------------------------------------------------- */

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Room for the largest map that either half needs: at each size, the channels of its level and its neighbours. */
static struct tsr_maps maps_new(struct tsr_exec *e, const struct tsr_vq16_shape *s)
{
    const size_t levels = s->channels->count;
    const uint32_t *channels = s->channels->items;
    size_t map = 0;

    for (size_t l = 0; l < levels; l++) {
        const size_t side = s->grid << (levels - 1 - l);
        const size_t below = l + 1 < levels ? channels[l + 1] : channels[l];
        const size_t above = l > 0 ? channels[l - 1] : s->base;

        map = larger(map, side * side * larger(channels[l], larger(below, above)));
    }
    return tsr_maps_take(e, map);
}

/* Rows of length 1. */
static void unit_rows(struct tsr_exec *e, float *x, size_t m, size_t k)
{
    tsr_do_l2norm(
        e, &(struct tsr_norm){.x = x, .ldx = k, .y = x, .ldy = k, .m = m, .k = k, .eps = 1e-12f});
}

static void gather(struct tsr_exec *e, const struct tsr_tile *table, const int32_t *ids,
                   size_t count, float *y)
{
    tsr_do_gather_rows(
        e, &(struct tsr_gather){.w = *table, .ids = ids, .y = y, .ldy = table->k, .count = count});
}

static void mid(struct tsr_exec *e, const struct tsr_vq16_half *w, struct tsr_maps *maps)
{
    tsr_vq_res(e, &w->mid[0], eps, maps);
    tsr_vq_attn(e, &w->mid_attn, eps, maps);
    tsr_vq_res(e, &w->mid[1], eps, maps);
}

static void level(struct tsr_exec *e, const struct tsr_vq16_level *w, size_t blocks, int lowest,
                  struct tsr_maps *maps)
{
    for (size_t b = 0; b < blocks; b++) {
        tsr_vq_res(e, &w->res[b], eps, maps);
        if (lowest)
            tsr_vq_attn(e, &w->attn[b], eps, maps);
    }
}

/* The latents of codes, to the decoder's first map. */
static void decode_in(struct tsr_exec *e, const struct tsr_vq16_shape *s, const struct tsr_vq16 *w,
                      const int32_t *codes, struct tsr_maps *maps)
{
    const size_t mark = tsr_mark(e), m = s->grid * s->grid;
    float *rows = tsr_floats(e, m, s->code_width);
    float *latents = tsr_floats(e, m, s->latent);

    gather(e, &w->codebook, codes, m, rows);
    unit_rows(e, rows, m, s->code_width);
    tsr_linear_once(e, rows, m, &w->to_latent, latents);
    tsr_vq_in(e, &w->decoder.in, latents, s->grid, s->grid, maps);
    tsr_release(e, mark);
}

void tsr_vq16_decode(struct tsr_exec *e, const struct tsr_vq16_shape *s, const struct tsr_vq16 *w,
                     const int32_t *codes, float *pixels)
{
    const size_t mark = tsr_mark(e), levels = s->channels->count;
    const struct tsr_vq16_half *half = &w->decoder;
    struct tsr_maps maps = maps_new(e, s);

    decode_in(e, s, w, codes, &maps); /* [grid, grid, lowest] */
    mid(e, half, &maps);
    for (size_t l = 0; l < levels; l++) {
        level(e, &half->levels[l], s->blocks + 1, l == 0, &maps);
        if (l + 1 < levels)
            tsr_vq_up(e, &half->levels[l].resample, &maps); /* [2 h, 2 w, c] */
    }
    tsr_vq_out(e, &half->norm, &half->out, eps, &maps, pixels); /* [side, side, 3] */
    tsr_release(e, mark);
}

/* The codebook's rows, normalized, as a tile: the nearest code has the largest dot product. */
static struct tsr_tile unit_codebook(struct tsr_exec *e, const struct tsr_tile *codebook)
{
    const size_t n = codebook->n, k = codebook->k, rows = tsr_round_up(n, TSR_PANEL);
    float *tile = tsr_floats(e, rows, k); /* panels of [k][16] */
    float *x = tsr_floats(e, n, k);       /* [n, k] */
    int32_t *ids = tsr_take(e, n, 1, sizeof *ids);

    if (tsr_live(e))
        for (size_t i = 0; i < n; i++)
            ids[i] = (int32_t)i;
    gather(e, codebook, ids, n, x);
    unit_rows(e, x, n, k);
    if (tsr_live(e))
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < k; j++)
                tile[(i / TSR_PANEL * k + j) * TSR_PANEL + i % TSR_PANEL] =
                    i < n ? x[i * k + j] : 0;
    return (struct tsr_tile){.data = tile, .n = n, .k = k, .format = TSR_F32};
}

void tsr_vq16_encode(struct tsr_exec *e, const struct tsr_vq16_shape *s, const struct tsr_vq16 *w,
                     const float *pixels, int32_t *codes)
{
    const size_t mark = tsr_mark(e), levels = s->channels->count, side = tsr_vq16_side(s), m = s->grid * s->grid;
    const struct tsr_vq16_half *half = &w->encoder;
    struct tsr_maps maps = maps_new(e, s);
    float *latents = tsr_floats(e, m, s->latent);
    float *rows = tsr_floats(e, m, s->code_width);

    tsr_vq_in(e, &half->in, pixels, side, side, &maps); /* [side, side, base] */
    for (size_t l = 0; l < levels; l++) {
        level(e, &half->levels[l], s->blocks, l + 1 == levels, &maps);
        if (l + 1 < levels)
            tsr_vq_down(e, &half->levels[l].resample, &maps); /* [h / 2, w / 2, c] */
    }
    mid(e, half, &maps);
    tsr_vq_out(e, &half->norm, &half->out, eps, &maps, latents); /* [grid, grid, latent] */
    tsr_linear_once(e, latents, m, &w->from_latent, rows);
    unit_rows(e, rows, m, s->code_width);
    tsr_do_codebook_nearest(e, &(struct tsr_codebook){.x = rows,
                                                      .ldx = s->code_width,
                                                      .w = unit_codebook(e, &w->codebook),
                                                      .index = codes,
                                                      .m = m});
    tsr_release(e, mark);
}
