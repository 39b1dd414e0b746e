/*
 * gather_rows on AVX2: the body in vec/gather.inc over the vocabulary of vec_avx2.h; 8 times as
 * fast as the reference on 96 rows of 2,048 in t4 (two threads of a Zen 4). A tier of
 * AVX-512 has not been tried.
 */
#include "impl.h"
#include "x86/vec_avx2.h"

#include "vec/gather.inc"
