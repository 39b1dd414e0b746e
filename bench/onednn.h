/*
 * onednn.h: oneDNN doing the same work, for comparison in the same run.
 */
#ifndef TESSERA_ONEDNN_H
#define TESSERA_ONEDNN_H

#include "cases.h"

/*
 * Median seconds of oneDNN for a shape over `repeat` samples, on `threads` threads; 0 where it has no such operator
 * or the build is without it. int8 products are oneDNN's own: u8 x s8 with one scale per tensor, no groups.
 */
double onednn_seconds(const struct shape *shape, unsigned threads, unsigned repeat);

#endif
