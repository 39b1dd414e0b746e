/*
 * sample.c: time, the kernel's own account of time lost to others, and the statistics of both.
 *
 * Linux counts per thread for how long it stood in the run queue (the second number of schedstat).
 * A sample in which our threads waited did not measure our code: the benchmarks take such samples
 * again, and say in their output how much waiting is left.
 */
#include "sample.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

double bench_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double bench_waited(void)
{
    DIR *const tasks = opendir("/proc/self/task");
    const struct dirent *task;
    double sum = 0;

    if (tasks == NULL)
        return 0;
    while ((task = readdir(tasks)) != NULL) {
        char path[sizeof "/proc/self/task//schedstat" + sizeof task->d_name];
        unsigned long long ran, waited;
        FILE *file;

        snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", task->d_name);
        file = fopen(path, "r");
        if (file == NULL)
            continue;
        if (fscanf(file, "%llu %llu", &ran, &waited) == 2)
            sum += 1e-9 * (double)waited;
        fclose(file);
    }
    closedir(tasks);
    return sum;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double bench_median(double *values, size_t count, double *spread)
{
    double median;

    qsort(values, count, sizeof *values, by_value);
    median = (values[(count - 1) / 2] + values[count / 2]) / 2;
    if (spread != NULL)
        *spread = median > 0 ? (values[count - 1 - count / 4] - values[count / 4]) / median : 0;
    return median;
}

double bench_mean(const double *values, size_t count, double *deviation)
{
    double sum = 0, squares = 0, mean;

    for (size_t i = 0; i < count; i++)
        sum += values[i];
    mean = sum / (double)count;
    for (size_t i = 0; i < count; i++)
        squares += (values[i] - mean) * (values[i] - mean);
    *deviation = count > 1 ? sqrt(squares / (double)(count - 1)) : 0;
    return mean;
}
