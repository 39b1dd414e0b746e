/*
 * handoff.h: what the threads cost: an operator's hand-off, and the loss when another process takes
 * a core.
 */
#ifndef TESSERA_HANDOFF_H
#define TESSERA_HANDOFF_H

#include "bench.h"

struct handoff {
    double seconds; /* of an operator beyond its share of the work */
    double taken;   /* time with one core taken, over what the capacity left allows; 0: unknown */
};

/* Both are 0 on a pool of one thread. The pool should have as many threads as there are cores. */
tsr_status bench_handoff(tsr_pool *pool, struct handoff *out, struct tsr_error *error);

#endif
