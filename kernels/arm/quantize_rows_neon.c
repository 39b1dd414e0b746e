/*
 * quantize_rows on Advanced SIMD: quantize_neon.h, whose head says how and what bounds it, row by row.
 */
#include "impl.h"
#include "arm/vec_neon.h"
#include "arm/quantize_neon.h"

#include "vec/quantize_rows.inc"
