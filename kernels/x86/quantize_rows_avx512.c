/*
 * quantize_rows on AVX-512: quantize_avx512.h, whose head says how and what bounds it, row by row.
 */
#include "impl.h"
#include "x86/vec_avx512.h"
#include "x86/quantize_avx512.h"

#include "vec/quantize_rows.inc"
