/*
 * planted.c: the bugs. Most call ref on arguments that are slightly off, or disturb its results as
 * a wrong vector loop would; those that are wrong in their arithmetic are written out.
 */
#include "planted.h"

#include <stdlib.h>

#include "ref/ref.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
static void flush_to_zero(void)
{
    _mm_setcsr(_mm_getcsr() | 0x8040);
}
#else
static void flush_to_zero(void)
{
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)1 << 24));
}
#endif

#define PLANT(name) static void name(const void *args, size_t begin, size_t end)

/* ---- matmul_t8, matmul_t4: the contract once more, with a switch for each way to get it wrong
 * ---- */

enum matmul_bug {
    RIGHT,
    SHORT_ACCUMULATOR, /* the sum of a group in s16 */
    CODE_M128,         /* -128 becomes -127, as by a saturating negation */
    SATURATING_PAIRS,  /* u8 x s8 pairs saturate to s16, as vpmaddubsw on 8-bit weights */
    PRODUCT_OF_SCALES, /* fma(dot, ws * xs, acc): one level of scales */
    UNFUSED,           /* a product and a sum for the fma */
    GROUPS_DESCENDING, /* groups of a block from the last to the first */
    PADDING_SKIPPED,   /* groups beyond k not run over */
    BIAS_LAST,         /* bias added at the end */
    SIGNED_WEIGHTS,    /* weight bytes taken as signed */
    FLOAT_ZERO_POINT,  /* zero point times sum taken off after the conversion */
    NO_ZERO_POINT,     /* zero point times sum not taken off at all */
    LAST_ZERO_POINT    /* or the wrong one, in the last group */
};

static int32_t group_dot(const struct tsr_matmul_q *a, size_t n, size_t m, size_t k,
                         enum matmul_bug bug)
{
    const struct tsr_tile *w = &a->w;
    const uint8_t *block = tsr_block(w, n / TSR_PANEL, k);
    int32_t dot = 0;

    for (size_t i = 0; i < TSR_GROUP; i += 2) {
        int32_t pair = 0;

        for (size_t j = i; j < i + 2; j++) {
            const int code = a->x.codes[m * a->x.ldc + k + j];
            const int weight = tsr_code(block, w->format, n % TSR_PANEL, k + j);

            pair += (bug == SIGNED_WEIGHTS ? (int8_t)weight : weight) *
                    (bug == CODE_M128 && code == -128 ? -127 : code);
        }
        if (bug == SATURATING_PAIRS)
            pair = pair > 32767 ? 32767 : pair < -32768 ? -32768 : pair;
        dot += pair;
    }
    if (bug == LAST_ZERO_POINT && k + TSR_GROUP >= w->k)
        dot -= a->x.sums[(m * a->x.ldc + k) / TSR_GROUP];
    if (bug != FLOAT_ZERO_POINT && bug != NO_ZERO_POINT)
        dot -= tsr_zero_point(w->format) * a->x.sums[(m * a->x.ldc + k) / TSR_GROUP];
    return bug == SHORT_ACCUMULATOR ? (int16_t)dot : dot;
}

static float matmul_element(const struct tsr_matmul_q *a, size_t n, size_t m, enum matmul_bug bug)
{
    const size_t k_padded = tsr_round_up(a->w.k, bug == PADDING_SKIPPED ? TSR_GROUP : TSR_BLOCK);
    const float bias = a->bias ? a->bias[n] : 0.0f;
    float acc = bug == BIAS_LAST ? 0.0f : bias;

    for (size_t k = 0; k < k_padded; k += TSR_ACT_BLOCK) {
        const size_t last = k_padded - k < TSR_ACT_BLOCK ? k_padded : k + TSR_ACT_BLOCK;
        const float xs = a->x.scales[m * a->x.lds + k / TSR_ACT_BLOCK];
        float t = 0;

        for (size_t at = k; at < last; at += TSR_GROUP) {
            const size_t g = bug == GROUPS_DESCENDING ? k + (last - TSR_GROUP - at) : at;
            const float ws = tsr_scale(tsr_block(&a->w, n / TSR_PANEL, g), n % TSR_PANEL, g);
            float dot = (float)group_dot(a, n, m, g, bug);

            if (bug == FLOAT_ZERO_POINT)
                dot = dot * ws - (float)(tsr_zero_point(a->w.format) *
                                         a->x.sums[(m * a->x.ldc + g) / TSR_GROUP]) *
                                     ws;
            if (bug == PRODUCT_OF_SCALES)
                acc = fmaf(dot, ws * xs, acc);
            else if (bug == FLOAT_ZERO_POINT)
                t += dot;
            else
                t = bug == UNFUSED ? dot * ws + t : fmaf(dot, ws, t);
        }
        acc = bug == PRODUCT_OF_SCALES ? acc : fmaf(t, xs, acc);
    }
    return bug == BIAS_LAST ? acc + bias : acc;
}

