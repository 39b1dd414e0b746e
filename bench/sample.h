/*
 * sample.h: time, and how far a measurement of it can be trusted.
 */
#ifndef TESSERA_SAMPLE_H
#define TESSERA_SAMPLE_H

#include <stddef.h>

double bench_seconds(void);

/*
 * Seconds that threads of this process were ready to run and another process had their core, summed
 * over the threads, since they began; 0 where the system does not tell.
 */
double bench_waited(void);

/* Sorts and returns the median; spread (may be NULL): (upper quartile - lower quartile) / median.
 */
double bench_median(double *values, size_t count, double *spread);

/* Mean of the values; deviation: their sample standard deviation. */
double bench_mean(const double *values, size_t count, double *deviation);

#endif
