/*
 * kernels.c: `tessera bench kernels`: each operator's time as a share of what the machine can do.
 *
 * A row is printed only after the kernel's bits were compared with the reference in this process
 * (over as many units as take the reference about a tenth of a second); fast math is held to its
 * bound in the table, on the root mean square. Then passes, each of a few
 * milliseconds: the probes of the limits that may bind, ours, the probes again, oneDNN. The bound
 * time of a pass is max(operations / peak, bytes / bandwidth) with the mean of its own two probes,
 * its share = bound time / time; the row's figures are medians over the passes, so a machine that
 * drifts or serves others moves the times, and hardly the shares. The spread is that of the shares'
 * middle half. A pass in which our threads had to wait for a core (sample.c) is taken again, up to
 * RETRIES times as many passes as asked for; then those that waited least count.
 *
 * --compare reads a saved --json run: a row whose share changed by more than the spreads of both
 * runs and 5 % is called faster or slower, everything else noise; a slower row makes the exit
 * code 1.
 */
#include "cases.h"
#include "onednn.h"
#include "sample.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PASSES_MAX = 1000, RETRIES = 20, CHECK_OPS = 100000000 };

static const double sample_seconds =
    0.002; /* a sample of a quick kernel, within one time slice; a probe takes half of it */
static const double probe_seconds_max = 0.020;
static const double row_seconds = 4; /* a row of a slow kernel gets fewer passes */
static const double slow = 0.2;      /* no second run to see how long one takes */
static const double near_bound =
    0.6; /* a limit that takes this share of the other's time is probed too */
static const double waited_little = 0.01, noise_floor = 0.05;

/* What one pass found; a row of the table is the medians of them. */
struct row {
    double seconds, share, spread, of_ceiling, onednn; /* onednn: its time / ours, 0: none */
    double waited; /* of the time, share that a thread waited for a core */
    enum limit bound;
    unsigned tier;
    double rate, bandwidth; /* of the row only */
};

/* The bound of an implementation in the table. */
static double bound_of(size_t op, size_t tier)
{
    for (size_t i = 0; i < tsr_impl_count; i++)
        if (tsr_impls[i].op == op && tsr_impls[i].tier == tier)
            return (double)tsr_impls[i].bound;
    return 0;
}

/* The root of the mean square of a - b is within `bound` of that of b. */
static int near(const float *a, const float *b, size_t count, double bound)
{
    double difference = 0, magnitude = 0;

    for (size_t i = 0; i < count; i++) {
        difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        magnitude += (double)b[i] * (double)b[i];
    }
    return sqrt(difference) <= bound * sqrt(magnitude);
}

/* Codes of values that near: no two further apart than 1. */
static int near_codes(const int8_t *a, const int8_t *b, size_t count)
{
    size_t i = 0;

    while (i < count && abs(a[i] - b[i]) <= 1)
        i++;
    return i == count;
}

/* Whether what came out is what was expected; bound 0: bit for bit. */
static int as_expected(const struct bench_case *c, const void *expected, double bound)
{
    if (bound == 0)
        return memcmp(c->out, expected, c->out_bytes) == 0;
    return c->codes ? near_codes(c->out, expected, c->out_bytes)
                    : near(c->out, expected, c->out_bytes / sizeof(float), bound);
}

/* Runs `units` units with each choice of kernels from the same state and compares what came out. */
static tsr_status check_bits(struct bench_case *c, const struct tsr_kernels *kernels,
                             struct tsr_error *error)
{
    const struct tsr_kernels reference = tsr_kernels_select(1u << TSR_TIER_ref);
    const struct tsr_kernels *const runs[] = {&reference, kernels};
    const double fraction = CHECK_OPS / (c->ops + 1);
    const double bound = bound_of(c->shape->op, kernels->tier[c->shape->op]);
    const size_t all = c->units;
    char *start = malloc(c->out_bytes), *expected = malloc(c->out_bytes);
    tsr_status status = TSR_OK;

