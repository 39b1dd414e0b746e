/*
 * kv_store on Advanced SIMD: the body in vec/kv_store.inc over the vocabulary of vec_neon.h.
 */
#include "impl.h"
#include "arm/vec_neon.h"

#include "vec/kv_store.inc"
