/*
 * codebook_nearest, argmax and sample on Advanced SIMD: the bodies in vec/nearest.inc and
 * vec/sample.inc over vec_neon.h and a best of 16 lanes: two comparisons and two selects per q register.
 */
#include "impl.h"
#include "arm/vec_neon.h"

/* Per lane the best value so far and its index; -1: none. */
struct best {
    vf16 value;
    int32x4_t index[4];
};

VF_INLINE void best_start(struct best *best)
{
    best->value = vf_splat(-INFINITY);
    for (int i = 0; i < 4; i++)
        best->index[i] = vdupq_n_s32(-1);
}

/* Offers `count` <= 16 values, of index first.. */
VF_INLINE void best_offer(struct best *best, vf16 value, size_t first, size_t count)
{
    static const int32_t lanes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

    for (int i = 0; i < 4; i++) {
        const int32x4_t lane = vld1q_s32(lanes + 4 * i);
        const uint32x4_t exists = vcltq_s32(lane, vdupq_n_s32((int32_t)count));
        const uint32x4_t better = vandq_u32(vcgeq_f32(value.q[i], best->value.q[i]), exists);

        best->value.q[i] = vbslq_f32(better, value.q[i], best->value.q[i]);
        best->index[i] =
            vbslq_s32(better, vaddq_s32(lane, vdupq_n_s32((int32_t)first)), best->index[i]);
    }
}

static void best_store(float *value, int32_t *index, const struct best *best)
{
    vf_store(value, best->value);
    for (int i = 0; i < 4; i++)
        vst1q_s32(index + 4 * i, best->index[i]);
}

#include "vec/elementary.inc"
#include "vec/chain.inc"
#include "vec/nearest.inc"
#include "vec/sample.inc"
