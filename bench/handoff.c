/*
 * handoff.c: what the threads themselves cost, beside the machine's limits.
 *
 * Hand-off: an operator of 64 equal units a thread, of about 0.15 us each, takes its share of the
 * units and something more: waking or finding the others, taking chunks, waiting for the last one.
 * The unit is timed on the calling thread just before; the median of many operators counts. A pause
 * between two operators that is longer than the pool's spinning would measure the system's wake-up
 * instead, so there is none.
 *
 * One core taken: the same operator, 100 times as large, while a thread that is none of the pool's
 * spins on one core. What it got is read from its clock, so what was left is known: the ratio is
 * the time needed over the time that the capacity left allows. 1 is ideal; waiting at each operator
 * for the thread that was displaced would be 1.3 with two threads.
 */
#include "handoff.h"
#include "sample.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum { UNITS = 64, ROUNDS = 2000, LARGE = 100, LARGE_ROUNDS = 400, SPINS = 128 };

struct spin {
    unsigned spins; /* of one unit */
    _Atomic uint32_t *sink;
};

/* A chain that no compiler shortens and no memory slows down. */
static void spin(const void *data, size_t begin, size_t end)
{
    const struct spin *args = data;
    uint32_t x = 1;

    for (size_t unit = begin; unit < end; unit++)
        for (unsigned i = 0; i < args->spins; i++)
            x = x * 1664525 + 1013904223;
    if (x == 0)
        atomic_fetch_add(args->sink, 1);
}

/* Median seconds of an operator; total: seconds of all of them. */
static double time_operator(tsr_pool *pool, const struct spin *args, size_t units, unsigned rounds,
                            double *values, double *total)
{
    const double begin = bench_seconds();

    for (unsigned i = 0; i < rounds; i++) {
        const double start = bench_seconds();

        tsr_pool_run(pool, spin, args, units);
        values[i] = bench_seconds() - start;
    }
    *total = bench_seconds() - begin;
    return bench_median(values, rounds, NULL);
}

static void *take_core(void *data)
{
    atomic_int *stop = data;
    struct timespec used;

    while (!atomic_load_explicit(stop, memory_order_relaxed))
        ;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    double *seconds = malloc(sizeof *seconds);
    if (seconds != NULL)
        *seconds = (double)used.tv_sec + 1e-9 * (double)used.tv_nsec;
    return seconds;
}

/* Time with one core taken over the time that the capacity left allows; 0 if it cannot be measured.
 */
static double taken_ratio(tsr_pool *pool, const struct spin *args, double *values)
{
    const unsigned threads = tsr_pool_threads(pool);
    const size_t units = (size_t)UNITS * threads;
    const struct spin large = {args->spins * LARGE, args->sink};
    atomic_int stop = 0;
    double alone, shared, before, *used = NULL;
    pthread_t hog;

    time_operator(pool, &large, units, LARGE_ROUNDS, values, &alone);
    before = bench_seconds();
    if (pthread_create(&hog, NULL, take_core, &stop) != 0)
        return 0;
    time_operator(pool, &large, units, LARGE_ROUNDS, values, &shared);
    atomic_store(&stop, 1);
    const double wall = bench_seconds() - before;
    pthread_join(hog, (void **)&used);
    const double lost = used != NULL ? *used / wall : 0; /* cores */
    free(used);
    return lost > 0 && lost < threads ? shared / alone * (threads - lost) / threads : 0;
}

tsr_status bench_handoff(tsr_pool *pool, struct handoff *out, struct tsr_error *error)
{
    const unsigned threads = tsr_pool_threads(pool);
    double *values = malloc(ROUNDS * sizeof *values), total;
    _Atomic uint32_t sink = 0;
    const struct spin args = {SPINS, &sink};

    if (values == NULL)
        return tsr_fail(error, TSR_MEMORY, "no memory for %d measurements", ROUNDS);
    const double share = time_operator(NULL, &args, UNITS, ROUNDS, values, &total);
    const double time = time_operator(pool, &args, (size_t)UNITS * threads, ROUNDS, values, &total);
    out->seconds = threads > 1 ? time - share : 0;
    out->taken = threads > 1 ? taken_ratio(pool, &args, values) : 0;
    free(values);
    return TSR_OK;
}
