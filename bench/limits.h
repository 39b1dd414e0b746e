/*
 * limits.h: the machine's limits as numbers, measured on the pool that runs the operators.
 */
#ifndef TESSERA_LIMITS_H
#define TESSERA_LIMITS_H

#include "bench.h"
#include "probe.h"

enum limit {
    LIMIT_READ, /* memory */
    LIMIT_L2,
    LIMIT_COPY, /* within L2: bytes read and written, which is what operators on rows do */
    LIMIT_L3,
    LIMIT_F32,
    LIMIT_I8,
    LIMIT_I8_MIX, /* int8 dots among the conversions and fma of the contract: the ceiling of a
                     matmul */
    LIMIT_T8_MIX, /* the same for t8, where a tier needs more for it */
    LIMIT_BF16,
    LIMITS
};

extern const char *const limit_names[LIMITS];

struct limits {
    tsr_pool *pool;              /* limits_use */
    const struct probe_set *set, *fast; /* of the best exact tier; of the best fast one, or NULL */
    struct tsr_topology topology;
    char *memory; /* far larger than the last cache */
    size_t bytes, at; /* of it; where it is read next */
    size_t lent;      /* bytes of it, from the end on */
    size_t streams, prefetch; /* the best way of reading on this pool */
};

/* Takes the memory that the read probe walks; limits_use must follow. limits_close in any case. */
tsr_status limits_open(struct limits *limits, const struct bench_settings *settings,
                       struct tsr_error *error);
void limits_close(struct limits *limits);

/* Measures on this pool from now on, and finds out how it reads best. */
void limits_use(struct limits *limits, tsr_pool *pool);

/* Memory to be freed; from 2 MiB on it lies on huge pages where the system grants them, so that
 * pages do not bind. */
void *bench_memory(size_t bytes);

/*
 * A part of the memory that the read probe walks, until `lent` is set to 0; NULL: it has no more. What is read from memory
 * lies there if it can, because pages differ: those taken later may be small ones, or far from the core, or a host's
 * next choice, and gave half of the bandwidth.
 */
void *limits_lend(struct limits *limits, size_t bytes);

/*
 * Bytes or operations a second over all threads of the pool, measured for `seconds` or the shortest
 * probe, which is about 2 ms; 0 if this machine has no such limit. `set` is the probes of the tier
 * whose peak is meant.
 */
double limit_measure(struct limits *limits, const struct probe_set *set, enum limit which,
                     double seconds);

/* To be called before a probe that follows a long run: systems take memory back that lies idle. */
void limits_wake(struct limits *limits);

/* The rates of a profile, measured on the pool, and what of its L2 caches rows may fill. */
void limits_rates(struct limits *limits, struct tsr_profile *profile);

#endif
