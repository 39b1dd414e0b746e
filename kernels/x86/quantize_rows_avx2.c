/*
 * quantize_rows on AVX2: quantize_avx2.h, whose head says how and what bounds it, row by row.
 */
#include "impl.h"
#include "x86/vec_avx2.h"
#include "x86/quantize_avx2.h"

#include "vec/quantize_rows.inc"
