/*
 * cgroup.c: what the control groups that the process runs in grant: CPU time and memory.
 *
 * A container with 1.5 CPUs still sees all cores of its host; starting a thread on each of them makes every
 * barrier wait for a throttled thread (peers have measured a factor of 45). hwloc knows the cpuset but not
 * the quota, so it is read here. A limit may be set at any level, so the group and all its parents are asked,
 * and the smallest counts. Version 2: the line "0::/path" of /proc/self/cgroup names the group. Version 1: the
 * line "n:controller,...:/path", in a tree per controller. A file that is absent or odd means: no limit at
 * that level.
 *
 * CPU: cpu.max holds "<quota|max> <period>"; cpu.cfs_quota_us (-1: none), cpu.cfs_period_us. Memory: memory.max
 * and memory.current; memory.limit_in_bytes and memory.usage_in_bytes. What is used holds the cached pages of
 * files, too, which are given back when they are needed (memory.stat): they count as free.
 */
#include "pool.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4096 };

/* root/group/name, or NULL. */
static FILE *open_file(const char *root, const char *group, const char *name)
{
    char path[2 * PATH_BYTES];

    if (snprintf(path, sizeof path, "%s%s/%s", root, group, name) >= (int)sizeof path)
        return NULL;
    return fopen(path, "re");
}

/* The first line of root/group/name; 0 if there is none. */
static int read_line(char *line, int size, const char *root, const char *group, const char *name)
{
    FILE *const file = open_file(root, group, name);
    int ok;

    if (file == NULL)
        return 0;
    ok = fgets(line, size, file) != NULL;
    fclose(file);
    return ok;
}

/* What one level grants; INFINITY: no limit. */
typedef double level(const char *root, const char *group);

static double ratio(const char *quota, const char *period)
{
    const long long q = strtoll(quota, NULL, 10);
    const long long p = strtoll(period, NULL, 10);

    return q > 0 && p > 0 ? (double)q / (double)p : INFINITY;
}

static double cpus_v2(const char *root, const char *group)
{
    char line[128];
    char *space;

    if (!read_line(line, sizeof line, root, group, "cpu.max"))
        return INFINITY;
    space = strchr(line, ' ');
    return space != NULL ? ratio(line, space + 1) : INFINITY;
}

static double cpus_v1(const char *root, const char *group)
{
    char quota[64], period[64];

    if (!read_line(quota, sizeof quota, root, group, "cpu.cfs_quota_us") ||
        !read_line(period, sizeof period, root, group, "cpu.cfs_period_us"))
        return INFINITY;
    return ratio(quota, period);
}

/* Bytes of cached file pages: the lines of memory.stat whose names begin with `prefix`. */
static double cached(const char *root, const char *group, const char *prefix)
{
    static const char *const names[] = {"inactive_file ", "active_file "};
    FILE *const file = open_file(root, group, "memory.stat");
    char line[128];
    double sum = 0;

    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (strncmp(line, prefix, strlen(prefix)) == 0 &&
                strncmp(line + strlen(prefix), names[i], strlen(names[i])) == 0)
                sum += (double)strtoull(line + strlen(prefix) + strlen(names[i]), NULL, 10);
    if (file != NULL)
        fclose(file);
    return sum;
}

static double left(const char *limit, const char *used, double given_back)
{
    const double bytes = (double)strtoull(limit, NULL, 10) - (double)strtoull(used, NULL, 10) + given_back;

    return bytes > 0 ? bytes : 0;
}

static double memory_v2(const char *root, const char *group)
{
    char limit[64], used[64];

    if (!read_line(limit, sizeof limit, root, group, "memory.max") || limit[0] < '0' || limit[0] > '9' ||
        !read_line(used, sizeof used, root, group, "memory.current"))
        return INFINITY;
    return left(limit, used, cached(root, group, ""));
}

static double memory_v1(const char *root, const char *group)
{
    char limit[64], used[64];

    if (!read_line(limit, sizeof limit, root, group, "memory.limit_in_bytes") ||
        strtoull(limit, NULL, 10) > (uint64_t)1 << 60 || /* none: the largest number of pages */
        !read_line(used, sizeof used, root, group, "memory.usage_in_bytes"))
        return INFINITY;
    return left(limit, used, cached(root, group, "total_"));
}

/* The least that `group` and its parents grant. */
static double walk(const char *root, char *group, level *grants)
{
    double least = INFINITY;

    for (;;) {
        char *slash = strrchr(group, '/');

        least = fmin(least, grants(root, group));
        if (slash == NULL)
            return least;
        *slash = '\0';
    }
}

/* Is `name` one of the comma-separated controllers? */
static int has_controller(const char *list, const char *name)
{
    const size_t length = strlen(name);

    while (list != NULL) {
        if (strncmp(list, name, length) == 0 && (list[length] == ',' || list[length] == '\0'))
            return 1;
        list = strchr(list, ',');
        list = list != NULL ? list + 1 : NULL;
    }
    return 0;
}

/* The least that all groups of the process grant; `controller` has a tree of its own in version 1. */
static double granted(const char *root, const char *controller, level *v2, level *v1)
{
    const char *const tree = root != NULL ? root : "/sys/fs/cgroup";
    char line[PATH_BYTES], path[PATH_BYTES], own[PATH_BYTES];
    double least = INFINITY;
    FILE *file;

    snprintf(path, sizeof path, "%s%s", root != NULL ? root : "/proc/self",
             root != NULL ? "/self.cgroup" : "/cgroup");
    file = fopen(path, "re");
    if (file == NULL)
        return INFINITY;
    snprintf(own, sizeof own, "%s/%s", tree, controller);
    while (fgets(line, sizeof line, file) != NULL) {
        char *controllers = strchr(line, ':');
        char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;

        if (group == NULL)
            continue;
        *group++ = '\0';
        controllers++;
        group[strcspn(group, "\n")] = '\0';
        if (strcmp(group, "/") == 0)
            group[0] = '\0';
        if (controllers[0] == '\0')
            least = fmin(least, walk(tree, group, v2));
        else if (has_controller(controllers, controller))
            least = fmin(least, walk(own, group, v1));
    }
    fclose(file);
    return least;
}

double tsr_cgroup_cpus(const char *root)
{
    const double cpus = granted(root, "cpu", cpus_v2, cpus_v1);

    return cpus < INFINITY ? cpus : 0;
}

uint64_t tsr_cgroup_memory(const char *root)
{
    const double bytes = granted(root, "memory", memory_v2, memory_v1);

    return bytes < 0x1p63 ? (uint64_t)bytes : UINT64_MAX;
}
