/*
 * limits.h: the machine's limits as numbers, measured on the pool that runs the operators.
 */
#ifndef TESSERA_LIMITS_H
#define TESSERA_LIMITS_H

#include "bench.h"
#include "probe.h"

enum limit { LIMIT_READ, LIMIT_L2, LIMIT_L3, LIMIT_F32, LIMIT_I8, LIMITS };

extern const char *const limit_names[LIMITS];

struct limits {
    tsr_pool *pool;
    const struct probe_set *set;
    struct tsr_topology topology;
    char *memory; /* far larger than the last cache */
    size_t bytes;
};

/* Takes the memory that the read probe walks. */
tsr_status limits_open(struct limits *limits, const struct bench_settings *settings, struct tsr_error *error);
void limits_close(struct limits *limits);

/*
 * One quick measurement (about 10 ms): bytes or operations a second over all threads of the pool; 0 if this
 * machine has no such limit. `pool` may be another one than limits->pool (for 1..N threads).
 */
double limit_measure(const struct limits *limits, tsr_pool *pool, enum limit which);

double bench_seconds(void);

/* Sorts and returns the median; spread: (max - min) / median of the middle half. */
double bench_median(double *values, size_t count, double *spread);

#endif
