/*
 * harness.h: the one way in which kernels are tested.
 *
 * A case (one per operator, tsr_case_<op>) builds the operator's arguments for a shape in buffers
 * that this harness gives out, and holds an oracle that computes the same thing independently, in
 * double or in exact integers. The harness then runs every implementation over {shape} x {fill} x
 * {guard left, right} x {offset} x {in one range, in two}, and demands:
 *
 *   - the bits of `ref` in every output (a NaN equals any NaN); `ref` itself within the oracle's
 * bounds, fast math within the bound in its row of the table;
 *   - inputs, padding between rows and the slack of every page unchanged;
 *   - no access outside: each buffer lies flush against a page without access, at its end or at its
 * start;
 *   - the floating-point control word unchanged, no upper half of a vector register left in use;
 *   - scratch that one range has written left alone by the other.
 *
 * Implementations that break a rule must be caught: tests/planted holds some that do.
 */
#ifndef TSR_TEST_HARNESS_H
#define TSR_TEST_HARNESS_H

#include "half.h"
#include "impl.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum fill {
    FILL_RANDOM,
    FILL_MIN,         /* -FLT_MAX; codes -128; weight codes 0 */
    FILL_MAX,         /* FLT_MAX; codes 127; weight codes at their maximum */
    FILL_ALTERNATING, /* +-1.5; codes -128, 127; weight codes 0, maximum */
    FILL_HUGE,        /* random with one 1e30 a row; weight scales 65504 */
    FILL_DENORMAL,
    FILL_ZERO,  /* +0 and -0 */
    FILL_NAN,   /* random, every other row with NaN */
    FILL_INF,   /* random, every other row with Inf of both signs */
    FILL_BYTES, /* any bits at all */
    FILLS
};

enum element { ELEMENT_F32, ELEMENT_F16, ELEMENT_I32, ELEMENT_I8, ELEMENT_U8, ELEMENT_SCRATCH };

enum { SHAPE_DIMS = 10, BUFFERS_MAX = 12, OUTPUTS_MAX = 4, FAILURES_KEPT = 4 };

/* The sizes of one test; what each means is said at the operator's case. */
struct shape {
    size_t d[SHAPE_DIMS];
};

/* Memory between two pages without access. `initial`: what [window, window + window_bytes) held at
 * first. */
struct buffer {
    uint8_t *window, *initial, *data;
    size_t window_bytes, bytes;
    int written; /* by the operator: index into outputs + 1, or 0 */
};

struct output {
    size_t buffer;
    enum element element;
    size_t rows, cols, ld;
};

struct call {
    const size_t *d;
    enum fill fill;
    int left;    /* guard page at the start; else at the end */
    int shifted; /* one element (tile: one line) away from the guard */
    unsigned
        alias; /* 0: outputs are buffers of their own; else the operator's alias-th way to share */
    uint64_t random;
    union {
        struct tsr_attention widest;
        unsigned char bytes[256];
    } args;
    struct buffer buffers[BUFFERS_MAX];
    struct output outputs[OUTPUTS_MAX];
    size_t buffer_count, output_count;
    double bound; /* > 0: what an output of fast math may err by, in parts of its magnitude */
    size_t oracle_failures;
    char oracle_message[160];
};

struct op_case {
    size_t (*build)(struct call *c, const size_t *d); /* fills c->args; returns the units of work */
    void (*oracle)(struct call *c,
                   const size_t *d); /* judges c->args' outputs with the calls below */
    const struct shape *small;
    size_t small_count;
    const struct shape *real;
    size_t real_count;
    unsigned aliases; /* ways in which an output may be an input */
};

#define SHAPES(list) list, sizeof(list) / sizeof((list)[0])

#define OP(name, args) extern const struct op_case tsr_case_##name;
#include "kernels.def"

/* ---- for builders: buffers and their contents; the same values in every placement ---- */

uint32_t case_random(struct call *c);
float case_uniform(struct call *c, float low, float high);
/* cols, or cols and a gap, by the fill. */
size_t case_ld(const struct call *c, size_t cols);
/* Unfilled input of `bytes`, aligned and shifted by `align`. */
void *case_in(struct call *c, size_t bytes, size_t align);
/* Input [rows, cols] filled by c->fill. */
float *case_f32(struct call *c, size_t rows, size_t cols, size_t ld);
/* Input of f32 or f16 by the fill, of which `run` in a row belong together; aligned to `align` elements. */
void *case_floats(struct call *c, uint32_t format, size_t count, size_t run, size_t align);
/* Input of ordinary numbers, whatever the fill. */
float *case_plain(struct call *c, size_t count, float low, float high);
/* Output, pre-filled with a pattern. */
void *case_out(struct call *c, enum element element, size_t rows, size_t cols, size_t ld);
/* Turns an input buffer into an output: for operators that work in place. */
void case_in_place(struct call *c, const void *data, enum element element, size_t rows, size_t cols,
                   size_t ld);
struct tsr_tile case_tile(struct call *c, uint32_t format, size_t n, size_t k);
/* Activations as quantize_rows leaves them in shape, any codes: [m] rows, codes beyond k zero. */
struct tsr_q8 case_q8(struct call *c, size_t m, size_t k, size_t ldc);
/* One value as the fill says; `row` and `i` of `cols` place the special ones. */
float fill_value(struct call *c, size_t row, size_t i, size_t cols);

/* ---- for oracles ---- */

/* |got - want| <= relative * magnitude + absolute; where f32 may overflow on the way, anything
 * goes. Of fast math its own bound counts in place of `relative`, and FAST_TINY is allowed too. */
void oracle_near(struct call *c, float got, double want, double magnitude, double relative,
                 double absolute);
/* a * b, a term of a sum. To fast math a denormal factor may count as 0: then |a * b| is added to *lost. */
double oracle_term(const struct call *c, double a, double b, double *lost);
/* Equal values, or both NaN. */
void oracle_equal(struct call *c, double got, double want);
double oracle_f16(uint16_t h);  /* written independently of half.h */
double oracle_to_f16(double x); /* the nearest f16, ties to even */
double oracle_silu_of(double x);
/* Element of a tile in double; t8, t4: the code less its zero point, times *scale if scale is NULL.
 */
double oracle_weight(const struct tsr_tile *w, size_t n, size_t k, double *scale);

#define EPS (0x1p-24)   /* half an ulp of 1: the relative error of one rounding */
#define TINY (0x1p-148) /* two of the smallest denormals */
#define SILU_FLOOR 1e-36 /* |silu| there: exp(-x) overflows to Inf where x exp(x) is still 1e-36 */
#define FAST_TINY (0x1p-100) /* of fast math: thousands of denormals that counted as 0 on the way */

/* ---- for tests ---- */

struct verdict {
    size_t runs, failures;
    char messages[FAILURES_KEPT][256];
};

extern const struct op_case *const harness_cases[TSR_OPS];

/* Runs `kernel` as operator `op`; the oracle judges ref where `oracle`. Stops after `most`
 * failures. */
void harness_check(struct verdict *verdict, size_t op, tsr_kernel *kernel, int real, int oracle,
                   size_t most);
/* The same for fast math: the oracle judges it by `bound`; every placement gives the same bits. */
void harness_check_bound(struct verdict *verdict, size_t op, tsr_kernel *kernel, int real,
                         double bound, size_t most);
/* How many comparisons a complete harness_check makes. */
size_t harness_runs(size_t op, int real);

#endif
