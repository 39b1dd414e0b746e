#include "impl.h"
#include "tile_avx512.h"

#define TILE_BITS 8
#define MATMUL tsr_matmul_t8_avx512
#include "matmul_q.inc"