static void matmul_with(const struct tsr_matmul_q *a, size_t begin, size_t end, enum matmul_bug bug)
{
    for (size_t m = 0; m < a->m; m++)
        for (size_t n = begin * TSR_PANEL; n < end * TSR_PANEL && n < a->w.n; n++)
            a->y[m * a->ldy + n] = matmul_element(a, n, m, bug);
}

#define MATMUL(name, bug)                                                                          \
    PLANT(name)                                                                                    \
    {                                                                                              \
        matmul_with(args, begin, end, bug);                                                        \
    }
MATMUL(matmul_right, RIGHT)
MATMUL(matmul_short, SHORT_ACCUMULATOR)
MATMUL(matmul_m128, CODE_M128)
MATMUL(matmul_pairs, SATURATING_PAIRS)
MATMUL(matmul_scales, PRODUCT_OF_SCALES)
MATMUL(matmul_unfused, UNFUSED)
MATMUL(matmul_descending, GROUPS_DESCENDING)
MATMUL(matmul_unpadded, PADDING_SKIPPED)
MATMUL(matmul_bias_last, BIAS_LAST)
MATMUL(matmul_signed, SIGNED_WEIGHTS)
MATMUL(matmul_float_zero, FLOAT_ZERO_POINT)
MATMUL(matmul_no_zero, NO_ZERO_POINT)
MATMUL(matmul_last_zero, LAST_ZERO_POINT)

PLANT(matmul_last_row) /* an odd last row is forgotten */
{
    struct tsr_matmul_q a = *(const struct tsr_matmul_q *)args;

    a.m -= a.m % 2;
    tsr_matmul_t8_ref(&a, begin, end);
}

PLANT(matmul_tail_short) /* the last output of an incomplete panel is forgotten */
{
    struct tsr_matmul_q a = *(const struct tsr_matmul_q *)args;

    a.w.n -= a.w.n % TSR_PANEL != 0;
    tsr_matmul_t8_ref(&a, begin, end);
}

PLANT(matmul_tail_long) /* all 16 outputs of the last panel are stored */
{
    struct tsr_matmul_q a = *(const struct tsr_matmul_q *)args;

    a.bias = NULL;
    tsr_matmul_t4_ref(args, begin, end);
    if (a.w.n % TSR_PANEL && a.m && end == tsr_ceil_div(a.w.n, TSR_PANEL))
        a.y[(a.m - 1) * a.ldy + a.w.n] = 0;
}

PLANT(matmul_over_read) /* one byte of the codes too far */
{
    const struct tsr_matmul_q *a = args;

    tsr_matmul_t4_ref(args, begin, end);
    (void)*(const volatile int8_t *)(a->x.codes + a->m * a->x.ldc);
}

PLANT(matmul_tile_over_read) /* a line of weights prefetched by a load, past the last panel */
{
    const struct tsr_matmul_q *a = args;

    tsr_matmul_t8_ref(args, begin, end);
    if (end > begin)
        (void)*(const volatile uint8_t *)tsr_panel(&a->w, end);
}

PLANT(matmul_panel_lost) /* the last panel of a range is left to somebody else */
{
    tsr_matmul_t4_ref(args, begin, end - (end > begin + 2));
}

/* ---- other matrix operators ---- */

