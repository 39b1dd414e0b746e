/*
 * test_devices.c: threads that suit devices that are not here: which cores of a board, a hybrid PC,
 * a server or a container are used and what is said about it, and how long a token and a prompt
 * take when cores are unequal.
 *
 * Topologies are XML files as hwloc records them (tests/topologies, sources in its README.md): a GB10, an
 * i7-1370P, an Arm server and a dual Xeon were recorded by hwloc, an RK3588 and a Raspberry Pi 5 were written down from
 * recorded text; an i5-12600K is by hand, as are the cpusets and the cores that were taken away. Memory policies
 * are those of this machine, where its kernel has them. Times are simulated: workers with given speeds,
 * joining in any order and late by a hand-off, take chunks by the pool's own
 * policy (kernels/par/chunk.h) from the operators of Janus-Pro-1B, whose units and costs are below.
 * The simulation knows no clock, so it says the same on every machine.
 */
#include <criterion/criterion.h>

#include "par.h"
#include "par/chunk.h"
#include "par/pool.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/mempolicy.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- unequal cores --------------------------------------------------------------------------- */

/* An operator: units, the cost of one (k of a panel's dot, say), how often it runs. Rising: unit i
 * costs (i + 1) / units of twice that, as causal attention within a head. */
struct work {
    const char *name;
    size_t units;
    double cost;
    unsigned times;
    int rising;
};

/* Janus-Pro-1B: width 2048, 24 layers, 16 heads, MLP 5632, vocabulary 102400. Costs: multiply-adds
 * of a row. */
static const struct work token[] = {
    {"norm", 1, 2048, 49, 0},
    {"q, k, v, o", 128, 2048 * 16, 96, 0},
    {"attention", 16, 128 * 600, 24, 0},
    {"gate, up", 352, 2048 * 16, 48, 0},
    {"down", 128, 5632 * 16, 24, 0},
    {"head", 6400, 2048 * 16, 1, 0},
};

/* The same for 576 rows at once; and the picture decoder's convolutions, whose units are rows, or 128 outputs of one. */
static const struct work prompt[] = {
    {"norm", 576, 2048, 49, 0},
    {"q, k, v, o", 128, 2048 * 16 * 576.0, 96, 0},
    {"attention", 576, 128 * 16 * 576.0, 24, 1},
    {"gate, up", 352, 2048 * 16 * 576.0, 48, 0},
    {"down", 128, 5632 * 16 * 576.0, 24, 0},
    {"conv 48x48", 4 * 48, 9 * 512 * 128 * 48.0, 20, 0},
    {"conv 192x192", 192, 9 * 256 * 256 * 192.0, 5, 0},
    {"conv 384x384", 384, 9 * 128 * 128 * 384.0, 6, 0},
};

enum { CORES_MAX = 16, ORDERS = 12 };

static double unit_cost(const struct work *w, size_t unit)
{
    return w->rising ? w->cost * 2 * (double)(unit + 1) / (double)(w->units + 1) : w->cost;
}

struct range {
    size_t begin, end;
};

static size_t left(const struct range *r)
{
    return r->end - r->begin;
}

/* The next chunk of worker i: from its own range, which it refills from the fullest; empty: none is
 * left. */
static struct range next_chunk(struct range *ranges, unsigned workers, unsigned i, int uneven)
{
    struct range *const own = &ranges[i];

    if (left(own) == 0) {
        struct range *fullest = own;
        for (unsigned j = 0; j < workers; j++)
            fullest = left(&ranges[j]) > left(fullest) ? &ranges[j] : fullest;
        const size_t size = tsr_tail(left(fullest)), end = fullest->end;
        fullest->end -= size;
        *own = (struct range){end - size, end};
    }
    if (left(own) == 0)
        return *own;
    const size_t size = tsr_front(left(own), uneven);
    own->begin += size;
    return (struct range){own->begin - size, own->begin};
}

