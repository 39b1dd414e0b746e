/*
 * test_context.c: what a context promises: the same bits for any number of threads, any tier and
 * any cut of the prompt; a seed's picture whatever else is drawn with it; a plan that is what is
 * used; cancel, fork and misuse end in an error and nothing else; a profile that adds up and costs
 * next to nothing.
 */
#include <config.h>

#include <criterion/criterion.h>

#include "conditions.h"
#include "models.h"
#include "npy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- the same bits --------------------------------------------------------------------------- */

/* Logits [count, vocabulary] of a fixture's understanding prompt; the caller frees them. */
static float *prompt_logits(const char *folder, const tsr_model *model, tsr_pool *pool,
                            uint32_t tiers, size_t *bytes)
{
    struct tsr_settings settings = settings_greedy;
    struct npy ids = npy_read(folder, "prompt_ids", "<i4");
    struct example x = example_read(folder);
    struct tsr_error error = {.message = ""};
    struct tsr_probe probe;

    *bytes = ids.count * model->net.traits.vocabulary * sizeof(float);
    probe = probe_of(&ids, &x, malloc(*bytes));
    settings.tiers = tiers;
    tsr_context *context = context_new(model, pool, &settings);
    cr_assert_eq(tsr_probe_run(context, &probe, &error), TSR_OK, "%s", error.message);
    tsr_context_free(context);
    example_free(&x);
    npy_free(&ids);
    return probe.logits;
}

/* Every tier, and two and three threads, against ref on one thread. */
static void check_same_bits(const char *folder, uint32_t format)
{
    tsr_model *model = model_converted(folder, format);
    const uint32_t able = tsr_cpu_tiers(), ref = 1u << TSR_TIER_ref;
    size_t bytes;
    float *expected = prompt_logits(folder, model, NULL, ref, &bytes);

    for (unsigned tier = 0; tier < TSR_TIERS; tier++)
        for (unsigned threads = 1; threads <= 3; threads++) {
            const struct tsr_pool_options options = {.threads = threads};
            const uint32_t tiers = able & ((2u << tier) - 1);
            tsr_pool *pool;
            if ((able >> tier & 1) == 0)
                continue;
            cr_assert_eq(tsr_pool_new(&pool, &options, NULL), TSR_OK);
            float *got = prompt_logits(folder, model, pool, tiers, &bytes);
            cr_assert(memcmp(got, expected, bytes) == 0, "%s, %u threads: other bits",
                      tsr_tier_names[tier], threads);
            free(got);
            tsr_pool_free(pool);
        }
    free(expected);
    tsr_model_close(model);
}

Test(context, same_bits_f32)
{
    check_same_bits(model_fixtures[0], TSR_F32);
}
Test(context, same_bits_f16)
{
    check_same_bits(model_fixtures[2], TSR_F16);
}
Test(context, same_bits_q8_0)
{
    check_same_bits(model_fixtures[1], TSR_T8);
}
Test(context, same_bits_q4_0)
{
    check_same_bits(model_fixtures[2], TSR_T4);
}

/* Drawing on every tier: the pixels too. */
static void check_same_pixels(uint32_t format, uint32_t maps)
{
    tsr_model *model = model_converted(model_fixtures[1], format);
    const size_t side = model->net.traits.picture_side, cells = model->net.traits.codes;
    int32_t *codes = malloc(cells * sizeof *codes);
    struct tsr_picture first = {0, 0, NULL};

    for (size_t i = 0; i < cells; i++)
        codes[i] = (int32_t)(i * 7 % model->net.traits.codebook);
    for (unsigned tier = 0; tier < TSR_TIERS; tier++) {
        struct tsr_settings settings = settings_greedy;
        struct tsr_picture picture;
        settings.tiers = tsr_cpu_tiers() & ((2u << tier) - 1);
        settings.map_format = maps;
        tsr_context *context = context_new(model, NULL, &settings);
        cr_assert_eq(tsr_probe_decode(context, codes, &picture, NULL, NULL), TSR_OK);
        if (first.rgb != NULL) {
            cr_assert(memcmp(first.rgb, picture.rgb, side * side * 3) == 0, "%s: other pixels",
                      tsr_tier_names[tier]);
            tsr_picture_free(&picture);
        } else {
            first = picture;
        }
        tsr_context_free(context);
    }
    tsr_picture_free(&first);
    free(codes);
    tsr_model_close(model);
}

