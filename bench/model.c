/*
 * model.c: `tessera bench model`: what a whole model does per second, in the columns of
 * llama-bench.
 *
 *   pp    a prompt of 512 positions (less if the model holds less), read at once
 *   tg    128 tokens of text from an empty prompt, one by one
 *   ie    a picture encoded: vision tower and aligner; its positions per second
 *   ig    codes of a picture drawn with guidance, per second, without prompt and decoder
 *   vd    these codes decoded to pixels; codes per second
 *   image the whole picture, prompt and decoder included; ms is then the time of a picture
 *
 * Everything goes through the public stream of events: what is timed are calls of tsr_next, told
 * apart by the event that they return. A token that follows the prompt directly is not counted,
 * because its step was the prompt's. A reply that ends by itself is asked for again. The read
 * bandwidth is probed before and after each repetition; share = bytes of weights that a token or
 * code must read * those per second / bandwidth. The memory that the probe walks is taken off the
 * peak.
 */
#include "limits.h"
#include "sample.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { PROMPT = 512, TOKENS = 128, ROOM = 64, REPEAT_MAX = 100, SIDE = 384 };

#define DASHES "--------------------------------"

static const double seconds_max = 60; /* of a test: after that no more repetitions */

enum test { PP, TG, IE, IG, VD, IMAGE, TESTS };

static const char *const test_names[TESTS] = {"pp", "tg", "ie", "ig", "vd", "image"};

/* One repetition: what a test took for how many units. units 0: not done. */
struct timing {
    double seconds;
    size_t units;
};

struct result {
    double rates[REPEAT_MAX], seconds[REPEAT_MAX], shares[REPEAT_MAX];
    size_t units, count, named; /* named: the number in the test's name, 0: none */
};

struct bench {
    const struct bench_settings *settings;
    tsr_model *model;
    struct tsr_model_info info;
    tsr_context *context;
    struct limits limits;
    struct result results[TESTS];
    size_t tokens, prompt;
    size_t unit_bytes[TESTS]; /* weights that a unit must read, 0: not known */
};

static tsr_status take_context(struct bench *b, unsigned wants, size_t positions,
                               struct tsr_error *error)
{
    const struct tsr_settings settings = {.context = positions,
                                          .temperature = -1,
                                          .top_p = 1,
                                          .guidance = -1,
                                          .tokens_max = b->tokens,
                                          .cache_format = ~0u,
                                          .tiers = b->settings->tiers,
                                          .wants = wants};

    tsr_context_free(b->context);
    b->context = NULL;
    return tsr_context_new(&b->context, b->model, b->settings->pool, &settings, error);
}

/* ---- tests: each does one repetition on a fresh conversation --------------------------------- */

/* The prompt's ids: a sentence again and again, so that any tokenizer will do. */
static tsr_status prompt_sentence(struct bench *b, size_t count, struct tsr_error *error)
{
    static const char sentence[] = "The tiles of a mosaic are small, and there are many of them. ";
    int32_t *ids, *many = malloc(count * sizeof *many);
    size_t length = 0;
    tsr_status status =
        tsr_tokenize(b->model, sentence, sizeof sentence - 1, 0, &ids, &length, error);

    if (status == TSR_OK && (many == NULL || length == 0))
        status = tsr_fail(error, TSR_MEMORY, "no memory for a prompt of %zu ids", count);
    if (status == TSR_OK) {
        for (size_t i = 0; i < count; i++)
            many[i] = ids[i % length];
        tsr_context_reset(b->context);
        status = tsr_prompt_ids(b->context, many, count, NULL, 0, error);
        free(ids);
    }
    free(many);
    return status;
}

/* The next event and the time it took. */
static tsr_status next_timed(struct bench *b, struct tsr_event *event, double *seconds,
                             struct tsr_error *error)
{
    const double start = bench_seconds();
    const tsr_status status = tsr_next(b->context, event, error);

    *seconds = bench_seconds() - start;
    return status;
}

static tsr_status run_prompt(struct bench *b, struct timing *timing, struct tsr_error *error)
{
    struct tsr_event event = {.kind = TSR_EVENT_PROMPT};
    tsr_status status = prompt_sentence(b, b->prompt, error);
    double seconds;

    if (status == TSR_OK)
        status = tsr_want(b->context, TSR_TEXT, error);
    do {
        if (status == TSR_OK)
            status = next_timed(b, &event, &seconds, error);
        if (status == TSR_OK)
            timing[PP].seconds += seconds;
    } while (status == TSR_OK && event.kind == TSR_EVENT_PROMPT && event.step < event.steps);
    timing[PP].units = event.steps;
    return status;
}

