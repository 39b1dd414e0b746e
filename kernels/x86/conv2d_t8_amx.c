/*
 * conv2d_t8 on AMX: tile_amx.h, whose rows are output pixels.
 *
 * The pixels of the rows asked for are taken in strips of AMX_TILES tiles, which may span rows. For
 * each AMX_PANELS panels of outputs a strip runs over tap after tap, block after block. A tile of
 * neighbours under a tap is read where it lies; for others, at borders and ends of rows, codes are
 * gathered, zeros where the tap is outside (all of them gathered: 1.03 to 1.14 times the time).
 * Strips of fewer than CONV_LEAST pixels unpack too much for what they run: avx512x2 takes them.
 */
#include "impl.h"
#include "tile_amx.h"

enum { CONV_PIXELS = AMX_TILES * AMX_ROWS, CONV_LEAST = 48 };

/* What one block reads of a strip's pixels, where it does not lie in x as a tile reads it. */
struct conv_strip {
    int8_t codes[CONV_PIXELS][TSR_ACT_BLOCK];
    float scales[CONV_PIXELS];
};

/* The input pixel under tap (ky, kx) of output pixel (oy, ox), and whether it is inside. */
static inline int conv_inside(const struct tsr_conv2d *s, size_t oy, size_t ox, size_t ky,
                              size_t kx, size_t *pixel)
{
    const size_t y = oy * s->stride + ky - s->pad_top; /* -1 is the largest size_t */
    const size_t x = ox * s->stride + kx - s->pad_left;

    *pixel = y * s->w + x;
    return y < s->h && x < s->w;
}

/*
 * The rows of a tile: groups [4 * block, ..) of AMX_ROWS output pixels from `pixel` on, under tap
 * (ky, kx). Neighbours in x, if the block is whole and the tap inside for all; else gathered at
 * `codes` and `scales`, zeros where it is not. Of a last tile that is not full only `pixels` are
 * gathered, and what lay there stays.
 */
static struct amx_rows conv_rows(int8_t (*codes)[TSR_ACT_BLOCK], float *scales,
                                 const struct tsr_conv2d_q *a, size_t pixel, size_t pixels,
                                 size_t ky, size_t kx, size_t block)
{
    const size_t at = block * TSR_ACT_BLOCK;
    const size_t bytes = a->x.ldc - at < TSR_ACT_BLOCK ? a->x.ldc - at : TSR_ACT_BLOCK;
    size_t oy = pixel / a->s.ow, ox = pixel % a->s.ow, from;

    if (bytes == TSR_ACT_BLOCK && a->s.stride == 1 && ox + AMX_ROWS <= a->s.ow &&
        conv_inside(&a->s, oy, ox + AMX_ROWS - 1, ky, kx, &from) &&
        conv_inside(&a->s, oy, ox, ky, kx, &from))
        return amx_rows(&a->x, from, block);
    for (size_t i = 0; i < pixels; i++) {
        const int inside = conv_inside(&a->s, oy, ox, ky, kx, &from);

        if (inside && bytes == TSR_ACT_BLOCK)
            memcpy(codes[i], a->x.codes + from * a->x.ldc + at, TSR_ACT_BLOCK);
        else if (inside)
            memcpy(codes[i], a->x.codes + from * a->x.ldc + at, bytes);
        else
            memset(codes[i], 0, TSR_ACT_BLOCK);
        scales[i] = inside ? a->x.scales[from * a->x.lds + block] : 0;
        if (++ox == a->s.ow) {
            ox = 0;
            oy++;
        }
    }
    return (struct amx_rows){codes[0], scales, TSR_ACT_BLOCK, 1};
}

/* `pixels` output pixels from `pixel` on, of the outputs of part. */
static void conv_strip(const struct tsr_conv2d_q *a, const struct tsr_conv_part *part, size_t pixel,
                       size_t pixels)
{
    const size_t groups = tsr_ceil_div(a->s.cin, TSR_GROUP), cout = a->weights.n;
    const size_t step = tsr_panel_bytes(TSR_T8, a->weights.k);
    struct amx_group w[AMX_PANELS][AMX_GROUPS] __attribute__((aligned(64)));
    float acc[AMX_TILES][AMX_PANELS][AMX_SUMS] __attribute__((aligned(64)));
    struct conv_strip strip __attribute__((aligned(64)));
    struct amx_rows rows[AMX_TILES];
    struct amx_job job = {.rows = rows,
                          .tiles = tsr_ceil_div(pixels, AMX_ROWS),
                          .whole = 1,
                          .ahead = a->weights.data, /* fetching ahead brought nothing */
                          .w = (const struct amx_group(*)[AMX_GROUPS])w,
                          .acc = acc};

    memset(&strip, 0, sizeof strip);
    for (size_t panel = part->panel; panel < part->end; panel += job.panels) {
        const uint8_t *const data = (const uint8_t *)a->weights.data + panel * step;
        const size_t n = panel * TSR_PANEL;

        job.panels = part->end - panel < AMX_PANELS ? part->end - panel : AMX_PANELS;
        amx_start(acc, job.tiles, job.panels, a->bias ? a->bias + n : NULL, cout - n);
        for (size_t tap = 0; tap < a->s.kh * a->s.kw; tap++)
            for (size_t block = 0, g = 0; g < groups; block++, g += AMX_GROUPS) {
                for (size_t p = 0; p < job.panels; p++)
                    amx_unpack(w[p], data + p * step, tap * groups + g, groups - g, 8);
                for (size_t i = 0, at = 0; i < job.tiles; i++, at += AMX_ROWS)
                    rows[i] = conv_rows(strip.codes + at, strip.scales + at, a, pixel + at,
                                        pixels - at < AMX_ROWS ? pixels - at : AMX_ROWS,
                                        tap / a->s.kw, tap % a->s.kw, block);
                amx_run(&job, AMX_ROWS);
            }
        for (size_t i = 0; i < pixels; i++)
            amx_finish(a->y + (pixel + i) * cout + n, acc[i / AMX_ROWS], i % AMX_ROWS, job.panels,
                       cout - n);
    }
}

static void conv_part(const struct tsr_conv2d_q *a, const struct tsr_conv_part *part)
{
    const size_t cuts = tsr_ceil_div(part->last - part->pixel, CONV_PIXELS);

    amx_begin(AMX_ROWS);
    for (size_t i = 0, pixel = part->pixel; i < cuts; i++) {
        const size_t pixels = tsr_ceil_div(part->last - pixel, cuts - i);
        conv_strip(a, part, pixel, pixels);
        pixel += pixels;
    }
    amx_end();
}

void tsr_conv2d_t8_amx(const void *args, size_t begin, size_t end)
{
    const struct tsr_conv2d_q *a = args;

    for (struct tsr_conv_part part; begin < end; begin += part.units) {
        part = tsr_conv_part(&a->s, a->weights.n, begin, end);
        if (part.last - part.pixel < CONV_LEAST)
            tsr_conv2d_t8_avx512x2(args, begin, begin + part.units);
        else
            conv_part(a, &part);
    }
}
