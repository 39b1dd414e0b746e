/*
 * onednn.h: oneDNN doing the same work, for comparison in the same run.
 */
#ifndef TESSERA_ONEDNN_H
#define TESSERA_ONEDNN_H

#include "cases.h"

struct onednn;

/*
 * Makes oneDNN's primitive for a shape, with as many threads as the pool of the limits, which lend memory for copies of
 * the weights; the caller frees it. NULL where oneDNN has no such operator, memory is out, or the build is without oneDNN.
 */
struct onednn *onednn_new(const struct shape *shape, struct limits *limits);
void onednn_free(struct onednn *onednn); /* NULL allowed */

/* One run; `round` picks the copy of the weights. */
void onednn_run(struct onednn *onednn, size_t round);

/* Ends oneDNN's threads, which would otherwise spin for milliseconds while something else is timed.
 */
void onednn_rest(void);

#endif