PLANT(matmul_tf_two_chains) /* even and odd k summed apart */
{
    const struct tsr_matmul_f *a = args;

    tsr_matmul_tf_ref(args, begin, end);
    for (size_t panel = begin; panel < end; panel++)
        for (size_t m = 0; m < a->m; m++) {
            float acc[2][TSR_PANEL] = {{0}}, w[TSR_PANEL];

            tsr_bias(acc[0], a->bias, panel, a->w.n);
            for (size_t k = 0; k < a->w.k; k++) {
                tsr_column(w, &a->w, panel, k);
                for (size_t r = 0; r < TSR_PANEL; r++)
                    acc[k % 2][r] = fmaf(a->x[m * a->ldx + k], w[r], acc[k % 2][r]);
            }
            for (size_t r = 0; r < TSR_PANEL; r++)
                acc[0][r] += acc[1][r];
            tsr_store(a->y + m * a->ldy, acc[0], panel, a->w.n);
        }
}

PLANT(matmul_tf_odd_k) /* pairs of k: the partner of an odd last one is read from x, too */
{
    const struct tsr_matmul_f *a = args;

    tsr_matmul_tf_ref(args, begin, end);
    if (a->m && a->w.k % 2)
        (void)*(const volatile float *)(a->x + (a->m - 1) * a->ldx + a->w.k);
}

PLANT(gather_nibbles) /* high nibbles first: quads 2j and 2j + 1 exchanged */
{
    const struct tsr_gather *a = args;

    tsr_gather_rows_ref(args, begin, end);
    for (size_t i = begin; i < end && a->w.format == TSR_T4; i++)
        for (size_t k = 0; k + 8 <= a->w.k; k += 8)
            for (size_t j = k; j < k + 4; j++) {
                float *y = a->y + i * a->ldy + j, kept = y[0];

                y[0] = y[4];
                y[4] = kept;
            }
}

PLANT(codebook_padding_wins) /* rows that only pad the last panel take part */
{
    struct tsr_codebook a = *(const struct tsr_codebook *)args;

    a.w.n = a.bias ? a.w.n : tsr_round_up(a.w.n, TSR_PANEL);
    tsr_codebook_nearest_ref(&a, begin, end);
}

PLANT(quantize_half_away) /* ties away from zero */
{
    const struct tsr_quantize *a = args;

    tsr_quantize_rows_ref(args, begin, end);
    for (size_t m = begin; m < end; m++)
        for (size_t k = 0; k < a->k; k++) {
            const float scale = a->q.scales[m * a->q.lds + k / TSR_ACT_BLOCK];
            const float inv = 127.0f / (scale * 127.0f);

            if (scale > 0)
                a->q.codes[m * a->q.ldc + k] = (int8_t)roundf(a->x[m * a->ldx + k] * inv);
        }
}

PLANT(quantize_nan_lost) /* a maximum by comparison does not see NaN */
{
    const struct tsr_quantize *a = args;

    tsr_quantize_rows_ref(args, begin, end);
    for (size_t i = begin * a->q.lds; i < end * a->q.lds; i++)
        if (isnan(a->q.scales[i]))
            a->q.scales[i] = 0;
}

PLANT(quantize_no_padding) /* codes beyond k are not written */
{
    struct tsr_quantize a = *(const struct tsr_quantize *)args;

    for (size_t m = begin; m < end; m++)
        if (a.q.ldc > a.k) {
            const int8_t kept = a.q.codes[(m + 1) * a.q.ldc - 1];

            tsr_quantize_rows_ref(args, m, m + 1);
            a.q.codes[(m + 1) * a.q.ldc - 1] = kept;
        } else {
            tsr_quantize_rows_ref(args, m, m + 1);
        }
}

PLANT(conv_border_skipped) /* taps outside are left out; shows where a weight scale is Inf or NaN */
{
    const struct tsr_conv2d_q *a = args;

    tsr_conv2d_t8_ref(args, begin, end);
    for (size_t i = begin * a->s.ow * a->weights.n; i < end * a->s.ow * a->weights.n; i++)
        if (a->s.pad_top && isnan(a->y[i]))
            a->y[i] = 0;
}

