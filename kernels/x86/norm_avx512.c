/*
 * rmsnorm, layernorm and l2norm on AVX-512: the body in vec/norm.inc over the vocabulary of vec_avx512.h;
 * one or two passes that reduce the row and one that writes it; bound by L1 and L2 bandwidth.
 */
#include "impl.h"
#include "x86/vec_avx512.h"

#include "vec/reduce.inc"
#include "vec/norm.inc"
