/*
 * attention on neondot: the body in vec/attention.inc over the vocabulary of vec_neon.h, with the
 * dots of tile_neondot.h (sdot) for a t8 cache. The others have no dots, and go to neon.
 */
#include "impl.h"
#include "arm/tile_neondot.h"

#define TSR_VEC(op) tsr_##op##_neondot
#include "arm/vec_neon.h"

#define ATT_RUN static void attention_t8
#define ATT_QUANTIZE tsr_quantize_rows_neon
#include "vec/elementary.inc"
#include "vec/chain.inc"
#include "vec/attention.inc"

void tsr_attention_neondot(const void *args, size_t begin, size_t end)
{
    const struct tsr_attention *a = args;

    if (a->kv.format == TSR_T8)
        attention_t8(args, begin, end);
    else
        tsr_attention_neon(args, begin, end);
}
