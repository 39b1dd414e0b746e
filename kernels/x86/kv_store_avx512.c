/*
 * kv_store on AVX-512: the body in vec/kv_store.inc over the vocabulary of vec_avx512.h. 64 keys of
 * 16 x 128 in f16 are stored 1.1 times as fast as by AVX2 (two threads of a Zen 4,
 * 24 % of the copy probe); in q8 at 16 % of it, the reference at 2 %.
 */
#include "impl.h"
#include "x86/vec_avx512.h"

#include "vec/kv_store.inc"