PLANT(conv_stride) /* the column steps by one */
{
    struct tsr_conv2d_f a = *(const struct tsr_conv2d_f *)args;

    a.s.pad_left += a.s.stride > 1;
    tsr_conv2d_tf_ref(&a, begin, end);
}

/* ---- attention ---- */

PLANT(attention_one_key_less)
{
    struct tsr_attention a = *(const struct tsr_attention *)args;
    int32_t limits[64];

    for (size_t i = 0; i < a.batch * a.rows && i < 64; i++)
        limits[i] = a.limits[i] - (a.limits[i] > 1);
    a.limits = a.batch * a.rows <= 64 ? limits : a.limits;
    tsr_attention_ref(&a, begin, end);
}

PLANT(attention_mask_late) /* a masked key's value is multiplied by 0 instead of not visited: NaN
                              shows */
{
    const struct tsr_attention *a = args;

    tsr_attention_ref(args, begin, end);
    for (size_t row = 0; row < a->batch * a->rows; row++)
        if ((size_t)a->limits[row] < a->kv.capacity && a->kv.format == TSR_F16 && a->parts == 0)
            for (size_t i = 0; i < a->heads * a->kv.d; i++)
                a->out[row * a->ldo + i] +=
                    0 * tsr_f16_to_f32((
                            (const uint16_t *)a->kv
                                .v[row / a->rows])[(size_t)a->limits[row] * a->kv.d + i % a->kv.d]);
}

PLANT(attention_value_code) /* the code -128 of a t8 value read as -127 */
{
    const struct tsr_attention *a = args;
    const size_t bytes = a->kv.heads * tsr_kv_v_bytes(&a->kv);
    struct tsr_attention copy = *a;
    void *v[2] = {NULL, NULL};

    if (a->kv.format == TSR_T8) {
        for (size_t b = 0; b < a->batch; b++) {
            uint8_t *codes = v[b] = malloc(bytes);

            memcpy(codes, a->kv.v[b], bytes);
            for (size_t i = 0; i < bytes; i++)
                codes[i] += i % TSR_Q8_BYTES >= 2 && codes[i] == 0x80;
        }
        copy.kv.v = v;
    }
    tsr_attention_ref(&copy, begin, end);
    free(v[0]);
    free(v[1]);
}

PLANT(attention_no_key_nan) /* 0 / 0 where nothing is visible */
{
    const struct tsr_attention *a = args;

    tsr_attention_ref(args, begin, end);
    for (size_t row = 0; row < a->batch * a->rows; row++)
        if (a->limits[row] == 0 && a->parts == 0)
            a->out[row * a->ldo] = NAN;
}

PLANT(kv_store_truncated) /* f16 by cutting bits off */
{
    const struct tsr_kv_store *a = args;

    tsr_kv_store_ref(args, begin, end);
    for (size_t unit = begin; unit < end && a->kv.format == TSR_F16 && a->rows; unit++) {
        const size_t b = unit / a->kv.heads, head = unit % a->kv.heads;
        const float x = a->v[b * a->rows * a->ldv + head * a->kv.d];
        uint16_t *v = (uint16_t *)a->kv.v[b] + (head * a->kv.capacity + a->start[b]) * a->kv.d;

        if (fabsf(x) > 1 && fabsf(x) < 4)
            *v = tsr_f32_to_f16(tsr_float(tsr_bits(x) & ~UINT32_C(0x1fff)));
    }
}

/* ---- rows ---- */

PLANT(rmsnorm_eight_lanes)
{
    const struct tsr_norm *a = args;

    for (size_t m = begin; m < end; m++) {
        const float *x = a->x + m * a->ldx;
        float lane[8] = {0}, sum, r;

        for (size_t i = 0; i < a->k; i++)
            lane[i % 8] = fmaf(x[i], x[i], lane[i % 8]);
        sum = ((lane[0] + lane[4]) + (lane[2] + lane[6])) +
              ((lane[1] + lane[5]) + (lane[3] + lane[7]));
        r = 1.0f / sqrtf((float)((double)sum / (double)a->k) + a->eps);
        for (size_t i = 0; i < a->k; i++)
            a->y[m * a->ldy + i] = (x[i] * r) * a->weight[i];
    }
}

