/*
 * pool.c: threads that run the units of one operator at a time.
 *
 * A job is published by raising `generation`; whoever is awake joins it, works off its own range of the units
 * and then helps with those of others (chunk.h), until nothing is left. The caller works too, then closes the
 * job and waits only for those who joined: a worker that sleeps or was preempted before it joined delays
 * nobody, so a core lost to another process costs its share of the work and no more.
 *
 * A range is one word, begin and end, so taking from either side is one compare-and-swap. Nothing is ever put
 * back: a range that a thread finds in a word is work that nobody has taken, whatever happened in between.
 *
 * `inside` holds the number of workers in the job and, in its top bit, whether it may be joined. Workers
 * spin on `generation` for 50 us, long enough to bridge the gap between two operators of a forward pass,
 * then sleep on it (futex). The caller's wait for the last chunk does the same on `inside`.
 */
#include "pool.h"

#include "../fp_env.h"
#include "chunk.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SPIN_NS = 50000, SPIN_ROUNDS = 64 };

#define JOB_OPEN 0x80000000u

struct worker {
    tsr_pool *pool;
    pthread_t thread;
    unsigned index;
};

/* What is left of one thread's range: end in the upper half, begin in the lower. A line of its own each. */
struct slot {
    _Alignas(64) _Atomic uint64_t range;
};

struct tsr_pool {
    unsigned threads; /* the caller's included */
    unsigned started; /* workers that were created */
    pid_t pid;
    struct worker *workers; /* [threads - 1] */
    struct slot *slots;     /* [threads], the caller's first */
    struct tsr_placement placement;
    int numa;             /* the errno with which the system refused a memory policy */
    pthread_mutex_t turn; /* callers take turns */

    tsr_kernel *kernel; /* the job; written while `inside` is closed and empty */
    const void *args;
    size_t units, grain; /* ranges count grains of so many units */

    _Alignas(64) _Atomic uint32_t generation;
    _Alignas(64) _Atomic uint32_t inside;
    _Atomic uint32_t sleepers; /* workers asleep on generation */
    _Atomic uint32_t waiting;  /* the caller is asleep on inside */
    _Atomic int stop;
    _Atomic int failed; /* workers that could not be pinned */
    _Atomic unsigned ready;
};

static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 0x7fffffff, NULL, NULL, 0);
}

static inline void cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Spins until *word differs from `value`, at most 50 us; returns whether it does. */
static int spin_while(_Atomic uint32_t *word, uint32_t value)
{
    const uint64_t start = now_ns();

    do {
        for (int i = 0; i < SPIN_ROUNDS; i++) {
            if (atomic_load_explicit(word, memory_order_acquire) != value)
                return 1;
            cpu_relax();
        }
    } while (now_ns() - start < SPIN_NS);
    return atomic_load_explicit(word, memory_order_acquire) != value;
}

static uint64_t range_of(size_t begin, size_t end)
{
    return (uint64_t)end << 32 | begin;
}
static size_t begin_of(uint64_t range)
{
    return (uint32_t)range;
}
static size_t left_of(uint64_t range)
{
    return (size_t)(range >> 32) - (uint32_t)range;
}

/* Gives every thread its range. One grain is one unit, but for operators of more than 2^32. */
static void share_out(tsr_pool *pool, size_t units)
{
    pool->units = units;
    pool->grain = units / UINT32_MAX + 1;
    const size_t grains = (units - 1) / pool->grain + 1;

    for (unsigned i = 0; i < pool->threads; i++)
        atomic_store_explicit(&pool->slots[i].range,
                              range_of(tsr_share(grains, pool->threads, i),
                                       tsr_share(grains, pool->threads, i + 1)),
                              memory_order_relaxed);
}

/* Takes a chunk from the front of the own range; 0: it is empty. */
static int take_front(tsr_pool *pool, struct slot *own, size_t *begin, size_t *end)
{
    uint64_t range = atomic_load_explicit(&own->range, memory_order_relaxed);
    size_t size;

    do {
        if (left_of(range) == 0)
            return 0;
        size = tsr_front(left_of(range), pool->placement.uneven);
    } while (!atomic_compare_exchange_weak_explicit(&own->range, &range, range + size,
                                                    memory_order_relaxed, memory_order_relaxed));
    *begin = begin_of(range) * pool->grain;
    *end = (begin_of(range) + size) * pool->grain;
    *end = *end < pool->units ? *end : pool->units;
    return 1;
}

