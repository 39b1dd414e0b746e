/*
 * matmul_t8 on the tier neondot: the blocking of vec/matmul_q.inc around the micro-kernel of
 * tile_neondot.h, which says why there are 12 dots and 12 sums of scales at 6 rows x 2 columns
 * (sdot: 4 x 4 products each). Instructions per tile line of 64 bytes in the inner loop, as
 * instructions.tsv has them (Debian gcc 12.2): 15.00 at m = 1, 20.75 at m = 2, 40.75 for tiles of 4
 * rows, 48.75 for tiles of 6. Not timed: no such core was at hand.
 */
#include "impl.h"
#include "arm/tile_neondot.h"

#define TILE_BITS 8
#define MATMUL tsr_matmul_t8_neondot
#include "vec/matmul_q.inc"
