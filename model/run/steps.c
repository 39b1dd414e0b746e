/*
 * steps.c: the steps that a reply is made of (context.h): what goes into a cache, and the logits
 * after it.
 *
 * A drawing runs its rows as one batch: the rows with the prompt of all pictures, then, with
 * guidance, as many rows without it. The pictures share the prompt, so it is read once for each
 * kind and the caches are copied.
 */
#include "run/context.h"

#include <string.h>

static const struct tsr_net *net_of(const struct tsr_context *c)
{
    return &c->model->net;
}

static int guided(const struct tsr_context *c)
{
    return c->rows > c->settings.count;
}

/* ---- text ------------------------------------------------------------------------------------ */

static void text_logits(struct tsr_context *c, struct tsr_exec *e, const float *row)
{
    const struct tsr_net *net = net_of(c);
    float *h = tsr_floats(e, 1, net->traits.width);

    net->family->norm(e, net, row, net->traits.width, 1, h);
    net->family->text_head(e, net, h, 1, c->logits);
}

void tsr_step_read(struct tsr_context *c, struct tsr_exec *e, size_t rows, int last)
{
    const size_t mark = tsr_mark(e), width = net_of(c)->traits.width;
    float *x = tsr_floats(e, rows, width); /* [rows, width] */

    tsr_reader_step(e, c->model, &c->reader, &c->talk, c->used, rows, x);
    if (last)
        text_logits(c, e, x + (rows - 1) * width);
    tsr_release(e, mark);
}

void tsr_step_token(struct tsr_context *c, struct tsr_exec *e)
{
    const struct tsr_net *net = net_of(c);
    const size_t mark = tsr_mark(e), slot = 0;
    struct tsr_batch batch = {
        .cache = &c->talk, .count = 1, .rows = 1, .slots = &slot, .start = &c->used};
    float *x = tsr_floats(e, 1, net->traits.width); /* [1, width] */

    net->family->embed(e, net, &c->token, 1, x);
    net->family->trunk(e, net, &batch, x);
    text_logits(c, e, x);
    tsr_release(e, mark);
}

/* ---- drawing --------------------------------------------------------------------------------- */

/* After the prompt: the same logits and the same cache for every picture. */
static void share(struct tsr_context *c, const float *logits /* [1 or 2, codebook] */)
{
    const size_t codebook = net_of(c)->traits.codebook, count = c->settings.count;

    for (size_t row = 0; row < c->rows; row++)
        memcpy(c->logits + row * codebook, logits + row / count * codebook,
               codebook * sizeof *logits);
    for (size_t row = 0; row < c->rows; row++)
        if (row % count != 0)
            tsr_cache_copy(&c->draw, row / count * count, row, c->draw_count);
}

void tsr_step_prompt(struct tsr_context *c, struct tsr_exec *e, size_t rows, int last)
{
    const struct tsr_net *net = net_of(c);
    const size_t mark = tsr_mark(e), width = net->traits.width, kinds = guided(c) ? 2 : 1;
    const size_t slots[2] = {0, c->settings.count}, start[2] = {c->draw_done, c->draw_done};
    struct tsr_batch batch = {
        .cache = &c->draw, .count = kinds, .rows = rows, .slots = slots, .start = start};
    int32_t *ids = tsr_take(e, kinds, rows, sizeof *ids);       /* [kinds, rows] */
    float *x = tsr_floats(e, kinds * rows, width);              /* [kinds * rows, width] */
    float *h = tsr_floats(e, kinds, width);                     /* [kinds, width] */
    float *logits = tsr_floats(e, kinds, net->traits.codebook); /* [kinds, codebook] */

    if (tsr_live(e))
        for (size_t i = 0; i < kinds; i++)
            memcpy(ids + i * rows, c->draw_ids + i * c->draw_count + c->draw_done,
                   rows * sizeof *ids);
    net->family->embed(e, net, ids, kinds * rows, x);
    net->family->trunk(e, net, &batch, x);
    if (last) {
        net->family->norm(e, net, x + (rows - 1) * width, rows * width, kinds, h);
        net->family->picture_head(e, net, h, kinds, logits);
        if (tsr_live(e))
            share(c, logits);
    }
    tsr_release(e, mark);
}

void tsr_step_codes(struct tsr_context *c, struct tsr_exec *e)
{
    const struct tsr_net *net = net_of(c);
    const size_t mark = tsr_mark(e), width = net->traits.width, count = c->settings.count;
    size_t *slots = tsr_take(e, c->rows, 1, sizeof *slots);
    size_t *start = tsr_take(e, c->rows, 1, sizeof *start);
    float *x = tsr_floats(e, c->rows, width); /* [rows, width] */
    float *h = tsr_floats(e, c->rows, width); /* [rows, width] */
    struct tsr_batch batch = {
        .cache = &c->draw, .count = c->rows, .rows = 1, .slots = slots, .start = start};

    net->family->embed_codes(e, net, c->picked, count, x);
    if (tsr_live(e))
        for (size_t row = 0; row < c->rows; row++) {
            slots[row] = row;
            start[row] = c->draw_count + c->step - 1;
            if (row >= count)
                memcpy(x + row * width, x + (row - count) * width, width * sizeof *x);
        }
    net->family->trunk(e, net, &batch, x);
    net->family->norm(e, net, x, width, c->rows, h);
    net->family->picture_head(e, net, h, c->rows, c->logits);
    tsr_release(e, mark);
}

void tsr_step_paint(struct tsr_context *c, struct tsr_exec *e, const int32_t *codes)
{
    const struct tsr_net *net = net_of(c);
    const size_t side = net->traits.picture_side;

    net->family->decode(e, net, codes, c->pixels);
    if (tsr_live(e))
        tsr_picture_from_floats(c->rgb, c->pixels, side * side * 3);
}
