#include "impl.h"
#include "tile_avxvnni.h"

#define CONV2D tsr_conv2d_t8_avxvnni
#include "conv2d_t8.inc"
