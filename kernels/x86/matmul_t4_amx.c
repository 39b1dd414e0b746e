/* matmul_t4 on AMX (matmul_amx.inc); up to 11 rows as avx512x2 has them. */
#include "impl.h"

#define TILE_BITS 4
#define MATMUL tsr_matmul_t4_amx
#define FEW tsr_matmul_t4_avx512x2
#include "matmul_amx.inc"