    if (start == NULL || expected == NULL) {
        free(start);
        free(expected);
        return tsr_fail(error, TSR_MEMORY, "no memory to check %s", tsr_op_names[c->shape->op]);
    }
    c->units = fraction < 1 ? 1 + (size_t)((double)all * fraction) : all;
    memcpy(start, c->out, c->out_bytes);
    for (int i = 0; i < 2; i++) {
        memcpy(c->out, start, c->out_bytes);
        case_run(c, NULL, runs[i], 0);
        if (i == 0)
            memcpy(expected, c->out, c->out_bytes);
    }
    if (!as_expected(c, expected, bound))
        status =
            tsr_fail(error, TSR_INTERNAL, "%s of tier %s differs from the reference: not timed",
                     tsr_op_names[c->shape->op], tsr_tier_names[kernels->tier[c->shape->op]]);
    c->units = all;
    free(start);
    free(expected);
    return status;
}

static double time_rounds(struct bench_case *c, tsr_pool *pool, const struct tsr_kernels *kernels,
                          size_t rounds, size_t first)
{
    const double start = bench_seconds();

    for (size_t i = 0; i < rounds; i++)
        case_run(c, pool, kernels, first + i);
    return (bench_seconds() - start) / (double)rounds;
}

/* A limit with what a run asks of it; rate 0: not known to bind, so not probed. */
struct demand {
    enum limit limit;
    double amount, rate;
};

/* Seconds that the demands ask for at the least, at the rates found now; *bound: the one that
 * binds. */
static double bound_seconds(const struct demand *demands, size_t count, enum limit *bound)
{
    double most = 0;

    for (size_t i = 0; i < count; i++) {
        const double seconds = demands[i].rate > 0 ? demands[i].amount / demands[i].rate : 0;

        if (seconds > most) {
            most = seconds;
            *bound = demands[i].limit;
        }
    }
    return most;
}

/* What is timed together. */
struct work {
    struct bench_case *c;
    struct limits *limits;
    const struct tsr_kernels *kernels;
    const struct probe_set *set; /* of the kernel's tier */
    struct onednn *onednn;
    struct demand demands[3]; /* memory, peak, ceiling; those that cannot bind have amount 0 */
    size_t rounds, onednn_rounds, turn;
    double seconds; /* of a probe */
};

/* Seconds of one run; *waited as in struct row. */
static double time_onednn(const struct work *w, double *waited)
{
    double start;

    onednn_run(w->onednn, w->turn); /* wakes its threads */
    *waited = bench_waited();
    start = bench_seconds();
    for (size_t i = 0; i < w->onednn_rounds; i++)
        onednn_run(w->onednn, w->turn + 1 + i);
    start = bench_seconds() - start;
    *waited = (bench_waited() - *waited) / start;
    onednn_rest();
    return start / (double)w->onednn_rounds;
}

static void probe(const struct work *w, double *rates)
{
    for (size_t i = 0; i < 3; i++)
        rates[i] += w->demands[i].amount > 0
                        ? limit_measure(w->limits, w->set, w->demands[i].limit, w->seconds) / 2
                        : 0;
}

static struct row run_pass(struct work *w)
{
    const double start = bench_seconds(), waited = bench_waited();
    struct demand demands[3];
    struct row row = {.tier = w->kernels->tier[w->c->shape->op], .bound = LIMIT_READ};
    double rates[3] = {0}, bound, ceiling, theirs;
    enum limit unused;

    probe(w, rates);
    row.seconds = time_rounds(w->c, w->limits->pool, w->kernels, w->rounds, w->turn);
    probe(w, rates);
    row.waited =
        (bench_waited() - waited) / (bench_seconds() - start) / tsr_pool_threads(w->limits->pool);
    if (w->onednn != NULL) {
        row.onednn = time_onednn(w, &theirs) / row.seconds;
        row.waited = fmax(row.waited, theirs / tsr_pool_threads(w->limits->pool));
    }
    w->turn += w->rounds;

    for (size_t i = 0; i < 3; i++)
        demands[i] = (struct demand){w->demands[i].limit, w->demands[i].amount, rates[i]};
    bound = bound_seconds(demands, 2, &row.bound);
    ceiling = bound_seconds(demands, 3, &unused);
    row.share = bound / row.seconds;
    row.of_ceiling = ceiling / row.seconds;
    return row;
}