Test(context, same_pixels_f32)
{
    check_same_pixels(TSR_F32, TSR_F32);
}
Test(context, same_pixels_q8_0)
{
    check_same_pixels(TSR_T8, TSR_F32);
}
Test(context, same_pixels_f16_maps)
{
    check_same_pixels(TSR_T8, TSR_F16);
}

/* Pixels of the shipped model's decoder for some codes. */
static float *decoded(const tsr_model *model, const int32_t *codes, uint32_t maps, size_t floats)
{
    struct tsr_settings settings = settings_greedy;
    struct tsr_picture picture;
    float *pixels = malloc(floats * sizeof *pixels);

    settings.map_format = maps;
    tsr_context *context = context_new(model, NULL, &settings);
    cr_assert_eq(tsr_probe_decode(context, codes, &picture, pixels, NULL), TSR_OK);
    tsr_picture_free(&picture);
    tsr_context_free(context);
    return pixels;
}

/* Maps of f16 change a picture, but less than its 8 bits show. */
Test(context, maps_of_f16_are_near)
{
    enum { CODES_MAX = 1024 };
    const char *source = getenv("TSR_SRCDIR");
    int32_t codes[CODES_MAX];
    double squares = 0, psnr;
    tsr_model *model;
    char path[512];

    snprintf(path, sizeof path, "%s/model/mini/mini-janus-F16.gguf", source ? source : ".");
    cr_assert_eq(tsr_model_open(&model, path, NULL, NULL), TSR_OK);
    const struct tsr_traits *t = &model->net.traits;
    const size_t floats = t->picture_side * t->picture_side * 3;
    cr_assert_leq(t->codes, CODES_MAX);
    for (size_t i = 0; i < t->codes; i++)
        codes[i] = (int32_t)(i * 7 % t->codebook);
    float *exact = decoded(model, codes, TSR_F32, floats), *near = decoded(model, codes, TSR_F16, floats);
    for (size_t i = 0; i < floats; i++)
        squares += pow(fmax(-1, fmin(1, (double)exact[i])) - fmax(-1, fmin(1, (double)near[i])), 2);
    psnr = 10 * log10(4 * (double)floats / squares); /* of a range of 2 */
    printf("maps of f16: PSNR %.1f dB\n", psnr);
    cr_expect_gt(psnr, 60);
    cr_expect_gt(squares, 0, "nothing was rounded");
    free(exact);
    free(near);
    tsr_model_close(model);
}

/*
 * Prompt and reply read at once give, at every position of the reply, the bits that the reply was
 * made with token by token; and a prompt in two parts gives the reply of the whole.
 */
Test(context, pieces_and_whole_are_the_same)
{
    const char *folder = model_fixtures[2];
    tsr_model *model = model_converted(folder, TSR_T8);
    tsr_context *context = context_new(model, NULL, &settings_greedy);
    const size_t vocabulary = model->net.traits.vocabulary;
    struct npy ids = npy_read(folder, "draw_ids_0", "<i4");
    const size_t prompt = ids.shape[1];
    struct tsr_error error = {.message = ""};
    struct tsr_event event;
    int32_t all[512];
    float *steps = malloc(32 * vocabulary * sizeof *steps);
    float *whole = malloc(512 * vocabulary * sizeof *whole);
    size_t count = prompt;

    memcpy(all, ids.data, prompt * sizeof *all);
    cr_assert_eq(tsr_prompt_ids(context, all, 3, NULL, 0, &error), TSR_OK);
    cr_assert_eq(tsr_prompt_ids(context, all + 3, prompt - 3, NULL, 0, &error), TSR_OK);
    cr_assert_eq(tsr_want(context, TSR_TEXT, &error), TSR_OK, "%s", error.message);
    while (tsr_next(context, &event, &error) == TSR_OK)
        if (event.kind == TSR_EVENT_TEXT) {
            memcpy(steps + (count - prompt) * vocabulary, context->logits,
                   vocabulary * sizeof *steps);
            all[count++] = event.token;
        }
    cr_assert_gt(count, prompt + 4);
    const struct tsr_probe probe = {.ids = all, .count = count, .logits = whole};
    cr_assert_eq(tsr_probe_run(context, &probe, &error), TSR_OK, "%s", error.message);
    cr_assert(memcmp(whole + (prompt - 1) * vocabulary, steps,
                     (count - prompt) * vocabulary * sizeof *steps) == 0);
    free(steps);
    free(whole);
    npy_free(&ids);
    tsr_context_free(context);
    tsr_model_close(model);
}

