/*
 * test_kernels.c: the kernel library. Every implementation of the table against ref, ref against
 * its oracle, the planted bugs against the harness (all in tests/kernels/harness.h's way), and the
 * small things: the table itself, the choice of tiers, errors, half floats, the elementary
 * functions.
 *
 * TSR_CLASS=real adds the shapes of real layers (with fewer rows of large pictures).
 * TSR_OP=<operator> runs that operator alone, TSR_TIERS="<tier> ..." the implementations of these tiers and of the fast
 * ones that build on them.
 */
#include "kernels/harness.h"
#include "planted/planted.h"
#include "ref/math_ref.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>

static int real_class(void)
{
    const char *class = getenv("TSR_CLASS");

    return class && !strcmp(class, "real");
}

static int op_wanted(size_t op)
{
    const char *wanted = getenv("TSR_OP");

    return !wanted || !strcmp(wanted, tsr_op_names[op]);
}

static void free_indices(struct criterion_test_params *params)
{
    cr_free(params->params);
}

/* Whether TSR_TIERS, if set, has the tier's name, or that of the exact one below it, among its words. */
static int tier_wanted(size_t tier)
{
    const char *wanted = getenv("TSR_TIERS"), *name = tsr_tier_names[tsr_tier_bases[tier]];
    const size_t length = strlen(name);

    for (const char *at = wanted; at && (at = strstr(at, name)); at += length)
        if ((at == wanted || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return 1;
    return !wanted;
}

/* Parameters are indices: each runs in a new process, where addresses differ. */
static struct criterion_test_params indices(size_t count)
{
    size_t *index = cr_malloc(count * sizeof *index);

    for (size_t i = 0; i < count; i++)
        index[i] = i;
    return cr_make_param_array(size_t, index, count, free_indices);
}

/* ---- equal bits, or of fast math near ones ---- */

ParameterizedTestParameters(kernels, results)
{
    return indices(tsr_impl_count);
}

ParameterizedTest(size_t *index, kernels, results, .timeout = 600)
{
    const struct tsr_impl *impl = &tsr_impls[*index];
    const char *op = tsr_op_names[impl->op], *tier = tsr_tier_names[impl->tier];
    const int is_ref = impl->tier == TSR_TIER_ref;
    const int real = !is_ref && real_class(); /* ref would be compared with itself, slowly */
    static struct verdict verdict;

    if (!op_wanted(impl->op))
        cr_skip_test("%s: not asked for", op);
    if (!tier_wanted(impl->tier))
        cr_skip_test("%s: tier %s is not asked for", op, tier);
    if (!((tsr_cpu_tiers() | tsr_cpu_fast_tiers()) >> impl->tier & 1))
        cr_skip_test("%s: this CPU lacks the tier %s (%s)", op, tier, tsr_tier_texts[impl->tier]);
    if (impl->bound > 0)
        harness_check_bound(&verdict, impl->op, impl->run, real, (double)impl->bound, SIZE_MAX);
    else
        harness_check(&verdict, impl->op, impl->run, real, is_ref, SIZE_MAX);
    for (size_t i = 0; i < verdict.failures && i < FAILURES_KEPT; i++)
        cr_expect_fail("%s, %s: %s", op, tier, verdict.messages[i]);
    cr_assert_eq(verdict.failures, 0, "%s, %s: %zu failures in %zu runs", op, tier,
                 verdict.failures, verdict.runs);
    cr_assert_eq(verdict.runs, harness_runs(impl->op, real), "%s, %s: %zu runs of %zu", op, tier,
                 verdict.runs, harness_runs(impl->op, real));
}

/* ---- planted bugs ---- */

ParameterizedTestParameters(kernels, planted_bugs)
{
    return indices(planted_count);
}

ParameterizedTest(size_t *index, kernels, planted_bugs, .timeout = 600)
{
    const struct planted *plant = &planted[*index];
    static struct verdict verdict;

    if (!op_wanted(plant->op))
        cr_skip_test("%s: not asked for", tsr_op_names[plant->op]);
    if (!tier_wanted(TSR_TIER_ref)) /* they are C as ref is */
        cr_skip_test("%s: tier ref is not asked for", tsr_op_names[plant->op]);
    harness_check(&verdict, plant->op, plant->run, 0, 0, 1);
    if (plant->bug)
        cr_assert_gt(verdict.failures, 0, "%s: not caught: %s", tsr_op_names[plant->op],
                     plant->bug);
    else
        cr_assert_eq(verdict.failures, 0, "%s: a correct kernel is blamed: %s",
                     tsr_op_names[plant->op], verdict.messages[0]);
}

/* ---- the table ---- */

Test(kernels, table)
{
    uint8_t seen[TSR_OPS][TSR_TIERS] = {{0}};
    uint8_t last[TSR_OPS] = {0};
    const struct tsr_kernels ref = tsr_kernels_select(1u << TSR_TIER_ref);
    const struct tsr_kernels all = tsr_kernels_select(~0u);

    for (size_t i = 0; i < tsr_impl_count; i++) {
        const struct tsr_impl *impl = &tsr_impls[i];

        cr_assert_not(seen[impl->op][impl->tier]++, "%s has two rows of tier %s",
                      tsr_op_names[impl->op], tsr_tier_names[impl->tier]);
        last[impl->op] = impl->tier;
    }
    for (size_t op = 0; op < TSR_OPS; op++) {
        cr_assert(seen[op][TSR_TIER_ref], "%s has no ref", tsr_op_names[op]);
        cr_assert_eq(ref.tier[op], TSR_TIER_ref);
        cr_assert_eq(all.tier[op], last[op]);
        cr_assert_geq(harness_cases[op]->small_count, 4, "%s has few shapes", tsr_op_names[op]);
        cr_assert_geq(harness_cases[op]->real_count, 1, "%s has no real shape", tsr_op_names[op]);
    }
    cr_assert_eq((void *)ref.add, (void *)tsr_add_ref);
}

#if defined(__x86_64__)
enum { LAST_EXACT = TSR_TIER_amx };
#else
enum { LAST_EXACT = TSR_TIER_i8mm };
#endif

/* Fast tiers stand after exact ones, are nobody's default, and go with the tier they build on. */
Test(kernels, fast_tiers)
{
    const uint32_t every = (1u << TSR_TIERS) - 1, fast = tsr_fast_tiers;
    const uint32_t first = 1u << (TSR_TIER_ref + 1);
    uint32_t tiers = 0;

    cr_assert_eq(fast, every & ~((2u << LAST_EXACT) - 1));
    cr_assert_eq(tsr_cpu_tiers() & fast, 0);
    cr_assert_eq(tsr_cpu_fast_tiers() & ~fast, 0);
    for (size_t i = 0; i < tsr_impl_count; i++)
        cr_assert_eq(tsr_impls[i].bound > 0, fast >> tsr_impls[i].tier & 1, "row %zu", i);
    cr_assert_eq(tsr_tiers_parse(&tiers, NULL, every, NULL), TSR_OK);
    cr_assert_eq(tiers, every & ~tsr_cpu_slow_tiers());
    cr_assert_eq(tsr_tiers_parse(&tiers, tsr_tier_names[1], every, NULL), TSR_OK);
    cr_assert_eq(tiers & ~fast, 1 | first);
    for (unsigned i = 0; i < TSR_TIERS; i++)
        if (fast >> i & 1) {
            cr_assert_eq(tiers >> i & 1, tsr_tier_bases[i] == 1, "%s", tsr_tier_names[i]);
            cr_assert_eq(tsr_tiers_parse(&tiers, tsr_tier_names[i], every & ~fast, NULL), TSR_CPU,
                         "%s without fast math", tsr_tier_names[i]);
        }
}

Test(kernels, tiers_parse)
{
    const uint32_t every = (1u << TSR_TIERS) - 1, all = every & ~tsr_fast_tiers;
    const uint32_t first = 1u << (TSR_TIER_ref + 1);
    const uint32_t usual = all & ~tsr_cpu_slow_tiers(), last = 1u << LAST_EXACT;
    struct tsr_error error;
    uint32_t tiers = 0;
    char text[64];

    cr_assert_eq(tsr_tiers_parse(&tiers, NULL, all, &error), TSR_OK);
    cr_assert_eq(tiers, usual);
    cr_assert_eq(tsr_tiers_parse(&tiers, "", all, &error), TSR_OK);
    cr_assert_eq(tiers, usual);
    cr_assert_eq(tsr_tiers_parse(&tiers, "ref", all, &error), TSR_OK);
    cr_assert_eq(tiers, 1);
    cr_assert_eq(tsr_tiers_parse(&tiers, tsr_tier_names[1], all, &error), TSR_OK);
    cr_assert_eq(tiers, 1 | first);
    snprintf(text, sizeof text, "-%s,-%s", tsr_tier_names[1], tsr_tier_names[LAST_EXACT]);
    cr_assert_eq(tsr_tiers_parse(&tiers, text, all, &error), TSR_OK);
    cr_assert_eq(tiers, usual & ~first & ~last);
    cr_assert_eq(tsr_tiers_parse(&tiers, text, all & ~last, &error), TSR_OK,
                 "removing what is not there");
#if defined(__x86_64__)
    const uint32_t twins = 1u << TSR_TIER_avx512 | 1u << TSR_TIER_avx512x2 | 1u << TSR_TIER_amx;
    cr_assert_eq(tsr_tiers_parse(&tiers, "-avx512", all, &error), TSR_OK);
    cr_assert_eq(tiers, usual & ~twins, "a twin builds on it");
    cr_assert_eq(tsr_tiers_parse(&tiers, "avx512", all, &error), TSR_OK);
    cr_assert_eq(tiers & twins, 1u << TSR_TIER_avx512);
#endif
    tiers = 77;
    cr_assert_eq(tsr_tiers_parse(&tiers, "avx1024", all, &error), TSR_USAGE);
    cr_assert_eq(tsr_tiers_parse(&tiers, "-ref", all, &error), TSR_USAGE);
    cr_assert_eq(tsr_tiers_parse(&tiers, ",", all, &error), TSR_USAGE);
    cr_assert_eq(tsr_tiers_parse(&tiers, tsr_tier_names[LAST_EXACT], all & ~last, &error),
                 TSR_CPU);
    cr_assert_eq(tsr_tiers_parse(&tiers, NULL, 0, NULL), TSR_CPU);
    cr_assert_eq(tiers, 77, "an error leaves the result alone");
}

Test(kernels, cpu_tiers)
{
    const uint32_t tiers = tsr_cpu_tiers();

    cr_assert(tiers == 0 || (tiers & 3) == 3, "ref and the first tier come together");
    cr_assert_eq(tsr_cpu_slow_tiers() & ~(tiers | tsr_cpu_fast_tiers()), 0);
    cr_assert_lt(tiers, 1u << TSR_TIERS);
}

/* ---- errors ---- */

Test(kernels, fail)
{
    struct tsr_error error;
    char name[1000];

    cr_assert_eq(tsr_fail(&error, TSR_IO, "%s: %d", "a\x1b[31m\nb\x7f", 7), TSR_IO);
    cr_assert_eq(error.status, TSR_IO);
    cr_assert_str_eq(error.message, "a?[31m?b?: 7");
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = 0;
    cr_assert_eq(tsr_fail(&error, TSR_MALFORMED, "%s", name), TSR_MALFORMED);
    cr_assert_eq(strlen(error.message), sizeof error.message - 1);
    cr_assert_eq(tsr_fail(NULL, TSR_MEMORY, "%s", "nobody listens"), TSR_MEMORY);
}

/* ---- half floats: all values, and the f32 around every boundary ---- */

static void check_to_f16(uint32_t bits)
{
    const float x = tsr_float(bits);
    const uint16_t h = tsr_f32_to_f16(x);
    const double want = oracle_to_f16((double)x), got = oracle_f16(h);

    cr_assert(isnan(want) ? isnan(got) : got == want && signbit(got) == signbit(want),
              "%#x to f16: %#x", bits, h);
}

Test(kernels, f16)
{
    for (uint32_t h = 0; h < 0x10000; h++) {
        const float x = tsr_f16_to_f32((uint16_t)h);
        const double want = oracle_f16((uint16_t)h);
        const uint32_t bits = tsr_bits(x);

        cr_assert(isnan(want) ? isnan(x) : (double)x == want && !signbit(x) == !(h >> 15),
                  "f16 %#x", h);
        if (isnan(want))
            continue;
        cr_assert_eq(tsr_f32_to_f16(x), h);
        for (uint32_t step = 0x0fff; step <= 0x1001; step++) { /* around the tie with the next */
            check_to_f16(bits + step);
            check_to_f16(bits - step);
        }
        check_to_f16(bits + 1);
        check_to_f16(bits - 1);
    }
    for (uint32_t bits = 0; bits < 0xfff00000; bits += 65521)
        check_to_f16(bits);
}

Test(kernels, bf16)
{
    for (uint32_t h = 0; h < 0x10000; h++) {
        const float x = tsr_bf16_to_f32((uint16_t)h);

        cr_assert_eq(tsr_bits(x), h << 16);
        if (isnan(x) || isinf(x)) {
            cr_assert(isnan(x) == !!isnan(tsr_bf16_to_f32(tsr_f32_to_bf16(x))));
            continue;
        }
        cr_assert_eq(tsr_f32_to_bf16(x), h);
        cr_assert_eq(tsr_f32_to_bf16(tsr_float((h << 16) + 0x7fff)), h);
        cr_assert_eq(tsr_f32_to_bf16(tsr_float((h << 16) + 0x8000)),
                     h + (h & 1)); /* a tie: to even */
        cr_assert_eq(tsr_f32_to_bf16(tsr_float((h << 16) + 0x8001)), h + 1);
    }
    cr_assert(isnan(tsr_bf16_to_f32(tsr_f32_to_bf16(tsr_float(0x7f800001)))), "a NaN stays one");
}

/* ---- elementary functions: near libm's ---- */

/* As kernels/ref/math_ref.c says, <sleef.h> declares it only to compilers that were told of fma. */
float Sleef_finz_expf1_u10purecfma(float x);

/* Arguments spread over all of f32; with the shapes of real layers many more, and SLEEF's bits (of
 * Debian 12's). */
Test(kernels, exp_and_phi, .timeout = 600)
{
    const uint32_t step = real_class() ? 61 : 65521;
    const float most = 103.97f; /* beyond, exp(-x) is 0 */

    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += step) {
        const float x = tsr_float((uint32_t)bits), e = tsr_exp(x), p = tsr_phi(x);
        const double want = exp((double)x);
        double ulp = 0x1p-149;

        if (isnan(x)) {
            cr_assert(isnan(e) && isnan(p), "%a", (double)x);
            continue;
        }
        if (want >= 0x1p-126)
            ulp = ldexp(1, ilogb(want) - 23);
        if (want > (double)FLT_MAX || want == 0)
            cr_assert(want == 0 ? e == 0 : isinf(e), "exp(%a) is %a", (double)x, (double)e);
        else
            cr_assert(fabs((double)e - want) <= ulp, "exp(%a) is %a", (double)x, (double)e);
        cr_assert(fabs((double)p - erf((double)x / sqrt(2)) / 2) <= 1e-7, "phi(%a) is %a",
                  (double)x, (double)p);
        if (real_class())
            cr_assert_eq(tsr_bits(e), tsr_bits(Sleef_finz_expf1_u10purecfma(x)),
                         "exp(%a) is not SLEEF's", (double)x);
    }
    cr_assert(tsr_exp(-most) == 0x1p-149f && tsr_exp(-104) == 0 && tsr_exp(0) == 1);
    cr_assert(tsr_phi(-5.36f) == -0.5f && tsr_phi(5.36f) == 0.5f && tsr_phi(0) == 0);
}

/* in double: within an ulp or so */

Test(kernels, pow_and_log)
{
    for (int i = 1; i < 2000; i++) {
        const double x = i * 0.37, power = pow(10000, -x / 740), logarithm = log(x);

        cr_assert(fabs(tsr_pow(10000, -x / 740) - power) <= 2 * DBL_EPSILON * power);
        cr_assert(fabs(tsr_log(x) - logarithm) <= 2 * DBL_EPSILON * fabs(logarithm));
    }
    cr_assert_neq(tsr_math_fingerprint(), 0);
    cr_assert_eq(tsr_math_fingerprint(), tsr_math_fingerprint());
}
