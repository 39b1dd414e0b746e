/*
 * tile_rows.h: the vectors of a tile as most tiers have them: one row of activations x TILE_WIDTH
 * neighbouring outputs. What tile_block.inc asks of a tier whose dots come out in another order
 * (i8mm's 2 x 2 squares) stands here for all that have no such order. Needs tile_set_int() and
 * tile_zero_point(bits), what the tier's dots leave to subtract from each weight code.
 */
#ifndef TSR_TILE_ROWS_H
#define TSR_TILE_ROWS_H

#include "vec/tile_starts.h"

/* What the dots of row r of R start from; start: as tile_starts() made it, unread without a zero point. */
TILE_INLINE tile_int tile_start(const int32_t *start, int bits, int r, int R)
{
    (void)R;
    return tile_set_int(tile_zero_point(bits) == 0 ? 0 : start[r * START_GROUPS]);
}

/* The weights' scales of a column, as the vector of row r needs them. */
TILE_INLINE tile_float tile_spread(tile_float scales, int r, int R)
{
    (void)r, (void)R;
    return scales;
}

/* Puts the vectors of two neighbouring rows in the order of tile_load() and tile_store(). */
TILE_INLINE void tile_order(tile_float *even, tile_float *odd, int R)
{
    (void)even, (void)odd, (void)R;
}

#endif
