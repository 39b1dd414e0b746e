/*
 * codebook_nearest, argmax and sample on AVX-512: the bodies in vec/nearest.inc and
 * vec/sample.inc over vec_avx512.h and a best of 16 lanes: one comparison under a mask of the lanes
 * that exist, and two moves under its result.
 */
#include "impl.h"
#include "x86/vec_avx512.h"

/* Per lane the best value so far and its index; -1: none. */
struct best {
    vf16 value;
    __m512i index;
};

VF_INLINE void best_start(struct best *best)
{
    best->value = vf_splat(-INFINITY);
    best->index = _mm512_set1_epi32(-1);
}

/* Offers `count` <= 16 values, of index first.. */
VF_INLINE void best_offer(struct best *best, vf16 value, size_t first, size_t count)
{
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __mmask16 better =
        _mm512_mask_cmp_ps_mask(vf_mask(count), value, best->value, _CMP_GE_OQ);

    best->value = _mm512_mask_mov_ps(best->value, better, value);
    best->index = _mm512_mask_add_epi32(best->index, better, lanes, _mm512_set1_epi32((int)first));
}

static void best_store(float *value, int32_t *index, const struct best *best)
{
    vf_store(value, best->value);
    _mm512_storeu_si512(index, best->index);
}

#include "vec/elementary.inc"
#include "vec/chain.inc"
#include "vec/nearest.inc"
#include "vec/sample.inc"
