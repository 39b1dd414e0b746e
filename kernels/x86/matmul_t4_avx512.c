#include "tile_avx512.h"

#define TILE_BITS 4
#define MATMUL tsr_matmul_t4_avx512
void tsr_matmul_t4_avx512(const void *args, size_t begin, size_t end);
#include "matmul_q.inc"
