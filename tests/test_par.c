/*
 * test_par.c: the pool hands out every unit once, to whoever is there; the default number of
 * threads follows topology, affinity and quota.
 *
 * Topologies are synthetic hwloc descriptions and small recorded XML files; quotas are folders that
 * look like /proc/self/cgroup and the cgroup tree. Uneven cores are simulated by workers that take
 * a unit's time asleep, so the test says something on any machine, however many cores it has.
 */
#include <criterion/criterion.h>

#include "par.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

struct counts {
    _Atomic unsigned char *hits;
};

static void count_units(const void *args, size_t begin, size_t end)
{
    const struct counts *counts = args;

    for (size_t i = begin; i < end; i++)
        atomic_fetch_add(&counts->hits[i], 1);
}

static tsr_pool *make_pool(unsigned threads)
{
    const struct tsr_pool_options options = {.threads = threads};
    struct tsr_error error;
    tsr_pool *pool;

    cr_assert_eq(tsr_pool_new(&pool, &options, &error), TSR_OK, "%s", error.message);
    cr_assert_eq(tsr_pool_threads(pool), threads);
    return pool;
}

static void check_coverage(tsr_pool *pool, size_t units)
{
    struct counts counts = {calloc(units + 1, 1)};

    tsr_pool_run(pool, count_units, &counts, units);
    for (size_t i = 0; i < units; i++)
        cr_assert_eq(counts.hits[i], 1, "unit %zu of %zu ran %d times", i, units, counts.hits[i]);
    cr_assert_eq(counts.hits[units], 0, "a unit past the end ran");
    free((void *)counts.hits);
}

Test(par, every_unit_runs_once)
{
    check_coverage(NULL, 7);
    for (unsigned threads = 1; threads <= 7; threads++) {
        tsr_pool *pool = make_pool(threads);

        for (size_t units = 0; units < 40; units++)
            check_coverage(pool, units);
        check_coverage(pool, 100000);
        tsr_pool_free(pool);
    }
}

Test(par, survives_idle_workers_and_many_short_jobs)
{
    tsr_pool *pool = make_pool(3);

    for (int i = 0; i < 50; i++) {
        check_coverage(pool, 5);
        if (i % 10 == 0)
            usleep(2000); /* workers fall asleep */
    }
    for (int i = 0; i < 20000; i++) {
        _Atomic unsigned char hits[3] = {0};
        struct counts counts = {hits};

        tsr_pool_run(pool, count_units, &counts, 3);
        cr_assert(hits[0] == 1 && hits[1] == 1 && hits[2] == 1, "job %d", i);
    }
    tsr_pool_free(pool);
}

static void *call_often(void *pool)
{
    for (int i = 0; i < 2000; i++)
        check_coverage(pool, 17);
    return NULL;
}

Test(par, callers_take_turns)
{
    tsr_pool *pool = make_pool(2);
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, call_often, pool), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    tsr_pool_free(pool);
}

#if defined(__x86_64__)
static void note_mxcsr(const void *args, size_t begin, size_t end)
{
    _Atomic unsigned *seen = *(_Atomic unsigned *const *)args;

    for (size_t i = begin; i < end; i++)
        atomic_fetch_or(seen, (_mm_getcsr() & 0xffc0) != 0x1f80);
}

Test(par, floating_point_environment_is_default_inside_and_restored)
{
    _Atomic unsigned seen = 0;
    _Atomic unsigned *args = &seen;
    tsr_pool *pool = make_pool(2);
    const unsigned odd = 0x9fc0 | 0x6000; /* flush to zero, denormals are zero, round toward zero */

    _mm_setcsr(odd);
    tsr_pool_run(pool, note_mxcsr, &args, 64);
    tsr_pool_run(pool, note_mxcsr, &args, 1);
    cr_assert_eq(_mm_getcsr() & 0xffc0u, odd & 0xffc0u);
    _mm_setcsr(0x1f80);
    cr_assert_eq(seen, 0);
    tsr_pool_free(pool);
}
#endif

Test(par, child_of_a_fork_can_run_and_free)
{
    tsr_pool *pool = make_pool(3);
    int state;
    pid_t child;

    check_coverage(pool, 30);
    child = fork();
    if (child == 0) {
        check_coverage(pool, 30);
        tsr_pool_free(pool);
        _exit(0);
    }
    waitpid(child, &state, 0);
    cr_assert(WIFEXITED(state) && WEXITSTATUS(state) == 0);
    check_coverage(pool, 30);
    tsr_pool_free(pool);
}

