/*
 * topo.c: which cores there are, which of them to use, and why. The only file that knows hwloc.
 *
 * Default number of threads = performance cores that the process may use (its affinity mask and cpuset),
 * capped by the CPU-time quota of its cgroup, rounded down, at least one. One thread a core: a second
 * hardware thread adds nothing to code that is bound by memory or by the multipliers. Slower cores are left
 * out by default. They would help where arithmetic binds: with four at a third of the speed beside four fast
 * ones, a prompt takes about three quarters of the time in the simulation of tests/test_devices.c. But a token is
 * bound by memory, which the fast cores use up alone, and more threads make each of its barriers longer
 * and more likely to wait for a core that serves somebody else. Who mostly reads long prompts or pictures
 * says -t; the hand-out (chunk.h) then keeps slow cores from holding up the others.
 *
 * "Performance cores" are the most efficient-ranked kind of hwloc's cpukinds (by core type, capacity or
 * maximum frequency), with those that are nearly as fast; where hwloc knows no kinds, all cores are alike. A
 * synthetic description or an XML file replaces the machine in tests; then nothing is bound.
 *
 * NUMA: the memory policy is that of threads, not of areas, because it must hold for mapped files too: Linux takes
 * a page of the page cache by the policy of the thread that faults it in (or that reads the file), and ignores the
 * policy of a shared mapping. Binding is a preference to Linux (MPOL_PREFERRED_MANY or MPOL_PREFERRED): a model
 * that is larger than its node spills over instead of being killed. hwloc leaves out nodes with the same cores as
 * one before (numa=fake on a Raspberry Pi), so such a machine has one node, and the kernel's own policy stays.
 */
#include "pool.h"

#include <errno.h>
#include <hwloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RESERVE_BLOCKS = 64, RESERVE_BLOCK_BYTES = 64 << 10 };

/*
 * hwloc asserts, and so aborts, where an allocation of its own fails. So before it is called, memory for it is
 * made sure of: 4 MiB (it uses less than 1) are taken in blocks that stay in the heap, with a small one, the
 * lid, on top; when they are given back the lid keeps the heap from shrinking. NULL: there is not enough.
 */
static void *reserve_heap(void)
{
    void *volatile blocks[RESERVE_BLOCKS]; /* volatile: not optimized away */
    void *lid = NULL;
    int count = 0;

    while (count < RESERVE_BLOCKS && (blocks[count] = malloc(RESERVE_BLOCK_BYTES)) != NULL)
        count++;
    if (count == RESERVE_BLOCKS)
        lid = malloc(1);
    while (count > 0)
        free(blocks[--count]);
    return lid;
}

static tsr_status ask_hwloc(hwloc_topology_t *topology, const struct tsr_pool_options *options,
                            struct tsr_error *error)
{
    const char *source = options->topology;

    if (hwloc_topology_init(topology) != 0)
        return tsr_fail(error, TSR_MEMORY, "hwloc: no memory for the topology");
    /* cores outside the cpuset are found too, to be told; permitted() leaves them out */
    hwloc_topology_set_flags(*topology, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
    hwloc_topology_set_all_types_filter(*topology, HWLOC_TYPE_FILTER_KEEP_NONE);
    hwloc_topology_set_type_filter(*topology, HWLOC_OBJ_CORE, HWLOC_TYPE_FILTER_KEEP_ALL);
    /* a NUMA node has the cores of the object that it hangs below: without these, those of the machine */
    hwloc_topology_set_type_filter(*topology, HWLOC_OBJ_PACKAGE, HWLOC_TYPE_FILTER_KEEP_ALL);
    hwloc_topology_set_type_filter(*topology, HWLOC_OBJ_GROUP, HWLOC_TYPE_FILTER_KEEP_STRUCTURE);
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
        return tsr_fail(error, errno == ENOMEM ? TSR_MEMORY : TSR_IO,
                        "hwloc cannot read the topology: %s", strerror(errno));
    }
    return TSR_OK;
}

