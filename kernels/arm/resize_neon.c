/*
 * resize on Advanced SIMD: the body in vec/resize.inc.
 */
#include "impl.h"
#include "arm/vec_neon.h"

#include "vec/resize.inc"