static tsr_status run_tokens(struct bench *b, struct timing *timing, struct tsr_error *error)
{
    tsr_status status = TSR_OK;

    while (status == TSR_OK && timing[TG].units + 1 < b->tokens) {
        struct tsr_event event;
        const size_t before = timing[TG].units;
        size_t texts = 0;
        double seconds;

        status = prompt_sentence(b, 1, error);
        if (status == TSR_OK)
            status = tsr_want(b->context, TSR_TEXT, error);
        while (status == TSR_OK && (status = next_timed(b, &event, &seconds, error)) == TSR_OK) {
            if (event.kind != TSR_EVENT_TEXT || texts++ == 0)
                continue;
            timing[TG].seconds += seconds;
            timing[TG].units++;
        }
        if (status == TSR_END)
            status = TSR_OK;
        if (timing[TG].units == before)
            break; /* it has nothing to say */
    }
    return status;
}

static tsr_status run_see(struct bench *b, struct timing *timing, struct tsr_error *error)
{
    struct tsr_picture picture = {SIDE, SIDE, malloc((size_t)SIDE * SIDE * 3)};
    struct tsr_event event = {.kind = TSR_EVENT_PROMPT};
    size_t step = 0;
    tsr_status status = TSR_OK;
    double seconds;

    if (picture.rgb == NULL)
        return tsr_fail(error, TSR_MEMORY, "no memory for a picture");
    for (size_t i = 0; i < (size_t)SIDE * SIDE * 3; i++)
        picture.rgb[i] = (uint8_t)(i / 3 % SIDE * 255 / SIDE ^ i / 3 / SIDE);
    tsr_context_reset(b->context);
    status = tsr_prompt_user(b->context, "What is it?", &picture, 1, error);
    if (status == TSR_OK)
        status = tsr_want(b->context, TSR_TEXT, error);
    while (status == TSR_OK && timing[IE].units == 0) {
        status = next_timed(b, &event, &seconds, error);
        if (status == TSR_OK && event.kind != TSR_EVENT_PROMPT)
            break;
        if (status == TSR_OK && event.step == step) { /* not a row was read: it was the tower */
            timing[IE].seconds = seconds;
            timing[IE].units = b->info.see_tokens;
        }
        step = event.step;
    }
    tsr_picture_free(&picture);
    return status;
}

static tsr_status run_draw(struct bench *b, struct timing *timing, struct tsr_error *error)
{
    struct tsr_event event;
    tsr_status status;
    double seconds;

    tsr_context_reset(b->context);
    status = tsr_prompt_user(b->context, "A red circle on a blue background.", NULL, 0, error);
    if (status == TSR_OK)
        status = tsr_want(b->context, TSR_PICTURE, error);
    while (status == TSR_OK && (status = next_timed(b, &event, &seconds, error)) == TSR_OK) {
        timing[IMAGE].seconds += seconds;
        if (event.kind == TSR_EVENT_PICTURE_STEP && event.step > 1) {
            timing[IG].seconds += seconds;
            timing[IG].units++;
        } else if (event.kind == TSR_EVENT_PICTURE) {
            timing[VD] = (struct timing){seconds, b->info.picture_codes};
            timing[IMAGE].units = b->info.picture_codes;
        }
    }
    return status == TSR_END ? TSR_OK : status;
}

/* ---- repetitions ------------------------------------------------------------------------------
 */

static void keep(struct bench *b, const struct timing *timing, double bandwidth)
{
    for (size_t t = 0; t < TESTS; t++) {
        struct result *const r = &b->results[t];

        if (timing[t].units == 0)
            continue;
        r->units = timing[t].units;
        r->seconds[r->count] = timing[t].seconds;
        r->rates[r->count] = (double)timing[t].units / timing[t].seconds;
        r->shares[r->count] = (double)b->unit_bytes[t] * r->rates[r->count] / bandwidth;
        r->count++;
    }
}

/* A run to touch the weights, then as many as are asked for and the time allows. */
static tsr_status repeat(struct bench *b,
                         tsr_status (*run)(struct bench *, struct timing *, struct tsr_error *),
                         struct tsr_error *error)
{
    const double start = bench_seconds();
    struct timing warm[TESTS] = {{0, 0}};
    tsr_status status = run(b, warm, error);

