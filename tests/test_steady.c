/*
 * test_steady.c: the same bits, whatever the circumstances: 1 to 2 x cores threads, twenty repeats,
 * one picture or eight at once, a prompt in one piece or in pieces (also beyond the rows that go
 * through the layers at once), a cache that is reused or rebuilt. And a model that is closed while
 * contexts live.
 *
 * A *record* is what a job leaves behind, byte for byte: reply, logits, codes, pixels. Every
 * circumstance must leave the record of the plain one. Jobs run on the shipped model (q8_0), whose
 * context is long enough for prompts of several pieces, and on a fixture in f32 and q4_0.
 */
#include <config.h>

#include <criterion/criterion.h>

#include "conditions.h"
#include "models.h"
#include "npy.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LONG = 700 }; /* ids of a prompt of two pieces */

struct record {
    uint8_t *bytes;
    size_t count;
};

static void note(struct record *r, const void *bytes, size_t count)
{
    r->bytes = realloc(r->bytes, r->count + count);
    cr_assert(r->bytes != NULL);
    memcpy(r->bytes + r->count, bytes, count);
    r->count += count;
}

/* Equal to the first one; frees `r`. */
static void same(const struct record *first, struct record r, const char *what, size_t index)
{
    cr_assert_gt(r.count, 0);
    cr_assert(r.count == first->count && memcmp(r.bytes, first->bytes, r.count) == 0,
              "%s %zu: other bits", what, index);
    free(r.bytes);
}

static tsr_model *shipped(void)
{
    const char *source = getenv("TSR_SRCDIR");
    struct tsr_error error = {.message = ""};
    tsr_model *model;
    char path[512];

    snprintf(path, sizeof path, "%s/model/mini/mini-janus-Q8_0.gguf", source ? source : ".");
    cr_assert_eq(tsr_model_open(&model, path, NULL, &error), TSR_OK, "%s", error.message);
    return model;
}

/* 0: the shipped model; then a fixture in two formats. */
enum { MODELS = 3 };
static tsr_model *model_number(size_t i)
{
    return i == 0 ? shipped() : model_converted(model_fixtures[0], i == 1 ? TSR_F32 : TSR_T4);
}

static tsr_pool *pool_of(unsigned threads)
{
    const struct tsr_pool_options options = {.threads = threads};
    struct tsr_error error = {.message = ""};
    tsr_pool *pool;

    cr_assert_eq(tsr_pool_new(&pool, &options, &error), TSR_OK, "%s", error.message);
    return pool;
}

/* A reply to its end: tokens and the logits after each; or codes and pixels. */
static void reply(struct record *r, tsr_context *c, unsigned want)
{
    struct tsr_error error = {.message = ""};
    struct tsr_event event;
    tsr_status status;

    cr_assert_eq(tsr_want(c, want, &error), TSR_OK, "%s", error.message);
    while ((status = tsr_next(c, &event, &error)) == TSR_OK) {
        if (event.kind == TSR_EVENT_TEXT) {
            note(r, &event.token, sizeof event.token);
            note(r, c->logits, c->model->net.traits.vocabulary * sizeof *c->logits);
        }
        if (event.kind == TSR_EVENT_PICTURE) {
            note(r, event.codes, event.code_count * sizeof *event.codes);
            note(r, event.picture.rgb, event.picture.width * event.picture.height * 3);
        }
    }
    cr_assert_eq(status, TSR_END, "%s", error.message);
}

static void ask(struct record *r, tsr_context *c, const char *text, unsigned want)
{
    struct tsr_error error = {.message = ""};

    cr_assert_eq(tsr_prompt_user(c, text, NULL, 0, &error), TSR_OK, "%s", error.message);
    reply(r, c, want);
}

/* A question about a picture, a second turn, and a drawing. */
static struct record whole_job(const tsr_model *model, tsr_pool *pool)
{
    struct tsr_settings settings = settings_greedy;
    const size_t side = model->net.traits.picture_side;
    struct tsr_picture picture = {side, side, malloc(side * side * 3)};
    struct tsr_error error = {.message = ""};
    struct record r = {0};

