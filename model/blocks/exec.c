/*
 * exec.c: the stack of memory of a forward pass, and its profile (exec.h).
 *
 * A dry stack has no memory: addresses count up from 64 and are never followed. A plan too large
 * for the address space sticks at the largest size instead of wrapping, so that the check against
 * the memory there is refuses it.
 */
#include "exec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { ALIGN = 64 };

void *tsr_take(struct tsr_exec *e, size_t rows, size_t columns, size_t size)
{
    size_t at = e->used;
    size_t bytes;

    if (__builtin_mul_overflow(rows, columns, &bytes) ||
        __builtin_mul_overflow(bytes, size, &bytes) || bytes > SIZE_MAX / 4 || at > SIZE_MAX / 4) {
        assert(e->base == NULL);
        e->used = e->peak = SIZE_MAX / 2;
        return (void *)(uintptr_t)ALIGN;
    }
    e->used = at + tsr_round_up(bytes, ALIGN);
    if (e->peak < e->used)
        e->peak = e->used;
    if (e->base == NULL)
        return (void *)(uintptr_t)(ALIGN + at);
    assert(e->used <= e->bytes);
    return e->base + at;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void tsr_do_profiled(struct tsr_exec *e, enum tsr_op op, const void *args, tsr_kernel *kernel,
                     size_t units)
{
    const double start = e->since > 0 ? e->since : now();

    tsr_pool_run(e->pool, kernel, args, units);
    e->since = now();
    tsr_profile_add(e->profile, op, args, e->since - start);
}

/* calloc gives large blocks as untouched pages, so what a job does not reach costs nothing. */
void *tsr_block_new(size_t bytes)
{
    void *raw = bytes > SIZE_MAX - 2 * ALIGN ? NULL : calloc(1, bytes + ALIGN + sizeof(void *));
    uint8_t *block;

    if (raw == NULL)
        return NULL;
    block = (uint8_t *)tsr_round_up((uintptr_t)raw + sizeof(void *), ALIGN);
    memcpy(block - sizeof(void *), &raw, sizeof raw);
    return block;
}

void *tsr_block_huge(size_t bytes)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uint8_t *block = tsr_block_new(bytes);
    const uintptr_t begin = tsr_round_up((uintptr_t)block, page);
    const uintptr_t end = ((uintptr_t)block + bytes) / page * page;

    if (block != NULL && begin < end)
        madvise((void *)begin, end - begin, MADV_HUGEPAGE); /* a wish */
    return block;
}

void tsr_block_free(void *block)
{
    void *raw;

    if (block == NULL)
        return;
    memcpy(&raw, (uint8_t *)block - sizeof raw, sizeof raw);
    free(raw);
}
