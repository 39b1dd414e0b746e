/*
 * attention_cases.c: shapes and oracles of kv_store, attention, rope_table and rope.
 */
#include "harness.h"

/* Value rows of q8_0 blocks: scales and codes by the fill. */
static void *build_q8_rows(struct call *c, size_t blocks)
{
    uint8_t *data = case_in(c, blocks * TSR_Q8_BYTES, 2);

    for (size_t i = 0; i < blocks; i++) {
        const float x = fill_value(c, i / 8, i % 8, 8);
        const uint16_t scale =
            c->fill == FILL_BYTES ? (uint16_t)case_random(c) : tsr_f32_to_f16(x / 64);

        memcpy(data + i * TSR_Q8_BYTES, &scale, 2);
        for (size_t j = 2; j < TSR_Q8_BYTES; j++)
            data[i * TSR_Q8_BYTES + j] = c->fill == FILL_MIN   ? 0x80
                                         : c->fill == FILL_MAX ? 0x7f
                                                               : (uint8_t)case_random(c);
    }
    return data;
}

/* The cache of one layer: `batch` sequences; contents by the fill; keys as tiles, values as rows.
 */
static struct tsr_kv build_kv(struct call *c, size_t batch, size_t heads, size_t d, size_t capacity,
                              uint32_t format)
{
    const size_t keys = heads * capacity;
    void **k = case_in(c, batch * sizeof *k, sizeof *k),
         **v = case_in(c, batch * sizeof *v, sizeof *v);

    for (size_t b = 0; b < batch; b++) {
        if (format == TSR_T8) {
            k[b] = (void *)case_tile(c, format, keys, d).data;
            v[b] = build_q8_rows(c, keys * tsr_ceil_div(d, TSR_GROUP));
        } else {
            k[b] = case_floats(c, format, keys * d, 8 * d, 16);
            v[b] = case_floats(c, format, keys * d, 8 * d, 1);
        }
    }
    return (struct tsr_kv){k, v, format, capacity, heads, d};
}

/* Element i of the key of a head, in double. */
static double cached_key(const struct tsr_kv *kv, size_t b, size_t head, size_t key, size_t i)
{
    const struct tsr_tile tile = {kv->k[b], kv->heads * kv->capacity, kv->d, kv->format};

    return oracle_weight(&tile, head * kv->capacity + key, i, NULL);
}

/* Element i of the value. */
static double cached_value(const struct tsr_kv *kv, size_t b, size_t head, size_t key, size_t i)
{
    const size_t row = head * kv->capacity + key, at = row * kv->d + i;
    const uint8_t *block;
    uint16_t scale;

    if (kv->format == TSR_F32)
        return (double)((const float *)kv->v[b])[at];
    if (kv->format == TSR_F16)
        return oracle_f16(((const uint16_t *)kv->v[b])[at]);
    block = (const uint8_t *)kv->v[b] + (row * ((kv->d + 31) / 32) + i / 32) * 34;
    memcpy(&scale, block, 2);
    return (double)(int8_t)block[2 + i % 32] * oracle_f16(scale);
}

/* ---- kv_store: batch, heads, d, capacity, rows, format; at most 2 sequences ---- */

static const struct shape kv_store_small[] = {
    {{1, 1, 1, 16, 1, TSR_F32}},   {{1, 2, 8, 16, 0, TSR_F16}},   {{2, 1, 16, 32, 1, TSR_F16}},
    {{2, 2, 24, 32, 5, TSR_F32}},  {{1, 3, 64, 48, 17, TSR_F16}}, {{1, 1, 33, 64, 40, TSR_F16}},
    {{2, 2, 64, 48, 2, TSR_F16}},  {{1, 1, 7, 32, 31, TSR_F32}},  {{1, 2, 128, 32, 16, TSR_F16}},
    {{1, 1, 1, 16, 1, TSR_T8}},    {{2, 2, 31, 32, 5, TSR_T8}},   {{1, 2, 32, 16, 0, TSR_T8}},
    {{1, 3, 64, 48, 17, TSR_T8}},  {{1, 1, 97, 32, 31, TSR_T8}},  {{2, 1, 33, 64, 40, TSR_T8}},
    {{1, 2, 128, 32, 16, TSR_T8}},
};
static const struct shape kv_store_real[] = {{{2, 16, 128, 1024, 1, TSR_F16}},
                                             {{1, 16, 128, 1024, 600, TSR_F16}},
                                             {{2, 16, 128, 1024, 1, TSR_T8}},
                                             {{1, 16, 128, 1024, 600, TSR_T8}}};

