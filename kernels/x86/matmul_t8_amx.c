/* matmul_t8 on AMX (matmul_amx.inc); up to 19 rows as avx512x2 has them. */
#include "impl.h"

#define TILE_BITS 8
#define MATMUL tsr_matmul_t8_amx
#define FEW tsr_matmul_t8_avx512x2
#include "matmul_amx.inc"
