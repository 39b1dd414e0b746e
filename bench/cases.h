/*
 * cases.h: what `tessera bench kernels` times: shapes as data, and per operator how to make its
 * arguments.
 */
#ifndef TESSERA_CASES_H
#define TESSERA_CASES_H

#include "limits.h"

enum { CASE_BUFFERS = 16, CASE_COPIES = 256, CASE_TOKENS = 12 /* up to so many rows weights come from memory */ };

/* A shape of one operator; what m, n, k and extra mean stands at the maker of the operator. */
struct shape {
    uint8_t op; /* enum tsr_op */
    const char *label;
    size_t m, n, k, extra;
    uint32_t format; /* of weights or cache */
    int full;        /* 1: only with --full */
};

extern const struct shape bench_shapes[];
extern const size_t bench_shape_count;

/* Arguments of any operator. */
union case_args {
#define OP(name, args) struct tsr_##args name;
#include "kernels.def"
};

/* A shape made ready to run. Weights, or a cache of keys and values, exist `copies` times, so that reading
 * them means reading memory. */
struct bench_case {
    const struct shape *shape;
    union case_args args;
    size_t units;
    double ops;           /* arithmetic operations a run needs */
    double bytes;         /* bytes a run must move, at the level that `bound` names */
    enum limit memory;    /* LIMIT_READ: weights come from memory; LIMIT_COPY: rows that fit L2 */
    enum limit peak;      /* LIMIT_F32 or LIMIT_I8 */
    struct limits *limits;   /* lend memory for the copies */
    const void **rotates[2]; /* the pointers in args that walk through the copies, or NULL */
    const char *copy_base[2];
    size_t copies, copy_bytes;
    void *out;
    size_t out_bytes;
    int codes; /* out is s8 */
    /* for matmul and conv: activations are quantized inside the timed run */
    int quantizes;
    struct tsr_quantize quantize;
    /* for attention in parts: the merge too */
    int merges;
    struct tsr_attention_merge merge;
    void *buffers[CASE_BUFFERS];
    size_t buffer_count;
};

/* How many copies of so many bytes it takes to leave the caches. */
size_t case_copies(size_t bytes, const struct limits *limits);

/* Makes the case; TSR_MEMORY if it does not fit. case_free in any case. */
tsr_status case_make(struct bench_case *c, const struct shape *shape, struct limits *limits,
                     struct tsr_error *error);
void case_free(struct bench_case *c);

/* One run with the given kernels; `round` picks the copy. */
void case_run(struct bench_case *c, tsr_pool *pool, const struct tsr_kernels *kernels,
              size_t round);

#endif
