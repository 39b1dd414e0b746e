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
 *   image4  four pictures at once, which share each pass over the weights
 *
 * Everything goes through the public stream of events: what is timed are calls of tsr_next, told
 * apart by the event that they return. A token that follows the prompt directly is not counted,
 * because its step was the prompt's. A reply that ends by itself is asked for again.
 *
 * "of limit" is the least time of the operators that a test ran (kernels.h: struct tsr_work) over
 * the time it took. The rates behind it are probed before each repetition; the read bandwidth
 * after it as well, and where memory binds, the mean of both counts. The memory that the probe
 * walks is taken off the peak. Beside the tests stands the time in which the mapped model opens.
 */
#include "limits.h"
#include "sample.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { PROMPT = 512, TOKENS = 128, ROOM = 64, REPEAT_MAX = 100, SIDE = 384, NAME_BYTES = 32 };

#define DASHES "--------------------------------"

static const double seconds_max = 60; /* of a test: after that no more repetitions */

enum test { PP, TG, IE, IG, VD, IMAGE, IMAGE4, TESTS };

static const char *const test_names[TESTS] = {"pp", "tg", "ie", "ig", "vd", "image", "image4"};

/* One repetition: what a test took, the least it could take (of which bound by memory), and for how
 * many units. units 0: not done. */
struct timing {
    double seconds, least, memory;
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
    struct tsr_profile profile;
    size_t tokens, prompt;
    unsigned count; /* pictures at once */
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
                                          .map_format = b->settings->maps,
                                          .tiers = b->settings->tiers,
                                          .count = b->count,
                                          .profile = &b->profile,
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

/* The next event; what it took is added to *timing. */
static tsr_status next_timed(struct bench *b, struct tsr_event *event, struct timing *timing,
                             struct tsr_error *error)
{
    const double start = bench_seconds();
    tsr_status status;

