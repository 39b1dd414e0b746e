/*
 * probe.c: the inside of a model, for comparing a conversion with its reference. A probe has a
 * cache and a stack of its own and leaves the context's conversation alone; it uses its kernels and
 * threads, and the same passes.
 */
#include "run/context.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD_ROWS = 16 }; /* rows of logits computed at once */

/* A stack of the size that `pass` needs dry, then the pass. */
static tsr_status with_stack(struct tsr_context *c, void (*pass)(struct tsr_exec *e, void *data),
                             void *data, struct tsr_error *error)
{
    struct tsr_exec e = c->exec;
    tsr_status status = tsr_context_usable(c, error);

    if (status != TSR_OK)
        return status;
    e.base = NULL;
    e.used = e.peak = 0;
    pass(&e, data);
    e.bytes = e.peak;
    e.used = e.peak = 0;
    e.base = tsr_block_new(e.bytes);
    if (e.base == NULL)
        return tsr_fail(error, TSR_MEMORY, "this needs %zu MiB of memory", e.bytes >> 20);
    tsr_pass_begin(&e);
    pass(&e, data);
    tsr_block_free(e.base);
    return tsr_context_outcome(c, TSR_OK, error);
}

/* ---- logits and hidden states ---------------------------------------------------------------- */

struct reading {
    struct tsr_context *c;
    const struct tsr_probe *probe;
    struct tsr_reader reader;
    struct tsr_cache cache;
};

static void heads(struct tsr_exec *e, const struct reading *r, const float *h, size_t first,
                  size_t rows)
{
    const struct tsr_net *net = &r->c->model->net;
    const struct tsr_traits *t = &net->traits;

    if (r->probe->hidden != NULL && tsr_live(e))
        memcpy(r->probe->hidden + first * t->width, h, rows * t->width * sizeof *h);
    for (size_t i = 0; i < rows; i += HEAD_ROWS) {
        const size_t m = rows - i < HEAD_ROWS ? rows - i : HEAD_ROWS;
        if (r->probe->logits != NULL)
            net->family->text_head(e, net, h + i * t->width, m,
                                   r->probe->logits + (first + i) * t->vocabulary);
        if (r->probe->picture_logits != NULL)
            net->family->picture_head(e, net, h + i * t->width, m,
                                      r->probe->picture_logits + (first + i) * t->codebook);
    }
}

static void read_piece(struct tsr_exec *e, struct reading *r, size_t rows)
{
    const struct tsr_net *net = &r->c->model->net;
    const size_t mark = tsr_mark(e), width = net->traits.width, first = r->reader.done;
    float *x = tsr_floats(e, rows, width), *h = tsr_floats(e, rows, width);

    tsr_reader_step(e, r->c->model, &r->reader, &r->cache, first, rows, x);
    net->family->norm(e, net, x, width, rows, h);
    heads(e, r, h, first, rows);
    tsr_release(e, mark);
}

static void read_all(struct tsr_exec *e, void *data)
{
    struct reading *r = data;
    const struct tsr_traits *t = &r->c->model->net.traits;
    const size_t count = r->probe->count, row = t->see_tokens * t->width;

    r->reader.seen = tsr_floats(e, t->see_tokens, t->width);
    if (!tsr_live(e)) {
        tsr_see_picture(e, r->c->model, NULL, r->reader.seen);
        read_piece(e, r, count < TSR_PIECE ? count : TSR_PIECE);
        return;
    }
    while (r->reader.done < count && tsr_live(e)) {
        if (!tsr_reader_see(e, r->c->model, &r->reader))
            read_piece(e, r, tsr_reader_rows(r->c->model, &r->reader));
        else if (r->probe->embeddings != NULL && tsr_live(e))
            memcpy(r->probe->embeddings + (r->reader.loaded - 1) * row, r->reader.seen,
                   row * sizeof(float));
    }
}

