#include "impl.h"
#include "tile_avxvnni.h"

#define TILE_BITS 4
#define MATMUL tsr_matmul_t4_avxvnni
#include "matmul_q.inc"
