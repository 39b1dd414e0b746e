/*
 * probe.h: what the machine can do at most, measured, per instruction set.
 *
 * Each probe is a tsr_kernel whose unit is one fixed piece of work, so the pool spreads it over the
 * same threads as the operators it is compared with. Registers only (peaks) or one pass of loads
 * (bandwidths): the plainest code that reaches the limit.
 */
#ifndef TESSERA_PROBE_H
#define TESSERA_PROBE_H

#include "kernels.h"

enum { PROBE_ROUNDS = 6400, PROBE_CHAINS = 12 };

/* Reads [begin, end) pieces of `piece` bytes from `data`; the result goes to sink so it is not
 * removed. */
struct probe_read {
    const char *data;
    size_t piece;    /* a multiple of 256 * streams */
    size_t passes;   /* how often each piece is read */
    size_t streams;  /* a piece is read as so many equal parts side by side */
    size_t prefetch; /* bytes ahead, 0: none; beyond the end it does no harm */
    volatile uint64_t *sink;
};

/* Copies piece i of `from` to piece i of `to`, `passes` times. */
struct probe_copy {
    const char *from;
    char *to;
    size_t piece, passes; /* piece: a multiple of 256 */
};

/* One set of probes; operations are per unit. */
struct probe_set {
    tsr_kernel *read; /* args: struct probe_read */
    tsr_kernel *copy; /* args: struct probe_copy */
    tsr_kernel *f32;  /* args unused */
    tsr_kernel *i8;
    tsr_kernel *bf16;   /* NULL: none */
    tsr_kernel *mix;    /* NULL: none */
    tsr_kernel *t8_mix; /* NULL: as mix; operations as mix */
    double f32_ops, i8_ops, bf16_ops, mix_ops;
};

extern const struct probe_set probes_avx2, probes_avx512, probes_avxvnni, probes_bf16, probes_amx,
    probes_neon;

/* The set for a tier. */
const struct probe_set *probe_set_for(unsigned tier);

#endif