/* The time until all is done; start[i]: when worker i joins. */
static double simulate(const struct work *w, const double *speed, const double *start,
                       unsigned workers, int uneven)
{
    struct range ranges[CORES_MAX];
    double at[CORES_MAX], end = 0;

    memcpy(at, start, workers * sizeof *at);
    for (unsigned i = 0; i < workers; i++)
        ranges[i] =
            (struct range){tsr_share(w->units, workers, i), tsr_share(w->units, workers, i + 1)};
    for (size_t done = 0; done < w->units;) {
        unsigned first = 0;
        for (unsigned i = 1; i < workers; i++)
            first = at[i] < at[first] ? i : first;
        const struct range chunk = next_chunk(ranges, workers, first, uneven);
        for (size_t unit = chunk.begin; unit < chunk.end; unit++)
            at[first] += unit_cost(w, unit) / speed[first];
        done += left(&chunk);
        end = at[first] > end ? at[first] : end;
    }
    return end;
}

/* `big` cores of speed 1 and `little` ones of speed 1 / ratio; the worst of several orders of
 * arrival. */
static double worst_time(const struct work *w, unsigned big, unsigned little, double ratio)
{
    const unsigned workers = big + little;
    double speed[CORES_MAX], start[CORES_MAX], worst = 0;
    uint32_t random = 1;

    for (unsigned i = 0; i < workers; i++)
        speed[i] = i < big ? 1 : 1 / ratio;
    for (unsigned order = 0; order < ORDERS; order++) {
        for (unsigned i = 0; i < workers;
             i++) { /* a hand-off of up to two hundredths of the work */
            random = random * 1664525 + 1013904223;
            start[i] = order == 0   ? 0
                       : order == 1 ? (i < big ? 1e-6 : 0) * w->cost
                                    : (double)(random >> 16) / 65536 * 0.02 * w->cost *
                                          (double)w->units / workers;
        }
        const double time = simulate(w, speed, start, workers, little > 0 && big > 0);
        worst = time > worst ? time : worst;
    }
    return worst;
}

static double total(const struct work *w, size_t count, unsigned big, unsigned little, double ratio)
{
    double sum = 0;

    for (size_t i = 0; i < count; i++) /* one unit runs on the caller, which is on a fast core */
        sum += w[i].times * (w[i].units == 1 ? w[i].cost : worst_time(&w[i], big, little, ratio));
    return sum;
}

static void check_job(const char *name, const struct work *w, size_t count, unsigned big,
                      unsigned little, double ratio)
{
    const double capacity = big + little / ratio;
    double ideal = 0;

    for (size_t i = 0; i < count; i++) {
        const double best = w[i].cost * (double)w[i].units / capacity;
        const double time = worst_time(&w[i], big, little, ratio);
        ideal += w[i].times * best;
        if (w[i].units >= 8 * (big + little)) /* fewer cannot be divided so finely by anybody */
            cr_expect_leq(time, 1.10 * best, "%s, %s on %u+%u at 1:%.1f: %.3f of ideal", name,
                          w[i].name, big, little, ratio, time / best);
    }
    const double time = total(w, count, big, little, ratio);
    cr_expect_leq(time, 1.10 * ideal, "%s on %u+%u at 1:%.1f: %.3f of ideal", name, big, little,
                  ratio, time / ideal);
}

Test(devices, unequal_cores_finish_together)
{
    static const struct {
        unsigned big, little;
        double ratio;
    } machines[] = {{4, 4, 3}, {4, 4, 2},   {4, 4, 2.5}, {4, 4, 3.5},
                    {2, 6, 3}, {6, 4, 1.7}, {4, 0, 1},   {2, 0, 1}};

    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
        check_job("a token", token, sizeof token / sizeof *token, machines[i].big,
                  machines[i].little, machines[i].ratio);
        check_job("a prompt", prompt, sizeof prompt / sizeof *prompt, machines[i].big,
                  machines[i].little, machines[i].ratio);
    }
}

/* What kernels/par/topo.c says about slower cores: they help a prompt. */
Test(devices, little_cores_help_a_prompt)
{
    const size_t count = sizeof prompt / sizeof *prompt;
    const double with = total(prompt, count, 4, 4, 3), without = total(prompt, count, 4, 0, 1);

    cr_assert_lt(with, 0.79 * without, "%.3f of the time without", with / without);
    cr_assert_gt(with, 0.74 * without, "faster than all cores together: %.3f", with / without);
}

