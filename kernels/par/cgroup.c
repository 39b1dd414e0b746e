/*
 * cgroup.c: the CPU-time quota of the control group that the process runs in.
 *
 * A container with 1.5 CPUs still sees all cores of its host; starting a thread on each of them makes every
 * barrier wait for a throttled thread (peers have measured a factor of 45). hwloc knows the cpuset but not
 * the quota, so it is read here. Version 2: the line "0::/path" of /proc/self/cgroup names the group;
 * cpu.max holds "<quota|max> <period>" there and in each parent, and the smallest ratio counts. Version 1:
 * the line "n:cpu,...:/path"; cpu.cfs_quota_us (-1: none) and cpu.cfs_period_us. A file that is absent or
 * odd means: no limit at that level.
 */
#include "pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4096 };

/* The first line of root/group/name; 0 if there is none. */
static int read_line(char *line, int size, const char *root, const char *group, const char *name)
{
    char path[2 * PATH_BYTES];
    FILE *file;
    int ok;

    if (snprintf(path, sizeof path, "%s%s/%s", root, group, name) >= (int)sizeof path)
        return 0;
    file = fopen(path, "re");
    if (file == NULL)
        return 0;
    ok = fgets(line, size, file) != NULL;
    fclose(file);
    return ok;
}

static double ratio(const char *quota, const char *period)
{
    const long long q = strtoll(quota, NULL, 10);
    const long long p = strtoll(period, NULL, 10);

    return q > 0 && p > 0 ? (double)q / (double)p : 0;
}

static double level_v2(const char *root, const char *group)
{
    char line[128];
    char *space;

    if (!read_line(line, sizeof line, root, group, "cpu.max"))
        return 0;
    space = strchr(line, ' ');
    return space != NULL ? ratio(line, space + 1) : 0;
}

static double level_v1(const char *root, const char *group)
{
    char quota[64], period[64];

    if (!read_line(quota, sizeof quota, root, group, "cpu.cfs_quota_us") ||
        !read_line(period, sizeof period, root, group, "cpu.cfs_period_us"))
        return 0;
    return ratio(quota, period);
}

/* The smallest limit of `group` and its parents. */
static double walk(const char *root, char *group, double (*level)(const char *, const char *))
{
    double least = 0;

    for (;;) {
        const double here = level(root, group);
        char *slash = strrchr(group, '/');

        if (here > 0 && (least == 0 || here < least))
            least = here;
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

double tsr_cgroup_cpus(const char *root)
{
    const char *const tree = root != NULL ? root : "/sys/fs/cgroup";
    char line[PATH_BYTES], path[PATH_BYTES], v1[PATH_BYTES];
    double least = 0;
    FILE *file;

    snprintf(path, sizeof path, "%s%s", root != NULL ? root : "/proc/self",
             root != NULL ? "/self.cgroup" : "/cgroup");
    file = fopen(path, "re");
    if (file == NULL)
        return 0;
    snprintf(v1, sizeof v1, "%s/cpu", tree);
    while (fgets(line, sizeof line, file) != NULL) {
        char *controllers = strchr(line, ':');
        char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        double cpus = 0;

        if (group == NULL)
            continue;
        *group++ = '\0';
        controllers++;
        group[strcspn(group, "\n")] = '\0';
        if (strcmp(group, "/") == 0)
            group[0] = '\0';
        if (controllers[0] == '\0')
            cpus = walk(tree, group, level_v2);
        else if (has_controller(controllers, "cpu"))
            cpus = walk(v1, group, level_v1);
        if (cpus > 0 && (least == 0 || cpus < least))
            least = cpus;
    }
    fclose(file);
    return least;
}
