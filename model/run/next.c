/*
 * next.c: the stream of events. Each call does one bounded step (steps.c), so that a caller can
 * show progress, stream text and cancel between steps; a cancel within a step lets its operators
 * fall through (blocks/exec.h).
 *
 * A token or code is sampled and told at once; it goes into the cache at the start of the next
 * call. So a reply that ends by its own end token costs no step for it, and one that ends at its
 * limit keeps its last token for the turn that follows.
 */
#include "run/context.h"

#include <stdlib.h>
#include <string.h>

/* Samples `count` indices from the logits [rows, k]; the rows past `count` are those without the
 * prompt. */
static void pick(struct tsr_context *c, size_t count, size_t k, int guided, float temperature,
                 uint32_t position)
{
    for (size_t i = 0; i < count; i++)
        c->uniform[i] = tsr_random(c->settings.seed + i, position, 0);
    tsr_do_sample(&c->exec, &(struct tsr_sample){.cond = c->logits,
                                                 .uncond = guided ? c->logits + count * k : NULL,
                                                 .ld = k,
                                                 .u = c->uniform,
                                                 .index = c->picked,
                                                 .scratch = c->sampling,
                                                 .m = count,
                                                 .k = k,
                                                 .top_k = c->settings.top_k,
                                                 .guidance = c->settings.guidance,
                                                 .temperature = temperature,
                                                 .top_p = c->settings.top_p});
}

static float temperature_or(const struct tsr_context *c, float fallback)
{
    return c->settings.temperature < 0 ? fallback : c->settings.temperature;
}

/* ---- text ------------------------------------------------------------------------------------ */

static tsr_status read_prompt(struct tsr_context *c, struct tsr_event *event)
{
    struct tsr_reader *r = &c->reader;

    if (!tsr_reader_see(&c->exec, c->model, r)) {
        const size_t rows = tsr_reader_rows(c->model, r);
        const int last = r->done + rows == r->count;
        tsr_step_read(c, &c->exec, rows, last);
        c->used += rows;
        if (last)
            c->phase = TSR_PHASE_TEXT;
    }
    *event = (struct tsr_event){.kind = TSR_EVENT_PROMPT, .step = r->done, .steps = r->count};
    return TSR_OK;
}

/* The bytes of a token as whole characters; last: also what was held back. */
static tsr_status spell(struct tsr_context *c, int last, struct tsr_event *event,
                        struct tsr_error *error)
{
    const tsr_tokenizer *tokenizer = c->model->tokenizer;
    struct tsr_slice slice = {"", 0};

    if (!tsr_tokenizer_is_special(tokenizer, c->token))
        slice = tsr_tokenizer_bytes(tokenizer, c->token);
    const size_t room = 3 * (slice.bytes + 3);
    if (room > c->bytes_room) {
        char *more = realloc(c->bytes, room);
        if (more == NULL)
            return tsr_fail(error, TSR_MEMORY, "out of memory");
        c->bytes = more;
        c->bytes_room = room;
    }
    *event = (struct tsr_event){
        .kind = TSR_EVENT_TEXT, .text = c->bytes, .token = c->token, .step = c->tokens};
    event->bytes = tsr_utf8_feed(&c->utf8, slice.text, slice.bytes, last, c->bytes);
    return TSR_OK;
}

static void over(struct tsr_context *c, const char *why)
{
    c->why = why;
    c->phase = TSR_PHASE_OVER;
}

static tsr_status end(struct tsr_context *c, struct tsr_event *event)
{
    *event = (struct tsr_event){.kind = TSR_EVENT_END, .text = c->why, .bytes = strlen(c->why)};
    c->phase = TSR_PHASE_IDLE;
    return TSR_OK;
}

static tsr_status write_text(struct tsr_context *c, struct tsr_event *event,
                             struct tsr_error *error)
{
    if (c->fresh) {
        tsr_step_token(c, &c->exec);
        c->used++;
        c->fresh = 0;
    }
    pick(c, 1, c->model->net.traits.vocabulary, 0, temperature_or(c, 0), (uint32_t)c->used);
    if (!tsr_live(&c->exec))
        return TSR_OK;
    c->token = c->picked[0];
    if (c->token == c->model->ids.end) {
        over(c, "stop");
        return c->utf8.count > 0 ? spell(c, 1, event, error) : end(c, event);
    }
    c->fresh = 1;
    c->tokens++;
    const int full = c->tokens >= c->settings.tokens_max || c->used >= c->talk.capacity;
    if (full)
        over(c, "length");
    return spell(c, full, event, error);
}

/* ---- drawing --------------------------------------------------------------------------------- */

