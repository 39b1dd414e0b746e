/*
 * matmul_t8 on the tier avxvnni: the blocking of matmul_q.inc around the micro-kernel of
 * tile_avxvnni.h. Two threads of an Intel Xeon, n = 5,632, k = 2,048:
 * m = 576, 96, 24 61, 60, 61 % of the int8 peak of this tier (76 % of the ceiling), 8 rows 76 %, two
 * 84 and one 86 % of a plain read.
 */
#include "impl.h"
#include "tile_avxvnni.h"

#define TILE_BITS 8
#define MATMUL tsr_matmul_t8_avxvnni
#include "vec/matmul_q.inc"
