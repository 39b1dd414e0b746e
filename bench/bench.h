/*
 * bench.h: the benchmarks behind `tessera bench`. They use the public headers only, so what they
 * measure is what users get.
 */
#ifndef TESSERA_BENCH_H
#define TESSERA_BENCH_H

#include "model.h"

struct bench_settings {
    tsr_pool *pool;
    uint32_t maps;  /* of pictures while they are decoded: TSR_F32 or TSR_F16 */
    uint32_t tiers; /* bits of enum tsr_tier */
    enum tsr_load load;
    const char *model;  /* GGUF file of bench_model */
    unsigned repeat;    /* measurements per row, the median counts */
    size_t tokens;      /* of bench_model's tg, 0: default */
    const char *filter; /* only kernels or tests whose name contains this; NULL: all */
    int full, json, quiet;
    const char *compare; /* a saved --json run, NULL: none */
};

/* Each prints its table to stdout. TSR_INTERNAL if a kernel's bits differ from the reference or a
 * comparison found a slow-down beyond noise. */
tsr_status bench_limits(const struct bench_settings *settings, struct tsr_error *error);
tsr_status bench_kernels(const struct bench_settings *settings, struct tsr_error *error);
tsr_status bench_model(const struct bench_settings *settings, struct tsr_error *error);

/* Measures the machine's rates for a profile; of the settings, pool and tiers count. */
tsr_status bench_rates(const struct bench_settings *settings, struct tsr_profile *profile,
                       struct tsr_error *error);

#endif