PLANT(rmsnorm_tail_dropped) /* the last k mod 16 elements do not count */
{
    struct tsr_norm a = *(const struct tsr_norm *)args;

    tsr_rmsnorm_ref(args, begin, end);
    a.k -= a.k > TSR_LANES ? a.k % TSR_LANES : 0;
    tsr_rmsnorm_ref(&a, begin, end);
}

PLANT(rmsnorm_order_by_range) /* the order of the sum depends on how the rows are shared out */
{
    const struct tsr_norm *a = args;

    if (end - begin < a->m)
        rmsnorm_eight_lanes(args, begin, end);
    else
        tsr_rmsnorm_ref(args, begin, end);
}

PLANT(rmsnorm_width_as_stride)
{
    struct tsr_norm a = *(const struct tsr_norm *)args;

    a.ldx = a.k;
    tsr_rmsnorm_ref(&a, begin, end);
}

PLANT(layernorm_one_pass) /* E(x^2) - E(x)^2 */
{
    const struct tsr_norm *a = args;

    for (size_t m = begin; m < end; m++) {
        const float *x = a->x + m * a->ldx;
        struct tsr_sum sum = {0}, square = {0};
        float u, r;

        for (size_t i = 0; i < a->k; i++) {
            tsr_sum_add(&sum, x[i]);
            tsr_sum_add_square(&square, x[i]);
        }
        u = (float)(tsr_sum_total(&sum) / (double)a->k);
        r = 1.0f / sqrtf((float)(tsr_sum_total(&square) / (double)a->k) - u * u + a->eps);
        for (size_t i = 0; i < a->k; i++)
            a->y[m * a->ldy + i] = fmaf((x[i] - u) * r, a->weight[i], a->bias[i]);
    }
}

PLANT(groupnorm_neighbour) /* the next group's elements are added, too */
{
    const struct tsr_groupnorm_sums *a = args;

    tsr_groupnorm_sums_ref(args, begin, end);
    for (size_t block = begin; block < end; block++)
        for (size_t g = 0; g + 1 < a->groups; g++)
            a->sums[block * a->groups + g] += a->sums[block * a->groups + g + 1];
}

PLANT(groupnorm_blocks_in_f32) /* the block sums added in f32 */
{
    const struct tsr_groupnorm_fold *a = args;
    const size_t width = a->channels / a->groups;

    tsr_groupnorm_fold_ref(args, begin, end);
    for (size_t g = begin; g < end && !a->root; g++) {
        float total = 0;

        for (size_t block = 0; block < tsr_ceil_div(a->pixels * width, TSR_REDUCE_BLOCK); block++)
            total += a->sums[block * a->groups + g];
        for (size_t c = 0; c < width; c++)
            a->values[g * width + c] = total / (float)(a->pixels * width);
    }
}

PLANT(groupnorm_next_pixel) /* a tail stored whole: the pixel after the range is overwritten */
{
    const struct tsr_groupnorm_apply *a = args;

    tsr_groupnorm_apply_ref(args, begin, end);
    if (begin < end && end < a->pixels)
        a->y[end * a->channels] = a->y[end * a->channels - 1];
    else if (begin > 0 && begin < end)
        a->y[begin * a->channels - 1] = a->y[begin * a->channels];
}

PLANT(cast_truncated) /* f16 truncated */
{
    const struct tsr_cast *a = args;

    tsr_cast_ref(args, begin, end);
    for (size_t i = begin * a->k; i < end * a->k && a->format == TSR_F32; i++) {
        uint16_t *y = (uint16_t *)a->y + i;

        *y -= fabsf(tsr_f16_to_f32(*y)) > fabsf(((const float *)a->x)[i]);
    }
}

PLANT(softmax_float_sum) /* one running sum in place of the lanes */
{
    const struct tsr_rows *a = args;

    for (size_t row = begin; row < end; row++) {
        const float *x = a->x + row * a->ldx;
        float *y = a->y + row * a->ldy, m = -INFINITY, sum = 0;

        for (size_t i = 0; i < a->k; i++)
            m = x[i] > m ? x[i] : m;
        for (size_t i = 0; i < a->k; i++)
            sum += y[i] = tsr_exp(x[i] - m);
        for (size_t i = 0; i < a->k; i++)
            y[i] /= sum;
    }
}