    for (unsigned i = 0; status == TSR_OK && i < b->settings->repeat && i < REPEAT_MAX; i++) {
        struct timing timing[TESTS] = {{0, 0}};
        double bandwidth;

        if (i > 0 && bench_seconds() - start > seconds_max)
            break;
        bandwidth = limit_measure(&b->limits, b->limits.set, LIMIT_READ, 0.005);
        status = run(b, timing, error);
        bandwidth += limit_measure(&b->limits, b->limits.set, LIMIT_READ, 0.005);
        if (status == TSR_OK)
            keep(b, timing, bandwidth / 2);
    }
    return status;
}

/* Weights that a token, and a code with both its rows, must read. */
static tsr_status read_sizes(struct bench *b, struct tsr_error *error)
{
    const struct tsr_settings settings = {
        .temperature = -1, .top_p = 1, .guidance = -1, .cache_format = ~0u};
    struct tsr_plan plan;
    const tsr_status status = tsr_plan_make(&plan, b->model, &settings, error);

    if (status == TSR_OK) {
        b->unit_bytes[TG] = plan.token;
        b->unit_bytes[IG] = plan.code;
    }
    return status;
}

static void name_tests(struct bench *b)
{
    b->results[PP].named = b->prompt;
    b->results[TG].named = b->tokens;
    b->results[IG].named = b->info.picture_codes;
}

static tsr_status run_tests(struct bench *b, struct tsr_error *error)
{
    const unsigned can = b->info.can;
    const size_t most = b->info.context_max,
                 positions = PROMPT + TOKENS + ROOM + b->info.see_tokens;
    tsr_status status = TSR_OK;

    b->prompt = most > PROMPT + ROOM ? PROMPT : most / 2;
    b->tokens = b->settings->tokens != 0 ? b->settings->tokens : TOKENS;
    if (b->tokens > most / 2)
        b->tokens = most / 2;
    name_tests(b);
    status = read_sizes(b, error);
    if (status == TSR_OK && (can & TSR_TEXT)) {
        status =
            take_context(b, can & (TSR_TEXT | TSR_SEE), positions < most ? positions : most, error);
        if (status == TSR_OK)
            status = repeat(b, run_prompt, error);
        if (status == TSR_OK)
            status = repeat(b, run_tokens, error);
        if (status == TSR_OK && (can & TSR_SEE))
            status = repeat(b, run_see, error);
    }
    if (status == TSR_OK && (can & TSR_PICTURE)) {
        status = take_context(b, TSR_PICTURE, 0, error);
        if (status == TSR_OK)
            status = repeat(b, run_draw, error);
    }
    return status;
}

/* ---- output ------------------------------------------------------------------------------------
 */

/* What the file holds: numbers, and the format of the largest tensor. */
static size_t count_params(const tsr_gguf *file, uint32_t *format)
{
    size_t params = 0, largest = 0;

    *format = TSR_F32;
    for (size_t i = 0; i < tsr_gguf_tensor_count(file); i++) {
        const struct tsr_tensor *const tensor = tsr_gguf_tensor_at(file, i);
        const size_t count = tensor->tile.n * tensor->tile.k;

        params += count;
        if (!tensor->plain && count > largest) {
            largest = count;
            *format = tensor->tile.format;
        }
    }
    return params;
}

static json_t *result_json(const struct result *r, enum test test)
{
    double values[REPEAT_MAX], deviation, rate;
    char text[32];
    json_t *json;

    snprintf(text, sizeof text, r->named > 0 ? "%s%zu" : "%s", test_names[test], r->named);
    rate = bench_mean(r->rates, r->count, &deviation);
    memcpy(values, r->seconds, sizeof values);
    json = json_pack("{s:s,s:i,s:i,s:f,s:f,s:f}", "test", text, "units", (int)r->units, "repeats",
                     (int)r->count, "per_second", rate, "deviation", deviation, "seconds",
                     bench_median(values, r->count, NULL));
    memcpy(values, r->shares, sizeof values);
    if (values[0] > 0)
        json_object_set_new(json, "share_of_read", json_real(bench_median(values, r->count, NULL)));
    return json;
}