/* A second turn in the same cache continues as if the whole conversation had been one prompt. */
Test(context, second_turn_continues)
{
    tsr_model *model = model_converted(model_fixtures[0], TSR_F32);
    struct tsr_settings settings = settings_greedy;
    int32_t first[8], second[8], again[8];
    struct tsr_error error = {.message = ""};

    settings.tokens_max = 8;
    tsr_context *context = context_new(model, NULL, &settings);
    cr_assert_eq(tsr_prompt_user(context, "a cup of tea", NULL, 0, &error), TSR_OK);
    const size_t n1 = context_run(context, TSR_TEXT, first, 8);
    cr_assert_eq(tsr_prompt_user(context, "and snow", NULL, 0, &error), TSR_OK);
    const size_t n2 = context_run(context, TSR_TEXT, second, 8);
    cr_assert_gt(n1, 0);
    cr_assert_gt(n2, 0);

    /* the same by hand */
    struct tsr_text text = {0};
    int32_t *head, *tail, all[400];
    size_t head_count, tail_count;
    cr_assert_eq(tsr_template_system(&model->format, &text, NULL, &error), TSR_OK);
    cr_assert_eq(tsr_template_user(&model->format, &text, "a cup of tea", 0, &error), TSR_OK);
    cr_assert_eq(tsr_template_reply(&model->format, &text, 0, &error), TSR_OK);
    cr_assert_eq(tsr_tokenizer_encode(model->tokenizer, &text, 1, &head, &head_count, &error),
                 TSR_OK);
    tsr_text_clear(&text);
    cr_assert_eq(tsr_template_end(&model->format, &text, &error), TSR_OK);
    cr_assert_eq(tsr_template_user(&model->format, &text, "and snow", 0, &error), TSR_OK);
    cr_assert_eq(tsr_template_reply(&model->format, &text, 0, &error), TSR_OK);
    cr_assert_eq(tsr_tokenizer_encode(model->tokenizer, &text, 0, &tail, &tail_count, &error),
                 TSR_OK);
    cr_assert_lt(head_count + n1 + tail_count, 400);
    memcpy(all, head, head_count * sizeof *all);
    memcpy(all + head_count, first, n1 * sizeof *all);
    memcpy(all + head_count + n1, tail, tail_count * sizeof *all);
    tsr_context_reset(context);
    cr_assert_eq(tsr_prompt_ids(context, all, head_count + n1 + tail_count, NULL, 0, &error),
                 TSR_OK);
    cr_assert_eq(context_run(context, TSR_TEXT, again, 8), n2);
    cr_assert(memcmp(second, again, n2 * sizeof *again) == 0);
    free(head);
    free(tail);
    tsr_text_free(&text);
    tsr_context_free(context);
    tsr_model_close(model);
}

/* ---- seeds ----------------------------------------------------------------------------------- */

static size_t draw(const tsr_model *model, uint64_t seed, unsigned count, float guidance,
                   int32_t *codes)
{
    const struct tsr_settings settings = {.temperature = 1,
                                          .guidance = guidance,
                                          .cache_format = ~0u,
                                          .seed = seed,
                                          .count = count,
                                          .wants = TSR_PICTURE};
    tsr_context *context = context_new(model, NULL, &settings);
    struct tsr_error error = {.message = ""};

    cr_assert_eq(tsr_prompt_user(context, "three pears", NULL, 0, &error), TSR_OK);
    const size_t drawn = context_run(context, TSR_PICTURE, codes, count * model->net.traits.codes);
    tsr_context_free(context);
    return drawn;
}