/* Equal shares, the usual way, must fail the same simulation: it can tell. */
Test(devices, the_simulation_can_tell)
{
    const struct work w = {"equal shares", 8, 44, 1, 0}; /* eight units on eight cores: one each */

    cr_assert_gt(worst_time(&w, 4, 4, 3), 1.5 * 8 * 44 / (4 + 4 / 3.0));
}

/* ---- topologies ------------------------------------------------------------------------------ */

struct device {
    const char *file, *quota; /* cpu.max of the cgroup, or NULL */
    unsigned cores, performance, usable, nodes, threads;
    const char *why;
};

static const struct device devices[] = {
    {"pi5.xml", NULL, 4, 4, 4, 1, 4, "4: one per core"},
    {"pi5-cpuset.xml", NULL, 4, 4, 2, 1, 2, "2: this process may use no more of the 4 cores (affinity or cpuset)"},
    {"pi5.xml", "150000 100000\n", 4, 4, 4, 1, 1, "1: the cgroup grants the time of 1.50 CPUs, rounded down"},
    {"pi5.xml", "50000 100000\n", 4, 4, 4, 1, 1, "1: the cgroup grants the time of 0.50 CPUs; one thread is the least"},
    /* its big cores are two kinds to hwloc */
    {"rk3588.xml", NULL, 8, 4, 4, 1, 4, "4: one per fast core; with -t 8 the 4 slower ones help with long prompts"},
    {"rk3588-unplugged.xml", NULL, 6, 2, 2, 1, 2,
     "2: one per fast core; with -t 6 the 4 slower ones help with long prompts"},
    {"rk3588-little.xml", NULL, 8, 4, 2, 1, 2, "2: this process may use none of the 4 fast cores (affinity or cpuset)"},
    /* five kinds, of which three are fast */
    {"gb10.xml", NULL, 20, 10, 10, 1, 10,
     "10: one per fast core; with -t 20 the 10 slower ones help with long prompts"},
    {"alderlake.xml", NULL, 10, 6, 6, 1, 6,
     "6: one per fast core; with -t 10 the 4 slower ones help with long prompts"},
    {"i7-1370p.xml", NULL, 14, 6, 6, 1, 6, "6: one per fast core; with -t 14 the 8 slower ones help with long prompts"},
    {"xeon2.xml", NULL, 16, 16, 16, 2, 16, "16: one per core"},
    {"xeon2.xml", "150000 100000\n", 16, 16, 16, 2, 1, "1: the cgroup grants the time of 1.50 CPUs, rounded down"},
    {"xeon2.xml", "1200000 100000\n", 16, 16, 16, 2, 12, "12: the cgroup grants the time of 12.00 CPUs, rounded down"},
    {"arm128.xml", NULL, 128, 128, 128, 4, 128, "128: one per core"},
};

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[512];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    cr_assert(file != NULL, "%s", path);
    fputs(text, file);
    fclose(file);
}

static void name_topology(char *path, size_t room, const char *file)
{
    const char *source = getenv("TSR_SRCDIR");

    snprintf(path, room, "%s/tests/topologies/%s", source != NULL ? source : ".", file);
}

Test(devices, what_is_used_and_why)
{
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        const struct device *d = &devices[i];
        char folder[] = "/tmp/tessera-cgroup-XXXXXX", path[512];
        struct tsr_pool_options options = {.topology = path};
        struct tsr_topology found;
        struct tsr_error error = {.message = ""};

        name_topology(path, sizeof path, d->file);
        if (d->quota != NULL) {
            char command[64];
            cr_assert(mkdtemp(folder) != NULL);
            write_file(folder, "self.cgroup", "0::/\n");
            write_file(folder, "cpu.max", d->quota);
            options.cgroup_root = folder;
            cr_assert_eq(tsr_topology_read(&found, &options, &error), TSR_OK, "%s", error.message);
            snprintf(command, sizeof command, "rm -r %s", folder);
            cr_assert_eq(system(command), 0);
        } else {
            cr_assert_eq(tsr_topology_read(&found, &options, &error), TSR_OK, "%s", error.message);
        }
        cr_expect_eq(found.cores, d->cores, "%s: cores %u", d->file, found.cores);
        cr_expect_eq(found.performance, d->performance, "%s: performance %u", d->file,
                     found.performance);
        cr_expect_eq(found.usable, d->usable, "%s: usable %u", d->file, found.usable);
        cr_expect_eq(found.numa_nodes, d->nodes, "%s: nodes %u", d->file, found.numa_nodes);
        cr_expect_eq(found.threads, d->threads, "%s: threads %u", d->file, found.threads);
        cr_expect_str_eq(found.why, d->why, "%s: %s", d->file, found.why);
    }
}

