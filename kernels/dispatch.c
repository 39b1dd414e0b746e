/*
 * dispatch.c: the table of kernels.def as data, and the choice of one implementation per operator.
 *
 * A choice is a value that the caller keeps: there is no global pointer that a second user of the
 * library could change. Rows of the table are in order of preference, so choosing is taking the
 * last that may run.
 */
#include "impl.h"

#include <string.h>

const struct tsr_impl tsr_impls[] = {
#define IMPL(op, tier) {TSR_OP_##op, TSR_TIER_##tier, tsr_##op##_##tier, 0},
#define FAST(op, tier, bound) {TSR_OP_##op, TSR_TIER_##tier, tsr_##op##_##tier, bound},
#include "kernels.def"
};
const size_t tsr_impl_count = sizeof tsr_impls / sizeof tsr_impls[0];

const char *const tsr_op_names[TSR_OPS] = {
#define OP(name, args) #name,
#include "kernels.def"
};

const char *const tsr_tier_names[TSR_TIERS] = {
#define TIER(name, text) #name,
#include "kernels.def"
};

const char *const tsr_tier_texts[TSR_TIERS] = {
#define TIER(name, text) text,
#include "kernels.def"
};

const uint8_t tsr_tier_bases[TSR_TIERS] = {
#define TIER(name, text) TSR_TIER_##name,
#define TWIN_TIER(name, base, text) TSR_TIER_##base,
#define FAST_TIER(name, base, text) TSR_TIER_##base,
#include "kernels.def"
};

const uint32_t tsr_fast_tiers = 0
#define TIER(name, text)
#define FAST_TIER(name, base, text) | UINT32_C(1) << TSR_TIER_##name
#include "kernels.def"
    ;

struct tsr_kernels tsr_kernels_select(uint32_t tiers)
{
    struct tsr_kernels kernels = {
        .streams = tsr_cpu_streams(),
#define OP(name, args) .name = tsr_##name##_ref,
#include "kernels.def"
    };
    tsr_kernel **const slots[TSR_OPS] = {
#define OP(name, args) &kernels.name,
#include "kernels.def"
    };

    for (size_t i = 0; i < tsr_impl_count; i++) {
        const struct tsr_impl *impl = &tsr_impls[i];

        if (tiers >> impl->tier & 1) {
            *slots[impl->op] = impl->run;
            kernels.tier[impl->op] = impl->tier;
        }
    }
    return kernels;
}

/* The tier of that name, or TSR_TIERS. */
static size_t tier_by_name(const char *name, size_t length)
{
    size_t tier = 0;

    while (tier < TSR_TIERS &&
           (strlen(tsr_tier_names[tier]) != length || memcmp(tsr_tier_names[tier], name, length)))
        tier++;
    return tier;
}

/* The tier and those built on it. */
static uint32_t tiers_built_on(size_t tier)
{
    uint32_t tiers = UINT32_C(1) << tier;

    for (size_t i = 0; i < TSR_TIERS; i++)
        if (tsr_tier_bases[i] == tier)
            tiers |= UINT32_C(1) << i;
    return tiers;
}

/* The tiers up to one: those before it in the table, and fast ones built on them. */
static uint32_t tiers_up_to(size_t tier)
{
    uint32_t tiers = 0;

    for (size_t i = 0; i < TSR_TIERS; i++)
        if (i <= tier || (tsr_fast_tiers >> i & 1 && tsr_tier_bases[i] <= tier))
            tiers |= UINT32_C(1) << i;
    return tiers;
}

tsr_status tsr_tiers_parse(uint32_t *tiers, const char *text, uint32_t able,
                           struct tsr_error *error)
{
    const uint32_t all = able & ~tsr_cpu_slow_tiers();
    uint32_t wanted = 0, removed = 0;

    if (!(able >> TSR_TIER_ref & 1))
        return tsr_fail(error, TSR_CPU, "this CPU is below the floor of tessera: %s",
                        TSR_TIERS > 1 ? tsr_tier_texts[TSR_TIER_ref + 1] : "");
    while (text && *text) {
        const int minus = *text == '-';
        const char *name = text + minus;
        const size_t length = strcspn(name, ",");
        const size_t tier = tier_by_name(name, length);

        if (tier == TSR_TIERS)
            return tsr_fail(error, TSR_USAGE,
                            "unknown CPU tier '%.*s'; `tessera info --cpu` lists them",
                            length > 40 ? 40 : (int)length, name);
        if (minus && tier == TSR_TIER_ref)
            return tsr_fail(error, TSR_USAGE,
                            "the tier 'ref' cannot be removed: it is the last resort");
        if (!minus && !(able >> tier & 1))
            return tsr_fail(error, TSR_CPU, "this CPU%s lacks the tier '%s' (%s)",
                            tsr_fast_tiers >> tier & 1 ? ", or a choice without fast math," : "",
                            tsr_tier_names[tier], tsr_tier_texts[tier]);
        if (minus)
            removed |= tiers_built_on(tier);
        else
            wanted |= able & tiers_up_to(tier);
        text = name + length + (name[length] == ',');
    }
    *tiers = (wanted ? wanted : all) & ~removed;
    return TSR_OK;
}
