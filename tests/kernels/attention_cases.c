/*
 * attention_cases.c: shapes and oracles of kv_store, attention, rope_table and rope.
 */
#include "harness.h"

/* The cache of one layer: `batch` sequences; contents by the fill; keys as tiles, values as rows.
 */
static struct tsr_kv build_kv(struct call *c, size_t batch, size_t heads, size_t d, size_t capacity,
                              uint32_t format)
{
    const size_t count = heads * capacity * d, size = format == TSR_F32 ? 4 : 2;
    void **k = case_in(c, batch * sizeof *k, sizeof *k),
         **v = case_in(c, batch * sizeof *v, sizeof *v);

    for (size_t b = 0; b < 2 * batch; b++) {
        uint8_t *data = case_in(c, count * size, b % 2 ? size : 16 * size);

        for (size_t i = 0; i < count; i++) {
            const float x = fill_value(c, i / (8 * d), i % (8 * d), 8 * d);
            const uint16_t half =
                c->fill == FILL_BYTES ? (uint16_t)case_random(c) : tsr_f32_to_f16(x);

            memcpy(data + i * size, format == TSR_F32 ? (const void *)&x : (const void *)&half,
                   size);
        }
        (b % 2 ? v : k)[b / 2] = data;
    }
    return (struct tsr_kv){k, v, format, capacity, heads, d};
}

/* Element i of a key (or value) of a head, in double. */
static double cached(const struct tsr_kv *kv, int is_value, size_t b, size_t head, size_t key,
                     size_t i)
{
    const size_t base = head * kv->capacity * kv->d;
    const size_t at =
        base + (is_value ? key * kv->d + i : key / 16 * 16 * kv->d + i * 16 + key % 16);
    const void *data = is_value ? kv->v[b] : kv->k[b];

    return kv->format == TSR_F32 ? (double)((const float *)data)[at]
                                 : oracle_f16(((const uint16_t *)data)[at]);
}

/* ---- kv_store: batch, heads, d, capacity, rows, format; at most 2 sequences ---- */

static const struct shape kv_store_small[] = {
    {{1, 1, 1, 16, 1, TSR_F32}},  {{1, 2, 8, 16, 0, TSR_F16}},   {{2, 1, 16, 32, 1, TSR_F16}},
    {{2, 2, 24, 32, 5, TSR_F32}}, {{1, 3, 64, 48, 17, TSR_F16}}, {{1, 1, 33, 64, 40, TSR_F16}},
    {{2, 2, 64, 48, 2, TSR_F16}}, {{1, 1, 7, 32, 31, TSR_F32}},  {{1, 2, 128, 32, 16, TSR_F16}},
};
static const struct shape kv_store_real[] = {{{2, 16, 128, 1024, 1, TSR_F16}},
                                             {{1, 16, 128, 1024, 600, TSR_F16}}};