/* Makes the tail of the fullest range the own one; 0: all are empty. */
static int take_tail(tsr_pool *pool, struct slot *own)
{
    for (;;) {
        struct slot *fullest = NULL;
        uint64_t range = 0;

        for (unsigned i = 0; i < pool->threads; i++) {
            const uint64_t other = atomic_load_explicit(&pool->slots[i].range, memory_order_relaxed);

            if (left_of(other) > left_of(range)) {
                range = other;
                fullest = &pool->slots[i];
            }
        }
        if (fullest == NULL)
            return 0;
        const size_t end = (size_t)(range >> 32), size = tsr_tail(left_of(range));

        if (atomic_compare_exchange_strong_explicit(&fullest->range, &range,
                                                    range_of(begin_of(range), end - size),
                                                    memory_order_relaxed, memory_order_relaxed)) {
            atomic_store_explicit(&own->range, range_of(end - size, end), memory_order_relaxed);
            return 1;
        }
    }
}

static void work(tsr_pool *pool, unsigned index)
{
    tsr_kernel *const kernel = pool->kernel;
    const void *const args = pool->args;
    struct slot *const own = &pool->slots[index];
    size_t begin, end;

    do
        while (take_front(pool, own, &begin, &end))
            kernel(args, begin, end);
    while (take_tail(pool, own));
}

/* Joins the open job, if there is one, and leaves it when nothing is left. */
static void join_job(tsr_pool *pool, unsigned index)
{
    uint32_t inside = atomic_load_explicit(&pool->inside, memory_order_relaxed);

    do {
        if (!(inside & JOB_OPEN))
            return;
    } while (!atomic_compare_exchange_weak_explicit(&pool->inside, &inside, inside + 1,
                                                    memory_order_acquire, memory_order_relaxed));
    work(pool, index);
    if (atomic_fetch_sub(&pool->inside, 1) == 1 && atomic_load(&pool->waiting))
        futex_wake(&pool->inside);
}

static void *worker_main(void *data)
{
    struct worker *worker = data;
    tsr_pool *pool = worker->pool;
    uint32_t seen = 0;

    if (tsr_placement_bind(&pool->placement, worker->index) != 0)
        atomic_fetch_add(&pool->failed, 1);
    atomic_fetch_add(&pool->ready, 1);
    tsr_fp_enter();
    for (;;) {
        if (!spin_while(&pool->generation, seen)) {
            atomic_fetch_add(&pool->sleepers, 1);
            while (atomic_load(&pool->generation) == seen)
                futex_wait(&pool->generation, seen);
            atomic_fetch_sub(&pool->sleepers, 1);
        }
        seen = atomic_load(&pool->generation);
        if (atomic_load(&pool->stop))
            return NULL;
        join_job(pool, worker->index);
    }
}

static void raise_generation(tsr_pool *pool)
{
    atomic_fetch_add(&pool->generation, 1);
    if (atomic_load(&pool->sleepers) != 0)
        futex_wake(&pool->generation);
}

/* Closes the job to joiners and waits until those inside have left. */
static void close_job(tsr_pool *pool)
{
    uint32_t inside = atomic_fetch_and(&pool->inside, ~JOB_OPEN) & ~JOB_OPEN;

    while (inside != 0) {
        if (!spin_while(&pool->inside, inside)) {
            atomic_store(&pool->waiting, 1);
            if (atomic_load(&pool->inside) == inside)
                futex_wait(&pool->inside, inside);
            atomic_store(&pool->waiting, 0);
        }
        inside = atomic_load_explicit(&pool->inside, memory_order_acquire);
    }
}

void tsr_pool_run(tsr_pool *pool, tsr_kernel *kernel, const void *args, size_t units)
{
    const uint64_t saved = tsr_fp_enter();

    if (units == 0) {
        tsr_fp_leave(saved);
        return;
    }
    if (pool == NULL || pool->threads == 1 || units == 1) {
        kernel(args, 0, units);
    } else {
        pthread_mutex_lock(&pool->turn);
        pool->kernel = kernel;
        pool->args = args;
        share_out(pool, units);
        atomic_store_explicit(&pool->inside, JOB_OPEN, memory_order_release);
        raise_generation(pool);
        work(pool, 0);
        close_job(pool);
        pthread_mutex_unlock(&pool->turn);
    }
    tsr_fp_leave(saved);
}

