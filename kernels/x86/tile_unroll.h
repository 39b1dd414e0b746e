/*
 * tile_unroll.h: how the tiles' loops over compile-time constants are unrolled, by gcc and by
 * clang.
 *
 * The loops run over arrays of vectors that must end up in registers, so every one is unrolled
 * whole, after inlining has made its bounds known; clang takes a count as leave to unroll before
 * that.
 */
#ifndef TSR_TILE_UNROLL_H
#define TSR_TILE_UNROLL_H

#define TILE_INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define TILE_UNROLL _Pragma("clang loop unroll(full)")
#else
#define TILE_UNROLL _Pragma("GCC unroll 32")
#endif

#endif