static size_t build_kv_store(struct call *c, const size_t *d)
{
    struct tsr_kv_store *a = (void *)&c->args;
    const size_t width = d[1] * d[2], count = d[1] * d[2] * d[3];
    const enum element element = d[5] == TSR_F32 ? ELEMENT_F32 : ELEMENT_F16;
    size_t *start;

    a->kv = build_kv(c, d[0], d[1], d[2], d[3], (uint32_t)d[5]);
    for (size_t b = 0; b < d[0]; b++) {
        case_in_place(c, a->kv.k[b], element, 1, count, count);
        case_in_place(c, a->kv.v[b], element, 1, count, count);
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
    return tsr_kv_store_units(a);
}

static void oracle_kv_store(struct call *c, const size_t *d)
{
    const struct tsr_kv_store *a = (void *)&c->args;

    for (size_t row = 0; row < d[0] * d[4]; row++)
        for (size_t i = 0; i < d[1] * d[2]; i++) {
            const size_t b = row / d[4], key = a->start[b] + row % d[4];
            const double k = (double)a->k[row * a->ldk + i], v = (double)a->v[row * a->ldv + i];

            oracle_equal(c, cached(&a->kv, 0, b, i / d[2], key, i % d[2]),
                         d[5] == TSR_F32 ? k : oracle_to_f16(k));
            oracle_equal(c, cached(&a->kv, 1, b, i / d[2], key, i % d[2]),
                         d[5] == TSR_F32 ? v : oracle_to_f16(v));
        }
}

const struct op_case tsr_case_kv_store = {build_kv_store, oracle_kv_store, SHAPES(kv_store_small),
                                          SHAPES(kv_store_real), 0};

/* ---- attention: batch, rows, heads, kv heads, d, capacity, format, mask ---- */

enum { MASK_CAUSAL, MASK_FULL, MASK_MIXED };

static const struct shape attention_small[] = {
    {{1, 1, 1, 1, 1, 16, TSR_F32, MASK_FULL}},     {{1, 0, 2, 1, 8, 16, TSR_F16, MASK_FULL}},
    {{1, 1, 2, 2, 8, 16, TSR_F16, MASK_MIXED}},    {{1, 2, 2, 1, 15, 32, TSR_F32, MASK_CAUSAL}},
    {{2, 1, 2, 2, 16, 48, TSR_F16, MASK_FULL}},    {{1, 15, 1, 1, 17, 32, TSR_F16, MASK_CAUSAL}},
    {{1, 16, 3, 3, 32, 16, TSR_F32, MASK_CAUSAL}}, {{2, 17, 4, 2, 33, 64, TSR_F16, MASK_MIXED}},
    {{1, 3, 4, 1, 64, 256, TSR_F16, MASK_FULL}},   {{1, 5, 1, 1, 64, 272, TSR_F16, MASK_CAUSAL}},
    {{1, 2, 2, 2, 64, 528, TSR_F32, MASK_FULL}},   {{2, 1, 4, 2, 128, 528, TSR_F16, MASK_MIXED}},
    {{1, 33, 1, 1, 8, 800, TSR_F16, MASK_MIXED}},  {{1, 1, 1, 1, 80, 1040, TSR_F16, MASK_FULL}},
    {{1, 4, 2, 1, 512, 32, TSR_F16, MASK_CAUSAL}}, {{1, 7, 2, 2, 40, 320, TSR_F32, MASK_MIXED}},
};
static const struct shape attention_real[] = {{{2, 1, 16, 16, 128, 1200, TSR_F16, MASK_FULL}},
                                              {{1, 20, 16, 16, 128, 640, TSR_F16, MASK_CAUSAL}},
                                              {{1, 96, 2, 2, 64, 576, TSR_F32, MASK_FULL}},
                                              {{1, 32, 1, 1, 512, 576, TSR_F32, MASK_FULL}}};

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
        limits[i] = (int32_t)(d[7] == MASK_FULL     ? d[5]
                              : d[7] == MASK_CAUSAL ? d[5] - d[1] + i % d[1] + 1
                              : i % 3 == 0          ? case_random(c) % (d[5] + 1)
                              : i % 3 == 1          ? d[5] - i % 2
                                           : (case_random(c) % 2 ? 0 : (d[5] < 257 ? 1 : 257)));
    a->ldo = case_ld(c, width + 1);
    a->out = case_out(c, ELEMENT_F32, total, width, a->ldo);
    return tsr_attention_units(a);
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
    const float *q = a->q + row * a->ldq + h * d;
    double m = -INFINITY, l = 0, slack = 0, s[2048];

    for (size_t j = 0; j < limit; j++) {
        double magnitude = 0;

        s[j] = 0;
        for (size_t i = 0; i < d; i++) {
            const double term =
                (double)q[i] * (double)a->scale * cached(&a->kv, 0, b, kv_head, j, i);

            s[j] += term;
            magnitude += fabs(term);
        }
        m = fmax(m, s[j]);
        slack = fmax(slack,
                     isfinite(magnitude) ? ((double)d + 4) * (magnitude * EPS + TINY) : INFINITY);
    }
    if (!(slack < 0.1))
        return;
    for (size_t j = 0; j < limit; j++)
        l += s[j] = exp(s[j] - m);
    for (size_t i = 0; i < d; i++) {
        double want = 0, magnitude = 0;

        for (size_t j = 0; j < limit; j++) {
            const double v = cached(&a->kv, 1, b, kv_head, j, i);

            want += s[j] / l * v;
            magnitude += s[j] / l * fabs(v);
        }
        oracle_near(c, a->out[row * a->ldo + h * d + i], want, magnitude * (limit ? l : 1),
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
    {{2, 2, 130, 1}}, {{2, 2, 40, 0}}, {{1, 5, 24, 1}},
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
