/*
 * tile_starts.h: what the dots of a tile start from, made for up to START_GROUPS groups at once:
 * one multiplication in a vector for four groups, and then one load for a row and group, where the
 * sums as they lie would take a load, two operations and a move from a general register to all
 * elements.
 */
#ifndef TSR_TILE_STARTS_H
#define TSR_TILE_STARTS_H

#include <string.h>

#include "kernels.h"
#include "vec/tile_unroll.h"

enum { START_GROUPS = 16 };

typedef int32_t tile_four __attribute__((vector_size(16)));

/* start[r * START_GROUPS + i] = -zero * sums[r][begin + i] of R rows. */
TILE_INLINE void tile_starts(int32_t *start, const int32_t *const *sums, size_t begin, size_t end,
                             int32_t zero, int R)
{
    size_t g = begin;

    for (; g + 4 <= end; g += 4) {
        TILE_UNROLL
        for (int r = 0; r < R; r++) {
            tile_four four;
            memcpy(&four, sums[r] + g, sizeof four);
            four *= -zero;
            memcpy(start + r * START_GROUPS + (g - begin), &four, sizeof four);
        }
    }
    for (; g < end; g++) {
        TILE_UNROLL
        for (int r = 0; r < R; r++)
            start[r * START_GROUPS + (g - begin)] = sums[r][g] * -zero;
    }
}

#endif