Test(context, pictures_drawn_together_are_those_drawn_alone)
{
    static const uint32_t formats[] = {TSR_F32, TSR_T4};
    static const float guidances[] = {5, 1};

    for (size_t i = 0; i < 4; i++) {
        tsr_model *model = model_converted(model_fixtures[1], formats[i / 2]);
        const size_t cells = model->net.traits.codes;
        int32_t *together = malloc(3 * cells * sizeof *together);
        int32_t *alone = malloc(cells * sizeof *alone);
        cr_assert_eq(draw(model, 40, 3, guidances[i % 2], together), 3 * cells);
        for (size_t p = 0; p < 3; p++) {
            cr_assert_eq(draw(model, 40 + p, 1, guidances[i % 2], alone), cells);
            cr_assert(memcmp(alone, together + p * cells, cells * sizeof *alone) == 0);
        }
        cr_assert(memcmp(together, together + cells, cells * sizeof *alone) != 0);
        free(together);
        free(alone);
        tsr_model_close(model);
    }
}

/* A drawing lays out the cache anew, by the length of its prompt, over what the one before has left
 * there. */
Test(context, a_drawing_after_others_is_that_drawn_first)
{
    static const char *const prompts[] = {
        "three pears",
        "three pears, two plums and one apple on a table of wood before a window in the morning"};
    tsr_model *model = model_converted(model_fixtures[1], TSR_T4);
    const struct tsr_settings settings = {
        .temperature = 1, .guidance = 5, .cache_format = ~0u, .count = 3, .wants = TSR_PICTURE};
    const size_t cells = 3 * model->net.traits.codes;
    int32_t *first[2] = {malloc(cells * sizeof **first), malloc(cells * sizeof **first)};
    int32_t *later = malloc(cells * sizeof *later);
    tsr_context *context = context_new(model, NULL, &settings);
    struct tsr_error error = {.message = ""};
    size_t capacity[2];

    for (size_t i = 0; i < 2; i++) {
        tsr_context *fresh = context_new(model, NULL, &settings);
        cr_assert_eq(tsr_prompt_user(fresh, prompts[i], NULL, 0, &error), TSR_OK);
        cr_assert_eq(context_run(fresh, TSR_PICTURE, first[i], cells), cells);
        capacity[i] = fresh->draw.capacity;
        cr_assert_leq(capacity[i], fresh->draw_room);
        tsr_context_free(fresh);
    }
    cr_assert_lt(capacity[0], capacity[1]);
    for (size_t i = 0; i < 4; i++) {
        cr_assert_eq(tsr_prompt_user(context, prompts[i % 2], NULL, 0, &error), TSR_OK);
        cr_assert_eq(context_run(context, TSR_PICTURE, later, cells), cells);
        cr_assert(memcmp(later, first[i % 2], cells * sizeof *later) == 0, "drawing %zu", i);
    }
    tsr_context_free(context);
    free(first[0]);
    free(first[1]);
    free(later);
    tsr_model_close(model);
}

/* The first word of the known answer for key 0 and counter 0 (Random123, kat_vectors). */
Test(context, random_numbers_are_philox)
{
    cr_assert_eq(tsr_random(0, 0, 0), (float)(0x6627e8d5u >> 8) * 0x1p-24f);
    double sum = 0;
    for (uint32_t i = 0; i < 4096; i++) {
        const float u = tsr_random(UINT64_MAX, i, 1);
        cr_assert(u >= 0 && u < 1);
        sum += u;
    }
    cr_assert(fabs(sum / 4096 - 0.5) < 0.02);
}

/* Cells that are not drawn yet are grey, the others come from the codes, and looking changes
 * nothing. */
