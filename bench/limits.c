/*
 * limits.c: `tessera bench limits`, and the probes that every other benchmark runs just before and
 * after.
 *
 * Machines drift: a two-thread read bandwidth can differ by 1.6x within minutes, so a limit is
 * never taken from another run. Read bandwidth walks memory far larger than the last cache, on huge
 * pages where the system grants them, a quarter at a time in turn; how many streams a thread reads
 * and how far ahead it prefetches is tried out on each pool, on 64 MiB at a time, the best way is
 * kept. L2 and L3 read a piece of half that cache again and again; peaks keep registers busy.
 */
#include "limits.h"
#include "handoff.h"
#include "sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    PIECE = 1 << 18, /* a unit of the read probe: small, so that threads finish together */
    QUARTERS = 4,
    TRY_BYTES = 64 << 20, /* a quarter is at least this, and the last cache */
    TRIES = 5,
    WAYS = 9,
    PEAK_UNITS_PER_THREAD = 16,
    HUGE_PAGE = 1 << 21
};

const char *const limit_names[LIMITS] = {"read", "L2", "copy", "L3", "f32", "int8", "int8 mix", "t8 mix",
                                         "bf16"};

const struct probe_set *probe_set_for(unsigned tier)
{
#if defined(__x86_64__)
    switch (tier == TSR_TIER_bf16 || tier == TSR_TIER_amx ? tier : tsr_tier_bases[tier]) {
    case TSR_TIER_bf16:
        return &probes_bf16;
    case TSR_TIER_amx:
        return &probes_amx;
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

void *bench_memory(size_t bytes)
{
    const size_t align = bytes < HUGE_PAGE ? 64 : HUGE_PAGE, size = tsr_round_up(bytes + 1, align);
    void *const memory = aligned_alloc(align, size);

    if (memory != NULL && align == HUGE_PAGE)
        madvise(memory, size, MADV_HUGEPAGE); /* a wish */
    return memory;
}

tsr_status limits_open(struct limits *limits, const struct bench_settings *settings,
                       struct tsr_error *error)
{
    tsr_status status;

    memset(limits, 0, sizeof *limits);
    for (unsigned i = 0; i < TSR_TIERS; i++)
        if ((settings->tiers | tsr_cpu_fast_tiers()) >> i & 1 &&
            settings->tiers >> tsr_tier_bases[i] & 1)
            *(tsr_fast_tiers >> i & 1 ? &limits->fast : &limits->set) = probe_set_for(i);
    status = tsr_topology_read(&limits->topology, NULL, error);
    if (status != TSR_OK)
        return status;
    limits->bytes = QUARTERS * tsr_round_up(limits->topology.l3_bytes, TRY_BYTES);
    if (limits->bytes == 0)
        limits->bytes = (size_t)QUARTERS * TRY_BYTES;
    limits->memory = bench_memory(limits->bytes);
    if (limits->memory == NULL)
        return tsr_fail(error, TSR_MEMORY, "no memory for the %zu MiB that the read probe walks",
                        limits->bytes >> 20);
    memset(limits->memory, 1, limits->bytes);
    return TSR_OK;
}

void *limits_lend(struct limits *limits, size_t bytes)
{
    const size_t size = tsr_round_up(bytes, bytes < HUGE_PAGE ? 64 : HUGE_PAGE);

    if (size > limits->bytes - limits->lent)
        return NULL;
    limits->lent += size;
    return limits->memory + (limits->bytes - limits->lent);
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

/* The next `bytes` of the memory, once: a quarter, or TRY_BYTES, of which a quarter is a whole number. */
static double run_read(struct limits *limits, size_t bytes)
{
    volatile uint64_t sink = 0;
    struct probe_read args = {limits->memory, PIECE, 1, limits->streams, limits->prefetch, &sink};

    if (limits->bytes - limits->at < bytes)
        limits->at = 0;
    args.data += limits->at;
    limits->at += bytes;
    return time_run(limits->pool, limits->set->read, &args, bytes / PIECE);
}

/* A piece of half the cache, read so often that filling it does not count; one unit per thread. */
static double run_cache(const struct limits *limits, size_t bytes, double *work)
{
    const unsigned threads = tsr_pool_threads(limits->pool);
    const size_t piece = tsr_round_up(bytes / 2, 256);
    volatile uint64_t sink = 0;
    struct probe_read args = {limits->memory, piece, 0, 1, 0, &sink};

    *work = 0;
    if (bytes == 0 || threads * piece > limits->bytes)
        return 0;
    args.passes = 1 + ((size_t)64 << 20) / piece;
    *work = (double)(threads * piece * args.passes);
    return time_run(limits->pool, limits->set->read, &args, threads);
}

/* A quarter of L2 copied to another quarter of it. */
static double run_copy(const struct limits *limits, double *work)
{
    const unsigned threads = tsr_pool_threads(limits->pool);
    const size_t piece = tsr_round_up(limits->topology.l2_bytes / 4, 256);
    struct probe_copy args = {limits->memory, limits->memory + threads * piece, piece, 0};

    *work = 0;
    if (piece == 0 || 2 * threads * piece > limits->bytes)
        return 0;
    args.passes = 1 + ((size_t)32 << 20) / piece;
    *work = 2 * (double)(threads * piece * args.passes);
    return time_run(limits->pool, limits->set->copy, &args, threads);
}

static double run_peak(const struct limits *limits, tsr_kernel *kernel, double ops, double *work)
{
    const size_t units = (size_t)PEAK_UNITS_PER_THREAD * tsr_pool_threads(limits->pool);

    *work = kernel != NULL ? ops * (double)units : 0;
    return kernel != NULL ? time_run(limits->pool, kernel, NULL, units) : 0;
}

/* One quick run of a probe: its work to *work (0: none here), its seconds. */
static double run_probe(struct limits *limits, const struct probe_set *set, enum limit which,
                        double *work)
{
    switch (which) {
    case LIMIT_READ:
        *work = (double)(limits->bytes / QUARTERS);
        return run_read(limits, limits->bytes / QUARTERS);
    case LIMIT_L2:
        return run_cache(limits, limits->topology.l2_bytes, work);
    case LIMIT_COPY:
        return run_copy(limits, work);
    case LIMIT_L3: /* shared: each thread walks its part of it */
        return run_cache(limits, limits->topology.l3_bytes / tsr_pool_threads(limits->pool), work);
    case LIMIT_F32:
        return run_peak(limits, set->f32, set->f32_ops, work);
    case LIMIT_I8:
        return run_peak(limits, set->i8, set->i8_ops, work);
    case LIMIT_BF16:
        return run_peak(limits, set->bf16, set->bf16_ops, work);
    case LIMIT_T8_MIX:
        return run_peak(limits, set->t8_mix, set->mix_ops, work);
    default:
        return run_peak(limits, set->mix, set->mix_ops, work);
    }
}

double limit_measure(struct limits *limits, const struct probe_set *set, enum limit which,
                     double seconds)
{
    const unsigned threads = tsr_pool_threads(limits->pool);
    const struct probe_copy wake = {limits->memory, limits->memory + PIECE, 256, 1};
    double elapsed = 0, done = 0, work;

    tsr_pool_run(limits->pool, limits->set->copy, &wake, threads); /* threads may be asleep */
    do {
        elapsed += run_probe(limits, set, which, &work);
        done += work;
    } while (work > 0 && elapsed < seconds);
    return elapsed > 0 ? done / elapsed : 0;
}

void limits_use(struct limits *limits, tsr_pool *pool)
{
    static const struct {
        size_t streams, prefetch;
    } ways[WAYS] = {{1, 0}, {1, 512}, {1, 1024}, {1, 4096}, {2, 0}, {2, 512},
                     {4, 0}, {4, 512}, {8, 512}};
    double rates[WAYS][TRIES], most = 0;
    size_t best = 0;

    limits->pool = pool;
    for (size_t t = 0; t < TRIES; t++) {
        for (size_t i = 0; i < WAYS; i++) {
            limits->streams = ways[i].streams;
            limits->prefetch = ways[i].prefetch;
            rates[i][t] = TRY_BYTES / run_read(limits, TRY_BYTES);
        }
    }
    for (size_t i = 0; i < WAYS; i++) {
        const double rate = bench_median(rates[i], TRIES, NULL);

        if (rate > most) {
            most = rate;
            best = i;
        }
    }
    limits->streams = ways[best].streams;
    limits->prefetch = ways[best].prefetch;
}

void limits_wake(struct limits *limits)
{
    enum { PAGE = 4096 };
    volatile char *const memory = limits->memory;

    for (size_t at = 0; at < limits->bytes; at += PAGE)
        (void)memory[at];
}

void limits_rates(struct limits *limits, struct tsr_profile *profile)
{
    profile->read = limit_measure(limits, limits->set, LIMIT_READ, 0.02);
    profile->copy = limit_measure(limits, limits->set, LIMIT_COPY, 0.005);
    profile->f32 = limit_measure(limits, limits->set, LIMIT_F32, 0.005);
    profile->int8 = limit_measure(limits, limits->set, LIMIT_I8, 0.005);
    profile->l2_bytes = tsr_pool_threads(limits->pool) * limits->topology.l2_bytes;
}

tsr_status bench_rates(const struct bench_settings *settings, struct tsr_profile *profile,
                       struct tsr_error *error)
{
    struct limits limits;
    const tsr_status status = limits_open(&limits, settings, error);

    if (status == TSR_OK) {
        limits_use(&limits, settings->pool);
        limits_rates(&limits, profile);
    }
    limits_close(&limits);
    return status;
}

static void print_row(const struct bench_settings *settings, const struct limits *limits,
                      const double *median, const double *spread, int last)
{
    const unsigned threads = tsr_pool_threads(limits->pool);

    if (settings->json) {
        printf(" {\"threads\": %u, \"streams\": %zu, \"prefetch\": %zu", threads, limits->streams,
               limits->prefetch);
        for (size_t i = 0; i < LIMITS; i++)
            if (median[i] > 0)
                printf(", \"%s\": %.4g, \"%s spread\": %.3f", limit_names[i], median[i],
                       limit_names[i], spread[i]);
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
    printf("   %zu stream%s, prefetch %zu\n", limits->streams, limits->streams > 1 ? "s" : "",
           limits->prefetch);
}

/* The row of one number of threads. */
static tsr_status bench_threads(const struct bench_settings *settings, struct limits *limits,
                                unsigned threads, int last, struct tsr_error *error)
{
    const struct tsr_pool_options options = {.threads = threads};
    double median[LIMITS], spread[LIMITS];
    double *const values = malloc(settings->repeat * sizeof *values);
    tsr_pool *pool = NULL;
    tsr_status status = tsr_pool_new(&pool, &options, error);

    if (status == TSR_OK && values == NULL)
        status = tsr_fail(error, TSR_MEMORY, "no memory for %u measurements", settings->repeat);
    if (status == TSR_OK) {
        limits_use(limits, pool);
        for (size_t which = 0; which < LIMITS; which++) {
            for (size_t i = 0; i < settings->repeat; i++)
                values[i] = limit_measure(
                    limits, which == LIMIT_BF16 && limits->fast ? limits->fast : limits->set,
                    (enum limit)which, 0.005);
            median[which] = bench_median(values, settings->repeat, &spread[which]);
        }
        print_row(settings, limits, median, spread, last);
        fflush(stdout);
    }
    tsr_pool_free(pool);
    free(values);
    return status;
}

/* What the threads themselves cost, on the whole pool. */
static tsr_status print_handoff(const struct bench_settings *settings, struct tsr_error *error)
{
    const unsigned threads = tsr_pool_threads(settings->pool);
    struct handoff found;
    const tsr_status status = bench_handoff(settings->pool, &found, error);

    if (status != TSR_OK)
        return status;
    if (settings->json)
        printf("], \"hand-off us\": %.3f, \"one core taken\": %.3f}\n", found.seconds * 1e6,
               found.taken);
    else if (threads > 1)
        printf("\nhand-off of an operator, %u threads: %.2f us; with one core taken by another "
               "thread: %.2f x the time "
               "that the capacity left allows\n",
               threads, found.seconds * 1e6, found.taken);
    return TSR_OK;
}

tsr_status bench_limits(const struct bench_settings *settings, struct tsr_error *error)
{
    const unsigned most = tsr_pool_threads(settings->pool);
    struct limits limits;
    tsr_status status = limits_open(&limits, settings, error);

    if (status == TSR_OK && settings->json)
        printf("{\"limits\": [\n");
    else if (status == TSR_OK)
        printf("threads       read GB/s         L2 GB/s    L2 copy GB/s         L3 GB/s      f32 "
               "GFLOP/s       "
               "int8 GOP/s"
               "   int8 mix GOP/s     t8 mix GOP/s     bf16 GFLOP/s   reads best with\n");
    for (unsigned threads = 1; threads <= most && status == TSR_OK; threads++)
        status = bench_threads(settings, &limits, threads, threads == most, error);
    if (status == TSR_OK)
        status = print_handoff(settings, error);
    limits_close(&limits);
    return status;
}