    memset(b->profile.rows, 0, sizeof b->profile.rows);
    status = tsr_next(b->context, event, error);
    timing->seconds += bench_seconds() - start;
    for (size_t op = 0; op < TSR_OPS; op++) {
        timing->least += b->profile.rows[op].least;
        timing->memory += b->profile.rows[op].memory;
    }
    return status;
}

static void add_timing(struct timing *sum, const struct timing *step, size_t units)
{
    sum->seconds += step->seconds;
    sum->least += step->least;
    sum->memory += step->memory;
    sum->units += units;
}

static tsr_status run_prompt(struct bench *b, struct timing *timing, struct tsr_error *error)
{
    struct tsr_event event = {.kind = TSR_EVENT_PROMPT};
    tsr_status status = prompt_sentence(b, b->prompt, error);

    if (status == TSR_OK)
        status = tsr_want(b->context, TSR_TEXT, error);
    do {
        if (status == TSR_OK)
            status = next_timed(b, &event, &timing[PP], error);
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

        status = prompt_sentence(b, 1, error);
        if (status == TSR_OK)
            status = tsr_want(b->context, TSR_TEXT, error);
        while (status == TSR_OK) {
            struct timing step = {0};

            status = next_timed(b, &event, &step, error);
            if (status == TSR_OK && event.kind == TSR_EVENT_TEXT && texts++ > 0)
                add_timing(&timing[TG], &step, 1);
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

    if (picture.rgb == NULL)
        return tsr_fail(error, TSR_MEMORY, "no memory for a picture");
    for (size_t i = 0; i < (size_t)SIDE * SIDE * 3; i++)
        picture.rgb[i] = (uint8_t)(i / 3 % SIDE * 255 / SIDE ^ i / 3 / SIDE);
    tsr_context_reset(b->context);
    status = tsr_prompt_user(b->context, "What is it?", &picture, 1, error);
    if (status == TSR_OK)
        status = tsr_want(b->context, TSR_TEXT, error);
    while (status == TSR_OK && timing[IE].units == 0) {
        struct timing seen = {0};

        status = next_timed(b, &event, &seen, error);
        if (status == TSR_OK && event.kind != TSR_EVENT_PROMPT)
            break;
        if (status == TSR_OK && event.step == step) /* not a row was read: it was the tower */
            add_timing(&timing[IE], &seen, b->info.see_tokens);
        step = event.step;
    }
    tsr_picture_free(&picture);
    return status;
}

static tsr_status run_draw(struct bench *b, struct timing *timing, struct tsr_error *error)
{
    const enum test whole = b->count > 1 ? IMAGE4 : IMAGE;
    struct tsr_event event;
    tsr_status status;

    tsr_context_reset(b->context);
    status = tsr_prompt_user(b->context, "A red circle on a blue background.", NULL, 0, error);
    if (status == TSR_OK)
        status = tsr_want(b->context, TSR_PICTURE, error);
    while (status == TSR_OK) {
        struct timing step = {0};

        status = next_timed(b, &event, &step, error);
        if (status != TSR_OK)
            break;
        add_timing(&timing[whole], &step,
                   event.kind == TSR_EVENT_PICTURE ? b->info.picture_codes : 0);
        if (whole == IMAGE && event.kind == TSR_EVENT_PICTURE_STEP && event.step > 1)
            add_timing(&timing[IG], &step, 1);
        else if (whole == IMAGE && event.kind == TSR_EVENT_PICTURE)
            add_timing(&timing[VD], &step, b->info.picture_codes);
    }
    return status == TSR_END ? TSR_OK : status;
}

/* ---- repetitions ------------------------------------------------------------------------------
 */

/* Keeps a repetition; `drift` is the read bandwidth that its rates assume over the mean of before
 * and after. */
static void keep(struct bench *b, const struct timing *timing, double drift)
{
    for (size_t t = 0; t < TESTS; t++) {
        const struct timing *const done = &timing[t];
        struct result *const r = &b->results[t];

        if (done->units == 0)
            continue;
        r->units = done->units;
        r->seconds[r->count] = done->seconds;
        r->rates[r->count] = (double)done->units / done->seconds;
        r->shares[r->count] = (done->least - done->memory + done->memory * drift) / done->seconds;
        r->count++;
    }
}

/* A run to touch the weights, then as many as are asked for and the time allows. */
static tsr_status repeat(struct bench *b,
                         tsr_status (*run)(struct bench *, struct timing *, struct tsr_error *),
                         struct tsr_error *error)
{
    const double start = bench_seconds();
    struct timing warm[TESTS] = {{0}};
    tsr_status status = run(b, warm, error);

    for (unsigned i = 0; status == TSR_OK && i < b->settings->repeat && i < REPEAT_MAX; i++) {
        struct timing timing[TESTS] = {{0}};
        double before, after;

        if (i > 0 && bench_seconds() - start > seconds_max)
            break;
        limits_wake(&b->limits);
        limits_rates(&b->limits, &b->profile);
        before = b->profile.read;
        status = run(b, timing, error);
        limits_wake(&b->limits);
        after = limit_measure(&b->limits, b->limits.set, LIMIT_READ, 0.02);
        if (status == TSR_OK)
            keep(b, timing, 2 * before / (before + after));
    }
    return status;
}

/* Tests that come from one run, with what it needs; several when a run is timed in parts. */
static const struct group {
    tsr_status (*run)(struct bench *, struct timing *, struct tsr_error *);
    unsigned can;   /* what the model must be able to do */
    unsigned count; /* pictures at once; 0: text */
    enum test first, last;
} groups[] = {
    {run_prompt, TSR_TEXT, 0, PP, PP},          {run_tokens, TSR_TEXT, 0, TG, TG},
    {run_see, TSR_TEXT | TSR_SEE, 0, IE, IE},   {run_draw, TSR_PICTURE, 1, IG, IMAGE},
    {run_draw, TSR_PICTURE, 4, IMAGE4, IMAGE4},
};

/* The name of a test as the table has it, in `text`. */
static const char *name_of(const struct bench *b, enum test test, char text[NAME_BYTES])
{
    const size_t named = b->results[test].named;

    snprintf(text, NAME_BYTES, named > 0 ? "%s%zu" : "%s", test_names[test], named);
    return text;
}

/* Whether the model can do what the tests need. */
static int able(const struct bench *b, const struct group *group)
{
    return (b->info.can & group->can) == group->can;
}

static int wanted(const struct bench *b, const struct group *group)
{
    int named = b->settings->filter == NULL;
    char text[NAME_BYTES];

    for (enum test t = group->first; t <= group->last; t++)
        named = named || strstr(name_of(b, t, text), b->settings->filter) != NULL;
    return named && able(b, group);
}

/* Fails if no test of the model has the filter in its name. */
static tsr_status check_filter(const struct bench *b, struct tsr_error *error)
{
    char names[(TESTS + 1) * NAME_BYTES] = "", text[NAME_BYTES];

    if (b->settings->filter == NULL)
        return TSR_OK;
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        if (wanted(b, &groups[i]))
            return TSR_OK;
        for (enum test t = groups[i].first; able(b, &groups[i]) && t <= groups[i].last; t++)
            strcat(strcat(names, " "), name_of(b, t, text));
    }
    return tsr_fail(error, TSR_USAGE, "--filter %.40s: in no test's name; this model has%s",
                    b->settings->filter, names);
}

static tsr_status run_group(struct bench *b, const struct group *group, struct tsr_error *error)
{
    const size_t most = b->info.context_max,
                 positions = PROMPT + TOKENS + ROOM + b->info.see_tokens;
    tsr_status status;

    b->count = group->count;
    if (group->count > 0)
        status = take_context(b, TSR_PICTURE, 0, error);
    else
        status = take_context(b, b->info.can & (TSR_TEXT | TSR_SEE),
                              positions < most ? positions : most, error);
    return status == TSR_OK ? repeat(b, group->run, error) : status;
}

static void size_tests(struct bench *b)
{
    const size_t most = b->info.context_max;

    b->prompt = most > PROMPT + ROOM ? PROMPT : most / 2;
    b->tokens = b->settings->tokens != 0 ? b->settings->tokens : TOKENS;
    if (b->tokens > most / 2)
        b->tokens = most / 2;
    b->results[PP].named = b->prompt;
    b->results[TG].named = b->tokens;
    b->results[IG].named = b->info.picture_codes;
}

/* ---- output ------------------------------------------------------------------------------------
 */

/* What the file holds: numbers, and the format that most of them have. */
static size_t count_params(const tsr_gguf *file, uint32_t *format)
{
    size_t params = 0, counts[TSR_T4 + 1] = {0};

    *format = TSR_F32;
    for (size_t i = 0; i < tsr_gguf_tensor_count(file); i++) {
        const struct tsr_tensor *const tensor = tsr_gguf_tensor_at(file, i);
        const size_t count = tensor->tile.n * tensor->tile.k;

        params += count;
        if (!tensor->plain && tensor->tile.format <= TSR_T4)
            counts[tensor->tile.format] += count;
    }
    for (uint32_t i = 0; i <= TSR_T4; i++)
        if (counts[i] > counts[*format])
            *format = i;
    return params;
}

/* The median, of a copy: bench_median sorts. */
static double median_of(const double *values, size_t count)
{
    double sorted[REPEAT_MAX];

    memcpy(sorted, values, count * sizeof *values);
    return bench_median(sorted, count, NULL);
}

static json_t *result_json(const struct bench *b, enum test test)
{
    const struct result *const r = &b->results[test];
    double deviation, rate;
    char text[NAME_BYTES];
    json_t *json;

    rate = bench_mean(r->rates, r->count, &deviation);
    json = json_pack("{s:s,s:i,s:i,s:f,s:f,s:f}", "test", name_of(b, test, text), "units", (int)r->units, "repeats",
                     (int)r->count, "per_second", rate, "deviation", deviation, "seconds",
                     median_of(r->seconds, r->count));
    json_object_set_new(json, "share", json_real(median_of(r->shares, r->count)));
    return json;
}

/* What the model is; the tests are added as they are done. */
static json_t *facts_json(const struct bench *b)
{
    const tsr_gguf *const file = tsr_model_file(b->model);
    const void *base;
    size_t bytes, params;
    uint32_t format;

    tsr_gguf_range(file, &base, &bytes);
    params = count_params(file, &format);
    return json_pack("{s:s,s:s,s:s,s:I,s:I,s:i,s:o}", "family", b->info.family, "name",
                     b->info.name, "type", tsr_format_name(format), "bytes", (json_int_t)bytes,
                     "params", (json_int_t)params, "threads",
                     (int)tsr_pool_threads(b->settings->pool), "tests", json_array());
}

static void add_limits(struct bench *b, json_t *all)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    json_object_set_new(all, "read",
                        json_real(limit_measure(&b->limits, b->limits.set, LIMIT_READ, 0.02)));
    json_object_set_new(all, "f32",
                        json_real(limit_measure(&b->limits, b->limits.set, LIMIT_F32, 0.01)));
    json_object_set_new(all, "int8",
                        json_real(limit_measure(&b->limits, b->limits.set, LIMIT_I8, 0.01)));
    json_object_set_new(
        all, "peak_rss",
        json_integer((json_int_t)usage.ru_maxrss * 1024 - (json_int_t)b->limits.bytes));
}

/* The median time in which the model opens mapped; its file was read just now. */
static tsr_status time_open(const struct bench *b, json_t *all, struct tsr_error *error)
{
    enum { OPENS = 9 };
    double seconds[OPENS];

    for (size_t i = 0; i < OPENS; i++) {
        const double start = bench_seconds();
        tsr_model *model;
        const tsr_status status = tsr_model_open(&model, b->settings->model, NULL, error);

        if (status != TSR_OK)
            return status;
        seconds[i] = bench_seconds() - start;
        tsr_model_close(model);
    }
    json_object_set_new(all, "open", json_real(bench_median(seconds, OPENS, NULL)));
    return TSR_OK;
}

static double number(const json_t *json, const char *key)
{
    return json_number_value(json_object_get(json, key));
}

static void print_head(void)
{
    printf("| %-30s | %10s | %9s | %7s | %8s | %21s | %10s | %8s |\n"
           "|%.32s|%.11s:|%.10s:|%.8s:|%.9s:|%.22s:|%.11s:|%.9s:|\n",
           "model", "size", "params", "threads", "test", "t/s", "ms", "of limit", DASHES, DASHES,
           DASHES, DASHES, DASHES, DASHES, DASHES, DASHES);
}

static void print_row(const json_t *all, const json_t *test)
{
    char model[64];

    snprintf(model, sizeof model, "%s %s %s", json_string_value(json_object_get(all, "family")),
             json_string_value(json_object_get(all, "name")),
             json_string_value(json_object_get(all, "type")));
    printf("| %-30.30s | %6.1f MiB | %7.2f M | %7.0f | %8s | %9.2f +- %8.2f | %10.1f | %7.0f%% |\n",
           model, number(all, "bytes") / (1 << 20), number(all, "params") / 1e6,
           number(all, "threads"), json_string_value(json_object_get(test, "test")),
           number(test, "per_second"), number(test, "deviation"), 1e3 * number(test, "seconds"),
           100 * number(test, "share"));
    fflush(stdout);
}

static void print_foot(const struct bench *b, const json_t *all)
{
    const struct result *const one = &b->results[IMAGE], *const four = &b->results[IMAGE4];

    if (one->count > 0 && four->count > 0)
        printf("\nfour pictures at once take %.2f times as long as one\n",
               median_of(four->seconds, four->count) / median_of(one->seconds, one->count));
    printf("\nthe mapped model opens in %.1f ms\n", 1e3 * number(all, "open"));
    printf("\nlimits: read %.1f GB/s, f32 %.0f GFLOP/s, int8 %.0f GOP/s; peak memory %.0f MiB\n",
           number(all, "read") / 1e9, number(all, "f32") / 1e9, number(all, "int8") / 1e9,
           number(all, "peak_rss") / (1 << 20));
}

/* Runs the tests and adds each result to `all`, which is printed as it grows. */
static tsr_status run_tests(struct bench *b, json_t *all, struct tsr_error *error)
{
    tsr_status status = TSR_OK;

    if (!b->settings->json)
        print_head();
    for (size_t i = 0; i < sizeof groups / sizeof *groups && status == TSR_OK; i++) {
        if (!wanted(b, &groups[i]))
            continue;
        status = run_group(b, &groups[i], error);
        for (enum test t = groups[i].first; t <= groups[i].last && status == TSR_OK; t++) {
            json_t *const test = result_json(b, t);

            if (b->results[t].count > 0 && !b->settings->json)
                print_row(all, test);
            if (b->results[t].count > 0)
                json_array_append(json_object_get(all, "tests"), test);
            json_decref(test);
        }
    }
    return status;
}

tsr_status bench_model(const struct bench_settings *settings, struct tsr_error *error)
{
    const struct tsr_load_options options = {.load = settings->load};
    struct bench *const b = calloc(1, sizeof *b);
    json_t *all = NULL;
    tsr_status status;

    if (settings->model == NULL) {
        free(b);
        return tsr_fail(error, TSR_USAGE, "bench model needs a model: -m FILE.gguf");
    }
    if (b == NULL)
        return tsr_fail(error, TSR_MEMORY, "no memory for results");
    b->settings = settings;
    status = tsr_model_open(&b->model, settings->model, &options, error);
    if (status == TSR_OK) {
        tsr_model_describe(b->model, &b->info);
        size_tests(b);
        status = check_filter(b, error);
    }
    if (status == TSR_OK)
        status = limits_open(&b->limits, settings, error);
    if (status == TSR_OK) {
        limits_use(&b->limits, settings->pool);
        all = facts_json(b);
        status = time_open(b, all, error);
    }
    if (status == TSR_OK)
        status = run_tests(b, all, error);
    if (status == TSR_OK) {
        add_limits(b, all);
        if (settings->json) {
            json_dumpf(all, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
            putchar('\n');
        } else {
            print_foot(b, all);
        }
    }
    json_decref(all);
    tsr_context_free(b->context);
    tsr_model_close(b->model);
    limits_close(&b->limits);
    free(b);
    return status;
}