static size_t build_kv_store(struct call *c, const size_t *d)
{
    struct tsr_kv_store *a = (void *)&c->args;
    const size_t width = d[1] * d[2];
    const enum element element = d[5] == TSR_T8    ? ELEMENT_U8
                                 : d[5] == TSR_F32 ? ELEMENT_F32
                                                   : ELEMENT_F16;
    size_t *start, k, v;

    a->kv = build_kv(c, d[0], d[1], d[2], d[3], (uint32_t)d[5]);
    k = d[5] == TSR_T8 ? d[1] * tsr_kv_k_bytes(&a->kv) : width * d[3];
    v = d[5] == TSR_T8 ? d[1] * tsr_kv_v_bytes(&a->kv) : width * d[3];
    for (size_t b = 0; b < d[0]; b++) {
        case_in_place(c, a->kv.k[b], element, 1, k, k);
        case_in_place(c, a->kv.v[b], element, 1, v, v);
    }
    a->batch = d[0];
    a->rows = d[4];
    a->ldk = case_ld(c, width);
    a->ldv = case_ld(c, width + 1);
    a->k = case_f32(c, d[0] * d[4], width, a->ldk);
    a->v = case_f32(c, d[0] * d[4], width, a->ldv);
    a->start = start = case_in(c, d[0] * sizeof *start, sizeof *start);
    for (size_t b = 0; b < d[0]; b++)
        start[b] = b ? 0 : d[3] - d[4] - (d[3] - d[4]) / 3;
    a->streams = d[1] % 2 ? 4 : 1;
    return tsr_kv_store_units(a);
}

/* What element i of x [d] is rounded to: in t8 a code, with its group's scale. */
static double oracle_rounded(const float *x, size_t d, size_t i, uint32_t format)
{
    double scale, amax = 0;

    if (format != TSR_T8)
        return format == TSR_F32 ? (double)x[i] : oracle_to_f16((double)x[i]);
    for (size_t j = i / 32 * 32; j < d && j < i / 32 * 32 + 32; j++)
        amax = isfinite(x[j]) ? fmax(amax, fabs((double)x[j])) : NAN + amax;
    for (size_t j = i / 32 * 32; j < d && j < i / 32 * 32 + 32; j++)
        if (!isfinite(x[j]))
            return NAN;
    scale = fmin(oracle_to_f16((double)((float)amax / 127.0f)), 65504);
    if (scale == 0)
        return 0;
    return fmax(-127, fmin(127, rint((double)(x[i] * (1.0f / (float)scale))))) * scale;
}

static void oracle_kv_store(struct call *c, const size_t *d)
{
    const struct tsr_kv_store *a = (void *)&c->args;

    for (size_t row = 0; row < d[0] * d[4]; row++)
        for (size_t i = 0; i < d[1] * d[2]; i++) {
            const size_t b = row / d[4], key = a->start[b] + row % d[4], head = i / d[2];
            const float *k = a->k + row * a->ldk + head * d[2];
            const float *v = a->v + row * a->ldv + head * d[2];

            oracle_equal(c, cached_key(&a->kv, b, head, key, i % d[2]),
                         oracle_rounded(k, d[2], i % d[2], (uint32_t)d[5]));
            oracle_equal(c, cached_value(&a->kv, b, head, key, i % d[2]),
                         oracle_rounded(v, d[2], i % d[2], (uint32_t)d[5]));
        }
}

const struct op_case tsr_case_kv_store = {build_kv_store, oracle_kv_store, SHAPES(kv_store_small),
                                          SHAPES(kv_store_real), 0};

/* ---- attention: batch, rows, heads, kv heads, d, capacity, format, mask, in parts ---- */

enum { MASK_CAUSAL, MASK_FULL, MASK_MIXED };