/* ---- NUMA -------------------------------------------------------------------------------------- */

static const char first_touch[] =
    "each page on the NUMA node of the thread that touches it first (--numa: interleave or bind)";

static const struct numa_case {
    const char *file;    /* or a synthetic description */
    const char *allowed; /* what the head of the file says is allowed instead, or NULL */
    const char *numa;
    unsigned asked; /* threads */
    unsigned used, usable, threads;
    const char *cpus, *memory, *why; /* why NULL: refused, with `memory` in the message */
} numa_cases[] = {
    {"xeon2.xml", NULL, NULL, 0, 2, 16, 16, "0-31", first_touch, "16: one per core"},
    {"xeon2.xml", NULL, "auto", 0, 2, 16, 16, "0-31", first_touch, "16: one per core"},
    {"xeon2.xml", NULL, "interleave", 0, 2, 16, 16, "0-31", "interleaved over NUMA nodes 0-1", "16: one per core"},
    {"xeon2.xml", NULL, "bind", 0, 1, 8, 8, "0-7,16-23",
     "on NUMA node 0, as the threads; what does not fit goes elsewhere",
     "8: one per core of NUMA node 0 that this process may use"},
    {"xeon2.xml", NULL, "bind:1", 0, 1, 8, 8, "8-15,24-31",
     "on NUMA node 1, as the threads; what does not fit goes elsewhere",
     "8: one per core of NUMA node 1 that this process may use"},
    {"xeon2.xml", NULL, "bind:1", 20, 1, 8, 20, "8-15,24-31",
     "on NUMA node 1, as the threads; what does not fit goes elsewhere", "20: as asked for"},
    {"xeon2.xml", NULL, "bind:2", 0, 0, 0, 0, NULL, "cores of NUMA nodes: 0-1", NULL},
    /* affinity or cpuset: two cores of node 0 and all of node 1; node 1 alone; cores of one, memory of the other */
    {"xeon2.xml", "cpuset=\"0xff03ff03\"", "bind", 0, 1, 8, 8, "8-15,24-31",
     "on NUMA node 1, as the threads; what does not fit goes elsewhere",
     "8: one per core of NUMA node 1 that this process may use"},
    {"xeon2.xml", "cpuset=\"0xff03ff03\"", "bind:0", 0, 1, 2, 2, "0-1,16-17",
     "on NUMA node 0, as the threads; what does not fit goes elsewhere",
     "2: one per core of NUMA node 0 that this process may use"},
    {"xeon2.xml", "cpuset=\"0xff03ff03\"", "interleave", 0, 2, 10, 10, "0-1,8-17,24-31",
     "interleaved over NUMA nodes 0-1", "10: this process may use no more of the 16 cores (affinity or cpuset)"},
    {"xeon2.xml", "cpuset=\"0xff00ff00\"", "interleave", 0, 1, 8, 8, "8-15,24-31", "interleaved over NUMA nodes 1",
     "8: this process may use no more of the 16 cores (affinity or cpuset)"},
    {"xeon2.xml", "cpuset=\"0xff00ff00\"", "bind:0", 0, 0, 0, 0, NULL, "cores of NUMA nodes: 1", NULL},
    {"xeon2.xml", "nodeset=\"0x00000002\"", "interleave", 0, 1, 16, 16, "0-31", "interleaved over NUMA nodes 1",
     "16: one per core"},
    {"xeon2.xml", "nodeset=\"0x00000002\"", "bind", 0, 1, 8, 8, "8-15,24-31",
     "on NUMA node 1, as the threads; what does not fit goes elsewhere",
     "8: one per core of NUMA node 1 that this process may use"},
    {"xeon2.xml", "nodeset=\"0x00000000\"", "bind", 0, 0, 0, 0, NULL, "cores of NUMA nodes: none", NULL},
    /* a node that is a package, with several L3 or without; half a package */
    {"pack:2 [numa] l3:2 core:4 pu:1", NULL, "bind:1", 0, 1, 8, 8, "8-15",
     "on NUMA node 1, as the threads; what does not fit goes elsewhere",
     "8: one per core of NUMA node 1 that this process may use"},
    {"pack:2 [numa] core:4 pu:2", NULL, "bind:1", 0, 1, 4, 4, "8-15",
     "on NUMA node 1, as the threads; what does not fit goes elsewhere",
     "4: one per core of NUMA node 1 that this process may use"},
    {"pack:2 group:2 [numa] core:4 pu:1", NULL, "bind:3", 0, 1, 4, 4, "12-15",
     "on NUMA node 3, as the threads; what does not fit goes elsewhere",
     "4: one per core of NUMA node 3 that this process may use"},
    {"arm128.xml", NULL, "interleave", 0, 4, 128, 128, "0-127", "interleaved over NUMA nodes 0-3", "128: one per core"},
    {"arm128.xml", NULL, "bind:3", 0, 1, 32, 32, "96-127",
     "on NUMA node 3, as the threads; what does not fit goes elsewhere",
     "32: one per core of NUMA node 3 that this process may use"},
    /* one node */
    {"gb10.xml", NULL, "interleave", 0, 1, 10, 10, "5-9,15-19", "one NUMA node: nothing to choose",
     "10: one per fast core; with -t 20 the 10 slower ones help with long prompts"},
    {"rk3588.xml", NULL, "bind", 0, 1, 4, 4, "4-7", "one NUMA node: nothing to choose",
     "4: one per fast core; with -t 8 the 4 slower ones help with long prompts"},
    {"rk3588-unplugged.xml", NULL, "bind:0", 6, 1, 2, 6, "0-4,6", "one NUMA node: nothing to choose",
     "6: as asked for"},
    {"pi5.xml", NULL, "bind:1", 0, 0, 0, 0, NULL, "cores of NUMA nodes: 0", NULL},
    /* no mode */
    {"xeon2.xml", NULL, "", 0, 0, 0, 0, NULL, "must be auto, interleave, bind or bind:NODE", NULL},
    {"xeon2.xml", NULL, "distribute", 0, 0, 0, 0, NULL, "must be auto, interleave, bind or bind:NODE", NULL},
    {"xeon2.xml", NULL, "bind:", 0, 0, 0, 0, NULL, "must be auto, interleave, bind or bind:NODE", NULL},
    {"xeon2.xml", NULL, "bind:-1", 0, 0, 0, 0, NULL, "must be auto, interleave, bind or bind:NODE", NULL},
    {"xeon2.xml", NULL, "bind:1,0", 0, 0, 0, 0, NULL, "must be auto, interleave, bind or bind:NODE", NULL},
    {"xeon2.xml", NULL, "bind:4294967296", 0, 0, 0, 0, NULL, "cores of NUMA nodes: 0-1", NULL},
};

