/*
 * matmul_t4 on the tier avxvnni: the blocking of matmul_q.inc around the micro-kernel of
 * tile_avxvnni.h. Two threads of an Intel Xeon, n = 5,632, k = 2,048:
 * m = 576, 96, 24 58, 56, 59 % of the int8 peak of this tier (72 to 74 % of the ceiling), m = 8 49 %, one
 * and two rows 78 % of a plain read.
 */
#include "impl.h"
#include "tile_avxvnni.h"

#define TILE_BITS 4
#define MATMUL tsr_matmul_t4_avxvnni
#include "vec/matmul_q.inc"
