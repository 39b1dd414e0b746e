/*
 * matmul_t4 on the tier neon: the blocking of vec/matmul_q.inc around the micro-kernel of
 * tile_neon.h, which says why there are 16 registers of sums at 4 rows x 2 columns (smull and
 * smlal: eight products each). Instructions per tile line of 64 bytes in the inner loop, as
 * instructions.tsv has them (Debian gcc 12.2): 42.50 at m = 1, 66.00 at m = 2, 132.50 for tiles of
 * 4 rows. Not timed: no such core was at hand.
 */
#include "impl.h"
#include "arm/tile_neon.h"

#define TILE_BITS 4
#define MATMUL tsr_matmul_t4_neon
#include "vec/matmul_q.inc"
