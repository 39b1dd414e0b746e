/*
 * sample_cases.c: shapes and oracles of argmax and sample, which choose an index.
 */
#include "harness.h"

/* ---- argmax: m, k ---- */

static const struct shape argmax_small[] = {
    {{0, 16}}, {{2, 0}},  {{1, 1}},  {{3, 7}},  {{3, 15}}, {{5, 16}},  {{5, 17}},  {{6, 31}},
    {{3, 32}}, {{3, 33}}, {{4, 63}}, {{4, 64}}, {{4, 65}}, {{4, 100}}, {{2, 257}}, {{2, 1000}},
    {{3, 1025}}, {{4, 2100}}};
static const struct shape argmax_real[] = {{{2, 16384}}, {{2, 102400}}};

static size_t build_argmax(struct call *c, const size_t *d)
{
    struct tsr_argmax *a = (void *)&c->args;

    a->m = d[0];
    a->k = d[1];
    a->ldx = case_ld(c, d[1]);
    a->x = case_f32(c, d[0], d[1], a->ldx);
    a->index = case_out(c, ELEMENT_I32, 1, d[0], d[0]);
    return tsr_argmax_units(a);
}

/* Walked from the end: a value that is at least as large as the best so far takes its place. */
static void oracle_argmax(struct call *c, const size_t *d)
{
    const struct tsr_argmax *a = (void *)&c->args;

    for (size_t m = 0; m < d[0]; m++) {
        double best = -INFINITY;
        size_t index = 0;

        for (size_t i = d[1]; i-- > 0;)
            if ((double)a->x[m * a->ldx + i] >= best) {
                best = (double)a->x[m * a->ldx + i];
                index = i;
            }
        oracle_equal(c, a->index[m], (double)index);
    }
}

const struct op_case tsr_case_argmax = {build_argmax, oracle_argmax, SHAPES(argmax_small),
                                        SHAPES(argmax_real), 0};

/* ---- sample: m, k, top_k, guided, 10 * temperature, 100 * top_p ---- */

static const struct shape sample_small[] = {
    {{0, 16, 0, 0, 10, 100}},   {{1, 1, 0, 0, 10, 100}},  {{3, 15, 0, 0, 10, 100}},
    {{3, 16, 0, 1, 10, 100}},   {{4, 17, 0, 1, 0, 100}},  {{4, 33, 5, 0, 10, 100}},
    {{4, 64, 0, 0, 7, 90}},     {{4, 65, 20, 1, 13, 95}}, {{4, 100, 1, 0, 10, 100}},
    {{4, 100, 200, 1, 10, 50}}, {{3, 257, 50, 1, 10, 1}}, {{2, 1000, 0, 1, 10, 100}},
    {{6, 31, 0, 0, 10, 100}},   {{5, 129, 0, 1, 20, 30}}, {{4, 63, 0, 1, 10, 100}},
    {{5, 64, 0, 0, 10, 100}},   {{5, 65, 0, 1, 7, 100}},  {{4, 129, 129, 0, 30, 100}},
    {{3, 200, 20, 1, 0, 50}},   {{4, 191, 0, 0, 1, 100}},
};
static const struct shape sample_real[] = {{{2, 16384, 0, 1, 10, 100}},
                                           {{1, 102400, 50, 0, 8, 90}}};

static size_t build_sample(struct call *c, const size_t *d)
{
    struct tsr_sample *a = (void *)&c->args;
    float *u;

    a->m = d[0];
    a->k = d[1];
    a->ld = case_ld(c, d[1]);
    a->cond = case_f32(c, d[0], d[1], a->ld);
    a->uncond = d[3] ? case_f32(c, d[0], d[1], a->ld) : NULL;
    a->u = u = case_plain(c, d[0], 0, 1);
    if (d[0] > 1)
        u[1] = d[1] % 2 ? 0.0f : 1.0f - 0x1p-24f;
    a->top_k = d[2];
    a->guidance = 5;
    a->temperature = (float)d[4] / 10;
    a->top_p = (float)d[5] / 100;
    a->index = case_out(c, ELEMENT_I32, 1, d[0], d[0]);
    a->scratch = case_out(c, ELEMENT_SCRATCH, 1, d[0] * d[1] * 12, d[0] * d[1] * 12);
    return tsr_sample_units(a);
}

struct candidate {
    double l;
    size_t index;
};

static int by_rank(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;

    return a->l != b->l ? (a->l < b->l) - (a->l > b->l)
                        : (a->index > b->index) - (a->index < b->index);
}

/* Whether drawing `chosen` with u is right, up to rounding, if the first `kept` of `ranked` are
 * kept. */
static int plausible(const struct candidate *ranked, size_t kept, size_t chosen, double u)
{
    double below = 0, mine = 0, total = 0;

    for (size_t i = 0; i < kept; i++) {
        const double p = exp(ranked[i].l - ranked[0].l);

        total += p;
        below += ranked[i].index < chosen ? p : 0;
        mine += ranked[i].index == chosen ? p : 0;
    }
    return mine > 0 && u >= below / total - 1e-5 && u <= (below + mine) / total + 1e-5;
}

/* Accepts every number of kept candidates that the cut of top_p may give within rounding. */
static int right_choice(const struct tsr_sample *a, size_t m, struct candidate *ranked,
                        size_t count)
{
    const size_t chosen = (size_t)a->index[m];
    const size_t kept = a->top_k > 0 && a->top_k < count ? a->top_k : count;
    double sum = 0, total = 0;

    if (count == 0)
        return chosen == 0;
    qsort(ranked, count, sizeof *ranked, by_rank);
    if (a->temperature == 0.0f)
        return chosen == ranked[0].index;
    if (!isfinite(ranked[0].l)) /* exp(Inf - Inf): p is NaN, any candidate that is kept */
        return chosen < a->k;
    if (a->top_p >= 1.0f)
        return plausible(ranked, kept, chosen, (double)a->u[m]);
    for (size_t i = 0; i < kept; i++)
        total += exp(ranked[i].l - ranked[0].l);
    for (size_t i = 0; i < kept && sum < ((double)a->top_p + 1e-5) * total; i++) {
        sum += exp(ranked[i].l - ranked[0].l);
        if (sum >= ((double)a->top_p - 1e-5) * total &&
            plausible(ranked, i + 1, chosen, (double)a->u[m]))
            return 1;
    }
    return 0;
}

static void oracle_sample(struct call *c, const size_t *d)
{
    const struct tsr_sample *a = (void *)&c->args;
    struct candidate *ranked = malloc((d[1] + 1) * sizeof *ranked);

    for (size_t m = 0; m < d[0]; m++) {
        size_t count = 0;

        for (size_t i = 0; i < d[1]; i++) {
            const double cond = (double)a->cond[m * a->ld + i];
            const double uncond = d[3] ? (double)a->uncond[m * a->ld + i] : 0;
            const double l =
                d[3] ? (double)(float)(5 * (double)(float)(cond - uncond) + uncond) : cond;

            ranked[count] = (struct candidate){d[4] ? (double)((float)l / a->temperature) : l, i};
            count += !isnan(l);
        }
        oracle_equal(c, right_choice(a, m, ranked, count), 1);
    }
    free(ranked);
}

const struct op_case tsr_case_sample = {build_sample, oracle_sample, SHAPES(sample_small),
                                        SHAPES(sample_real), 0};