/* Sizes the samples, and drops the demands that are far from binding. */
static void prepare(struct work *w)
{
    struct bench_case *const c = w->c;
    double once, waited, rates[3] = {0}, most = 0;

    w->demands[0] = (struct demand){c->memory, c->bytes, 0};
    w->demands[1] = (struct demand){w->set->bf16 != NULL ? LIMIT_BF16 : c->peak, c->ops, 0};
    w->demands[2] = (struct demand){
        c->shape->format == TSR_T8 && w->set->t8_mix != NULL ? LIMIT_T8_MIX : LIMIT_I8_MIX,
        c->peak == LIMIT_I8 ? c->ops : 0, 0};
    once = time_rounds(c, w->limits->pool, w->kernels, 1, 0);
    if (once < slow)
        once = fmin(once, time_rounds(c, w->limits->pool, w->kernels, 1, 1));
    w->rounds = 1 + (size_t)(sample_seconds / once);
    w->seconds = fmin(probe_seconds_max, fmax(sample_seconds, once) / 2);
    w->turn = 2;
    if (w->onednn != NULL) {
        w->onednn_rounds = 1;
        once = time_onednn(w, &waited);
        w->onednn_rounds = 1 + (size_t)(sample_seconds / once);
    }
    probe(w, rates);
    probe(w, rates);
    for (size_t i = 0; i < 2; i++)
        if (rates[i] > 0)
            most = fmax(most, w->demands[i].amount / rates[i]);
    for (size_t i = 0; i < 2; i++)
        if (rates[i] <= 0 || w->demands[i].amount / rates[i] < near_bound * most)
            w->demands[i].amount = 0;
    if (w->demands[1].amount == 0)
        w->demands[2].amount = 0;
}

static int by_waited(const void *a, const void *b)
{
    const double x = ((const struct row *)a)->waited, y = ((const struct row *)b)->waited;

    return (x > y) - (x < y);
}

/* The median of a member over the passes; spread may be NULL. */
static double median_of(const struct row *passes, size_t count, size_t offset, double *spread)
{
    double values[PASSES_MAX];

    for (size_t i = 0; i < count; i++)
        values[i] = *(const double *)((const char *)&passes[i] + offset);
    return bench_median(values, count, spread);
}

static void measure(struct row *row, struct work *w, unsigned repeat)
{
    struct row passes[PASSES_MAX];
    const double start = bench_seconds();
    size_t taken = 0, good = 0, kept;

    prepare(w);
    while (taken == 0 || (good < repeat && taken < (size_t)RETRIES * repeat && taken < PASSES_MAX &&
                          bench_seconds() - start < row_seconds)) {
        passes[taken] = run_pass(w);
        good += passes[taken++].waited < waited_little;
    }
    qsort(passes, taken, sizeof *passes, by_waited);
    kept = taken < repeat ? taken : repeat;
    *row = passes[kept / 2];
    row->seconds = median_of(passes, kept, offsetof(struct row, seconds), NULL);
    row->share = median_of(passes, kept, offsetof(struct row, share), &row->spread);
    row->of_ceiling = median_of(passes, kept, offsetof(struct row, of_ceiling), NULL);
    row->onednn = median_of(passes, kept, offsetof(struct row, onednn), NULL);
    row->waited = median_of(passes, kept, offsetof(struct row, waited), NULL);
    row->rate = w->c->ops / row->seconds;
    row->bandwidth = w->c->bytes / row->seconds;
}

/* ---- output
 * --------------------------------------------------------------------------------------------- */

/* "m=48 k=2048 x16 label": what a shape does not have is left out. */
static void shape_text(char *text, size_t size, const struct shape *s)
{
    const size_t values[] = {s->m, s->n, s->k, s->extra};
    static const char *const names[] = {"m=", "n=", "k=", "x"};
    size_t at = 0;

    for (size_t i = 0; i < 4; i++)
        if (values[i] > 0)
            at += (size_t)snprintf(text + at, size - at, "%s%zu ", names[i], values[i]);
    snprintf(text + at, size - at, "%s", s->label);
}