PLANT(softmax_plain) /* exp without the maximum taken off */
{
    const struct tsr_rows *a = args;

    for (size_t row = begin; row < end; row++) {
        const float *x = a->x + row * a->ldx;
        float *y = a->y + row * a->ldy;
        struct tsr_sum sum = {0};

        for (size_t i = 0; i < a->k; i++)
            tsr_sum_add(&sum, y[i] = tsr_exp(x[i]));
        for (size_t i = 0; i < a->k; i++)
            y[i] /= (float)tsr_sum_total(&sum);
    }
}

PLANT(codebook_stale) /* scratch of its own, which keeps the winner of the call before */
{
    static int32_t winner;
    const struct tsr_codebook *a = args;

    tsr_codebook_nearest_ref(args, begin, end);
    for (size_t m = begin; m < end; m++) {
        const int32_t kept = winner;

        winner = a->index[m];
        a->index[m] = m == begin && kept < a->index[m] ? kept : a->index[m];
    }
}

PLANT(silu_flushes) /* denormals flushed, and the mode left on */
{
    flush_to_zero();
    tsr_silu_ref(args, begin, end);
}

PLANT(gelu_from_start) /* begin is ignored: in place, rows are transformed twice */
{
    (void)begin;
    tsr_gelu_tanh_ref(args, 0, end);
}

PLANT(gelu_tail_masked) /* the last element of a row is copied, not computed */
{
    const struct tsr_rows *a = args;

    for (size_t m = begin; m < end; m++) {
        const float last = a->k ? a->x[m * a->ldx + a->k - 1] : 0;

        tsr_gelu_erf_ref(args, m, m + 1);
        if (a->k % 16 == 1)
            a->y[m * a->ldy + a->k - 1] = last;
    }
}

PLANT(add_into_gap) /* a full vector stored over a tail: one element too many */
{
    const struct tsr_rows2 *a = args;

    tsr_add_ref(args, begin, end);
    if (a->k % 8 == 7)
        for (size_t m = begin; m + 1 < end; m++)
            a->y[m * a->ldy + a->k] = 0;
}

PLANT(add_left) /* one element before the first row written */
{
    const struct tsr_rows2 *a = args;

    tsr_add_ref(args, begin, end);
    if (begin == 0 && end > 0 && a->k > 0)
        a->y[-1] = 0;
}

#if defined(__x86_64__)
PLANT(add_aligned) /* a load that wants 16 bytes of alignment */
{
    const struct tsr_rows2 *a = args;

    tsr_add_ref(args, begin, end);
    for (size_t m = begin; m < end && a->k >= 4; m++)
        __asm__ volatile("movaps (%0), %%xmm7" : : "r"(a->a + m * a->lda) : "xmm7", "memory");
}

PLANT(add_dirty_upper) /* no vzeroupper at the end */
{
    tsr_add_ref(args, begin, end);
    __asm__ volatile("vpcmpeqd %%ymm7, %%ymm7, %%ymm7" : : : "xmm7");
}
#endif

PLANT(silu_mul_repeats) /* ldb = 0 is not understood */
{
    struct tsr_rows2 a = *(const struct tsr_rows2 *)args;

    a.ldb = a.ldb ? a.ldb : a.lda;
    tsr_silu_mul_ref(&a, begin, end);
}

PLANT(rope_interleaved) /* the kind of pairs is ignored */
{
    struct tsr_rope a = *(const struct tsr_rope *)args;

    a.interleaved = 0;
    tsr_rope_ref(&a, begin, end);
}

PLANT(rope_table_input) /* leaves the input changed */
{
    const struct tsr_rope_table *a = args;

    tsr_rope_table_ref(args, begin, end);
    for (size_t i = begin; i < end; i++)
        ((float *)(uintptr_t)a->positions)[i] += 1;
}

/* ---- pictures and choices ---- */

