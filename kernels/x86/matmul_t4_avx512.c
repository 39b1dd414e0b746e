#include "impl.h"
#include "tile_avx512.h"

#define TILE_BITS 4
#define MATMUL tsr_matmul_t4_avx512
#include "matmul_q.inc"