static const struct shape attention_small[] = {
    {{1, 1, 1, 1, 1, 16, TSR_F32, MASK_FULL}},
    {{1, 0, 2, 1, 8, 16, TSR_F16, MASK_FULL}},
    {{1, 1, 2, 2, 8, 16, TSR_F16, MASK_MIXED}},
    {{1, 2, 2, 1, 15, 32, TSR_F32, MASK_CAUSAL}},
    {{2, 1, 2, 2, 16, 48, TSR_F16, MASK_FULL}},
    {{1, 15, 1, 1, 17, 32, TSR_F16, MASK_CAUSAL}},
    {{1, 16, 3, 3, 32, 16, TSR_F32, MASK_CAUSAL}},
    {{2, 17, 4, 2, 33, 64, TSR_F16, MASK_MIXED}},
    {{1, 3, 4, 1, 64, 256, TSR_F16, MASK_FULL}},
    {{1, 5, 1, 1, 64, 272, TSR_F16, MASK_CAUSAL}},
    {{1, 2, 2, 2, 64, 528, TSR_F32, MASK_FULL}},
    {{2, 1, 4, 2, 128, 528, TSR_F16, MASK_MIXED}},
    {{1, 33, 1, 1, 8, 800, TSR_F16, MASK_MIXED}},
    {{1, 1, 1, 1, 80, 1040, TSR_F16, MASK_FULL}},
    {{1, 4, 2, 1, 512, 32, TSR_F16, MASK_CAUSAL}},
    {{1, 7, 2, 2, 40, 320, TSR_F32, MASK_MIXED}},
    {{1, 1, 2, 1, 1, 16, TSR_T8, MASK_FULL}},
    {{1, 2, 2, 2, 15, 32, TSR_T8, MASK_CAUSAL}},
    {{2, 1, 4, 2, 32, 48, TSR_T8, MASK_MIXED}},
    {{1, 7, 1, 1, 33, 272, TSR_T8, MASK_MIXED}},
    {{2, 1, 1, 1, 64, 528, TSR_T8, MASK_FULL}},
    {{1, 17, 2, 1, 97, 64, TSR_T8, MASK_CAUSAL}},
    {{1, 1, 1, 1, 128, 800, TSR_T8, MASK_FULL}},
    {{1, 3, 4, 2, 160, 288, TSR_T8, MASK_MIXED}},
    {{1, 3, 2, 2, 512, 32, TSR_T8, MASK_CAUSAL}},
    {{1, 1, 4, 2, 64, 528, TSR_F16, MASK_FULL, 1}},
    {{1, 3, 2, 1, 17, 800, TSR_F16, MASK_MIXED, 1}},
    {{2, 1, 2, 2, 8, 272, TSR_F32, MASK_MIXED, 1}},
    {{1, 17, 1, 1, 40, 16, TSR_F32, MASK_CAUSAL, 1}},
    {{1, 1, 6, 2, 72, 528, TSR_T8, MASK_FULL, 1}},
    {{2, 2, 2, 1, 33, 272, TSR_T8, MASK_MIXED, 1}},
};
static const struct shape attention_real[] = {
    {{2, 1, 16, 16, 128, 1200, TSR_F16, MASK_FULL}},
    {{1, 20, 16, 16, 128, 640, TSR_F16, MASK_CAUSAL}},
    {{1, 96, 2, 2, 64, 576, TSR_F32, MASK_FULL}},
    {{1, 32, 1, 1, 512, 576, TSR_F32, MASK_FULL}},
    {{1, 20, 16, 16, 128, 640, TSR_T8, MASK_CAUSAL}},
    {{2, 1, 16, 16, 128, 1200, TSR_T8, MASK_FULL}},
    {{1, 1, 16, 2, 128, 1200, TSR_T8, MASK_FULL, 1}},
    {{1, 1, 16, 2, 128, 1200, TSR_F16, MASK_FULL, 1}},
};

static int32_t mask_limit(struct call *c, const size_t *d, size_t i)
{
    const size_t capacity = d[5];

    if (d[7] == MASK_FULL)
        return (int32_t)capacity;
    if (d[7] == MASK_CAUSAL)
        return (int32_t)(capacity - d[1] + i % d[1] + 1);
    if (i % 3 == 0)
        return (int32_t)(case_random(c) % (capacity + 1));
    return (int32_t)(i % 3 == 1 ? capacity - i % 2 : case_random(c) % 2 ? 0 : capacity < 257 ? 1 : 257);
}

