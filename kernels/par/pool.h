/*
 * pool.h: where the threads of a pool go; private to kernels/par.
 *
 * topo.c is the only file that knows hwloc. It reads the machine once and hands the pool a placement: a set
 * of cores per thread, which each worker binds itself to.
 */
#ifndef TSR_POOL_H
#define TSR_POOL_H

#include "../par.h"

enum { TSR_THREADS_MAX = 1024 };

/* What to do about NUMA nodes. */
enum tsr_numa { TSR_NUMA_AUTO, TSR_NUMA_INTERLEAVE, TSR_NUMA_BIND };

/* Where threads run and memory lies. `topology` is hwloc's; NULL sets mean: do not bind. */
struct tsr_placement {
    void *topology;
    void *mask;     /* hwloc bitmap of all chosen cores */
    void *nodes;    /* hwloc bitmap of the NUMA nodes whose memory is taken */
    enum tsr_numa numa;
    void **cores;   /* [threads] one bitmap per thread, when pinning */
    unsigned threads;
    int uneven; /* the threads run on cores of several kinds */
};

/* Reads the machine, fills *topology (threads: as asked for or the default) and makes the placement. */
tsr_status tsr_placement_make(struct tsr_placement *placement, struct tsr_topology *topology,
                              const struct tsr_pool_options *options, struct tsr_error *error);

/* Binds the calling thread as thread `index`; 0, or -1 if the system refused a pin. */
int tsr_placement_bind(const struct tsr_placement *placement, unsigned index);

/* Sets where memory that the calling thread, and those that it starts, touch first comes to lie; 0 or an errno. */
int tsr_placement_memory(const struct tsr_placement *placement);

void tsr_placement_free(struct tsr_placement *placement);

/*
 * CPUs that the cgroup of this process may use at a time: the smallest cpu.max (v2) or cfs quota (v1) on the
 * way to the root; 0 if there is no limit. `root` is NULL for the real files, or a folder that holds
 * `self.cgroup` (as /proc/self/cgroup) and the cgroup tree, for tests.
 */
double tsr_cgroup_cpus(const char *root);

#endif
