#include "impl.h"
#include "tile_avxvnni.h"

#define TILE_BITS 8
#define MATMUL tsr_matmul_t8_avxvnni
#include "matmul_q.inc"
