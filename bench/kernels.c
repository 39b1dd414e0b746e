/*
 * kernels.c: `tessera bench kernels`: each operator's time as a share of what the machine can do.
 *
 * A row is printed only after the kernel's bits were compared with the reference in this process (over as many
 * units as take the reference about a tenth of a second). Then: the limits that bind, a warm-up, `repeat` samples
 * of at least 10 ms, the limits again. The bound time is max(operations / peak, bytes / bandwidth) with the mean
 * of the two probes; share = bound / median. Spread is that of the middle half of the samples.
 *
 * --compare reads a saved --json run: a row whose share changed by more than the spreads of both runs and 5 % is
 * called faster or slower, everything else noise; a slower row makes the exit code 1.
 */
#include "cases.h"
#include "onednn.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES_MAX = 1000, CHECK_OPS = 100000000 };

static const double sample_seconds = 0.010, noise_floor = 0.05;

struct row {
    double seconds, spread, rate, bandwidth, share, ceiling, onednn;
    enum limit bound;
    unsigned tier;
};

/* Runs `units` units with each choice of kernels from the same state and compares what came out. */
static tsr_status check_bits(struct bench_case *c, const struct tsr_kernels *kernels, struct tsr_error *error)
{
    const struct tsr_kernels reference = tsr_kernels_select(1u << TSR_TIER_ref);
    const struct tsr_kernels *const runs[] = {&reference, kernels};
    const double fraction = CHECK_OPS / (c->ops + 1);
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
    if (memcmp(expected, c->out, c->out_bytes) != 0)
        status = tsr_fail(error, TSR_INTERNAL, "%s of tier %s differs from the reference: not timed",
                          tsr_op_names[c->shape->op], tsr_tier_names[kernels->tier[c->shape->op]]);
    c->units = all;
    free(start);
    free(expected);
    return status;
}

static double time_rounds(struct bench_case *c, tsr_pool *pool, const struct tsr_kernels *kernels, size_t rounds,
                          size_t first)
{
    const double start = bench_seconds();

    for (size_t i = 0; i < rounds; i++)
        case_run(c, pool, kernels, first + i);
    return (bench_seconds() - start) / (double)rounds;
}

static void measure(struct row *row, struct bench_case *c, const struct limits *limits, const struct tsr_kernels *kernels,
                    unsigned repeat)
{
    double samples[SAMPLES_MAX], once, peak, memory, by_peak, by_memory;
    size_t rounds;

    peak = limit_measure(limits, limits->pool, c->peak);
    memory = limit_measure(limits, limits->pool, c->memory);
    once = time_rounds(c, limits->pool, kernels, 1, 0);
    once = fmin(once, time_rounds(c, limits->pool, kernels, 1, 1));
    rounds = 1 + (size_t)(sample_seconds / once);
    for (unsigned i = 0; i < repeat; i++)
        samples[i] = time_rounds(c, limits->pool, kernels, rounds, i * rounds);
    peak = (peak + limit_measure(limits, limits->pool, c->peak)) / 2;
    memory = (memory + limit_measure(limits, limits->pool, c->memory)) / 2;

    row->seconds = bench_median(samples, repeat, &row->spread);
    row->rate = c->ops / row->seconds;
    row->bandwidth = c->bytes / row->seconds;
    by_peak = c->ops / peak;
    by_memory = memory > 0 ? c->bytes / memory : 0;
    row->bound = by_peak > by_memory ? c->peak : c->memory;
    row->share = fmax(by_peak, by_memory) / row->seconds;
    row->ceiling = row->bound == c->peak ? row->share / c->ceiling : row->share;
    row->tier = kernels->tier[c->shape->op];
}

/* ---- output --------------------------------------------------------------------------------------------- */

static void shape_text(char *text, size_t size, const struct shape *s)
{
    snprintf(text, size, "m=%zu n=%zu k=%zu%s%.0zu %s", s->m, s->n, s->k, s->extra != 0 ? " x" : "", s->extra,
             s->label);
}

static json_t *row_json(const struct shape *s, const struct row *row)
{
    char text[96];

    shape_text(text, sizeof text, s);
    return json_pack("{s:s,s:s,s:s,s:f,s:f,s:f,s:f,s:s,s:f,s:f,s:f}", "op", tsr_op_names[s->op], "shape", text,
                     "tier", tsr_tier_names[row->tier], "seconds", row->seconds, "spread", row->spread,
                     "ops_per_second", row->rate, "bytes_per_second", row->bandwidth, "bound",
                     limit_names[row->bound], "share", row->share, "share_of_ceiling", row->ceiling,
                     "onednn_seconds", row->onednn);
}

static void print_row(const struct shape *s, const struct row *row)
{
    char text[96];

    shape_text(text, sizeof text, s);
    printf("%-16s %-8s %-34s %10.1f +-%2.0f%% %9.1f %8.1f %6s %5.0f%%", tsr_op_names[s->op],
           tsr_tier_names[row->tier], text, row->seconds * 1e6, 50 * row->spread, row->rate / 1e9,
           row->bandwidth / 1e9, limit_names[row->bound], 100 * row->share);
    if (row->ceiling != row->share)
        printf(" %7.0f%%", 100 * row->ceiling);
    else
        printf(" %8s", "");
    if (row->onednn > 0)
        printf(" %8.2fx", row->onednn / row->seconds);
    putchar('\n');
    fflush(stdout);
}

