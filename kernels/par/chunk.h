/*
 * chunk.h: how the units of an operator are handed out. Pure, so that tests/test_devices.c can run it on
 * machines that are not there.
 *
 * Each thread has a range of its own, the same share of the units in every operator: its weights are one
 * stream, which the prefetcher follows from chunk to chunk, and the rows that it wrote are read from its own
 * L2 by the next operator. It takes chunks from the front, half of what is left each time, so that others can
 * help: who has nothing left takes the tail of the fullest range and makes it its own. Ranges end in single
 * units, so all finish together, and the range of a thread that never came is done by the others.
 *
 * The first chunk must not outlast the whole operator. A core that is r times slower than the fast ones needs
 * r * units / (f * threads) for it, and with as many slow cores as fast ones the whole takes
 * 2 * units / (threads * (1 + 1/r)): so r <= 2 f - 1. f = 2 is right up to r = 3 and is all that cores of one
 * kind need (r > 1 only when somebody else is served); f = 4 up to r = 7, for threads on cores of several
 * kinds (Cortex-A76 and A55 at their clocks: 3 to 4), at the price of twice as many chunks.
 */
#ifndef TSR_CHUNK_H
#define TSR_CHUNK_H

#include <stddef.h>

/* The first unit of thread `index`'s range; that of index + 1 is its end. */
static inline size_t tsr_share(size_t units, unsigned threads, unsigned index)
{
    const size_t each = units / threads, more = units % threads;

    return each * index + (index < more ? index : more);
}

/* Units that its thread takes from the front of a range of `left` > 0; uneven: cores of several kinds. */
static inline size_t tsr_front(size_t left, int uneven)
{
    const size_t size = left / (uneven ? 4 : 2);

    return size + (size == 0);
}

/* Units that another thread takes from its tail. */
static inline size_t tsr_tail(size_t left)
{
    return left - left / 2;
}

#endif