tsr_status tsr_probe_run(tsr_context *c, const struct tsr_probe *probe, struct tsr_error *error)
{
    const struct tsr_traits *t = &c->model->net.traits;
    struct reading r = {.c = c, .probe = probe};
    tsr_status status;

    if (probe->count == 0 || probe->count > t->context_max)
        return tsr_fail(error, TSR_USAGE, "%zu ids; 1 to %zu are possible", probe->count,
                        t->context_max);
    if ((probe->picture_logits != NULL && (t->can & TSR_PICTURE) == 0) ||
        (probe->picture_count > 0 && (t->can & TSR_SEE) == 0))
        return tsr_fail(error, TSR_USAGE, "this model cannot do what is wanted of it");
    r.cache = (struct tsr_cache){.format = c->settings.cache_format,
                                 .layers = t->cache_layers,
                                 .slots = 1,
                                 .capacity = tsr_round_up(probe->count, TSR_PANEL),
                                 .heads = t->cache_heads,
                                 .d = t->cache_d};
    r.cache.base = tsr_block_new(tsr_cache_bytes(&r.cache));
    if (r.cache.base == NULL)
        return tsr_fail(error, TSR_MEMORY, "this needs %zu MiB of memory",
                        tsr_cache_bytes(&r.cache) >> 20);
    status = tsr_reader_add(&r.reader, c->model, probe->ids, probe->count, probe->pictures,
                            probe->picture_count, &c->exec.kernels, c->exec.pool, error);
    if (status == TSR_OK)
        status = with_stack(c, read_all, &r, error);
    tsr_reader_clear(&r.reader);
    tsr_block_free(r.cache.base);
    return status;
}

/* ---- picture codes --------------------------------------------------------------------------- */

struct picturing {
    struct tsr_context *c;
    const struct tsr_picture *in;
    int32_t *codes;
    const int32_t *from;
    float *out;             /* caller's pixels, or NULL */
    struct tsr_picture *to; /* to be filled, or NULL */
};

static void encode(struct tsr_exec *e, void *data)
{
    struct picturing *p = data;
    const struct tsr_net *net = &p->c->model->net;
    const size_t side = net->traits.picture_side, mark = tsr_mark(e);
    float *pixels = tsr_floats(e, side * side, 3); /* [side, side, 3] */

    if (tsr_live(e))
        tsr_picture_patches(pixels, p->in, side, &p->c->model->rule);
    net->family->encode(e, net, pixels, p->codes);
    tsr_release(e, mark);
}

static void decode(struct tsr_exec *e, void *data)
{
    struct picturing *p = data;
    const struct tsr_net *net = &p->c->model->net;
    const size_t side = net->traits.picture_side, mark = tsr_mark(e);
    float *pixels = tsr_floats(e, side * side, 3); /* [side, side, 3] */

    net->family->decode(e, net, p->from, pixels);
    if (tsr_live(e) && p->out != NULL)
        memcpy(p->out, pixels, side * side * 3 * sizeof *pixels);
    if (tsr_live(e) && p->to != NULL)
        tsr_picture_from_floats(p->to->rgb, pixels, side * side * 3);
    tsr_release(e, mark);
}

tsr_status tsr_probe_encode(tsr_context *c, const struct tsr_picture *picture, int32_t *codes,
                            struct tsr_error *error)
{
    const size_t side = c->model->net.traits.picture_side;
    struct picturing p = {.c = c, .in = picture, .codes = codes};

    if ((c->model->net.traits.can & TSR_PICTURE) == 0)
        return tsr_fail(error, TSR_USAGE, "this model does not draw pictures");
    if (picture->width != side || picture->height != side)
        return tsr_fail(error, TSR_USAGE, "the picture is %zu x %zu; the encoder takes %zu x %zu",
                        picture->width, picture->height, side, side);
    return with_stack(c, encode, &p, error);
}

tsr_status tsr_probe_decode(tsr_context *c, const int32_t *codes, struct tsr_picture *picture,
                            float *pixels, struct tsr_error *error)
{
    const struct tsr_traits *t = &c->model->net.traits;
    struct tsr_picture made = {t->picture_side, t->picture_side, NULL};
    struct picturing p = {
        .c = c, .from = codes, .out = pixels, .to = picture != NULL ? &made : NULL};
    tsr_status status;

    if ((t->can & TSR_PICTURE) == 0)
        return tsr_fail(error, TSR_USAGE, "this model does not draw pictures");
    for (size_t i = 0; i < t->codes; i++)
        if (codes[i] < 0 || (size_t)codes[i] >= t->codebook)
            return tsr_fail(error, TSR_USAGE, "code %d is not in 0 to %zu", codes[i],
                            t->codebook - 1);
    if (picture != NULL && (made.rgb = malloc(t->picture_side * t->picture_side * 3)) == NULL)
        return tsr_fail(error, TSR_MEMORY, "out of memory");
    status = with_stack(c, decode, &p, error);
    if (status == TSR_OK && picture != NULL)
        *picture = made;
    else
        free(made.rgb);
    return status;
}