static tsr_status read_draw_prompt(struct tsr_context *c, struct tsr_event *event)
{
    const size_t left = c->draw_count - c->draw_done, rows = left < TSR_PIECE ? left : TSR_PIECE;

    tsr_step_prompt(c, &c->exec, rows, rows == left);
    c->draw_done += rows;
    if (rows == left)
        c->phase = TSR_PHASE_DRAW;
    *event =
        (struct tsr_event){.kind = TSR_EVENT_PROMPT, .step = c->draw_done, .steps = c->draw_count};
    return TSR_OK;
}

static tsr_status draw_code(struct tsr_context *c, struct tsr_event *event)
{
    const struct tsr_traits *t = &c->model->net.traits;
    const size_t count = c->settings.count;

    if (c->step > 0)
        tsr_step_codes(c, &c->exec);
    pick(c, count, t->codebook, c->rows > count, temperature_or(c, 1), (uint32_t)c->step);
    if (!tsr_live(&c->exec))
        return TSR_OK;
    for (size_t i = 0; i < count; i++)
        c->codes[i * t->codes + c->step] = c->picked[i];
    c->step++;
    if (c->step == t->codes)
        c->phase = TSR_PHASE_PAINT;
    *event = (struct tsr_event){.kind = TSR_EVENT_PICTURE_STEP, .step = c->step, .steps = t->codes};
    return TSR_OK;
}

static tsr_status paint(struct tsr_context *c, struct tsr_event *event)
{
    const struct tsr_traits *t = &c->model->net.traits;

    if (c->painted == c->settings.count) {
        c->why = "stop";
        return end(c, event);
    }
    const int32_t *codes = c->codes + c->painted * t->codes;
    tsr_step_paint(c, &c->exec, codes);
    *event = (struct tsr_event){.kind = TSR_EVENT_PICTURE,
                                .codes = codes,
                                .code_count = t->codes,
                                .index = c->painted,
                                .step = c->painted + 1,
                                .steps = c->settings.count,
                                .picture = {t->picture_side, t->picture_side, c->rgb}};
    c->painted++;
    return TSR_OK;
}

/* ---- the stream ------------------------------------------------------------------------------ */

static tsr_status step(struct tsr_context *c, struct tsr_event *event, struct tsr_error *error)
{
    switch (c->phase) {
    case TSR_PHASE_READ:
        return read_prompt(c, event);
    case TSR_PHASE_TEXT:
        return write_text(c, event, error);
    case TSR_PHASE_DRAW_READ:
        return read_draw_prompt(c, event);
    case TSR_PHASE_DRAW:
        return draw_code(c, event);
    case TSR_PHASE_PAINT:
        return paint(c, event);
    case TSR_PHASE_OVER:
        return end(c, event);
    default:
        return TSR_END;
    }
}

tsr_status tsr_next(tsr_context *c, struct tsr_event *event, struct tsr_error *error)
{
    tsr_status status = tsr_context_usable(c, error);

    if (status != TSR_OK)
        return status;
    tsr_pass_begin(&c->exec);
    status = tsr_context_outcome(c, step(c, event, error), error);
    if (status != TSR_OK && status != TSR_END)
        c->phase = TSR_PHASE_DEAD;
    return status;
}

tsr_status tsr_preview(tsr_context *c, size_t index, struct tsr_picture *picture,
                       struct tsr_error *error)
{
    const struct tsr_traits *t = &c->model->net.traits;
    const size_t mark = tsr_mark(&c->exec), side = t->picture_side;
    tsr_status status = tsr_context_usable(c, error);

    if (status != TSR_OK)
        return status;
    if ((c->settings.wants & TSR_PICTURE) == 0 || index >= c->settings.count)
        return tsr_fail(error, TSR_USAGE, "there is no drawing number %zu", index);
    /* the grid is square; what is not drawn yet repeats the last code, and is painted over below */
    const size_t known = c->step, cells = t->codes;
    size_t grid = 1;
    while (grid * grid < cells)
        grid++;
    int32_t *codes = c->codes + index * cells;
    for (size_t i = known; i < cells; i++)
        codes[i] = known > 0 ? codes[known - 1] : 0;
    tsr_pass_begin(&c->exec);
    tsr_step_paint(c, &c->exec, codes);
    const size_t cell = side / grid;
    for (size_t y = 0; y < side && tsr_live(&c->exec); y++)
        for (size_t x = 0; x < side; x++)
            if (y / cell * grid + x / cell >= known)
                memset(c->rgb + (y * side + x) * 3, 127, 3);
    tsr_release(&c->exec, mark);
    *picture = (struct tsr_picture){side, side, c->rgb};
    return tsr_gguf_whole(c->model->file, error);
}