static size_t build_attention(struct call *c, const size_t *d)
{
    struct tsr_attention *a = (void *)&c->args;
    const size_t width = d[2] * d[4], total = d[0] * d[1];
    int32_t *limits;

    a->kv = build_kv(c, d[0], d[3], d[4], d[5], (uint32_t)d[6]);
    a->batch = d[0];
    a->rows = d[1];
    a->heads = d[2];
    a->scale = 1.0f / sqrtf((float)d[4]);
    a->ldq = case_ld(c, width);
    a->q = case_f32(c, total, width, a->ldq);
    a->limits = limits = case_in(c, total * sizeof *limits, sizeof *limits);
    for (size_t i = 0; i < total; i++)
        limits[i] = mask_limit(c, d, i);
    a->ldo = case_ld(c, width + 1);
    a->streams = d[5] % 32 ? 4 : 1;
    if (d[8]) {
        a->parts = tsr_ceil_div(d[5], TSR_KEY_CHUNK);
        a->triples = case_out(c, ELEMENT_F32, total * d[2] * a->parts, d[4] + 2, d[4] + 2);
    } else
        a->out = case_out(c, ELEMENT_F32, total, width, a->ldo);
    return tsr_attention_units(a);
}

/* Element i of a query row of a head as the scores read it: for t8 what quantize_rows makes of it. */
static double oracle_query(const struct tsr_attention *a, const float *q, size_t i)
{
    const size_t first = i / 128 * 128;
    float amax = 0;

    if (a->kv.format != TSR_T8)
        return (double)q[i] * (double)a->scale;
    for (size_t j = first; j < a->kv.d && j < first + 128; j++) {
        const float x = fabsf(q[j] * a->scale);

        if (!isfinite(x))
            return NAN;
        amax = x > amax ? x : amax;
    }
    if (amax < 0x1p-100f)
        return 0;
    return rint((double)(q[i] * a->scale * (127.0f / amax))) * (double)(amax / 127.0f);
}

/* What a query row of a head came to: an element of out, from the triples if it is in parts; *unit:
 * what an error in them grows by. */
static float oracle_out(const struct tsr_attention *a, size_t row, size_t h, size_t i)
{
    const size_t d = a->kv.d, limit = (size_t)a->limits[row];
    const float *t = a->triples + (row * a->heads + h) * a->parts * (d + 2);
    double m = -INFINITY, l = 0, o = 0;

    if (a->parts == 0)
        return a->out[row * a->ldo + h * d + i];
    for (size_t c = 0; c * 256 < limit; c++)
        m = fmax(m, (double)t[c * (d + 2) + d]);
    for (size_t c = 0; c * 256 < limit; c++) {
        const double factor = exp((double)t[c * (d + 2) + d] - m);

        l += factor * (double)t[c * (d + 2) + d + 1];
        o += factor * (double)t[c * (d + 2) + i];
    }
    return limit ? (float)(o / l) : 0;
}

/* Whether the groups that only pad a t8 key have a scale that is no number: they are run over. */
static int poisoned(const struct tsr_kv *kv, size_t b, size_t head, size_t key)
{
    const size_t padded = tsr_round_up(kv->d, TSR_BLOCK);
    const struct tsr_tile tile = {kv->k[b], kv->heads * kv->capacity, padded, kv->format};
    double scale = 0;

    if (kv->format == TSR_T8)
        oracle_weight(&tile, head * kv->capacity + key, padded - 1, &scale);
    return !isfinite(scale);
}

/*
 * One query row of one head: softmax in double in one piece. The score of a key errs by slack (one
 * rounding per step, absolute), hence p by a factor exp(+-2 slack). Where scores leave f32 there is
 * no bound.
 */
static void oracle_attend(struct call *c, const struct tsr_attention *a, size_t row, size_t h)
{
    const size_t d = a->kv.d, b = row / a->rows, kv_head = h / (a->heads / a->kv.heads);
    const size_t limit = (size_t)a->limits[row];
    double m = -INFINITY, l = 0, slack = 0, s[2048], q[TSR_HEAD_MAX];

    for (size_t i = 0; i < d; i++)
        q[i] = oracle_query(a, a->q + row * a->ldq + h * d, i);
    for (size_t j = 0; j < limit; j++) {
        double magnitude = 0;

        s[j] = 0;
        for (size_t i = 0; i < d; i++) {
            const double term = q[i] * cached_key(&a->kv, b, kv_head, j, i);

            s[j] += term;
            magnitude += fabs(term);
        }
        m = fmax(m, s[j]);
        slack = isfinite(magnitude) ? fmax(slack, ((double)d + 4) * (magnitude * EPS + TINY))
                                    : INFINITY;
        if (!(slack < 0.1) || poisoned(&a->kv, b, kv_head, j))
            return;
    }
    for (size_t j = 0; j < limit; j++)
        l += s[j] = exp(s[j] - m);
    for (size_t i = 0; i < d; i++) {
        double want = 0, magnitude = 0;

        for (size_t j = 0; j < limit; j++) {
            const double v = cached_value(&a->kv, b, kv_head, j, i);

            want += s[j] / l * v;
            magnitude += s[j] / l * fabs(v);
        }
        oracle_near(c, oracle_out(a, row, h, i), want, magnitude * (limit ? l : 1),
                    (6 * slack + 400 * EPS) / (limit ? l : 1), (double)limit * TINY);
    }
}