    for (size_t i = 0; i < side * side * 3; i++)
        picture.rgb[i] = (uint8_t)(i * i / 7);
    settings.tokens_max = 6;
    settings.seed = 11;
    settings.temperature = -1; /* text is greedy, pictures are drawn by lot */
    tsr_context *c = context_new(model, pool, &settings);
    cr_assert_eq(tsr_prompt_user(c, "What is this?", &picture, 1, &error), TSR_OK);
    reply(&r, c, TSR_TEXT);
    ask(&r, c, "and where?", TSR_TEXT);
    ask(&r, c, "a small red ring", TSR_PICTURE);
    tsr_context_free(c);
    tsr_picture_free(&picture);
    return r;
}

Test(steady, threads_and_repeats, .timeout = 300)
{
    const unsigned cores = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    const unsigned most = repeats("numbers of threads", cores < 4 ? 8 : 2 * cores, 3);
    const unsigned again = repeats("repeats", 20, 2);

    for (size_t m = 0; m < MODELS; m++) {
        tsr_model *model = model_number(m);
        const struct record first = whole_job(model, NULL);
        for (unsigned threads = 1; threads <= most; threads++) {
            tsr_pool *pool = pool_of(threads);
            same(&first, whole_job(model, pool), "threads", threads);
            tsr_pool_free(pool);
        }
        tsr_pool *pool = pool_of(cores + 1);
        for (size_t i = 0; i < again; i++)
            same(&first, whole_job(model, pool), "repeat", i);
        tsr_pool_free(pool);
        free(first.bytes);
        tsr_model_close(model);
    }
}

static struct record drawing(const tsr_model *model, tsr_pool *pool, uint64_t seed, unsigned count)
{
    struct tsr_settings settings = settings_greedy;
    struct record r = {0};

    settings.temperature = -1;
    settings.seed = seed;
    settings.count = count;
    settings.wants = TSR_PICTURE;
    tsr_context *c = context_new(model, pool, &settings);
    ask(&r, c, "a big green cross at the left", TSR_PICTURE);
    tsr_context_free(c);
    return r;
}

/* Eight at once are, in order, the eight drawn alone with the seeds that follow. */
Test(steady, one_picture_or_eight, .timeout = 300)
{
    const unsigned count = repeats("pictures at once", 8, 3);

    for (size_t m = 0; m < MODELS; m++) {
        tsr_model *model = model_number(m);
        tsr_pool *pool = pool_of(3);
        struct record alone = {0};
        for (uint64_t seed = 5; seed < 5 + count; seed++) {
            struct record one = drawing(model, NULL, seed, 1);
            note(&alone, one.bytes, one.count);
            free(one.bytes);
        }
        same(&alone, drawing(model, pool, 5, count), "pictures at once, model", m);
        free(alone.bytes);
        tsr_pool_free(pool);
        tsr_model_close(model);
    }
}

/* ---- a prompt in pieces ---------------------------------------------------------------------- */

static void long_prompt(const tsr_model *model, int32_t ids[LONG])
{
    for (size_t i = 0; i < LONG; i++) /* letters and the like: no special ids */
        ids[i] = (int32_t)(300 + i * i % 97 % (model->net.traits.vocabulary - 310));
    ids[0] = model->ids.begin;
}

/*
 * How a prompt is cut: pieces of these many rows, round and round; 0: as the library does. An emulator tries the first
 * of them.
 */
static const size_t cuts[][4] = {
    {0},
    {TSR_PIECE - 1, 1, 2, 3},
    {97, 101, 7, 13},
    {1, 255, 256, 257},
    {TSR_PIECE, TSR_PIECE, TSR_PIECE, TSR_PIECE},
    {16, 16, 16, 16},
    {1, 1, 1, 1},
};
enum { CUTS = sizeof cuts / sizeof *cuts };

static size_t piece(size_t cut, size_t index, size_t left)
{
    const size_t rows = cuts[cut][index % 4];

    return rows == 0 || rows > left ? (left < TSR_PIECE ? left : TSR_PIECE) : rows;
}

