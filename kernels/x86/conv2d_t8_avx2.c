#include "impl.h"
#include "tile_avx2.h"

#define CONV2D tsr_conv2d_t8_avx2
#include "conv2d_t8.inc"