Test(context, a_preview_shows_what_is_drawn)
{
    tsr_model *model = model_converted(model_fixtures[1], TSR_F32);
    tsr_context *context = context_new(model, NULL, &settings_greedy);
    const size_t cells = model->net.traits.codes, side = model->net.traits.picture_side;
    struct tsr_error error = {.message = ""};
    struct tsr_event event;
    struct tsr_picture shown;
    int32_t *plain = malloc(cells * sizeof *plain);
    size_t grey = 0;

    cr_assert_eq(tsr_prompt_user(context, "fog", NULL, 0, &error), TSR_OK);
    cr_assert_eq(context_run(context, TSR_PICTURE, plain, cells), cells);
    cr_assert_eq(tsr_prompt_user(context, "fog", NULL, 0, &error), TSR_OK);
    cr_assert_eq(tsr_want(context, TSR_PICTURE, &error), TSR_OK);
    while (tsr_next(context, &event, &error) == TSR_OK) {
        if (event.kind != TSR_EVENT_PICTURE_STEP || event.step != cells / 2)
            continue;
        cr_assert_eq(tsr_preview(context, 0, &shown, &error), TSR_OK, "%s", error.message);
        for (size_t i = 0; i < side * side; i++)
            grey += shown.rgb[3 * i] == 127 && shown.rgb[3 * i + 1] == 127;
        cr_assert(grey >= side * side / 2 && grey < side * side * 3 / 4, "%zu grey", grey);
        for (size_t i = side * side * 3 / 2; i < side * side * 3; i++)
            cr_assert_eq(shown.rgb[i], 127);
    }
    cr_assert_gt(grey, 0);
    cr_assert(memcmp(context->codes, plain, cells * sizeof *plain) == 0);
    cr_assert_eq(tsr_preview(context, 1, &shown, &error), TSR_USAGE);
    free(plain);
    tsr_context_free(context);
    tsr_model_close(model);
}

/* ---- memory ---------------------------------------------------------------------------------- */

Test(context, the_plan_is_what_is_taken)
{
    static const unsigned wants[] = {0, TSR_TEXT, TSR_PICTURE, TSR_TEXT | TSR_SEE};
    tsr_model *model = model_converted(model_fixtures[0], TSR_T8);
    struct example x = example_read(model_fixtures[0]);

    for (size_t i = 0; i < 4; i++) {
        struct tsr_settings settings = settings_greedy;
        struct tsr_error error = {.message = ""};
        struct tsr_plan plan;
        int32_t out[64];
        settings.wants = wants[i];
        cr_assert_eq(tsr_plan_make(&plan, model, &settings, &error), TSR_OK, "%s", error.message);
        tsr_context *context = context_new(model, NULL, &settings);
        cr_assert_eq(plan.buffers, context->exec.bytes);
        cr_assert_eq(plan.cache, tsr_cache_bytes(&context->talk) + tsr_cache_bytes(&context->draw));
        cr_assert_eq(plan.total, plan.weights + plan.cache + plan.buffers);
        cr_assert_gt(plan.weights, 0);
        if (wants[i] != TSR_PICTURE) {
            const size_t pictures = wants[i] == TSR_TEXT ? 0 : 2;
            cr_assert_eq(tsr_prompt_user(context, x.question, x.pictures, pictures, &error),
                         TSR_OK);
            context_run(context, TSR_TEXT, out, 64);
        }
        if (wants[i] == 0 || wants[i] == TSR_PICTURE) {
            cr_assert_eq(tsr_prompt_user(context, x.question, NULL, 0, &error), TSR_OK);
            context_run(context, TSR_PICTURE, out, 64);
        }
        cr_assert_leq(context->exec.peak, context->exec.bytes);
        cr_assert_eq(context->exec.used, context->fixed, "a step left something on the stack");
        tsr_context_free(context);
    }
    example_free(&x);
    tsr_model_close(model);
}

/* ---- misuse, cancel, fork -------------------------------------------------------------------- */

