#include "impl.h"
#include "x86/vec_avx512.h"

#include "vec/chain.inc"
#include "vec/matmul_tf.inc"