unsigned tsr_pool_threads(const tsr_pool *pool)
{
    return pool == NULL ? 1 : pool->threads;
}

int tsr_pool_numa(const tsr_pool *pool)
{
    return pool == NULL ? 0 : pool->numa;
}

/* Starts the workers with signals blocked, which belong to the program's own threads; but for those that a
 * thread raises itself: blocked, they would end the process without asking the program's handler. */
static tsr_status start_workers(tsr_pool *pool, struct tsr_error *error)
{
    sigset_t all, saved;
    int code = 0;

    static const int own[] = {SIGBUS, SIGSEGV, SIGILL, SIGFPE};

    sigfillset(&all);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        sigdelset(&all, own[i]);
    pthread_sigmask(SIG_SETMASK, &all, &saved);
    for (unsigned i = 0; i + 1 < pool->threads && code == 0; i++) {
        struct worker *worker = &pool->workers[i];

        worker->pool = pool;
        worker->index = i + 1;
        code = pthread_create(&worker->thread, NULL, worker_main, worker);
        pool->started += code == 0;
    }
    pthread_sigmask(SIG_SETMASK, &saved, NULL);
    if (code != 0)
        return tsr_fail(error, TSR_MEMORY, "cannot start thread %u: %s; use fewer with -t",
                        pool->started + 1, strerror(code));
    return TSR_OK;
}

tsr_status tsr_pool_new(tsr_pool **out, const struct tsr_pool_options *options,
                        struct tsr_error *error)
{
    const struct tsr_pool_options none = {0};
    struct tsr_topology topology;
    struct tsr_placement placement;
    tsr_status status;
    tsr_pool *pool;

    *out = NULL;
    options = options != NULL ? options : &none;
    if (options->threads > TSR_THREADS_MAX)
        return tsr_fail(error, TSR_USAGE, "%u threads asked for, at most %d are supported",
                        options->threads, TSR_THREADS_MAX);
    status = tsr_placement_make(&placement, &topology, options, error);
    if (status != TSR_OK)
        return status;

    pool = aligned_alloc(64, tsr_round_up(sizeof *pool, 64));
    if (pool == NULL) {
        tsr_placement_free(&placement);
        return tsr_fail(error, TSR_MEMORY, "no memory for the pool of threads");
    }
    memset(pool, 0, sizeof *pool);
    pool->threads = topology.threads;
    pool->pid = getpid();
    pool->placement = placement;
    pthread_mutex_init(&pool->turn, NULL);
    pool->workers = calloc(pool->threads, sizeof *pool->workers);
    pool->slots = aligned_alloc(64, pool->threads * sizeof *pool->slots);
    if (pool->workers == NULL || pool->slots == NULL)
        status = tsr_fail(error, TSR_MEMORY, "no memory for %u threads", pool->threads);
    if (topology.numa_nodes < 2)
        placement.numa = TSR_NUMA_AUTO; /* nothing to choose */
    if (status == TSR_OK && placement.numa != TSR_NUMA_AUTO)
        pool->numa = tsr_placement_memory(&placement); /* the workers inherit it */
    if (status == TSR_OK)
        status = start_workers(pool, error);
    if (status == TSR_OK && (options->pin || placement.numa == TSR_NUMA_BIND) &&
        tsr_placement_bind(&pool->placement, 0) != 0)
        atomic_fetch_add(&pool->failed, 1);
    if (status == TSR_OK && options->pin) {
        while (atomic_load(&pool->ready) < pool->started)
            cpu_relax();
        if (atomic_load(&pool->failed) != 0)
            status = tsr_fail(error, TSR_USAGE, "%d of %u threads could not be pinned to a core",
                              atomic_load(&pool->failed), pool->threads);
    }
    if (status != TSR_OK) {
        tsr_pool_free(pool);
        return status;
    }
    *out = pool;
    return TSR_OK;
}

void tsr_pool_free(tsr_pool *pool)
{
    if (pool == NULL)
        return;
    if (getpid() == pool->pid) { /* in a forked child the workers do not exist */
        atomic_store(&pool->stop, 1);
        raise_generation(pool);
        for (unsigned i = 0; i < pool->started; i++)
            pthread_join(pool->workers[i].thread, NULL);
    }
    pthread_mutex_destroy(&pool->turn);
    tsr_placement_free(&pool->placement);
    free(pool->slots);
    free(pool->workers);
    free(pool);
}