Test(context, cancel_ends_it_and_reset_mends_it)
{
    tsr_model *model = model_converted(model_fixtures[0], TSR_F32);
    tsr_context *context = context_new(model, NULL, &settings_greedy);
    struct tsr_error error = {.message = ""};
    struct tsr_event event;
    int32_t before[64], after[64];

    cr_assert_eq(tsr_prompt_user(context, "snow", NULL, 0, &error), TSR_OK);
    const size_t count = context_run(context, TSR_PICTURE, before, 64);
    cr_assert_eq(tsr_prompt_user(context, "snow", NULL, 0, &error), TSR_OK);
    cr_assert_eq(tsr_want(context, TSR_PICTURE, &error), TSR_OK);
    cr_assert_eq(tsr_next(context, &event, &error), TSR_OK);
    cr_assert_eq(tsr_next(context, &event, &error), TSR_OK);
    tsr_cancel(context);
    cr_assert_eq(tsr_next(context, &event, &error), TSR_INTERRUPTED);
    cr_assert_eq(tsr_next(context, &event, &error), TSR_USAGE);
    cr_assert_eq(tsr_prompt_user(context, "snow", NULL, 0, &error), TSR_USAGE);
    tsr_context_reset(context);
    cr_assert_eq(tsr_prompt_user(context, "snow", NULL, 0, &error), TSR_OK);
    cr_assert_eq(context_run(context, TSR_PICTURE, after, 64), count);
    cr_assert(memcmp(before, after, count * sizeof *before) == 0);
    tsr_context_free(context);
    tsr_model_close(model);
}

