#include "impl.h"
#include "tile_avx512.h"

#define CONV2D tsr_conv2d_t8_avx512
#include "conv2d_t8.inc"