Test(par, pinning_binds_or_fails)
{
    const struct tsr_pool_options options = {.threads = 1, .pin = 1};
    const struct tsr_pool_options synthetic = {.threads = 2, .pin = 1, .topology = "core:64 pu:1"};
    struct tsr_error error;
    tsr_pool *pool;
    cpu_set_t set;

    cr_assert_eq(tsr_pool_new(&pool, &options, &error), TSR_OK, "%s", error.message);
    cr_assert_eq(sched_getaffinity(0, sizeof set, &set), 0);
    cr_assert_eq(CPU_COUNT(&set), 1);
    tsr_pool_free(pool);
    /* hwloc does not bind on a topology that is not this machine: that is a pin that fails. */
    cr_assert_eq(tsr_pool_new(&pool, &synthetic, &error), TSR_USAGE);
    cr_assert(strstr(error.message, "pinned") != NULL, "%s", error.message);
}

/* ---- uneven cores
 * ---------------------------------------------------------------------------------- */

static _Thread_local unsigned slowness;
static _Atomic unsigned arrivals;
enum { UNIT_US = 200, BIG = 4, LITTLE = 4, RATIO = 3, WORK = 800 };

/* The first four threads to arrive are big cores; the others take three times as long. */
static void sleep_units(const void *args, size_t begin, size_t end)
{
    (void)args;
    if (slowness == 0)
        slowness = atomic_fetch_add(&arrivals, 1) < BIG ? 1 : RATIO;
    usleep((unsigned)(end - begin) * slowness * UNIT_US);
}

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

Test(par, little_cores_help)
{
    const double ideal = WORK * UNIT_US * 1e-6 / (BIG + (double)LITTLE / RATIO);
    tsr_pool *pool = make_pool(BIG + LITTLE);
    double best = 1e9;

    for (int i = 0; i < 5; i++) {
        double start, time;

        start = seconds();
        tsr_pool_run(pool, sleep_units, NULL, WORK);
        time = seconds() - start;
        best = time < best ? time : best;
    }
    tsr_pool_free(pool);
    cr_assert_lt(best, 1.10 * ideal + 0.002, "%.1f ms, ideal %.1f ms", best * 1e3, ideal * 1e3);
}

/* ---- topologies
 * -------------------------------------------------------------------------------------- */

struct machine {
    const char *text;   /* synthetic, or a file in tests/topologies */
    const char *cgroup; /* NULL: no limit; else the content of cpu.max of the group */
    unsigned cores, performance, threads, nodes;
};

static const struct machine machines[] = {
    {"l2:1(size=524288) core:4 pu:1", NULL, 4, 4, 4, 1}, /* four equal cores */
    {"numa:2 l3:1 core:16 pu:2", NULL, 32, 32, 32, 2},   /* dual socket, two threads a core */
    {"core:8 pu:1", "150000 100000", 8, 8, 1, 1},        /* a container with 1.5 CPUs */
    {"core:8 pu:1", "350000 100000", 8, 8, 3, 1},
    {"core:8 pu:1", "50000 100000", 8, 8, 1, 1},
    {"core:8 pu:1", "1600000 100000", 8, 8, 8, 1},
    {"core:8 pu:1", "max 100000", 8, 8, 8, 1},
    {"core:8 pu:1", "nonsense", 8, 8, 8, 1},
    {"rk3588.xml", NULL, 8, 4, 4, 1},     /* 4 x A76, 4 x A55 */
    {"alderlake.xml", NULL, 10, 6, 6, 1}, /* 6 P cores with two threads, 4 E cores */
    {"pi5.xml", NULL, 4, 4, 4, 1},
};

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[512];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "w");
    cr_assert(file != NULL, "%s", path);
    fputs(text, file);
    fclose(file);
}

/* A folder as tsr_cgroup_cpus wants it: the group /a/b, limited in b; a has none. */
static void make_cgroup(char *folder, const char *limit)
{
    char path[512];

    cr_assert(mkdtemp(folder) != NULL);
    write_file(folder, "self.cgroup", "0::/a/b\n");
    snprintf(path, sizeof path, "%s/a", folder);
    mkdir(path, 0700);
    write_file(path, "cpu.max", "max 100000\n");
    snprintf(path, sizeof path, "%s/a/b", folder);
    mkdir(path, 0700);
    write_file(path, "cpu.max", limit);
}

static void remove_cgroup(const char *folder)
{
    static const char *const names[] = {"a/b/cpu.max", "a/cpu.max", "self.cgroup"};
    char path[512];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/a/b", folder);
    rmdir(path);
    snprintf(path, sizeof path, "%s/a", folder);
    rmdir(path);
    rmdir(folder);
}

/* What the groups a and a/b say about memory, in version 2 or 1 (its own tree), and what is left.
 */