static void oracle_attention(struct call *c, const size_t *d)
{
    const struct tsr_attention *a = (void *)&c->args;

    for (size_t row = 0; row < d[0] * d[1]; row++)
        for (size_t h = 0; h < d[2]; h++)
            oracle_attend(c, a, row, h);
}

const struct op_case tsr_case_attention = {build_attention, oracle_attention,
                                           SHAPES(attention_small), SHAPES(attention_real), 0};

/* ---- attention_merge: m, heads, d, keys at most ---- */

static const struct shape attention_merge_small[] = {
    {{0, 1, 8, 16}},  {{1, 1, 1, 1}},     {{1, 2, 15, 256}},  {{2, 2, 16, 257}},
    {{3, 1, 17, 512}}, {{2, 3, 40, 1300}}, {{1, 2, 128, 4096}}, {{2, 1, 512, 700}}};
static const struct shape attention_merge_real[] = {{{2, 16, 128, 4096}}};

static size_t build_attention_merge(struct call *c, const size_t *d)
{
    struct tsr_attention_merge *a = (void *)&c->args;
    const size_t rows = d[0] * d[1];
    int32_t *limits;

    a->m = d[0];
    a->heads = d[1];
    a->d = d[2];
    a->parts = tsr_ceil_div(d[3], TSR_KEY_CHUNK);
    a->triples = case_f32(c, rows * a->parts, d[2] + 2, d[2] + 2);
    a->limits = limits = case_in(c, d[0] * sizeof *limits, sizeof *limits);
    for (size_t i = 0; i < d[0]; i++)
        limits[i] = (int32_t)(i % 2 ? case_random(c) % (d[3] + 1) : d[3]);
    a->ldo = case_ld(c, d[1] * d[2]);
    a->out = case_out(c, ELEMENT_F32, d[0], d[1] * d[2], a->ldo);
    return tsr_attention_merge_units(a);
}

/* Sum of o exp(m - M) over sum of l exp(m - M), where l and o are of ordinary size. */
static void oracle_attention_merge(struct call *c, const size_t *d)
{
    const struct tsr_attention_merge *a = (void *)&c->args;

    for (size_t unit = 0; unit < d[0] * d[1]; unit++)
        for (size_t i = 0; i < d[2]; i++) {
            const float *t = a->triples + unit * a->parts * (d[2] + 2);
            const size_t chunks = ((size_t)a->limits[unit / d[1]] + 255) / 256;
            double m = -INFINITY, l = 0, o = 0, size_l = 0, size_o = 0;

            for (size_t p = 0; p < chunks; p++)
                m = fmax(m, (double)t[p * (d[2] + 2) + d[2]]);
            for (size_t p = 0; p < chunks; p++) {
                const float *triple = t + p * (d[2] + 2);
                const double factor = exp((double)triple[d[2]] - m);

                l += factor * (double)triple[d[2] + 1];
                o += factor * (double)triple[i];
                size_l += factor * fabs((double)triple[d[2] + 1]);
                size_o += factor * fabs((double)triple[i]);
            }
            if (chunks == 0)
                oracle_equal(c, (double)a->out[unit / d[1] * a->ldo + unit % d[1] * d[2] + i], 0);
            else if (c->fill == FILL_RANDOM)
                oracle_near(c, a->out[unit / d[1] * a->ldo + unit % d[1] * d[2] + i], o / l,
                            size_o / fabs(l) + fabs(o) * size_l / (l * l), 200 * EPS, TINY);
        }
}

const struct op_case tsr_case_attention_merge = {build_attention_merge, oracle_attention_merge,
                                                 SHAPES(attention_merge_small),
                                                 SHAPES(attention_merge_real), 0};

/* ---- rope_table: m, half ---- */

static const struct shape rope_table_small[] = {{{0, 8}},  {{1, 0}},  {{1, 1}},  {{2, 7}},
                                                {{2, 8}},  {{3, 9}},  {{2, 15}}, {{5, 16}},
                                                {{3, 17}}, {{4, 32}}, {{3, 65}}};
static const struct shape rope_table_real[] = {{{600, 64}}};

