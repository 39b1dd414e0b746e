/*
 * pool.c: threads that run the units of one operator at a time.
 *
 * A job is published by raising `generation`; whoever is awake joins it and takes chunks from the counter
 * `next` until nothing is left. The caller works too, then closes the job and waits only for those who
 * joined: a worker that sleeps or was preempted before it joined delays nobody, so a core lost to another
 * process costs its share of the work and no more.
 *
 * Chunks are guided: a fraction 1/(2 * threads) of what remains, at least one unit. Large chunks first keep
 * each thread on one contiguous stream of weights (several short streams restart the prefetcher); small ones
 * at the end let cores of unequal speed finish together.
 *
 * `inside` holds the number of workers in the job and, in its top bit, whether it may be joined. Workers
 * spin on `generation` for 50 us, long enough to bridge the gap between two operators of a forward pass,
 * then sleep on it (futex). The caller's wait for the last chunk does the same on `inside`.
 */
#include "pool.h"

#include "../fp_env.h"

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

struct tsr_pool {
    unsigned threads; /* the caller's included */
    unsigned started; /* workers that were created */
    pid_t pid;
    struct worker *workers; /* [threads - 1] */
    struct tsr_placement placement;
    pthread_mutex_t turn; /* callers take turns */

    tsr_kernel *kernel; /* the job; written while `inside` is closed and empty */
    const void *args;
    size_t units;

    _Alignas(64) _Atomic size_t next;
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

/* Takes the next chunk; returns 0 when the job has none left. */
static int take_chunk(tsr_pool *pool, size_t units, size_t *begin, size_t *end)
{
    size_t at = atomic_load_explicit(&pool->next, memory_order_relaxed);
    size_t size;

    do {
        if (at >= units)
            return 0;
        size = (units - at) / (2 * (size_t)pool->threads);
        size += size == 0;
    } while (!atomic_compare_exchange_weak_explicit(&pool->next, &at, at + size,
                                                    memory_order_relaxed, memory_order_relaxed));
    *begin = at;
    *end = at + size;
    return 1;
}

static void work(tsr_pool *pool)
{
    tsr_kernel *const kernel = pool->kernel;
    const void *const args = pool->args;
    const size_t units = pool->units;
    size_t begin, end;

    while (take_chunk(pool, units, &begin, &end))
        kernel(args, begin, end);
}

/* Joins the open job, if there is one, and leaves it when its counter is used up. */
static void join_job(tsr_pool *pool)
{
    uint32_t inside = atomic_load_explicit(&pool->inside, memory_order_relaxed);

    do {
        if (!(inside & JOB_OPEN))
            return;
    } while (!atomic_compare_exchange_weak_explicit(&pool->inside, &inside, inside + 1,
                                                    memory_order_acquire, memory_order_relaxed));
    work(pool);
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
        join_job(pool);
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
        pool->units = units;
        atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
        atomic_store_explicit(&pool->inside, JOB_OPEN, memory_order_release);
        raise_generation(pool);
        work(pool);
        close_job(pool);
        pthread_mutex_unlock(&pool->turn);
    }
    tsr_fp_leave(saved);
}

unsigned tsr_pool_threads(const tsr_pool *pool)
{
    return pool == NULL ? 1 : pool->threads;
}

/* Starts the workers with all signals blocked: signals belong to the program's own threads. */
static tsr_status start_workers(tsr_pool *pool, struct tsr_error *error)
{
    sigset_t all, saved;
    int code = 0;

    sigfillset(&all);
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
    if (pool->workers == NULL)
        status = tsr_fail(error, TSR_MEMORY, "no memory for %u threads", pool->threads);
    if (status == TSR_OK)
        status = start_workers(pool, error);
    if (status == TSR_OK && options->pin) {
        if (tsr_placement_bind(&pool->placement, 0) != 0)
            atomic_fetch_add(&pool->failed, 1);
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
    free(pool->workers);
    free(pool);
}