/* A copy of a topology in which `allowed`, as `cpuset="0x..."`, replaces what the head says. */
static void restrict_topology(const char *path, const char *allowed, char copy[64])
{
    static char text[1 << 17];
    char key[32];
    FILE *in = fopen(path, "r"), *out;
    const size_t bytes = in != NULL ? fread(text, 1, sizeof text - 1, in) : 0;

    cr_assert(bytes > 0 && bytes < sizeof text - 1, "%s", path);
    fclose(in);
    text[bytes] = '\0';
    snprintf(key, sizeof key, " allowed_%.*s", (int)strcspn(allowed, "0"), allowed);
    char *const at = strstr(text, key);
    cr_assert_not_null(at, "%s: no %s", path, key);
    snprintf(copy, 64, "/tmp/tessera-topology-%d.xml", (int)getpid());
    cr_assert_not_null(out = fopen(copy, "w"));
    fprintf(out, "%.*s allowed_%s%s", (int)(at - text), text, allowed, strchr(at + strlen(key), '"') + 1);
    fclose(out);
}

Test(devices, numa_says_which_cores_and_whose_memory)
{
    for (size_t i = 0; i < sizeof numa_cases / sizeof *numa_cases; i++) {
        const struct numa_case *c = &numa_cases[i];
        char path[512], copy[64] = "";
        struct tsr_pool_options options = {.threads = c->asked, .numa = c->numa, .topology = path};
        struct tsr_topology found;
        struct tsr_error error = {.message = ""};

        if (strstr(c->file, ".xml") != NULL)
            name_topology(path, sizeof path, c->file);
        else
            options.topology = c->file;
        if (c->allowed != NULL) {
            restrict_topology(path, c->allowed, copy);
            options.topology = copy;
        }
        const tsr_status status = tsr_topology_read(&found, &options, &error);
        if (copy[0] != '\0')
            unlink(copy);
        if (c->why == NULL) {
            cr_expect_eq(status, TSR_USAGE, "case %zu", i);
            cr_expect(strstr(error.message, c->memory) != NULL, "case %zu: %s", i, error.message);
            continue;
        }
        cr_assert_eq(status, TSR_OK, "case %zu: %s", i, error.message);
        cr_expect_eq(found.numa_used, c->used, "case %zu: %u nodes used", i, found.numa_used);
        cr_expect_eq(found.usable, c->usable, "case %zu: %u cores usable", i, found.usable);
        cr_expect_eq(found.threads, c->threads, "case %zu: %u threads", i, found.threads);
        cr_expect_str_eq(found.cpus, c->cpus, "case %zu: CPUs %s", i, found.cpus);
        cr_expect_str_eq(found.memory, c->memory, "case %zu: %s", i, found.memory);
        cr_expect_str_eq(found.why, c->why, "case %zu: %s", i, found.why);
    }
}