/*
 * The first time that hwloc reads a binding it counts the kernel's CPUs, in a way that does not bear an allocation that
 * fails: under emulation that was a crash. On x86 it has counted while it loaded; elsewhere it does here, with memory
 * made sure of. It keeps the count.
 */
static void count_cpus(hwloc_topology_t topology)
{
    hwloc_bitmap_t bound = hwloc_bitmap_alloc();

    if (bound != NULL && hwloc_topology_is_thissystem(topology))
        hwloc_get_cpubind(topology, bound, HWLOC_CPUBIND_THREAD);
    hwloc_bitmap_free(bound);
}

static tsr_status load_topology(hwloc_topology_t *topology, const struct tsr_pool_options *options,
                                struct tsr_error *error)
{
    void *const lid = reserve_heap();
    const tsr_status status = lid != NULL
                                  ? ask_hwloc(topology, options, error)
                                  : tsr_fail(error, TSR_MEMORY, "no memory to read the topology");

    if (status == TSR_OK)
        count_cpus(*topology);
    free(lid);
    return status;
}

/* A kind of core: who they are and how fast. */
struct kind {
    hwloc_bitmap_t set;
    int efficiency;            /* its rank; -1: hwloc has none */
    const char *type;          /* of an x86 hybrid, or NULL */
    double capacity, frequency; /* 0: unknown */
};

static int read_kind(hwloc_topology_t topology, int index, struct kind *kind)
{
    struct hwloc_info_s *infos = NULL;
    unsigned count = 0;

    kind->efficiency = -1;
    kind->type = NULL;
    kind->capacity = kind->frequency = 0;
    if (hwloc_cpukinds_get_info(topology, (unsigned)index, kind->set, &kind->efficiency, &count, &infos, 0) != 0)
        return -1;
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(infos[i].name, "CoreType") == 0)
            kind->type = infos[i].value;
        else if (strcmp(infos[i].name, "LinuxCapacity") == 0)
            kind->capacity = strtod(infos[i].value, NULL);
        else if (strcmp(infos[i].name, "FrequencyMaxMHz") == 0)
            kind->frequency = strtod(infos[i].value, NULL);
    }
    return 0;
}

/*
 * Cores of one design come as several kinds where silicon is sorted: an RK3588's A76 at 2304 and 2352 MHz, a
 * GB10's X925 with capacities from 997 to 1024, the favoured cores of a PC. Slower designs have 0.78 of the speed or
 * less (an i7-1370P's, a GB10's A725 0.71). So from 7/8 on cores count as equally fast.
 */
static int alike(const struct kind *kind, const struct kind *fastest)
{
    const int capacities = kind->capacity > 0 && fastest->capacity > 0;

    if (kind->type != fastest->type && (kind->type == NULL || fastest->type == NULL ||
                                        strcmp(kind->type, fastest->type) != 0))
        return 0;
    return capacities ? kind->capacity >= fastest->capacity * 7 / 8
                      : kind->frequency > 0 && kind->frequency >= fastest->frequency * 7 / 8;
}

