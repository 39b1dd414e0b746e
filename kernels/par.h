/*
 * par.h: the pool of threads that runs operators.
 *
 * A pool is made by the caller and may be shared by any number of contexts, which take turns per operator.
 * hwloc finds the cores (in par/topo.c only). Default count: performance cores that the process may use,
 * capped by its cpuset and by its cgroup CPU quota. Each thread has the same share of the units in every
 * operator and, when that is done, helps with the others', so that big and little cores finish together;
 * results never depend on who computed what. One barrier per operator; a waiting thread spins at most 50 us, then
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
    unsigned numa_nodes;   /* nodes of memory */
    unsigned numa_used;    /* of these, whose memory is taken: with "bind" one, else those with usable cores */
    size_t l1_bytes, l2_bytes, l3_bytes; /* of one performance core; 0: unknown */
    unsigned threads;      /* the default number of threads */
    char why[200];         /* in words */
    char cpus[200];        /* the logical CPUs that threads run on, as a list: "0-3,8" */
    char memory[200];      /* where pages come to lie, in words */
};

struct tsr_pool_options {
    unsigned threads;          /* 0: the default */
    int pin;                   /* bind each worker to one core; a pin that fails is an error */
    const char *topology;      /* NULL: this machine; else an hwloc synthetic string or an XML file, for tests */
    const char *cgroup_root;   /* NULL: /sys/fs/cgroup and /proc/self/cgroup; else a folder, for tests */
    /*
     * Memory of machines with several NUMA nodes. NULL or "auto": nothing is set, each page lies on the node whose
     * core touches it first (or where numactl says). "interleave": page by page over the nodes of the usable cores.
     * "bind": threads and pages on the node with the most of them; "bind:N": on node N; pages that do not fit go
     * to other nodes. Another text, or a node without usable cores, is TSR_USAGE.
     *
     * It is set for the thread that calls tsr_pool_new, whose setting stays, and by inheritance for the workers, and
     * holds for what they touch first afterwards. So make the pool before the model is opened and the
     * context is made. Pages of a mapped file that are in memory already stay where they are: TSR_LOAD_READ or
     * TSR_LOAD_HUGE makes a copy where it should be.
     */
    const char *numa;
};

/*
 * Bytes of memory that the control groups of this process still grant (versions 1 and 2, the least of the group
 * and its parents; cached file pages count as free); UINT64_MAX: no limit. cgroup_root as above.
 */
TSR_API uint64_t tsr_cgroup_memory(const char *cgroup_root);

typedef struct tsr_pool tsr_pool;

/* Reads the topology; options may be NULL. TSR_IO, TSR_USAGE (bad synthetic string) or TSR_MEMORY on failure. */
TSR_API tsr_status tsr_topology_read(struct tsr_topology *topology, const struct tsr_pool_options *options,
                                     struct tsr_error *error);

/* Makes a pool; options may be NULL. The caller owns it. */
TSR_API tsr_status tsr_pool_new(tsr_pool **pool, const struct tsr_pool_options *options, struct tsr_error *error);

/* Stops and joins the workers; NULL is allowed. No run may be under way. */
TSR_API void tsr_pool_free(tsr_pool *pool);

TSR_API unsigned tsr_pool_threads(const tsr_pool *pool);

/* 0: memory goes where options.numa says; else the errno with which the system refused (EPERM in some containers). */
TSR_API int tsr_pool_numa(const tsr_pool *pool);

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
