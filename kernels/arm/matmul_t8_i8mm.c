/*
 * matmul_t8 on the tier i8mm: the blocking of vec/matmul_q.inc around the micro-kernel of
 * tile_i8mm.h, which says why there are 12 dots and 12 sums of scales at 6 rows x 2 columns (usdot,
 * and usmmla for 4 and 6 rows). Instructions per tile line of 64 bytes in the inner loop, as
 * instructions.tsv has them (Debian gcc 12.2): 12.12 at m = 1, 17.25 at m = 2, 33.75 for tiles of 4
 * rows, 45.12 for tiles of 6. Not timed: no such core was at hand.
 */
#include "impl.h"
#include "arm/tile_i8mm.h"

#define TILE_BITS 8
#define MATMUL tsr_matmul_t8_i8mm
#include "vec/matmul_q.inc"
