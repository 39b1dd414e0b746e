#include "impl.h"
#include "tile_avx2.h"

#define TILE_BITS 8
#define MATMUL tsr_matmul_t8_avx2
#include "matmul_q.inc"