/* PUs of the fastest cores; all of them where hwloc knows no kinds. */
static void fastest_cores(hwloc_topology_t topology, hwloc_bitmap_t set)
{
    int index = hwloc_cpukinds_get_nr(topology, 0) - 1;
    struct kind fastest = {.set = set}, kind = {.set = hwloc_bitmap_alloc()};

    if (index < 1 || kind.set == NULL || read_kind(topology, index, &fastest) != 0 || fastest.efficiency < 0)
        hwloc_bitmap_copy(set, hwloc_topology_get_topology_cpuset(topology));
    else
        while (--index >= 0 && read_kind(topology, index, &kind) == 0 && alike(&kind, &fastest))
            hwloc_bitmap_or(set, set, kind.set);
    hwloc_bitmap_free(kind.set);
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

/* ---- NUMA ------------------------------------------------------------------------------------------ */

enum { ANY_NODE = -1, NODES_MAX = 1 << 16 };

/* Reads options.numa: *node is a number after "bind:", or ANY_NODE. */
static tsr_status parse_numa(const char *text, enum tsr_numa *numa, int *node, struct tsr_error *error)
{
    static const char *const names[] = {"auto", "interleave", "bind"};
    unsigned long number;
    char *end;

    *numa = TSR_NUMA_AUTO;
    *node = ANY_NODE;
    if (text == NULL)
        return TSR_OK;
    for (int i = 0; i < 3; i++) {
        *numa = (enum tsr_numa)i;
        if (strcmp(text, names[i]) == 0)
            return TSR_OK;
    }
    if (strncmp(text, "bind:", 5) == 0 && text[5] >= '0' && text[5] <= '9') {
        number = strtoul(text + 5, &end, 10);
        *node = number < NODES_MAX ? (int)number : NODES_MAX;
        if (*end == '\0')
            return TSR_OK;
    }
    return tsr_fail(error, TSR_USAGE, "numa '%.40s': must be auto, interleave, bind or bind:NODE", text);
}

/* The next node whose memory may be used and that has cores of a set. */
static hwloc_obj_t next_node(hwloc_topology_t topology, hwloc_const_bitmap_t cores, hwloc_obj_t node)
{
    const hwloc_const_bitmap_t allowed = hwloc_topology_get_allowed_nodeset(topology);

    while ((node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, node)) != NULL)
        if (hwloc_bitmap_isset(allowed, node->os_index) && hwloc_bitmap_intersects(node->cpuset, cores))
            break;
    return node;
}

static void nodes_of(hwloc_topology_t topology, hwloc_const_bitmap_t cores, hwloc_bitmap_t nodes)
{
    hwloc_obj_t node = NULL;

    hwloc_bitmap_zero(nodes);
    while ((node = next_node(topology, cores, node)) != NULL)
        hwloc_bitmap_set(nodes, node->os_index);
}

/* The node to bind to: `wanted`, or that with the most of the cores `use`; NULL if there is none. */
static hwloc_obj_t choose_node(hwloc_topology_t topology, hwloc_const_bitmap_t use, hwloc_const_bitmap_t allowed,
                               int wanted)
{
    hwloc_bitmap_t there = hwloc_bitmap_alloc();
    hwloc_obj_t node = NULL, best = NULL;
    unsigned most = 0;

    while (there != NULL && (node = next_node(topology, allowed, node)) != NULL) {
        hwloc_bitmap_and(there, node->cpuset, use);
        const unsigned count = count_cores(topology, there);

        if (wanted == ANY_NODE ? count > most : (int)node->os_index == wanted) {
            best = node;
            most = count;
        }
    }
    hwloc_bitmap_free(there);
    return best;
}

/* The cores to use: the fast ones of those allowed; if none of them is fast, those. */
static void usable_cores(hwloc_const_bitmap_t fast, hwloc_const_bitmap_t allowed, hwloc_bitmap_t use)
{
    hwloc_bitmap_and(use, fast, allowed);
    if (hwloc_bitmap_iszero(use))
        hwloc_bitmap_copy(use, allowed);
}

/* Fills placement->nodes; with "bind" takes what is not on the node out of `allowed` and `mask`. */
static tsr_status place_memory(struct tsr_placement *placement, hwloc_const_bitmap_t fast, hwloc_bitmap_t allowed,
                               const char *text, int wanted, struct tsr_error *error)
{
    const hwloc_topology_t topology = placement->topology;
    hwloc_obj_t node;
    char list[80];

    nodes_of(topology, placement->mask, placement->nodes);
    if (hwloc_bitmap_iszero(placement->nodes)) /* cores here, memory there: a cpuset may say so */
        hwloc_bitmap_copy(placement->nodes, hwloc_topology_get_allowed_nodeset(topology));
    if (placement->numa != TSR_NUMA_BIND)
        return TSR_OK;
    node = choose_node(topology, placement->mask, allowed, wanted);
    if (node == NULL) {
        nodes_of(topology, allowed, placement->nodes);
        hwloc_bitmap_list_snprintf(list, sizeof list, placement->nodes);
        return tsr_fail(error, TSR_USAGE, "numa %.40s: this process may use memory and cores of NUMA nodes: %s",
                        text, list[0] != '\0' ? list : "none");
    }
    hwloc_bitmap_only(placement->nodes, node->os_index);
    hwloc_bitmap_and(allowed, allowed, node->cpuset);
    usable_cores(fast, allowed, placement->mask);
    return TSR_OK;
}

