/*
 * context.c: a conversation: its settings, its memory, its prompts.
 *
 * All memory of the passes is one stack, laid out by lay_out(): first the arrays that live as long
 * as the context, then every kind of step once, at its largest. Run dry that is the plan; run on
 * memory it is the layout, so the two agree.
 *
 * A user's turns are kept as text until it is known what shall come next, because a reply continues
 * the conversation, while a drawing is a sequence of its own: the last turn alone, without system
 * text, in a fresh cache. The turns before a drawing are thereby answered and leave the
 * conversation as it was.
 */
#include <config.h>

#include "run/context.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    COUNT_MAX = 64,
    TEXT_DEFAULT = 4096,
    TOKENS_DEFAULT = 512,
    DRAW_PROMPT = 448,
    EMBED_ROWS = 256
};

/* ---- settings -------------------------------------------------------------------------------- */

static tsr_status resolve(struct tsr_settings *s, const struct tsr_model *model,
                          struct tsr_error *error)
{
    const struct tsr_traits *t = &model->net.traits;

    s->wants = s->wants == 0 ? t->can : s->wants;
    if ((s->wants & ~t->can) != 0)
        return tsr_fail(error, TSR_USAGE, "this model cannot do what is wanted of it");
    if (s->context > t->context_max)
        return tsr_fail(error, TSR_USAGE, "a context of %zu positions; the model has at most %zu",
                        s->context, t->context_max);
    if (s->count > COUNT_MAX)
        return tsr_fail(error, TSR_USAGE, "%u pictures at once; at most %d", s->count, COUNT_MAX);
    if (!isfinite(s->temperature) || !isfinite(s->guidance) || !(s->top_p >= 0 && s->top_p <= 1))
        return tsr_fail(error, TSR_USAGE, "temperature, guidance or top_p is not a usable number");
    if (s->cache_format != ~0u && s->cache_format != TSR_F16 && s->cache_format != TSR_F32 &&
        s->cache_format != TSR_T8)
        return tsr_fail(error, TSR_USAGE, "the cache is f16, q8_0 or f32");
    if (s->map_format != TSR_F32 && s->map_format != TSR_F16)
        return tsr_fail(error, TSR_USAGE, "maps are f32 or f16");
    s->count = s->count == 0 ? 1 : s->count;
    s->top_p = s->top_p == 0 ? 1 : s->top_p;
    s->guidance = s->guidance < 0 ? model->guidance : s->guidance;
    s->tokens_max = s->tokens_max == 0 ? TOKENS_DEFAULT : s->tokens_max;
    if (s->cache_format == ~0u)
        s->cache_format = t->exact ? TSR_F32 : TSR_F16;
    return TSR_OK;
}

static struct tsr_cache cache_of(const struct tsr_context *c, size_t slots, size_t capacity)
{
    const struct tsr_traits *t = &c->model->net.traits;

