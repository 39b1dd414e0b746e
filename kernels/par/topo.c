/*
 * topo.c: which cores there are, which of them to use, and why. The only file that knows hwloc.
 *
 * Default number of threads = performance cores that the process may use (its affinity mask and cpuset),
 * capped by the CPU-time quota of its cgroup, rounded down, at least one. One thread a core: a second
 * hardware thread adds nothing to code that is bound by memory or by the multipliers. Efficiency cores are
 * left out by default: peers have measured a hundredfold slow-down with one thread too many; a user who
 * wants them says -t, and the guided hand-out of pool.c keeps them from holding up the others.
 *
 * "Performance cores" are the most efficient-ranked kind of hwloc's cpukinds (by core type, capacity or
 * maximum frequency); where hwloc knows no kinds, all cores are alike. A synthetic description or an XML
 * file replaces the machine in tests; then nothing is bound.
 */
#include "pool.h"

#include <errno.h>
#include <hwloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tsr_status load_topology(hwloc_topology_t *topology, const struct tsr_pool_options *options,
                                struct tsr_error *error)
{
    const char *source = options->topology;

    if (hwloc_topology_init(topology) != 0)
        return tsr_fail(error, TSR_MEMORY, "hwloc: no memory for the topology");
    hwloc_topology_set_all_types_filter(*topology, HWLOC_TYPE_FILTER_KEEP_NONE);
    hwloc_topology_set_type_filter(*topology, HWLOC_OBJ_CORE, HWLOC_TYPE_FILTER_KEEP_ALL);
    hwloc_topology_set_cache_types_filter(*topology, HWLOC_TYPE_FILTER_KEEP_ALL);
    if (source != NULL) {
        const size_t length = strlen(source);
        const int xml = length > 4 && strcmp(source + length - 4, ".xml") == 0;

        if ((xml ? hwloc_topology_set_xml(*topology, source)
                 : hwloc_topology_set_synthetic(*topology, source)) != 0) {
            hwloc_topology_destroy(*topology);
            return tsr_fail(error, TSR_USAGE, "topology '%.100s' is not understood by hwloc",
                            source);
        }
    }
    if (hwloc_topology_load(*topology) != 0) {
        hwloc_topology_destroy(*topology);
        return tsr_fail(error, TSR_IO, "hwloc cannot read the topology: %s", strerror(errno));
    }
    return TSR_OK;
}

/* PUs of the fastest kind of core; all of them where hwloc knows no kinds. */
static void fastest_kind(hwloc_topology_t topology, hwloc_bitmap_t set)
{
    const int kinds = hwloc_cpukinds_get_nr(topology, 0);
    int efficiency = -1;

    if (kinds > 1 &&
        hwloc_cpukinds_get_info(topology, (unsigned)kinds - 1, set, &efficiency, NULL, NULL, 0) == 0 &&
        efficiency >= 0)
        return;
    hwloc_bitmap_copy(set, hwloc_topology_get_topology_cpuset(topology));
}

/* PUs that this process may run on. */
static void permitted(hwloc_topology_t topology, hwloc_bitmap_t set)
{
    hwloc_bitmap_t bound = hwloc_bitmap_alloc();

    hwloc_bitmap_copy(set, hwloc_topology_get_allowed_cpuset(topology));
    if (bound != NULL && hwloc_topology_is_thissystem(topology) &&
        hwloc_get_cpubind(topology, bound, HWLOC_CPUBIND_THREAD) == 0 && !hwloc_bitmap_iszero(bound))
        hwloc_bitmap_and(set, set, bound);
    hwloc_bitmap_free(bound);
}

/* The type that stands for a core: PUs where the machine shows no cores. */
static hwloc_obj_type_t core_type(hwloc_topology_t topology)
{
    return hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE) > 0 ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
}

static unsigned count_cores(hwloc_topology_t topology, hwloc_const_bitmap_t within)
{
    const hwloc_obj_type_t type = core_type(topology);
    hwloc_obj_t core = NULL;
    unsigned count = 0;

    while ((core = hwloc_get_next_obj_by_type(topology, type, core)) != NULL)
        count += (unsigned)hwloc_bitmap_intersects(core->cpuset, within);
    return count;
}

static void read_caches(hwloc_topology_t topology, hwloc_const_bitmap_t within,
                        struct tsr_topology *out)
{
    hwloc_obj_t at = NULL;

    while ((at = hwloc_get_next_obj_by_type(topology, core_type(topology), at)) != NULL)
        if (hwloc_bitmap_intersects(at->cpuset, within))
            break;
    for (; at != NULL; at = at->parent) {
        if (!hwloc_obj_type_is_dcache(at->type))
            continue;
        switch (at->attr->cache.depth) {
        case 1:
            out->l1_bytes = at->attr->cache.size;
            break;
        case 2:
            out->l2_bytes = at->attr->cache.size;
            break;
        case 3:
            out->l3_bytes = at->attr->cache.size;
            break;
        default:
            break;
        }
    }
}

/* Counts cores and decides on threads; `use` becomes the PUs to run on. */
static void survey(hwloc_topology_t topology, const struct tsr_pool_options *options,
                   struct tsr_topology *out, hwloc_bitmap_t use)
{
    const int synthetic = options->topology != NULL && options->cgroup_root == NULL;
    hwloc_bitmap_t allowed = hwloc_bitmap_alloc();
    unsigned by_quota;