static size_t build_rope_table(struct call *c, const size_t *d)
{
    struct tsr_rope_table *a = (void *)&c->args;
    float *inv_freq;

    a->m = d[0];
    a->half = d[1];
    a->positions = case_f32(c, 1, d[0], d[0]);
    a->inv_freq = inv_freq = case_plain(c, d[1], 0, 1);
    for (size_t i = 0; i < d[1]; i++)
        inv_freq[i] = (float)pow(10000, -(double)i / (double)d[1]);
    a->cosines = case_out(c, ELEMENT_F32, d[0], d[1], d[1]);
    a->sines = case_out(c, ELEMENT_F32, d[0], d[1], d[1]);
    return tsr_rope_table_units(a);
}

static void oracle_rope_table(struct call *c, const size_t *d)
{
    const struct tsr_rope_table *a = (void *)&c->args;

    for (size_t i = 0; i < d[0] * d[1]; i++) {
        const double angle =
            (double)(float)((double)a->positions[i / d[1]] * (double)a->inv_freq[i % d[1]]);

        oracle_near(c, a->cosines[i], cos(angle), 1, 2 * EPS, 0);
        oracle_near(c, a->sines[i], sin(angle), fabs(sin(angle)), 4 * EPS, TINY);
    }
}

const struct op_case tsr_case_rope_table = {build_rope_table, oracle_rope_table,
                                            SHAPES(rope_table_small), SHAPES(rope_table_real), 0};

/* ---- rope: m, heads, d, interleaved ---- */

static const struct shape rope_small[] = {
    {{0, 1, 8, 0}},   {{1, 0, 8, 0}},  {{1, 1, 2, 0}},  {{1, 1, 2, 1}},  {{2, 2, 14, 0}},
    {{2, 2, 14, 1}},  {{3, 3, 16, 0}}, {{3, 3, 16, 1}}, {{2, 1, 18, 1}}, {{2, 2, 32, 0}},
    {{2, 2, 34, 0}},  {{2, 2, 34, 1}}, {{2, 3, 64, 0}}, {{2, 1, 66, 1}}, {{3, 2, 128, 0}},
    {{2, 2, 130, 1}}, {{2, 2, 40, 0}}, {{1, 5, 24, 1}}, {{2, 4, 40, 0}}, {{1, 9, 34, 0}},
    {{2, 6, 64, 0}},  {{1, 5, 14, 0}},
};
static const struct shape rope_real[] = {{{600, 16, 128, 0}}, {{2, 16, 128, 0}}};

static size_t build_rope(struct call *c, const size_t *d)
{
    struct tsr_rope *a = (void *)&c->args;
    const size_t width = d[1] * d[2];

    a->m = d[0];
    a->heads = d[1];
    a->d = d[2];
    a->interleaved = (int)d[3];
    a->ldx = case_ld(c, width);
    a->x = case_f32(c, d[0], width, a->ldx);
    case_in_place(c, a->x, ELEMENT_F32, d[0], width, a->ldx);
    a->cosines = case_plain(c, d[0] * d[2] / 2, -1, 1);
    a->sines = case_plain(c, d[0] * d[2] / 2, -1, 1);
    return tsr_rope_units(a);
}

static void oracle_rope(struct call *c, const size_t *d)
{
    const struct tsr_rope *t = (void *)&c->args;
    const struct buffer *in = &c->buffers[0];
    const size_t half = d[2] / 2;

    for (size_t m = 0; m < d[0]; m++)
        for (size_t i = 0; i < d[1] * half; i++) {
            const size_t p = i % half, head = m * t->ldx + i / half * d[2];
            const size_t first = head + (d[3] ? 2 * p : p),
                         second = d[3] ? first + 1 : first + half;
            const float *x = (const float *)(const void *)(in->initial + (in->data - in->window));
            const double a = (double)x[first], b = (double)x[second];
            const double cosine = (double)t->cosines[m * half + p],
                         sine = (double)t->sines[m * half + p];

            oracle_near(c, t->x[first], a * cosine - b * sine, fabs(a * cosine) + fabs(b * sine),
                        2 * EPS, 2 * TINY);
            oracle_near(c, t->x[second], a * sine + b * cosine, fabs(a * sine) + fabs(b * cosine),
                        2 * EPS, 2 * TINY);
        }
}

const struct op_case tsr_case_rope = {build_rope, oracle_rope, SHAPES(rope_small),
                                      SHAPES(rope_real), 0};
