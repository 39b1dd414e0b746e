/*
 * checked.h: arithmetic on numbers that came from a file: the only way to compute a size from one.
 *
 * Every helper returns 1 and sets *out, or returns 0 and leaves *out alone when the true result
 * does not fit; nothing wraps. Rounding up is checked before it is done, never after. File
 * arithmetic is in uint64_t; tsr_checked_size is the one door from there to the size_t of memory,
 * and keeps every size below PTRDIFF_MAX, so that pointers into the object can be subtracted.
 */
#ifndef TSR_CHECKED_H
#define TSR_CHECKED_H

#include <stddef.h>
#include <stdint.h>

/* *out = a + b */
static inline int tsr_checked_add(uint64_t *out, uint64_t a, uint64_t b)
{
    if (a > UINT64_MAX - b)
        return 0;
    *out = a + b;
    return 1;
}

/* *out = a * b */
static inline int tsr_checked_mul(uint64_t *out, uint64_t a, uint64_t b)
{
    if (b != 0 && a > UINT64_MAX / b)
        return 0;
    *out = a * b;
    return 1;
}

/* *out = x rounded up to a multiple of `to`, which is not 0 */
static inline int tsr_checked_round_up(uint64_t *out, uint64_t x, uint64_t to)
{
    uint64_t rest = x % to;

    return tsr_checked_add(out, x, rest == 0 ? 0 : to - rest);
}

/* *out = x as a size of memory */
static inline int tsr_checked_size(size_t *out, uint64_t x)
{
    if (x > (uint64_t)PTRDIFF_MAX)
        return 0;
    *out = (size_t)x;
    return 1;
}

/* Does [offset, offset + bytes) lie in [0, total)? */
static inline int tsr_checked_range(uint64_t offset, uint64_t bytes, uint64_t total)
{
    return offset <= total && bytes <= total - offset;
}

/* Can `count` elements of at least `smallest` (not 0) bytes each lie in `left` bytes? */
static inline int tsr_checked_count(uint64_t count, uint64_t smallest, uint64_t left)
{
    return count <= left / smallest;
}

#endif