static struct record read_in_pieces(const tsr_model *model, uint32_t format, size_t cut)
{
    struct tsr_settings settings = settings_greedy;
    struct tsr_error error = {.message = ""};
    struct tsr_event event;
    struct record r = {0};
    int32_t ids[LONG];

    settings.cache_format = format;
    settings.tokens_max = 4;
    settings.wants = TSR_TEXT;
    tsr_context *c = context_new(model, NULL, &settings);
    long_prompt(model, ids);
    cr_assert_eq(tsr_prompt_ids(c, ids, LONG, NULL, 0, &error), TSR_OK, "%s", error.message);
    cr_assert_eq(tsr_want(c, TSR_TEXT, &error), TSR_OK, "%s", error.message);
    size_t steps = 0;
    while (cut == 0 && c->phase == TSR_PHASE_READ && ++steps > 0)
        cr_assert_eq(tsr_next(c, &event, &error), TSR_OK, "%s", error.message);
    cr_assert(cut != 0 || steps == 2, "%zu pieces", steps);
    for (size_t i = 0; cut != 0 && c->reader.done < LONG; i++) {
        const size_t rows = piece(cut, i, LONG - c->reader.done);
        tsr_step_read(c, &c->exec, rows, c->reader.done + rows == LONG);
        c->used += rows;
    }
    c->phase = TSR_PHASE_TEXT;
    note(&r, c->logits, model->net.traits.vocabulary * sizeof *c->logits);
    note(&r, c->talk.base, tsr_cache_bytes(&c->talk));
    while (tsr_next(c, &event, &error) == TSR_OK) /* and the reply goes on from it */
        note(&r, c->logits, model->net.traits.vocabulary * sizeof *c->logits);
    tsr_context_free(c);
    return r;
}

Test(steady, a_prompt_in_pieces, .timeout = 300)
{
    static const uint32_t formats[] = {TSR_F16, TSR_T8, TSR_F32};
    const unsigned kinds = repeats("formats of a cache", sizeof formats / sizeof *formats, 2);
    const unsigned tried = repeats("cuts of a prompt", CUTS, 2);
    tsr_model *model = shipped();

    for (size_t f = 0; f < kinds; f++) {
        const struct record first = read_in_pieces(model, formats[f], 0);
        for (size_t cut = 1; cut < tried; cut++)
            same(&first, read_in_pieces(model, formats[f], cut), "cut", cut);
        free(first.bytes);
    }
    tsr_model_close(model);
}

/* The same for the two rows of a drawing's prompt. */
static struct record draw_in_pieces(const tsr_model *model, size_t cut)
{
    struct tsr_settings settings = settings_greedy;
    struct tsr_error error = {.message = ""};
    struct tsr_event event;
    struct record r = {0};
    int32_t ids[LONG];

    settings.context = model->net.traits.context_max;
    settings.wants = TSR_PICTURE;
    tsr_context *c = context_new(model, NULL, &settings);
    long_prompt(model, ids);
    cr_assert_eq(tsr_prompt_ids(c, ids, LONG, NULL, 0, &error), TSR_OK, "%s", error.message);
    cr_assert_eq(tsr_want(c, TSR_PICTURE, &error), TSR_OK, "%s", error.message);
    cr_assert_gt(c->draw_count, TSR_PIECE);
    for (size_t i = 0; cut != 0 && c->draw_done < c->draw_count; i++) {
        const size_t rows = piece(cut, i, c->draw_count - c->draw_done);
        tsr_step_prompt(c, &c->exec, rows, c->draw_done + rows == c->draw_count);
        c->draw_done += rows;
    }
    if (cut != 0)
        c->phase = TSR_PHASE_DRAW;
    while (tsr_next(c, &event, &error) == TSR_OK) {
        if (event.kind == TSR_EVENT_PICTURE_STEP)
            note(&r, c->logits, c->rows * model->net.traits.codebook * sizeof *c->logits);
        if (event.kind == TSR_EVENT_PICTURE)
            note(&r, event.picture.rgb, event.picture.width * event.picture.height * 3);
    }
    tsr_context_free(c);
    return r;
}