PLANT(resize_wraps) /* not clipped */
{
    const struct tsr_resize *a = args;

    tsr_resize_ref(args, begin, end);
    for (size_t y = begin; y < end; y++)
        for (size_t i = 0; i < (a->vertical ? a->w : a->size) * a->c; i++) {
            uint8_t *out = a->y + y * (a->vertical ? a->w : a->size) * a->c + i;

            *out = *out == 255 ? 0 : *out;
        }
}

PLANT(upsample_last_row) /* the second of the last two rows is forgotten */
{
    struct tsr_upsample a = *(const struct tsr_upsample *)args;
    const size_t row = 2 * a.w * a.c;

    for (size_t i = begin; i < end; i++) {
        tsr_upsample2x_ref(args, i, i + 1);
        if (i + 1 == a.h)
            memset(a.y + (2 * i + 1) * row, 0, row * sizeof *a.y);
    }
}

PLANT(argmax_last_wins) /* ties go to the highest index */
{
    const struct tsr_argmax *a = args;

    for (size_t m = begin; m < end; m++) {
        float best = -INFINITY;

        a->index[m] = 0;
        for (size_t i = 0; i < a->k; i++)
            if (a->x[m * a->ldx + i] >= best) {
                best = a->x[m * a->ldx + i];
                a->index[m] = (int32_t)i;
            }
    }
}

PLANT(argmax_nan_first) /* starts from the first value, which may be NaN */
{
    const struct tsr_argmax *a = args;

    for (size_t m = begin; m < end; m++) {
        const float *x = a->x + m * a->ldx;

        a->index[m] = 0;
        for (size_t i = 1; i < a->k; i++)
            if (x[i] > x[a->index[m]])
                a->index[m] = (int32_t)i;
    }
}

PLANT(sample_no_top_p)
{
    struct tsr_sample a = *(const struct tsr_sample *)args;

    a.top_p = 1;
    tsr_sample_ref(&a, begin, end);
}

PLANT(sample_one_scratch) /* all rows use the scratch of the first: a race of two threads */
{
    const struct tsr_sample *a = args;

    for (size_t m = begin; m < end; m++) {
        struct tsr_sample row = *a;

        row.cond += m * a->ld;
        row.uncond = a->uncond != NULL ? a->uncond + m * a->ld : NULL;
        row.u += m;
        row.index += m;
        row.m = 1;
        tsr_sample_ref(&row, 0, 1);
    }
}