static json_t *row_json(const struct shape *s, const struct row *row)
{
    json_t *const json = json_pack(
        "{s:s,s:s,s:i,s:i,s:i,s:i,s:s,s:f,s:f,s:f,s:s,s:f,s:f,s:f,s:f}", "op", tsr_op_names[s->op],
        "label", s->label, "m", (int)s->m, "n", (int)s->n, "k", (int)s->k, "x", (int)s->extra,
        "tier", tsr_tier_names[row->tier], "seconds", row->seconds, "ops_per_second", row->rate,
        "bytes_per_second", row->bandwidth, "bound", limit_names[row->bound], "share", row->share,
        "spread", row->spread, "share_of_ceiling", row->of_ceiling, "waited", row->waited);

    if (row->onednn > 0)
        json_object_set_new(json, "onednn_time_ratio", json_real(row->onednn));
    return json;
}

static void print_head(unsigned threads)
{
    printf("threads %u\n%-16s %-8s %-36s %10s %9s %7s %6s %6s %5s %8s %7s %7s\n", threads,
           "operator", "tier", "shape", "us", "GOP/s", "GB/s", "bound", "share", "+-", "ceiling",
           "oneDNN", "waited");
}

static void print_row(const struct shape *s, const struct row *row)
{
    char text[96], ceiling[16] = "", other[16] = "";

    shape_text(text, sizeof text, s);
    if (row->of_ceiling > row->share)
        snprintf(ceiling, sizeof ceiling, "%.0f%%", 100 * row->of_ceiling);
    if (row->onednn > 0)
        snprintf(other, sizeof other, "%.2fx", row->onednn);
    printf("%-16s %-8s %-36s %10.1f %9.1f %7.1f %6s %5.0f%% %4.0f%% %8s %7s %6.0f%%\n",
           tsr_op_names[s->op], tsr_tier_names[row->tier], text, row->seconds * 1e6,
           row->rate / 1e9, row->bandwidth / 1e9, limit_names[row->bound], 100 * row->share,
           50 * row->spread, ceiling, other, 100 * row->waited);
    fflush(stdout);
}

/* ---- --compare
 * ---------------------------------------------------------------------------------------------- */

static json_t *find_row(json_t *old, const json_t *row)
{
    static const char *const keys[] = {"op", "label", "m", "n", "k", "x", "tier"};
    json_t *candidate;
    size_t i;

    json_array_foreach(json_object_get(old, "kernels"), i, candidate)
    {
        int same = 1;

        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            same &= json_equal(json_object_get(candidate, keys[k]), json_object_get(row, keys[k]));
        if (same)
            return candidate;
    }
    return NULL;
}

static double number(const json_t *row, const char *key)
{
    return json_number_value(json_object_get(row, key));
}

static void print_change(const json_t *row, double ratio, double margin)
{
    fprintf(stderr, "%s  %s %s m=%.0f n=%.0f k=%.0f x%.0f %s: share %.2f of before, noise %.0f%%\n",
            ratio < 1 ? "SLOWER" : "faster", json_string_value(json_object_get(row, "op")),
            json_string_value(json_object_get(row, "tier")), number(row, "m"), number(row, "n"),
            number(row, "k"), number(row, "x"), json_string_value(json_object_get(row, "label")),
            ratio, 100 * margin);
}

/* Prints what changed against a saved run; TSR_INTERNAL if a row became slower. */
static tsr_status compare(const char *path, json_t *rows, struct tsr_error *error)
{
    json_error_t why;
    json_t *const old = json_load_file(path, JSON_REJECT_DUPLICATES, &why), *row;
    size_t slower = 0, faster = 0, noise = 0, i;

    if (old == NULL)
        return tsr_fail(error, TSR_MALFORMED, "%.120s: %.80s", path, why.text);
    json_array_foreach(rows, i, row)
    {
        const json_t *const before = find_row(old, row);
        const double share = number(before, "share"), ratio = number(row, "share") / share;
        const double margin = fmax(noise_floor, number(row, "spread") + number(before, "spread"));

        if (!(share > 0))
            continue;
        if (ratio > 1 - margin && ratio < 1 + margin) {
            noise++;
            continue;
        }
        slower += ratio < 1;
        faster += ratio > 1;
        print_change(row, ratio, margin);
    }
    json_decref(old);
    if (slower + faster + noise == 0)
        return tsr_fail(error, TSR_MALFORMED, "%.120s holds no run of these kernels", path);
    fprintf(stderr, "compared: %zu slower, %zu faster, %zu within noise\n", slower, faster, noise);
    return slower == 0 ? TSR_OK
                       : tsr_fail(error, TSR_INTERNAL, "%zu kernels are slower than in %.120s",
                                  slower, path);
}

