/*
 * codebook_nearest, argmax and sample on AVX2: the bodies in vec/nearest.inc and
 * vec/sample.inc over vec_avx2.h and a best of 16 lanes: two comparisons and four blends a line.
 */
#include "impl.h"
#include "x86/vec_avx2.h"

/* Per lane the best value so far and its index; -1: none. */
struct best {
    vf16 value;
    __m256i index[2];
};

VF_INLINE void best_start(struct best *best)
{
    best->value = vf_splat(-INFINITY);
    best->index[0] = best->index[1] = _mm256_set1_epi32(-1);
}

VF_INLINE void best_offer8(__m256 *best, __m256i *index, __m256 value, size_t first, __m256i exist)
{
    const __m256i at =
        _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32((int)first));
    const __m256 better =
        _mm256_and_ps(_mm256_cmp_ps(value, *best, _CMP_GE_OQ), _mm256_castsi256_ps(exist));

    *best = _mm256_blendv_ps(*best, value, better);
    *index = _mm256_blendv_epi8(*index, at, _mm256_castps_si256(better));
}

/* Offers `count` <= 16 values, of index first.. */
VF_INLINE void best_offer(struct best *best, vf16 value, size_t first, size_t count)
{
    best_offer8(&best->value.a, &best->index[0], value.a, first, vf_mask(count, 0));
    best_offer8(&best->value.b, &best->index[1], value.b, first + 8, vf_mask(count, 1));
}

static void best_store(float *value, int32_t *index, const struct best *best)
{
    vf_store(value, best->value);
    _mm256_storeu_si256((__m256i *)index, best->index[0]);
    _mm256_storeu_si256((__m256i *)(index + 8), best->index[1]);
}

#include "vec/elementary.inc"
#include "vec/chain.inc"
#include "vec/nearest.inc"
#include "vec/sample.inc"