/* The memory policy of the calling thread: its mode, and its nodes as bits; mode -1: this kernel has none. */
struct policy {
    int mode;
    uint64_t nodes[16];
};

static struct policy policy_now(void)
{
    struct policy now = {.mode = -1};

    if (syscall(SYS_get_mempolicy, &now.mode, now.nodes, 8 * sizeof now.nodes, NULL, 0) != 0)
        now.mode = -1;
    return now;
}

static int policy_can_be_set(void)
{
    return syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0) == 0 && policy_now().mode == MPOL_DEFAULT;
}

static int is_wanted(int mode, enum tsr_numa numa)
{
    return numa == TSR_NUMA_INTERLEAVE ? mode == MPOL_INTERLEAVE
           : numa == TSR_NUMA_BIND     ? mode == MPOL_PREFERRED || mode == MPOL_PREFERRED_MANY
                                       : mode == MPOL_DEFAULT;
}

/* How many of `pages` fresh pages lie on each node. */
enum { PAGES_MAX = 64 };

static void touch_pages(size_t pages, unsigned on[1024])
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *addresses[PAGES_MAX];
    int nodes[PAGES_MAX];
    char *memory = mmap(NULL, pages * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    cr_assert_neq(memory, MAP_FAILED);
    madvise(memory, pages * page, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < pages; i++) {
        addresses[i] = memory + i * page;
        memory[i * page] = 1;
    }
    cr_assert_eq(syscall(SYS_move_pages, 0, (unsigned long)pages, addresses, NULL, nodes, 0), 0);
    memset(on, 0, 1024 * sizeof *on);
    for (size_t i = 0; i < pages; i++) {
        cr_assert(nodes[i] >= 0 && nodes[i] < 1024, "page %zu: %d", i, nodes[i]);
        on[nodes[i]]++;
    }
    munmap(memory, pages * page);
}

