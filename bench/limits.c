/*
 * limits.c: `tessera bench limits`, and the probes that every other benchmark runs just before and after.
 *
 * Machines drift: a two-thread read bandwidth can differ by 1.6x within minutes, so a limit is never taken from
 * another run. Read bandwidth walks memory far larger than the last cache, with and without prefetch, and takes
 * the better; L2 and L3 read a piece of half that cache again and again; peaks keep registers busy.
 */
#include "limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { PIECE = 1 << 20, MEMORY_PIECES = 256, PEAK_UNITS_PER_THREAD = 8, ALIGN = 1 << 21 };

const char *const limit_names[LIMITS] = {"read", "L2", "L3", "f32", "int8"};

double bench_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double bench_median(double *values, size_t count, double *spread)
{
    double median;

    qsort(values, count, sizeof *values, by_value);
    median = values[count / 2];
    if (spread != NULL)
        *spread = (values[count - 1 - count / 4] - values[count / 4]) / median;
    return median;
}

const struct probe_set *probe_set_for(unsigned tier)
{
#if defined(__x86_64__)
    switch (tier) {
    case TSR_TIER_avx512:
        return &probes_avx512;
    case TSR_TIER_avxvnni:
        return &probes_avxvnni;
    default:
        return &probes_avx2;
    }
#else
    (void)tier;
    return &probes_neon;
#endif
}

tsr_status limits_open(struct limits *limits, const struct bench_settings *settings, struct tsr_error *error)
{
    unsigned best = 0;

    memset(limits, 0, sizeof *limits);
    for (unsigned i = 0; i < TSR_TIERS; i++)
        if (settings->tiers >> i & 1)
            best = i;
    limits->pool = settings->pool;
    limits->set = probe_set_for(best);
    limits->bytes = (size_t)MEMORY_PIECES * PIECE;
    limits->memory = aligned_alloc(ALIGN, limits->bytes + ALIGN); /* the tail is for prefetch */
    if (limits->memory == NULL)
        return tsr_fail(error, TSR_MEMORY, "no memory for the %zu MiB that the read probe walks",
                        limits->bytes >> 20);
    madvise(limits->memory, limits->bytes, MADV_HUGEPAGE);
    memset(limits->memory, 1, limits->bytes);
    return tsr_topology_read(&limits->topology, NULL, error);
}

void limits_close(struct limits *limits)
{
    free(limits->memory);
    limits->memory = NULL;
}

static double time_run(tsr_pool *pool, tsr_kernel *kernel, const void *args, size_t units)
{
    const double start = bench_seconds();

    tsr_pool_run(pool, kernel, args, units);
    return bench_seconds() - start;
}

/* Bytes a second over `units` pieces, each read `passes` times. */
static double measure_read(const struct limits *limits, tsr_pool *pool, size_t piece, size_t passes,
                           size_t units, size_t prefetch)
{
    volatile uint64_t sink = 0;
    const struct probe_read args = {limits->memory, piece, passes, prefetch, &sink};

    return (double)(units * piece * passes) / time_run(pool, limits->set->read, &args, units);
}

/* A piece of half the cache, read so often that filling it does not count; one unit per thread. */
static double measure_cache(const struct limits *limits, tsr_pool *pool, size_t bytes)
{
    const unsigned threads = tsr_pool_threads(pool);
    const size_t piece = tsr_round_up(bytes / 2, 256);

    if (bytes == 0 || threads * piece > limits->bytes)
        return 0;
    return measure_read(limits, pool, piece, 1 + ((size_t)64 << 20) / piece, threads, 0);
}

static double measure_peak(tsr_pool *pool, tsr_kernel *kernel, double ops)
{
    const size_t units = (size_t)PEAK_UNITS_PER_THREAD * tsr_pool_threads(pool);

    return kernel != NULL ? ops * (double)units / time_run(pool, kernel, NULL, units) : 0;
}

double limit_measure(const struct limits *limits, tsr_pool *pool, enum limit which)
{
    const struct probe_set *const set = limits->set;
    double plain, ahead;

    switch (which) {
    case LIMIT_READ:
        plain = measure_read(limits, pool, PIECE, 1, MEMORY_PIECES, 0);
        ahead = measure_read(limits, pool, PIECE, 1, MEMORY_PIECES, 4096);
        return plain > ahead ? plain : ahead;
    case LIMIT_L2:
        return measure_cache(limits, pool, limits->topology.l2_bytes);
    case LIMIT_L3: /* shared: each thread walks its part of it */
        return measure_cache(limits, pool, limits->topology.l3_bytes / tsr_pool_threads(pool));
    case LIMIT_F32:
        return measure_peak(pool, set->f32, set->f32_ops);
    default:
        return measure_peak(pool, set->i8, set->i8_ops);
    }
}

static void print_row(const struct bench_settings *settings, unsigned threads, const double *median,
                      const double *spread, int last)
{
    if (settings->json) {
        printf(" {\"threads\": %u", threads);
        for (size_t i = 0; i < LIMITS; i++)
            printf(", \"%s\": %.4g, \"%s_spread\": %.3f", limit_names[i], median[i], limit_names[i], spread[i]);
        printf("}%s\n", last ? "" : ",");
        return;
    }
    printf("%7u", threads);
    for (size_t i = 0; i < LIMITS; i++) {
        if (median[i] > 0)
            printf(" %9.1f +-%3.0f%%", median[i] / 1e9, 50 * spread[i]);
        else
            printf(" %15s", "-");
    }
    putchar('\n');
}

tsr_status bench_limits(const struct bench_settings *settings, struct tsr_error *error)
{
    const unsigned most = tsr_pool_threads(settings->pool);
    struct limits limits;
    tsr_status status = limits_open(&limits, settings, error);

    if (status != TSR_OK) {
        limits_close(&limits);
        return status;
    }
    if (settings->json)
        printf("{\"limits\": [\n");
    else
        printf("threads       read GB/s         L2 GB/s         L3 GB/s      f32 GFLOP/s      int8 GOP/s\n");
    for (unsigned threads = 1; threads <= most && status == TSR_OK; threads++) {
        const struct tsr_pool_options options = {.threads = threads};
        double median[LIMITS], spread[LIMITS];
        tsr_pool *pool;

        status = tsr_pool_new(&pool, &options, error);
        if (status != TSR_OK)
            break;
        for (size_t which = 0; which < LIMITS; which++) {
            double values[1000];

            for (size_t i = 0; i < settings->repeat; i++)
                values[i] = limit_measure(&limits, pool, (enum limit)which);
            median[which] = bench_median(values, settings->repeat, &spread[which]);
        }
        print_row(settings, threads, median, spread, threads == most);
        fflush(stdout);
        tsr_pool_free(pool);
    }
    if (settings->json)
        printf("]}\n");
    limits_close(&limits);
    return status;
}