const struct planted planted[] = {
    {TSR_OP_matmul_t8, matmul_right, NULL},
    {TSR_OP_matmul_t4, matmul_right, NULL},
    {TSR_OP_matmul_t8, matmul_short, "the sum of a group in s16"},
    {TSR_OP_matmul_t8, matmul_m128, "an activation of -128 taken as -127"},
    {TSR_OP_matmul_t4, matmul_m128, "an activation of -128 taken as -127 (t4)"},
    {TSR_OP_matmul_t8, matmul_pairs, "pairs saturate to s16"},
    {TSR_OP_matmul_t4, matmul_scales, "one level of scales"},
    {TSR_OP_matmul_t4, matmul_unfused, "a product and a sum in place of fma"},
    {TSR_OP_matmul_t8, matmul_descending, "groups in the wrong order"},
    {TSR_OP_matmul_t8, matmul_unpadded, "padded groups skipped"},
    {TSR_OP_matmul_t4, matmul_bias_last, "bias added last"},
    {TSR_OP_matmul_t8, matmul_signed, "signed weights"},
    {TSR_OP_matmul_t4, matmul_float_zero, "zero point taken off in floats"},
    {TSR_OP_matmul_t8, matmul_tail_short, "the last column of a tail forgotten"},
    {TSR_OP_matmul_t4, matmul_tail_long, "a column beyond n stored"},
    {TSR_OP_matmul_t4, matmul_over_read, "one byte of codes over"},
    {TSR_OP_matmul_t8, matmul_tile_over_read, "one line of weights over"},
    {TSR_OP_matmul_t4, matmul_panel_lost, "the last panel of a range lost"},
    {TSR_OP_matmul_t8, matmul_no_zero, "zero point not taken off"},
    {TSR_OP_matmul_t4, matmul_last_zero, "the wrong zero point in the last group"},
    {TSR_OP_matmul_t8, matmul_last_row, "an odd last row not written"},
    {TSR_OP_matmul_tf, matmul_tf_two_chains, "two chains in place of one"},
    {TSR_OP_matmul_tf, matmul_tf_odd_k, "x read beyond an odd k"},
    {TSR_OP_gather_rows, gather_nibbles, "nibbles exchanged"},
    {TSR_OP_codebook_nearest, codebook_padding_wins, "padded rows take part"},
    {TSR_OP_quantize_rows, quantize_half_away, "ties away from zero"},
    {TSR_OP_quantize_rows, quantize_nan_lost, "NaN not seen"},
    {TSR_OP_quantize_rows, quantize_no_padding, "padding not written"},
    {TSR_OP_conv2d_t8, conv_border_skipped, "taps outside skipped"},
    {TSR_OP_conv2d_tf, conv_stride, "pad_left off by one where stride > 1"},
    {TSR_OP_attention, attention_one_key_less, "one key too few"},
    {TSR_OP_attention, attention_mask_late, "masked values multiplied by 0"},
    {TSR_OP_attention, attention_value_code, "t8 value code -128 as -127"},
    {TSR_OP_attention, attention_no_key_nan, "0/0 where no key is visible"},
    {TSR_OP_kv_store, kv_store_truncated, "f16 truncated"},
    {TSR_OP_rmsnorm, rmsnorm_eight_lanes, "eight lanes"},
    {TSR_OP_rmsnorm, rmsnorm_tail_dropped, "the tail of a row dropped"},
    {TSR_OP_rmsnorm, rmsnorm_order_by_range, "the order of the sum depends on the shares"},
    {TSR_OP_rmsnorm, rmsnorm_width_as_stride, "the width taken for the stride"},
    {TSR_OP_layernorm, layernorm_one_pass, "variance in one pass"},
    {TSR_OP_groupnorm_sums, groupnorm_neighbour, "a neighbouring group's elements added"},
    {TSR_OP_groupnorm_fold, groupnorm_blocks_in_f32, "block sums added in f32"},
    {TSR_OP_groupnorm_apply, groupnorm_next_pixel, "a neighbouring pixel's element written"},
    {TSR_OP_cast, cast_truncated, "f16 truncated"},
    {TSR_OP_softmax, softmax_float_sum, "one running sum"},
    {TSR_OP_softmax, softmax_plain, "the maximum not taken off"},
    {TSR_OP_codebook_nearest, codebook_stale, "scratch left from the call before"},
    {TSR_OP_silu, silu_flushes, "flush-to-zero, left on"},
    {TSR_OP_gelu_tanh, gelu_from_start, "the start of the range ignored"},
    {TSR_OP_gelu_erf, gelu_tail_masked, "the last element of a tail not computed"},
    {TSR_OP_add, add_into_gap, "the gap between rows written"},
    {TSR_OP_add, add_left, "the element before the first one written"},
#if defined(__x86_64__)
    {TSR_OP_add, add_aligned, "an aligned load of what is not"},
    {TSR_OP_add, add_dirty_upper, "vzeroupper missing"},
#endif
    {TSR_OP_silu_mul, silu_mul_repeats, "ldb = 0 not understood"},
    {TSR_OP_rope, rope_interleaved, "the kind of pairs ignored"},
    {TSR_OP_rope_table, rope_table_input, "an input changed"},
    {TSR_OP_resize, resize_wraps, "not clipped"},
    {TSR_OP_upsample2x, upsample_last_row, "the last row forgotten"},
    {TSR_OP_argmax, argmax_last_wins, "ties to the highest index"},
    {TSR_OP_argmax, argmax_nan_first, "a NaN at the start wins"},
    {TSR_OP_sample, sample_no_top_p, "top_p ignored"},
    {TSR_OP_sample, sample_one_scratch, "rows share scratch"},
};
const size_t planted_count = sizeof planted / sizeof planted[0];