Test(steady, a_drawing_prompt_in_pieces, .timeout = 300)
{
    const unsigned tried = repeats("cuts of a drawing's prompt", CUTS, 2);
    tsr_model *model = shipped();
    const struct record first = draw_in_pieces(model, 0);

    for (size_t cut = 1; cut < tried; cut++)
        same(&first, draw_in_pieces(model, cut), "cut", cut);
    free(first.bytes);
    tsr_model_close(model);
}

/* ---- a cache reused or rebuilt --------------------------------------------------------------- */

/* Logits after a whole sequence of ids, read into a new context. */
static struct record rebuilt(const tsr_model *model, tsr_context *c, const int32_t *ids,
                             size_t count)
{
    struct tsr_settings settings = settings_greedy;
    struct tsr_error error = {.message = ""};
    struct tsr_event event;
    struct record r = {0};
    tsr_context *own = NULL;

    settings.tokens_max = 1;
    if (c == NULL)
        c = own = context_new(model, NULL, &settings);
    cr_assert_eq(tsr_prompt_ids(c, ids, count, NULL, 0, &error), TSR_OK, "%s", error.message);
    cr_assert_eq(tsr_want(c, TSR_TEXT, &error), TSR_OK, "%s", error.message);
    do
        cr_assert_eq(tsr_next(c, &event, &error), TSR_OK, "%s", error.message);
    while (event.kind == TSR_EVENT_PROMPT);
    note(&r, c->logits, model->net.traits.vocabulary * sizeof *c->logits);
    while (tsr_next(c, &event, &error) == TSR_OK)
        ;
    tsr_context_free(own);
    return r;
}

Test(steady, a_cache_reused_or_rebuilt, .timeout = 300)
{
    for (size_t m = 0; m < MODELS; m++) {
        tsr_model *model = model_number(m);
        struct tsr_settings settings = settings_greedy;
        int32_t ids[LONG];
        size_t used = 0;
        settings.tokens_max = 3;
        tsr_context *c = context_new(model, NULL, &settings);
        long_prompt(model, ids);
        /* five turns that go on in one cache, each against its whole history read afresh */
        for (size_t turn = 0; turn < 5; turn++) {
            const size_t more = 7 + 5 * turn;
            struct tsr_error error = {.message = ""};
            struct tsr_event event;
            struct record here = {0};
            cr_assert_eq(tsr_prompt_ids(c, ids + used, more, NULL, 0, &error), TSR_OK);
            used += more;
            cr_assert_eq(tsr_want(c, TSR_TEXT, &error), TSR_OK, "%s", error.message);
            while (tsr_next(c, &event, &error) == TSR_OK)
                if (event.kind == TSR_EVENT_TEXT) {
                    if (here.count == 0)
                        note(&here, c->logits, model->net.traits.vocabulary * sizeof *c->logits);
                    memmove(ids + used + 1, ids + used, (LONG - used - 1) * sizeof *ids);
                    ids[used++] = event.token;
                }
            if (here.count > 0)
                same(&here, rebuilt(model, NULL, ids, used - c->tokens), "turn", turn);
            free(here.bytes);
        }
        /* a context that was used for something else, and reset, is as good as new */
        const struct record fresh = rebuilt(model, NULL, ids, used);
        for (size_t i = 0; i < 3; i++) {
            tsr_context_reset(c);
            same(&fresh, rebuilt(model, c, ids, used), "reset", i);
        }
        free(fresh.bytes);
        tsr_context_free(c);
        tsr_model_close(model);
    }
}

/* ---- a model that is closed first ------------------------------------------------------------ */

Test(steady, contexts_outlive_a_closed_model)
{
    tsr_model *model = shipped();
    struct record before = {0}, after = {0};
    tsr_context *first = context_new(model, NULL, &settings_greedy);
    tsr_context *second = context_new(model, NULL, &settings_greedy);

    ask(&before, first, "a red ring", TSR_PICTURE);
    tsr_model_close(model);
    tsr_context_free(first);
    ask(&after, second, "a red ring", TSR_PICTURE);
    same(&before, after, "closed", 0);
    tsr_context_free(second);
    free(before.bytes);
}
