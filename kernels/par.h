/*
 * par.h: the pool of threads that runs operators.
 *
 * A pool is made by the caller and may be shared by any number of contexts, which take turns per operator.
 * hwloc finds the cores (in par/topo.c only). Default count: performance cores that the process may use,
 * capped by its cpuset and by its cgroup CPU quota. The units of an operator are handed out in chunks from
 * one counter, large first and small at the end, so that big and little cores finish together; results
 * never depend on who computed what. One barrier per operator; a waiting thread spins at most 50 us, then
 * sleeps. The caller's thread works too.
 */
#ifndef TSR_PAR_H
#define TSR_PAR_H

#include "kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What was found on the machine, and what follows from it. */
struct tsr_topology {
    unsigned cores;        /* physical cores */
    unsigned performance;  /* of these, of the fastest kind */
    unsigned usable;       /* performance cores that the process may use (cpuset, affinity) */
    double quota;          /* CPUs the cgroup grants, 0: no limit */
    unsigned numa_nodes;
    size_t l1_bytes, l2_bytes, l3_bytes; /* of one performance core; 0: unknown */
    unsigned threads;      /* the default number of threads */
    char why[200];         /* in words */
};

struct tsr_pool_options {
    unsigned threads;          /* 0: the default */
    int pin;                   /* bind each worker to one core; a pin that fails is an error */
    const char *topology;      /* NULL: this machine; else an hwloc synthetic string or an XML file, for tests */
    const char *cgroup_root;   /* NULL: /sys/fs/cgroup and /proc/self/cgroup; else a folder, for tests */
};

typedef struct tsr_pool tsr_pool;

/* Reads the topology; options may be NULL. TSR_IO, TSR_USAGE (bad synthetic string) or TSR_MEMORY on failure. */
TSR_API tsr_status tsr_topology_read(struct tsr_topology *topology, const struct tsr_pool_options *options,
                                     struct tsr_error *error);

/* Makes a pool; options may be NULL. The caller owns it. */
TSR_API tsr_status tsr_pool_new(tsr_pool **pool, const struct tsr_pool_options *options, struct tsr_error *error);

/* Stops and joins the workers; NULL is allowed. No run may be under way. */
TSR_API void tsr_pool_free(tsr_pool *pool);

TSR_API unsigned tsr_pool_threads(const tsr_pool *pool);

/*
 * Runs `kernel(args, b, e)` so that the ranges cover [0, units) once; returns when all is done. pool NULL:
 * on the calling thread. Callers on several threads take turns.
 */
TSR_API void tsr_pool_run(tsr_pool *pool, tsr_kernel *kernel, const void *args, size_t units);

/* tsr_run_<op>(pool, kernels, &args): an operator of the table on the pool, its type checked. */
#define OP(name, args_)                                                                              \
    static inline void tsr_run_##name(tsr_pool *pool, const struct tsr_kernels *kernels,             \
                                      const struct tsr_##args_ *args)                                \
    {                                                                                                \
        tsr_pool_run(pool, kernels->name, args, tsr_##args_##_units(args));                          \
    }
#include "kernels.def"

#ifdef __cplusplus
}
#endif

#endif