    return (struct tsr_cache){.format = c->settings.cache_format,
                              .layers = t->cache_layers,
                              .slots = slots,
                              .capacity = slots > 0 ? tsr_round_up(capacity, TSR_PANEL) : 0,
                              .heads = t->cache_heads,
                              .d = t->cache_d};
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}
static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* The two caches: of the conversation, and of the rows of a drawing. */
static tsr_status size_caches(struct tsr_context *c, struct tsr_error *error)
{
    const struct tsr_traits *t = &c->model->net.traits;
    const struct tsr_settings *s = &c->settings;
    const size_t room = s->context != 0 ? s->context : smaller(t->context_max, TEXT_DEFAULT);
    const size_t drawing =
        s->context != 0 ? s->context : smaller(t->context_max, t->codes + DRAW_PROMPT);

    c->rows = s->guidance == 1 ? s->count : 2 * (size_t)s->count;
    c->talk = cache_of(c, (s->wants & TSR_TEXT) != 0, room);
    c->draw = cache_of(c, (s->wants & TSR_PICTURE) != 0 ? c->rows : 0, drawing);
    c->draw_room = c->draw.capacity;
    if ((s->wants & TSR_PICTURE) != 0 && drawing <= t->codes)
        return tsr_fail(error, TSR_USAGE,
                        "a context of %zu positions is too short for a picture of %zu", drawing,
                        t->codes);
    return TSR_OK;
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* Takes the arrays that stay, and, dry, walks through every kind of step. */
static void lay_out(struct tsr_context *c, struct tsr_exec *e)
{
    const struct tsr_traits *t = &c->model->net.traits;
    const unsigned wants = c->settings.wants;
    const size_t count = c->settings.count;
    const size_t text = (wants & TSR_TEXT) != 0 ? t->vocabulary : 0;
    const size_t codes = (wants & TSR_PICTURE) != 0 ? t->codebook : 0;
    const size_t pixels = (wants & TSR_PICTURE) != 0 ? t->picture_side * t->picture_side : 0;

    e->maps = c->settings.map_format;
    c->logits = tsr_floats(e, 1, larger(text, c->rows * codes));
    c->sampling = tsr_take(e, larger(text, count * codes), 12, 1);
    c->uniform = tsr_floats(e, count, 1);
    c->picked = tsr_take(e, c->rows, 1, sizeof(int32_t));
    c->codes = tsr_take(e, count, (wants & TSR_PICTURE) != 0 ? t->codes : 0, sizeof(int32_t));
    c->pixels = tsr_floats(e, pixels, 3);
    c->rgb = tsr_take(e, pixels, 3, 1);
    c->reader.seen = tsr_floats(e, (wants & TSR_SEE) != 0 ? t->see_tokens : 0, t->width);
    c->fixed = tsr_mark(e);
    if (e->base != NULL)
        return;
    if ((wants & TSR_SEE) != 0)
        tsr_see_picture(e, c->model, NULL, c->reader.seen);
    if ((wants & TSR_TEXT) != 0)
        tsr_step_read(c, e, smaller(TSR_PIECE, c->talk.capacity), 1);
    if ((wants & TSR_PICTURE) != 0) {
        tsr_step_prompt(c, e, smaller(TSR_PIECE, c->draw.capacity), 1);
        tsr_step_codes(c, e);
        tsr_step_paint(c, e, c->codes);
    }
}

/* Bytes of the tensors that a job reads. Of an embedding only the rows looked up, unless it is the
 * head too. */
static size_t weight_bytes(const struct tsr_model *model, unsigned wants)
{
    const size_t *part = model->part_bytes;
    const size_t panels = tsr_ceil_div(model->net.traits.vocabulary, TSR_PANEL);
    size_t bytes = part[TSR_PART_LM] +
                   smaller(part[TSR_PART_EMBED], part[TSR_PART_EMBED] / panels * EMBED_ROWS);

    if ((wants & TSR_TEXT) != 0)
        bytes += model->tied ? part[TSR_PART_EMBED] : part[TSR_PART_HEAD];
    if ((wants & TSR_SEE) != 0)
        bytes += part[TSR_PART_SEE];
    if ((wants & TSR_PICTURE) != 0)
        bytes += part[TSR_PART_DRAW_HEAD] + part[TSR_PART_DECODER];
    return bytes;
}

static tsr_status prepare(struct tsr_context *c, const struct tsr_model *model,
                          const struct tsr_settings *settings, struct tsr_error *error)
{
    static const struct tsr_settings defaults = {
        .temperature = -1, .guidance = -1, .cache_format = ~0u};
    tsr_status status;

    c->model = model;
    c->settings = settings != NULL ? *settings : defaults;
    status = resolve(&c->settings, model, error);
    return status == TSR_OK ? size_caches(c, error) : status;
}

tsr_status tsr_plan_make(struct tsr_plan *plan, const tsr_model *model,
                         const struct tsr_settings *settings, struct tsr_error *error)
{
    struct tsr_context *c = calloc(1, sizeof *c);
    tsr_status status = c != NULL ? prepare(c, model, settings, error)
                                  : tsr_fail(error, TSR_MEMORY, "out of memory");

    if (status == TSR_OK) {
        const size_t *part = model->part_bytes;
        struct tsr_exec dry = {0};
        lay_out(c, &dry);
        *plan = (struct tsr_plan){.weights = weight_bytes(model, c->settings.wants),
                                  .cache = tsr_cache_bytes(&c->talk) + tsr_cache_bytes(&c->draw),
                                  .buffers = dry.peak};
        plan->total = plan->cache + plan->buffers + plan->weights;
        plan->token = part[TSR_PART_LM] + part[model->tied ? TSR_PART_EMBED : TSR_PART_HEAD];
        plan->code = part[TSR_PART_LM] + part[TSR_PART_DRAW_HEAD];
    }
    free(c);
    return status;
}

static tsr_status take_memory(struct tsr_context *c, struct tsr_error *error)
{
    struct tsr_exec dry = {0};
    const size_t talk = tsr_cache_bytes(&c->talk), draw = tsr_cache_bytes(&c->draw);

    lay_out(c, &dry);
    c->exec.bytes = dry.peak;
    c->exec.base = tsr_block_new(dry.peak);
    c->talk.base = tsr_block_new(talk);
    c->draw.base = tsr_block_huge(draw);
    if (c->exec.base == NULL || c->talk.base == NULL || c->draw.base == NULL)
        return tsr_fail(
            error, TSR_MEMORY,
            "this needs %zu MiB of memory beside the model (cache %zu, buffers %zu); use "
            "a smaller context or fewer pictures",
            (talk + draw + dry.peak) >> 20, (talk + draw) >> 20, dry.peak >> 20);
    lay_out(c, &c->exec);
    return TSR_OK;
}

tsr_status tsr_context_new(tsr_context **context, const tsr_model *model, tsr_pool *pool,
                           const struct tsr_settings *settings, struct tsr_error *error)
{
    const uint32_t able = tsr_cpu_tiers();
    struct tsr_context *c;
    tsr_status status;

    *context = NULL;
    if (able == 0)
        return tsr_fail(
            error, TSR_CPU,
            "this CPU lacks what tessera needs: x86-64 with AVX2, FMA, F16C and BMI2, or "
            "AArch64");
    c = calloc(1, sizeof *c);
    if (c == NULL)
        return tsr_fail(error, TSR_MEMORY, "out of memory");
    tsr_model_hold(model);
    status = prepare(c, model, settings, error);
    if (status == TSR_OK) {
        const uint32_t tiers =
            c->settings.tiers != 0 ? c->settings.tiers : able & ~tsr_cpu_slow_tiers();
        c->owner = getpid();
        atomic_init(&c->cancel, 0);
        c->exec.pool = pool;
        c->exec.kernels = tsr_kernels_select(tiers & (able | tsr_cpu_fast_tiers()));
        c->exec.cancel = &c->cancel;
        c->exec.profile = c->settings.profile;
        status = take_memory(c, error);
    }
    if (status != TSR_OK) {
        tsr_context_free(c);
        return status;
    }
    *context = c;
    return TSR_OK;
}

static void drop_turns(struct tsr_context *c)
{
    for (size_t i = 0; i < c->turn_count; i++)
        free(c->turns[i].content);
    for (size_t i = 0; i < c->picture_count; i++)
        tsr_picture_free(&c->pictures[i]);
    free(c->turns);
    free(c->pictures);
    c->turns = NULL;
    c->pictures = NULL;
    c->turn_count = c->picture_count = 0;
}

void tsr_context_reset(tsr_context *c)
{
    drop_turns(c);
    tsr_reader_clear(&c->reader);
    free(c->system);
    free(c->draw_ids);
    c->system = NULL;
    c->draw_ids = NULL;
    c->used = c->tokens = 0;
    c->begun = c->replied = c->fresh = 0;
    c->exec.used = c->fixed;
    c->phase = TSR_PHASE_IDLE;
    atomic_store(&c->cancel, 0);
}

void tsr_context_free(tsr_context *c)
{
    if (c == NULL)
        return;
    tsr_context_reset(c);
    tsr_block_free(c->exec.base);
    tsr_block_free(c->talk.base);
    tsr_block_free(c->draw.base);
    free(c->bytes);
    tsr_model_close((tsr_model *)(uintptr_t)c->model);
    free(c);
}

void tsr_cancel(tsr_context *c)
{
    atomic_store(&c->cancel, 1);
}

/* ---- prompts --------------------------------------------------------------------------------- */

tsr_status tsr_context_usable(const struct tsr_context *c, struct tsr_error *error)
{
    if (c->owner != getpid())
        return tsr_fail(error, TSR_USAGE,
                        "this context belongs to another process; open a new one after fork");
    if (c->phase == TSR_PHASE_DEAD)
        return tsr_fail(error, TSR_USAGE,
                        "the context has failed or was cancelled; reset it first");
    return TSR_OK;
}

tsr_status tsr_context_outcome(const struct tsr_context *c, tsr_status status, struct tsr_error *error)
{
    tsr_status whole;

    if (atomic_load(&c->cancel))
        return tsr_fail(error, TSR_INTERRUPTED, "cancelled");
    whole = tsr_gguf_whole(c->model->file, error);
    return whole != TSR_OK ? whole : status;
}

static tsr_status idle(const struct tsr_context *c, struct tsr_error *error)
{
    const tsr_status status = tsr_context_usable(c, error);

    if (status == TSR_OK && c->phase != TSR_PHASE_IDLE)
        return tsr_fail(error, TSR_USAGE, "a reply is under way: read its events to the end first");
    return status;
}

tsr_status tsr_prompt_system(tsr_context *c, const char *text, struct tsr_error *error)
{
    tsr_status status = idle(c, error);
    char *copy = NULL;

    if (status != TSR_OK)
        return status;
    if (c->begun || c->turn_count > 0)
        return tsr_fail(error, TSR_USAGE, "the system text comes before the first turn");
    if (text != NULL && (copy = strdup(text)) == NULL)
        return tsr_fail(error, TSR_MEMORY, "out of memory");
    free(c->system);
    c->system = copy;
    return TSR_OK;
}

static tsr_status add_turn(struct tsr_context *c, const char *text, size_t pictures,
                           struct tsr_error *error)
{
    struct tsr_turn *turns = realloc(c->turns, (c->turn_count + 1) * sizeof *turns);
    struct tsr_picture *more;

    if (turns == NULL)
        return tsr_fail(error, TSR_MEMORY, "out of memory");
    c->turns = turns;
    more = realloc(c->pictures, (c->picture_count + pictures + 1) * sizeof *more);
    if (more == NULL)
        return tsr_fail(error, TSR_MEMORY, "out of memory");
    c->pictures = more;
    turns[c->turn_count] = (struct tsr_turn){strdup(text), pictures};
    if (turns[c->turn_count].content == NULL)
        return tsr_fail(error, TSR_MEMORY, "out of memory");
    c->turn_count++;
    return TSR_OK;
}

/* A copy of the caller's picture, squared by the reader later. */
static tsr_status keep_picture(struct tsr_context *c, const struct tsr_picture *picture,
                               struct tsr_error *error)
{
    struct tsr_picture *copy = &c->pictures[c->picture_count];
    const size_t bytes = picture->width * picture->height * 3;

    *copy = *picture;
    copy->rgb = malloc(bytes + 1);
    if (copy->rgb == NULL)
        return tsr_fail(error, TSR_MEMORY, "out of memory");
    memcpy(copy->rgb, picture->rgb, bytes);
    c->picture_count++;
    return TSR_OK;
}

tsr_status tsr_prompt_user(tsr_context *c, const char *text, const struct tsr_picture *pictures,
                           size_t picture_count, struct tsr_error *error)
{
    tsr_status status = idle(c, error);

    if (status != TSR_OK)
        return status;
    if (c->reader.done < c->reader.count)
        return tsr_fail(error, TSR_USAGE, "ids and turns cannot be mixed in one prompt");
    if (picture_count > 0 && (c->settings.wants & TSR_SEE) == 0)
        return tsr_fail(error, TSR_USAGE, "this context was not made for reading pictures");
    for (size_t i = 0; i < picture_count; i++)
        if (pictures[i].width == 0 || pictures[i].height == 0 || pictures[i].rgb == NULL)
            return tsr_fail(error, TSR_USAGE, "picture %zu is empty", i);
    status = add_turn(c, text, picture_count, error);
    for (size_t i = 0; i < picture_count && status == TSR_OK; i++)
        status = keep_picture(c, &pictures[i], error);
    return status;
}

tsr_status tsr_prompt_ids(tsr_context *c, const int32_t *ids, size_t count,
                          const struct tsr_picture *pictures, size_t picture_count,
                          struct tsr_error *error)
{
    tsr_status status = idle(c, error);

    if (status != TSR_OK)
        return status;
    if (c->turn_count > 0)
        return tsr_fail(error, TSR_USAGE, "ids and turns cannot be mixed in one prompt");
    if (picture_count > 0 && (c->settings.wants & TSR_SEE) == 0)
        return tsr_fail(error, TSR_USAGE, "this context was not made for reading pictures");
    return tsr_reader_add(&c->reader, c->model, ids, count, pictures, picture_count,
                          &c->exec.kernels, c->exec.pool, error);
}

/* ---- what comes next ------------------------------------------------------------------------- */

/* Ids of a text, with the placeholder of each picture expanded to its rows and what stands around
 * them. */
static tsr_status expand(const struct tsr_context *c, const struct tsr_text *text, int add_special,
                         int32_t **ids, size_t *count, struct tsr_error *error)
{
    const struct tsr_ids *names = &c->model->ids;
    const size_t see = c->model->net.traits.see_tokens;
    int32_t *plain, *out;
    size_t plain_count, pictures = 0, at = 0;
    tsr_status status =
        tsr_tokenizer_encode(c->model->tokenizer, text, add_special, &plain, &plain_count, error);

    if (status != TSR_OK)
        return status;
    for (size_t i = 0; i < plain_count; i++)
        pictures += plain[i] == names->picture;
    out = malloc((plain_count + pictures * (see + 1) + 1) * sizeof *out);
    if (out == NULL)
        status = tsr_fail(error, TSR_MEMORY, "out of memory");
    for (size_t i = 0; i < plain_count && out != NULL; i++) {
        if (plain[i] != names->picture) {
            out[at++] = plain[i];
            continue;
        }
        out[at++] = names->picture_begin;
        for (size_t j = 0; j < see; j++)
            out[at++] = names->picture;
        out[at++] = names->picture_end;
    }
    free(plain);
    *ids = out;
    *count = at;
    return status;
}

/* All turns, in the template, into the conversation's reader. */
static tsr_status turns_to_reader(struct tsr_context *c, struct tsr_error *error)
{
    const struct tsr_template *format = &c->model->format;
    struct tsr_text text = {0};
    int32_t *ids = NULL;
    size_t count;
    tsr_status status = c->replied  ? tsr_template_end(format, &text, error)
                        : !c->begun ? tsr_template_system(format, &text, c->system, error)
                                    : TSR_OK;

    for (size_t i = 0; i < c->turn_count && status == TSR_OK; i++)
        status = tsr_template_user(format, &text, c->turns[i].content, c->turns[i].pictures, error);
    if (status == TSR_OK)
        status = tsr_template_reply(format, &text, 0, error);
    if (status == TSR_OK)
        status = expand(c, &text, !c->begun, &ids, &count, error);
    if (status == TSR_OK)
        status = tsr_reader_add(&c->reader, c->model, ids, count, c->pictures, c->picture_count,
                                &c->exec.kernels, c->exec.pool, error);
    free(ids);
    tsr_text_free(&text);
    return status;
}

/* Puts the last token of a reply before whatever has been prompted since. */
static tsr_status keep_last_token(struct tsr_context *c, struct tsr_error *error)
{
    struct tsr_reader *r = &c->reader;
    const tsr_status status = tsr_reader_add(r, c->model, &c->token, 1, NULL, 0, &c->exec.kernels,
                                             c->exec.pool, error);

    c->fresh = 0;
    if (status == TSR_OK) {
        memmove(r->ids + r->done + 1, r->ids + r->done, (r->count - 1 - r->done) * sizeof *r->ids);
        r->ids[r->done] = c->token;
    }
    return status;
}

static tsr_status want_text(struct tsr_context *c, struct tsr_error *error)
{
    tsr_status status = TSR_OK;

    if (c->fresh) /* the last reply ended at its limit: its last token is not in the cache yet */
        status = keep_last_token(c, error);
    if (status == TSR_OK && c->turn_count > 0)
        status = turns_to_reader(c, error);
    drop_turns(c);
    if (status != TSR_OK)
        return status;
    if (c->reader.done == c->reader.count)
        return tsr_fail(error, TSR_USAGE, "there is no prompt");
    if (c->reader.count - c->reader.done >= c->talk.capacity - c->used) {
        const size_t count = c->reader.count - c->reader.done;
        return tsr_fail(error, TSR_USAGE,
                        "the prompt takes %zu positions, %zu of the context's %zu are left; use a "
                        "larger context or a shorter prompt",
                        count, c->talk.capacity - c->used, c->talk.capacity);
    }
    c->begun = c->replied = 1;
    c->tokens = 0;
    c->utf8 = (struct tsr_utf8){0};
    c->phase = TSR_PHASE_READ;
    return TSR_OK;
}

/* The two rows of a drawing's prompt: as it is, and with all but the tokens that frame it replaced
 * by the pad. */
static tsr_status draw_rows(struct tsr_context *c, const int32_t *ids, size_t count,
                            struct tsr_error *error)
{
    const struct tsr_ids *names = &c->model->ids;
    const size_t needed = count + c->model->net.traits.codes - 1;

    if (count == 0)
        return tsr_fail(error, TSR_USAGE, "there is no prompt");
    if (needed > c->draw_room)
        return tsr_fail(error, TSR_USAGE,
                        "the prompt takes %zu positions and the picture %zu; the context has %zu",
                        count, c->model->net.traits.codes, c->draw_room);
    free(c->draw_ids);
    c->draw_ids = malloc(2 * count * sizeof *c->draw_ids);
    if (c->draw_ids == NULL)
        return tsr_fail(error, TSR_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++) {
        const int frame = ids[i] == names->begin || ids[i] == names->picture_begin;
        c->draw_ids[i] = ids[i];
        c->draw_ids[count + i] = frame ? ids[i] : names->pad;
    }
    c->draw_count = count;
    c->draw.capacity = tsr_round_up(needed, TSR_PANEL);
    return TSR_OK;
}

static tsr_status want_picture(struct tsr_context *c, struct tsr_error *error)
{
    const struct tsr_template *format = &c->model->format;
    struct tsr_text text = {0};
    int32_t *ids = NULL;
    size_t count;
    tsr_status status;

    if (c->turn_count == 0 && c->reader.loaded < c->reader.picture_count) {
        status = tsr_fail(error, TSR_USAGE, "the prompt of a drawing takes no pictures");
        c->reader.done = c->reader.count;
    } else if (c->turn_count == 0) {
        status =
            draw_rows(c, c->reader.ids + c->reader.done, c->reader.count - c->reader.done, error);
        c->reader.count = c->reader.done;
    } else if (c->turns[c->turn_count - 1].pictures > 0) {
        status = tsr_fail(error, TSR_USAGE, "the prompt of a drawing takes no pictures");
    } else {
        status = tsr_template_system(format, &text, "", error);
        if (status == TSR_OK)
            status =
                tsr_template_user(format, &text, c->turns[c->turn_count - 1].content, 0, error);
        if (status == TSR_OK)
            status = tsr_template_reply(format, &text, 1, error);
        if (status == TSR_OK)
            status = expand(c, &text, 1, &ids, &count, error);
        if (status == TSR_OK)
            status = draw_rows(c, ids, count, error);
        free(ids);
        tsr_text_free(&text);
    }
    drop_turns(c);
    if (status != TSR_OK)
        return status;
    c->draw_done = c->step = c->painted = 0;
    c->phase = TSR_PHASE_DRAW_READ;
    return TSR_OK;
}

tsr_status tsr_want(tsr_context *c, unsigned want, struct tsr_error *error)
{
    const tsr_status status = idle(c, error);

    if (status != TSR_OK)
        return status;
    if ((want != TSR_TEXT && want != TSR_PICTURE) || (c->settings.wants & want) == 0)
        return tsr_fail(error, TSR_USAGE,
                        "a context is asked for text or for a picture, as it was made for");
    return want == TSR_TEXT ? want_text(c, error) : want_picture(c, error);
}