/* The whole result; both forms of output are made of it. */
static json_t *bench_json(struct bench *b)
{
    const tsr_gguf *const file = tsr_model_file(b->model);
    json_t *const tests = json_array();
    struct rusage usage;
    const void *base;
    size_t bytes, params;
    uint32_t format;

    for (size_t t = 0; t < TESTS; t++)
        if (b->results[t].count > 0)
            json_array_append_new(tests, result_json(&b->results[t], (enum test)t));
    tsr_gguf_range(file, &base, &bytes);
    params = count_params(file, &format);
    getrusage(RUSAGE_SELF, &usage);
    return json_pack(
        "{s:s,s:s,s:s,s:I,s:I,s:i,s:f,s:f,s:f,s:I,s:o}", "family", b->info.family, "name",
        b->info.name, "type", tsr_format_name(format), "bytes", (json_int_t)bytes, "params",
        (json_int_t)params, "threads", (int)tsr_pool_threads(b->settings->pool), "read",
        limit_measure(&b->limits, b->limits.set, LIMIT_READ, 0.02), "f32",
        limit_measure(&b->limits, b->limits.set, LIMIT_F32, 0.01), "int8",
        limit_measure(&b->limits, b->limits.set, LIMIT_I8, 0.01), "peak_rss",
        (json_int_t)usage.ru_maxrss * 1024 - (json_int_t)b->limits.bytes, "tests", tests);
}

static double number(const json_t *json, const char *key)
{
    return json_number_value(json_object_get(json, key));
}

static void print_table(const json_t *all)
{
    char model[64];
    const json_t *test;
    size_t i;

    snprintf(model, sizeof model, "%s %s %s", json_string_value(json_object_get(all, "family")),
             json_string_value(json_object_get(all, "name")),
             json_string_value(json_object_get(all, "type")));
    printf("| %-30s | %10s | %9s | %7s | %8s | %21s | %10s | %7s |\n"
           "|%.32s|%.11s:|%.10s:|%.8s:|%.9s:|%.22s:|%.11s:|%.8s:|\n",
           "model", "size", "params", "threads", "test", "t/s", "ms", "of read", DASHES, DASHES,
           DASHES, DASHES, DASHES, DASHES, DASHES, DASHES);
    json_array_foreach(json_object_get(all, "tests"), i, test)
    {
        char share[16] = "";

        if (json_object_get(test, "share_of_read") != NULL)
            snprintf(share, sizeof share, "%.0f%%", 100 * number(test, "share_of_read"));
        printf("| %-30.30s | %6.1f MiB | %7.2f M | %7.0f | %8s | %9.2f +- %8.2f | %10.1f | %7s |\n",
               model, number(all, "bytes") / (1 << 20), number(all, "params") / 1e6,
               number(all, "threads"), json_string_value(json_object_get(test, "test")),
               number(test, "per_second"), number(test, "deviation"), 1e3 * number(test, "seconds"),
               share);
    }
    printf("\nlimits: read %.1f GB/s, f32 %.0f GFLOP/s, int8 %.0f GOP/s; peak memory %.0f MiB\n",
           number(all, "read") / 1e9, number(all, "f32") / 1e9, number(all, "int8") / 1e9,
           number(all, "peak_rss") / (1 << 20));
}

tsr_status bench_model(const struct bench_settings *settings, struct tsr_error *error)
{
    const struct tsr_model_options options = {.load = settings->load};
    struct bench *const b = calloc(1, sizeof *b);
    tsr_status status;

    if (settings->model == NULL) {
        free(b);
        return tsr_fail(error, TSR_USAGE, "bench model needs a model: -m FILE.gguf");
    }
    if (b == NULL)
        return tsr_fail(error, TSR_MEMORY, "no memory for results");
    b->settings = settings;
    status = limits_open(&b->limits, settings, error);
    if (status == TSR_OK) {
        limits_use(&b->limits, settings->pool);
        status = tsr_model_open(&b->model, settings->model, &options, error);
    }
    if (status == TSR_OK) {
        tsr_model_describe(b->model, &b->info);
        status = run_tests(b, error);
    }
    if (status == TSR_OK) {
        json_t *const all = bench_json(b);

        if (settings->json) {
            json_dumpf(all, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
            putchar('\n');
        } else {
            print_table(all);
        }
        json_decref(all);
    }
    tsr_context_free(b->context);
    tsr_model_close(b->model);
    limits_close(&b->limits);
    free(b);
    return status;
}