/* Each page on a node of the policy; interleaved, each node has its share of them. */
Test(devices, memory_goes_where_numa_says)
{
    static const struct {
        const char *text;
        enum tsr_numa numa;
    } modes[] = {{"interleave", TSR_NUMA_INTERLEAVE}, {"bind", TSR_NUMA_BIND}};

    if (!policy_can_be_set())
        cr_skip_test("this kernel has no memory policies, or refuses them");
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        const struct tsr_pool_options options = {.numa = modes[i].text};
        struct tsr_placement placement;
        struct tsr_topology found;
        struct tsr_error error = {.message = ""};
        unsigned on[1024], nodes = 0;

        cr_assert_eq(tsr_placement_make(&placement, &found, &options, &error), TSR_OK, "%s", error.message);
        cr_assert_eq(placement.numa, modes[i].numa);
        cr_assert_eq(tsr_placement_memory(&placement), 0);
        tsr_placement_free(&placement);
        const struct policy now = policy_now();
        cr_assert(is_wanted(now.mode, modes[i].numa), "%s: mode %d", modes[i].text, now.mode);
        touch_pages(PAGES_MAX, on);
        for (unsigned node = 0; node < 1024; node++) {
            const int wanted = (int)(now.nodes[node / 64] >> node % 64 & 1);
            const unsigned share = wanted ? PAGES_MAX / found.numa_used : 0;

            nodes += (unsigned)wanted;
            cr_expect(on[node] >= share && on[node] <= share + wanted, "%s: %u of %d pages on node %u, which %s",
                      modes[i].text, on[node], PAGES_MAX, node, wanted ? "is in the policy" : "is not");
        }
        cr_expect_eq(nodes, found.numa_used, "%s: %u nodes", modes[i].text, nodes);
    }
}

static void look_at_policy(const void *args, size_t begin, size_t end)
{
    int *const modes = *(int *const *)args;

    for (size_t i = begin; i < end; i++)
        modes[i] = policy_now().mode;
}

/* Caller and workers have the policy; with one node nobody has. */
Test(devices, threads_of_a_pool_share_the_policy)
{
    static const char *const texts[] = {"auto", "interleave", "bind"};

    if (!policy_can_be_set())
        cr_skip_test("this kernel has no memory policies, or refuses them");
    for (int numa = 0; numa < 3; numa++) {
        const struct tsr_pool_options options = {.threads = 4, .numa = texts[numa]};
        struct tsr_topology found;
        struct tsr_error error = {.message = ""};
        int seen[64], *modes = seen;
        tsr_pool *pool;

        cr_assert_eq(tsr_topology_read(&found, &options, &error), TSR_OK, "%s", error.message);
        cr_assert_eq(tsr_pool_new(&pool, &options, &error), TSR_OK, "%s", error.message);
        cr_assert_eq(tsr_pool_numa(pool), 0);
        tsr_pool_run(pool, look_at_policy, &modes, 64);
        tsr_pool_free(pool);
        for (int i = 0; i < 64; i++)
            cr_expect(is_wanted(seen[i], found.numa_nodes > 1 ? (enum tsr_numa)numa : TSR_NUMA_AUTO), "%s: mode %d",
                      texts[numa], seen[i]);
    }
}

/* As in a container whose seccomp filter lacks the call: the errno comes back, and nothing else happens. */
Test(devices, a_policy_may_be_refused)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_set_mempolicy, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
    const struct tsr_pool_options options = {.numa = "interleave"};
    struct tsr_placement placement;
    struct tsr_topology found;
    struct tsr_error error = {.message = ""};
    tsr_pool *pool;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        cr_skip_test("no seccomp filters here");
    cr_assert_eq(tsr_placement_make(&placement, &found, &options, &error), TSR_OK, "%s", error.message);
    cr_expect_eq(tsr_placement_memory(&placement), EPERM);
    tsr_placement_free(&placement);
    cr_assert_eq(tsr_pool_new(&pool, &options, &error), TSR_OK, "%s", error.message);
    cr_expect_eq(tsr_pool_numa(pool), found.numa_nodes > 1 ? EPERM : 0);
    tsr_pool_free(pool);
}