static const struct memory {
    const char *group, *root; /* the line of /proc/self/cgroup, where its tree is */
    const char *names[2];     /* of limit and used */
    const char *a[2], *b[2];  /* limit and used of each group; NULL: no such file */
    const char *cached;       /* memory.stat of b */
    uint64_t left;
} memories[] = {
    {"0::/a/b", "", {"memory.max", "memory.current"}, {"max", "9"}, {"1000", "400"}, "", 600},
    {"0::/a/b", "", {"memory.max", "memory.current"}, {"500", "450"}, {"1000", "400"}, "", 50},
    {"0::/a/b",
     "",
     {"memory.max", "memory.current"},
     {"max", "9"},
     {"1000", "990"},
     "anon 5\ninactive_file 100\nactive_file 200\n",
     310},
    {"0::/a/b", "", {"memory.max", "memory.current"}, {"max", "9"}, {"1000", "2000"}, "", 0},
    {"0::/a/b", "", {"memory.max", "memory.current"}, {"max", "9"}, {"max", "9"}, "", UINT64_MAX},
    {"0::/a/b", "", {"memory.max", "memory.current"}, {NULL, NULL}, {NULL, NULL}, "", UINT64_MAX},
    {"4:memory:/a/b",
     "memory",
     {"memory.limit_in_bytes", "memory.usage_in_bytes"},
     {"9223372036854771712", "9"},
     {"1000", "700"},
     "inactive_file 7\ntotal_inactive_file 20\n",
     320},
};

static void write_group(const char *folder, const struct memory *m, const char *const values[2])
{
    mkdir(folder, 0700);
    for (int i = 0; i < 2; i++)
        if (values[i] != NULL)
            write_file(folder, m->names[i], values[i]);
}

Test(par, memory_that_control_groups_grant)
{
    for (size_t i = 0; i < sizeof memories / sizeof *memories; i++) {
        const struct memory *m = &memories[i];
        char folder[] = "/tmp/tessera-cgroup-XXXXXX", path[512], command[600];

        cr_assert(mkdtemp(folder) != NULL);
        write_file(folder, "self.cgroup", m->group);
        snprintf(path, sizeof path, "%s/%s", folder, m->root);
        mkdir(path, 0700);
        snprintf(path, sizeof path, "%s/%s/a", folder, m->root);
        write_group(path, m, m->a);
        snprintf(path, sizeof path, "%s/%s/a/b", folder, m->root);
        write_group(path, m, m->b);
        write_file(path, "memory.stat", m->cached);
        cr_expect_eq(tsr_cgroup_memory(folder), m->left, "case %zu: %llu", i,
                     (unsigned long long)tsr_cgroup_memory(folder));
        snprintf(command, sizeof command, "rm -r %s", folder);
        cr_expect_eq(system(command), 0);
    }
}

Test(par, default_threads_follow_cores_kinds_and_quota)
{
    const char *source = getenv("TSR_SRCDIR");

    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
        const struct machine *machine = &machines[i];
        struct tsr_pool_options options = {.topology = machine->text};
        char folder[] = "/tmp/tessera-cgroup-XXXXXX", path[512];
        struct tsr_topology found;
        struct tsr_error error;

        if (strstr(machine->text, ".xml") != NULL) {
            snprintf(path, sizeof path, "%s/tests/topologies/%s", source != NULL ? source : ".",
                     machine->text);
            options.topology = path;
        }
        if (machine->cgroup != NULL) {
            make_cgroup(folder, machine->cgroup);
            options.cgroup_root = folder;
        }
        cr_assert_eq(tsr_topology_read(&found, &options, &error), TSR_OK, "%s", error.message);
        if (machine->cgroup != NULL)
            remove_cgroup(folder);
        cr_expect_eq(found.cores, machine->cores, "%s: cores %u", machine->text, found.cores);
        cr_expect_eq(found.performance, machine->performance, "%s: performance %u", machine->text,
                     found.performance);
        cr_expect_eq(found.threads, machine->threads, "%s (%s): threads %u (%s)", machine->text,
                     machine->cgroup != NULL ? machine->cgroup : "", found.threads, found.why);
        cr_expect_eq(found.numa_nodes, machine->nodes, "%s: nodes %u", machine->text,
                     found.numa_nodes);
    }
}

Test(par, bad_options_are_refused)
{
    const struct tsr_pool_options bad = {.topology = "core:banana"};
    const struct tsr_pool_options many = {.threads = 100000};
    struct tsr_topology found;
    struct tsr_error error;
    tsr_pool *pool;

    cr_assert_eq(tsr_topology_read(&found, &bad, &error), TSR_USAGE);
    cr_assert_eq(tsr_pool_new(&pool, &bad, &error), TSR_USAGE);
    cr_assert_eq(tsr_pool_new(&pool, &many, &error), TSR_USAGE);
    cr_assert_null(pool);
}

Test(par, affinity_of_the_process_counts)
{
    struct tsr_topology before, after;
    struct tsr_error error;
    cpu_set_t all, one;
    int cpu = 0;

    cr_assert_eq(sched_getaffinity(0, sizeof all, &all), 0);
    while (!CPU_ISSET(cpu, &all))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    cr_assert_eq(tsr_topology_read(&before, NULL, &error), TSR_OK);
    cr_assert_eq(sched_setaffinity(0, sizeof one, &one), 0);
    cr_assert_eq(tsr_topology_read(&after, NULL, &error), TSR_OK);
    cr_assert_eq(after.usable, 1);
    cr_assert_eq(after.threads, 1);
    cr_assert_eq(after.cores, before.cores);
}