Test(context, a_child_needs_a_context_of_its_own)
{
    tsr_model *model = model_converted(model_fixtures[0], TSR_F32);
    tsr_context *context = context_new(model, NULL, &settings_greedy);
    struct tsr_event event;
    int status;
    const pid_t child = fork();

    if (child == 0) {
        tsr_context *own;
        int bad = tsr_next(context, &event, NULL) != TSR_USAGE;
        bad |= tsr_context_new(&own, model, NULL, &settings_greedy, NULL) != TSR_OK;
        bad |= bad == 0 && tsr_prompt_user(own, "snow", NULL, 0, NULL) != TSR_OK;
        bad |= bad == 0 && tsr_want(own, TSR_TEXT, NULL) != TSR_OK;
        bad |= bad == 0 && tsr_next(own, &event, NULL) != TSR_OK;
        _exit(bad);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    tsr_context_free(context);
    tsr_model_close(model);
}

Test(context, misuse_is_told)
{
    tsr_model *model = model_converted(model_fixtures[0], TSR_F32);
    const int32_t last = (int32_t)model->net.traits.vocabulary - 1;
    const struct tsr_settings bad[] = {
        {.temperature = NAN, .guidance = -1, .cache_format = ~0u},
        {.guidance = INFINITY, .cache_format = ~0u},
        {.top_p = 1.5f, .cache_format = ~0u},
        {.cache_format = TSR_T4},
        {.context = 1 << 30, .cache_format = ~0u},
        {.count = 1000, .cache_format = ~0u},
        {.map_format = TSR_T8, .cache_format = ~0u},
        {.wants = 64, .cache_format = ~0u},
        {.context = 5, .wants = TSR_PICTURE, .cache_format = ~0u},
    };
    struct tsr_error error = {.message = ""};
    struct tsr_event event;
    tsr_context *context;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(tsr_context_new(&context, model, NULL, &bad[i], &error), TSR_USAGE,
                     "settings %zu", i);
    struct tsr_settings small = settings_greedy;
    small.context = 32;
    small.wants = TSR_TEXT;
    context = context_new(model, NULL, &small);
    cr_assert_eq(tsr_next(context, &event, &error), TSR_END);
    cr_assert_eq(tsr_want(context, TSR_TEXT, &error), TSR_USAGE, "without a prompt");
    cr_assert_eq(tsr_want(context, TSR_PICTURE, &error), TSR_USAGE, "not made for it");
    cr_assert_eq(tsr_prompt_ids(context, &(int32_t){last + 1}, 1, NULL, 0, &error), TSR_USAGE);
    cr_assert_eq(tsr_prompt_ids(context, &(int32_t){-1}, 1, NULL, 0, &error), TSR_USAGE);
    cr_assert_eq(tsr_prompt_ids(context, &model->ids.picture, 1, NULL, 0, &error), TSR_USAGE,
                 "a picture's position without a picture");
    int32_t ids[64];
    for (size_t i = 0; i < 64; i++)
        ids[i] = last;
    cr_assert_eq(tsr_prompt_ids(context, ids, 64, NULL, 0, &error), TSR_OK);
    cr_assert_eq(tsr_want(context, TSR_TEXT, &error), TSR_USAGE, "longer than the context");
    tsr_context_reset(context);
    cr_assert_eq(tsr_prompt_ids(context, ids, 31, NULL, 0, &error), TSR_OK);
    cr_assert_leq(context_run(context, TSR_TEXT, ids, 64), 2, "the context was full");
    tsr_context_free(context);
    tsr_model_close(model);
}

/* ---- profiles -------------------------------------------------------------------------------- */

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* What a call costs more when it is profiled: a reading of the clock, and the addition. */
static void profiled_call(double *reading, double *addition)
{
    enum { CALLS = 20000 };
    static float row[16];
    const struct tsr_rows2 args = {row, 16, row, 16, row, 16, 1, 16};
    struct tsr_profile profile = {1e10, 1e11, 1e11, 1e12, 1 << 20, {{0}}};
    double start = seconds(), last = start;

    for (int i = 0; i < CALLS; i++)
        last = seconds();
    *reading = (last - start) / CALLS;
    for (int i = 0; i < CALLS; i++)
        tsr_profile_add(&profile, TSR_OP_add, &args, 1e-6);
    *addition = (seconds() - last) / CALLS;
}

/*
 * A drawing by the shipped model, whose operators are as small as they get: its profile adds up to
 * the wall time within 3 %, and reading the clock for it takes less than 1 %, all of it less than
 * 2 %. The best of several, because other processes take their time too.
 */
Test(context, a_profile_adds_up)
{
    const unsigned tries = repeats("tries", 10, 1);
    const char *source = getenv("TSR_SRCDIR");
    struct tsr_profile profile;
    struct tsr_settings settings = settings_greedy;
    struct tsr_error error = {.message = ""};
    double between = 1, reading = 1, all = 1;
    tsr_model *model;
    char path[512];

    snprintf(path, sizeof path, "%s/model/mini/mini-janus-Q8_0.gguf", source ? source : ".");
    cr_assert_eq(tsr_model_open(&model, path, NULL, &error), TSR_OK, "%s", error.message);
    settings.profile = &profile;
    settings.wants = TSR_PICTURE;
    tsr_context *context = context_new(model, NULL, &settings);
    for (unsigned i = 0; i < tries && (between > 0.03 || reading > 0.01 || all > 0.02); i++) {
        double wall, sum = 0, clock, addition;
        uint64_t calls = 0;
        int32_t codes[16];

        profiled_call(&clock, &addition);
        profile = (struct tsr_profile){1e10, 1e11, 1e11, 1e12, 1 << 20, {{0}}};
        tsr_context_reset(context);
        cr_assert_eq(tsr_prompt_user(context, "a red circle", NULL, 0, &error), TSR_OK);
        wall = seconds();
        context_run(context, TSR_PICTURE, codes, 16);
        wall = seconds() - wall;
        for (size_t op = 0; op < TSR_OPS; op++) {
            sum += profile.rows[op].seconds;
            calls += profile.rows[op].calls;
        }
        cr_assert_leq(sum, wall);
        cr_assert_gt(calls, 1000);
        clock *= (double)calls / wall;
        addition *= (double)calls / wall;
        between = 1 - sum / wall < between ? 1 - sum / wall : between;
        reading = clock < reading ? clock : reading;
        all = clock + addition < all ? clock + addition : all;
    }
    printf(
        "profile: %.2f %% between the operators, %.2f %% for reading the clock, %.2f %% in all\n",
        100 * between, 100 * reading, 100 * all);
    if (judged("the shares of a profile")) {
        cr_expect_leq(between, 0.03);
        cr_expect_leq(reading, 0.01);
        cr_expect_leq(all, 0.02);
    }
    tsr_context_free(context);
    tsr_model_close(model);
}
