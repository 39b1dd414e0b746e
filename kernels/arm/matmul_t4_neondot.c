/*
 * matmul_t4 on the tier neondot: the blocking of vec/matmul_q.inc around the micro-kernel of
 * tile_neondot.h, which says why there are 12 dots and 12 sums of scales at 6 rows x 2 columns
 * (sdot: 4 x 4 products each). Instructions per tile line of 64 bytes in the inner loop, as
 * instructions.tsv has them (Debian gcc 12.2): 28.50 at m = 1, 40.00 at m = 2, 79.00 for tiles of 4
 * rows, 106.00 for tiles of 6. Not timed: no such core was at hand.
 */
#include "impl.h"
#include "arm/tile_neondot.h"

#define TILE_BITS 4
#define MATMUL tsr_matmul_t4_neondot
#include "vec/matmul_q.inc"