/* ---- the run --------------------------------------------------------------------------------- */

static tsr_status run_shape(const struct bench_settings *settings, struct limits *limits,
                            const struct tsr_kernels *kernels, const struct shape *shape,
                            json_t *rows, struct tsr_error *error)
{
    struct row row = {0};
    struct bench_case c;
    tsr_status status = case_make(&c, shape, limits, error);

    if (status == TSR_OK)
        status = check_bits(&c, kernels, error);
    if (status == TSR_OK) {
        struct work work = {.c = &c,
                            .limits = limits,
                            .kernels = kernels,
                            .set = probe_set_for(kernels->tier[shape->op]),
                            .onednn = onednn_new(shape, limits)};

        measure(&row, &work, settings->repeat);
        onednn_free(work.onednn);
        json_array_append_new(rows, row_json(shape, &row));
        if (!settings->json)
            print_row(shape, &row);
    }
    case_free(&c);
    return status;
}

/* Exact tiers stand before fast ones in the table. */
static int last_exact(unsigned tier)
{
    return !(tsr_fast_tiers >> tier & 1) && tsr_fast_tiers >> (tier + 1) & 1;
}

/* --full has a row for every tier: says which ones this CPU cannot run. */
static void print_missing(void)
{
    for (unsigned tier = 0; tier < TSR_TIERS; tier++)
        if (!(tsr_fast_tiers >> tier & 1) && !(tsr_cpu_tiers() >> tier & 1))
            printf("%s: this CPU lacks the tier (%s); skipped\n", tsr_tier_names[tier],
                   tsr_tier_texts[tier]);
}

static int wanted(const struct bench_settings *settings, const struct shape *shape)
{
    return (settings->full || !shape->full) &&
           (settings->filter == NULL || strstr(tsr_op_names[shape->op], settings->filter) != NULL);
}

/* Fails if no shape is wanted. */
static tsr_status check_filter(const struct bench_settings *settings, struct tsr_error *error)
{
    for (size_t i = 0; i < bench_shape_count; i++)
        if (wanted(settings, &bench_shapes[i]))
            return TSR_OK;
    return tsr_fail(error, TSR_USAGE,
                    "--filter %.40s: in no operator's name; tessera info --kernels lists them",
                    settings->filter);
}

tsr_status bench_kernels(const struct bench_settings *settings, struct tsr_error *error)
{
    tsr_status status = check_filter(settings, error);
    struct limits limits;
    json_t *rows;

    if (status != TSR_OK)
        return status;
    rows = json_array();
    status = limits_open(&limits, settings, error);
    if (status == TSR_OK) {
        limits_use(&limits, settings->pool);
        if (settings->full && !settings->json)
            print_missing();
        if (!settings->json)
            print_head(tsr_pool_threads(settings->pool));
    }
    for (size_t i = 0; i < bench_shape_count && status == TSR_OK; i++) {
        const struct shape *const shape = &bench_shapes[i];
        uint8_t seen[256] = {0};

        if (!wanted(settings, shape))
            continue;
        /* --full: every tier that is allowed; else the best, and the best of fast math */
        for (unsigned tier = 1; tier < TSR_TIERS && status == TSR_OK; tier++) {
            const uint32_t tiers = settings->tiers & ((2u << tier) - 1);
            const struct tsr_kernels kernels = tsr_kernels_select(tiers);

            if ((!settings->full && tier + 1 < TSR_TIERS && !last_exact(tier)) ||
                seen[kernels.tier[shape->op]]++)
                continue;
            status = run_shape(settings, &limits, &kernels, shape, rows, error);
        }
    }
    limits_close(&limits);
    if (settings->json) {
        json_t *all = json_pack("{s:i,s:O}", "threads", (int)tsr_pool_threads(settings->pool),
                                "kernels", rows);

        json_dumpf(all, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
        putchar('\n');
        json_decref(all);
    }
    if (status == TSR_OK && settings->compare != NULL)
        status = compare(settings->compare, rows, error);
    json_decref(rows);
    return status;
}