    memset(out, 0, sizeof *out);
    fastest_kind(topology, use);
    permitted(topology, allowed);
    out->cores = count_cores(topology, hwloc_topology_get_topology_cpuset(topology));
    out->performance = count_cores(topology, use);
    hwloc_bitmap_and(use, use, allowed);
    if (hwloc_bitmap_iszero(use)) /* only slower cores are granted: use those */
        hwloc_bitmap_copy(use, allowed);
    out->usable = count_cores(topology, use);
    out->quota = synthetic ? 0 : tsr_cgroup_cpus(options->cgroup_root);
    out->numa_nodes = (unsigned)hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_NUMANODE);
    read_caches(topology, use, out);
    hwloc_bitmap_free(allowed);

    by_quota = out->quota > 0 && out->quota < out->usable ? (unsigned)out->quota : out->usable;
    out->threads = by_quota > 0 ? by_quota : 1;
    if (options->threads > 0)
        out->threads = options->threads;
    if (options->threads > 0)
        snprintf(out->why, sizeof out->why, "%u as asked for", out->threads);
    else if (by_quota < out->usable)
        snprintf(out->why, sizeof out->why, "%u: the cgroup grants %d.%02d CPUs, rounded down",
                 out->threads, (int)out->quota, (int)(out->quota * 100) % 100);
    else if (out->performance < out->cores)
        snprintf(out->why, sizeof out->why, "%u: the performance cores, of %u cores", out->threads,
                 out->cores);
    else if (out->usable < out->cores)
        snprintf(out->why, sizeof out->why, "%u: the cores this process may use, of %u",
                 out->threads, out->cores);
    else
        snprintf(out->why, sizeof out->why, "%u: one per core", out->threads);
}

tsr_status tsr_topology_read(struct tsr_topology *out, const struct tsr_pool_options *options,
                             struct tsr_error *error)
{
    const struct tsr_pool_options none = {0};
    hwloc_topology_t topology;
    hwloc_bitmap_t use;
    tsr_status status;

    options = options != NULL ? options : &none;
    status = load_topology(&topology, options, error);
    if (status != TSR_OK)
        return status;
    use = hwloc_bitmap_alloc();
    if (use != NULL)
        survey(topology, options, out, use);
    else
        status = tsr_fail(error, TSR_MEMORY, "hwloc: no memory for a set of cores");
    hwloc_bitmap_free(use);
    hwloc_topology_destroy(topology);
    return status;
}

/* One core per thread, in the order of the machine; round and round when threads outnumber cores. */
static tsr_status assign_cores(struct tsr_placement *placement, struct tsr_error *error)
{
    const hwloc_topology_t topology = placement->topology;
    const hwloc_obj_type_t type = core_type(topology);
    hwloc_obj_t core = NULL;

    placement->cores = calloc(placement->threads, sizeof *placement->cores);
    if (placement->cores == NULL)
        return tsr_fail(error, TSR_MEMORY, "no memory for %u threads", placement->threads);
    for (unsigned i = 0; i < placement->threads; i++) {
        do
            core = hwloc_get_next_obj_by_type(topology, type, core);
        while (core == NULL || !hwloc_bitmap_intersects(core->cpuset, placement->mask));
        placement->cores[i] = hwloc_bitmap_dup(core->cpuset);
        if (placement->cores[i] == NULL)
            return tsr_fail(error, TSR_MEMORY, "no memory for %u threads", placement->threads);
        hwloc_bitmap_and(placement->cores[i], placement->cores[i], placement->mask);
    }
    return TSR_OK;
}

tsr_status tsr_placement_make(struct tsr_placement *placement, struct tsr_topology *out,
                              const struct tsr_pool_options *options, struct tsr_error *error)
{
    hwloc_topology_t topology;
    tsr_status status;

    memset(placement, 0, sizeof *placement);
    status = load_topology(&topology, options, error);
    if (status != TSR_OK)
        return status;
    placement->topology = topology;
    placement->mask = hwloc_bitmap_alloc();
    if (placement->mask == NULL) {
        tsr_placement_free(placement);
        return tsr_fail(error, TSR_MEMORY, "hwloc: no memory for a set of cores");
    }
    survey(topology, options, out, placement->mask);
    placement->threads = out->threads;
    if (options->pin)
        status = assign_cores(placement, error);
    else if (out->threads > out->usable) /* more than the chosen cores: leave the choice to the system */
        permitted(topology, placement->mask);
    if (status != TSR_OK)
        tsr_placement_free(placement);
    return status;
}

int tsr_placement_bind(const struct tsr_placement *placement, unsigned index)
{
    const hwloc_topology_t topology = placement->topology;

    const int real = hwloc_topology_is_thissystem(topology);

    if (placement->cores != NULL) /* on a foreign topology hwloc would bind nothing and say it did */
        return real ? hwloc_set_cpubind(topology, placement->cores[index],
                                        HWLOC_CPUBIND_THREAD | HWLOC_CPUBIND_STRICT)
                    : -1;
    /* A mask is a preference: an unusual system may refuse it, and the work is still right. */
    if (real)
        hwloc_set_cpubind(topology, placement->mask, HWLOC_CPUBIND_THREAD);
    return 0;
}

void tsr_placement_free(struct tsr_placement *placement)
{
    for (unsigned i = 0; placement->cores != NULL && i < placement->threads; i++)
        hwloc_bitmap_free(placement->cores[i]);
    free(placement->cores);
    hwloc_bitmap_free(placement->mask);
    if (placement->topology != NULL)
        hwloc_topology_destroy(placement->topology);
    memset(placement, 0, sizeof *placement);
}
