/*
 * gather_rows on Advanced SIMD: the body in vec/gather.inc over the vocabulary of vec_neon.h.
 */
#include "impl.h"
#include "arm/vec_neon.h"

#include "vec/gather.inc"
