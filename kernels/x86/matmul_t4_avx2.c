#include "impl.h"
#include "tile_avx2.h"

#define TILE_BITS 4
#define MATMUL tsr_matmul_t4_avx2
#include "matmul_q.inc"