/* ---- what follows, in words ------------------------------------------------------------------------ */

static void explain_threads(struct tsr_topology *out, const struct tsr_placement *placement, hwloc_const_bitmap_t fast,
                            int asked, int by_quota)
{
    const unsigned slower = out->cores - out->performance;
    const int bound = placement->numa == TSR_NUMA_BIND && out->numa_nodes > 1;
    const int by_fast = hwloc_bitmap_intersects(placement->mask, fast);
    char *const why = out->why;
    const size_t room = sizeof out->why;

    if (asked)
        snprintf(why, room, "%u: as asked for", out->threads);
    else if (by_quota)
        snprintf(why, room, "%u: the cgroup grants the time of %d.%02d CPUs%s", out->threads, (int)out->quota,
                 (int)(out->quota * 100) % 100, out->quota < 1 ? "; one thread is the least" : ", rounded down");
    else if (bound)
        snprintf(why, room, "%u: one per%s core of NUMA node %d that this process may use", out->threads,
                 slower > 0 && by_fast ? " fast" : "", hwloc_bitmap_first(placement->nodes));
    else if (!by_fast)
        snprintf(why, room, "%u: this process may use none of the %u fast cores (affinity or cpuset)", out->threads,
                 out->performance);
    else if (out->usable < out->performance)
        snprintf(why, room, "%u: this process may use no more of the %u%s cores (affinity or cpuset)",
                 out->threads, out->performance, slower > 0 ? " fast" : "");
    else if (slower > 0)
        snprintf(why, room, "%u: one per fast core; with -t %u the %u slower ones help with long prompts",
                 out->threads, out->cores, slower);
    else
        snprintf(why, room, "%u: one per core", out->threads);
}

static void explain_memory(struct tsr_topology *out, const struct tsr_placement *placement)
{
    char list[80];

    hwloc_bitmap_list_snprintf(list, sizeof list, placement->nodes);
    if (out->numa_nodes < 2)
        snprintf(out->memory, sizeof out->memory, "one NUMA node: nothing to choose");
    else if (placement->numa == TSR_NUMA_BIND)
        snprintf(out->memory, sizeof out->memory, "on NUMA node %s, as the threads; what does not fit goes elsewhere",
                 list);
    else if (placement->numa == TSR_NUMA_INTERLEAVE)
        snprintf(out->memory, sizeof out->memory, "interleaved over NUMA nodes %s", list);
    else
        snprintf(out->memory, sizeof out->memory,
                 "each page on the NUMA node of the thread that touches it first (--numa: interleave or bind)");
}

/* ---- threads and their places ---------------------------------------------------------------------- */

/* Counts cores, decides on threads and nodes; placement->mask becomes the PUs to run on. */
static tsr_status decide(struct tsr_placement *placement, struct tsr_topology *out, hwloc_bitmap_t fast,
                         hwloc_bitmap_t allowed, const struct tsr_pool_options *options, struct tsr_error *error)
{
    const int synthetic = options->topology != NULL && options->cgroup_root == NULL;
    const hwloc_topology_t topology = placement->topology;
    unsigned by_quota;
    tsr_status status;
    int node;

    memset(out, 0, sizeof *out);
    status = parse_numa(options->numa, &placement->numa, &node, error);
    if (status != TSR_OK)
        return status;
    fastest_cores(topology, fast);
    permitted(topology, allowed);
    usable_cores(fast, allowed, placement->mask);
    status = place_memory(placement, fast, allowed, options->numa, node, error);
    if (status != TSR_OK)
        return status;
    out->cores = count_cores(topology, hwloc_topology_get_topology_cpuset(topology));
    out->performance = count_cores(topology, fast);
    out->usable = count_cores(topology, placement->mask);
    out->quota = synthetic ? 0 : tsr_cgroup_cpus(options->cgroup_root);
    out->numa_nodes = (unsigned)hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_NUMANODE);
    out->numa_used = (unsigned)hwloc_bitmap_weight(placement->nodes);
    read_caches(topology, placement->mask, out);

    by_quota = out->quota > 0 && out->quota < out->usable ? (unsigned)out->quota : out->usable;
    out->threads = by_quota > 0 ? by_quota : 1;
    if (options->threads > 0)
        out->threads = options->threads;
    explain_threads(out, placement, fast, options->threads > 0, by_quota < out->usable);
    explain_memory(out, placement);
    placement->threads = out->threads;
    placement->uneven = out->performance < out->cores && out->threads > out->usable;
    if (out->threads > out->usable && !options->pin) /* more than those: the system chooses */
        hwloc_bitmap_copy(placement->mask, allowed);
    hwloc_bitmap_list_snprintf(out->cpus, sizeof out->cpus, placement->mask);
    return TSR_OK;
}

