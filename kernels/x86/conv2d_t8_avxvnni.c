/*
 * conv2d_t8 on the tier avxvnni: the strips of conv2d_t8.inc around the micro-kernel of
 * tile_avxvnni.h. Bound by vpdpbusd and fma: 53 to 57 % of the int8 peak of this
 * tier (two threads of an Intel Xeon).
 */
#include "impl.h"
#include "tile_avxvnni.h"

#define CONV2D tsr_conv2d_t8_avxvnni
#include "vec/conv2d_t8.inc"
