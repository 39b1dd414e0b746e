/*
 * tile_unroll.h: how the tiles' loops over compile-time constants are unrolled, by gcc and by
 * clang, and what keeps their vectors in registers.
 *
 * The loops run over arrays of vectors that must end up in registers, so every one is unrolled
 * whole, after inlining has made its bounds known; clang takes a count as leave to unroll before
 * that. Two things cost a tile its registers, and a spilled vector costs a Zen 4 1.3 slots of dots:
 * compilers hoist the loads of later quads over the dots of earlier ones (tile_hold(), which stands
 * with the vectors, stops them), and gcc folds the distance between panels into an index register
 * per line (tile_opaque() stops it).
 */
#ifndef TSR_TILE_UNROLL_H
#define TSR_TILE_UNROLL_H

#include <stdint.h>

#define TILE_INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define TILE_UNROLL _Pragma("clang loop unroll(full)")
#else
#define TILE_UNROLL _Pragma("GCC unroll 32")
#endif

/* The same pointer, of which the compiler knows nothing. */
TILE_INLINE const uint8_t *tile_opaque(const uint8_t *pointer)
{
    __asm__("" : "+r"(pointer));
    return pointer;
}

#endif