/* ---- --compare ---------------------------------------------------------------------------------------------- */

static json_t *find_row(json_t *old, const json_t *row)
{
    static const char *const keys[] = {"op", "shape", "tier"};
    json_t *candidate;
    size_t i;

    json_array_foreach(json_object_get(old, "kernels"), i, candidate) {
        int same = 1;

        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            same &= json_equal(json_object_get(candidate, keys[k]), json_object_get(row, keys[k]));
        if (same)
            return candidate;
    }
    return NULL;
}

/* Prints what changed; the number of rows that became slower. */
static size_t compare_rows(json_t *old, json_t *rows)
{
    size_t slower = 0, faster = 0, noise = 0, i;
    json_t *row;

    json_array_foreach(rows, i, row) {
        const json_t *const before = find_row(old, row);
        double ratio, margin;

        if (before == NULL)
            continue;
        ratio = json_number_value(json_object_get(row, "share")) / json_number_value(json_object_get(before, "share"));
        margin = fmax(noise_floor, json_number_value(json_object_get(row, "spread")) +
                                       json_number_value(json_object_get(before, "spread")));
        if (ratio > 1 - margin && ratio < 1 + margin) {
            noise++;
            continue;
        }
        slower += ratio < 1;
        faster += ratio > 1;
        fprintf(stderr, "%s  %s %s: share %.2f of before, noise %.0f%%\n", ratio < 1 ? "SLOWER" : "faster",
                json_string_value(json_object_get(row, "op")), json_string_value(json_object_get(row, "shape")), ratio,
                100 * margin);
    }
    fprintf(stderr, "compared: %zu slower, %zu faster, %zu within noise\n", slower, faster, noise);
    return slower;
}

static tsr_status compare(const char *path, json_t *rows, struct tsr_error *error)
{
    json_error_t why;
    json_t *const old = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
    size_t slower;

    if (old == NULL)
        return tsr_fail(error, TSR_MALFORMED, "%.120s: %.80s", path, why.text);
    slower = compare_rows(old, rows);
    json_decref(old);
    return slower == 0 ? TSR_OK : tsr_fail(error, TSR_INTERNAL, "%zu kernels are slower than in %.120s", slower, path);
}

/* ---- the run ---------------------------------------------------------------------------------------------------- */

static tsr_status run_shape(const struct bench_settings *settings, const struct limits *limits,
                            const struct tsr_kernels *kernels, const struct shape *shape, json_t *rows,
                            struct tsr_error *error)
{
    struct row row = {0};
    struct bench_case c;
    tsr_status status = case_make(&c, shape, error);

    if (status == TSR_OK)
        status = check_bits(&c, kernels, error);
    if (status == TSR_OK) {
        measure(&row, &c, limits, kernels, settings->repeat);
        row.onednn = onednn_seconds(shape, tsr_pool_threads(limits->pool), settings->repeat);
        json_array_append_new(rows, row_json(shape, &row));
        if (!settings->json)
            print_row(shape, &row);
    }
    case_free(&c);
    return status;
}

tsr_status bench_kernels(const struct bench_settings *settings, struct tsr_error *error)
{
    json_t *const rows = json_array();
    struct limits limits;
    tsr_status status = limits_open(&limits, settings, error);

    if (status == TSR_OK && !settings->json)
        printf("threads %u; share: of the bound by operations or bytes, probed before and after each row\n"
               "%-16s %-8s %-34s %10s %5s %9s %8s %6s %6s %8s %8s\n",
               tsr_pool_threads(settings->pool), "operator", "tier", "shape", "us", "", "GOP/s", "GB/s", "bound",
               "share", "ceiling", "oneDNN");
    for (size_t i = 0; i < bench_shape_count && status == TSR_OK; i++) {
        const struct shape *const shape = &bench_shapes[i];
        uint8_t seen[256] = {0};

        if ((shape->full && !settings->full) ||
            (settings->filter != NULL && strstr(tsr_op_names[shape->op], settings->filter) == NULL))
            continue;
        /* --full: every tier that is allowed; else the best */
        for (unsigned tier = settings->full ? 1 : TSR_TIERS - 1; tier < TSR_TIERS && status == TSR_OK; tier++) {
            const uint32_t tiers = settings->tiers & ((2u << tier) - 1);
            const struct tsr_kernels kernels = tsr_kernels_select(tiers);

            if (seen[kernels.tier[shape->op]]++)
                continue;
            status = run_shape(settings, &limits, &kernels, shape, rows, error);
        }
    }
    limits_close(&limits);
    if (settings->json) {
        json_t *all = json_pack("{s:i,s:O}", "threads", (int)tsr_pool_threads(settings->pool), "kernels", rows);

        json_dumpf(all, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
        putchar('\n');
        json_decref(all);
    }
    if (status == TSR_OK && settings->compare != NULL)
        status = compare(settings->compare, rows, error);
    json_decref(rows);
    return status;
}