/* One core per thread, in the order of the machine; round and round when threads outnumber cores. */
static tsr_status assign_cores(struct tsr_placement *placement, struct tsr_error *error)
{
    const hwloc_topology_t topology = placement->topology;
    const hwloc_obj_type_t type = core_type(topology);
    hwloc_obj_t core = NULL;

    if (count_cores(topology, placement->mask) == 0)
        return tsr_fail(error, TSR_USAGE, "no core is known that this process may use: threads cannot be pinned");
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
    hwloc_bitmap_t fast, allowed;
    hwloc_topology_t topology;
    tsr_status status;

    memset(placement, 0, sizeof *placement);
    status = load_topology(&topology, options, error);
    if (status != TSR_OK)
        return status;
    placement->topology = topology;
    placement->mask = hwloc_bitmap_alloc();
    placement->nodes = hwloc_bitmap_alloc();
    fast = hwloc_bitmap_alloc();
    allowed = hwloc_bitmap_alloc();
    if (placement->mask != NULL && placement->nodes != NULL && fast != NULL && allowed != NULL)
        status = decide(placement, out, fast, allowed, options, error);
    else
        status = tsr_fail(error, TSR_MEMORY, "hwloc: no memory for a set of cores");
    hwloc_bitmap_free(fast);
    hwloc_bitmap_free(allowed);
    if (status == TSR_OK && options->pin)
        status = assign_cores(placement, error);
    if (status != TSR_OK)
        tsr_placement_free(placement);
    return status;
}

tsr_status tsr_topology_read(struct tsr_topology *out, const struct tsr_pool_options *options, struct tsr_error *error)
{
    struct tsr_pool_options unpinned = {0};
    struct tsr_placement placement;
    tsr_status status;

    if (options != NULL)
        unpinned = *options;
    unpinned.pin = 0;
    status = tsr_placement_make(&placement, out, &unpinned, error);
    if (status == TSR_OK)
        tsr_placement_free(&placement);
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

int tsr_placement_memory(const struct tsr_placement *placement)
{
    const hwloc_membind_policy_t policies[] = {
        [TSR_NUMA_AUTO] = HWLOC_MEMBIND_DEFAULT,
        [TSR_NUMA_INTERLEAVE] = HWLOC_MEMBIND_INTERLEAVE,
        [TSR_NUMA_BIND] = HWLOC_MEMBIND_BIND,
    };

    if (!hwloc_topology_is_thissystem(placement->topology))
        return 0;
    return hwloc_set_membind(placement->topology, placement->nodes, policies[placement->numa],
                             HWLOC_MEMBIND_THREAD | HWLOC_MEMBIND_BYNODESET) == 0
               ? 0
               : errno;
}

void tsr_placement_free(struct tsr_placement *placement)
{
    for (unsigned i = 0; placement->cores != NULL && i < placement->threads; i++)
        hwloc_bitmap_free(placement->cores[i]);
    free(placement->cores);
    hwloc_bitmap_free(placement->mask);
    hwloc_bitmap_free(placement->nodes);
    if (placement->topology != NULL)
        hwloc_topology_destroy(placement->topology);
    memset(placement, 0, sizeof *placement);
}
