/*
 * matmul_t8 on the tier neon: the blocking of vec/matmul_q.inc around the micro-kernel of
 * tile_neon.h, which says why there are 16 registers of sums at 4 rows x 2 columns (smull and
 * smlal: eight products each). Instructions per tile line of 64 bytes in the inner loop, as
 * instructions.tsv has them (Debian gcc 12.2): 25.62 at m = 1, 43.75 at m = 2, 84.62 for tiles of 4
 * rows. Not timed: no such core was at hand.
 */
#include "impl.h"
#include "arm/tile_neon.h"

#define TILE_BITS 8
#define MATMUL tsr_matmul_t8_neon
#include "vec/matmul_q.inc"
