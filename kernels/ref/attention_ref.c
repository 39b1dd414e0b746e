/*
 * attention_ref.c: kv_store, attention and attention_merge, by the contracts of struct
 * tsr_kv_store, tsr_attention and tsr_attention_merge.
 *
 * Keys are reduced in chunks of 256 by absolute index, each chunk to a triple (m, l, o), and the
 * triples are merged in ascending order. Since neither the chunks nor the merge know how many
 * queries came together, a prompt gives the same bits in one piece, in pieces, or token by token;
 * and since they do not know who computed the others, the chunks of one query may be shared out.
 */
#include "ref/ref.h"

enum { HEAD_GROUPS = TSR_HEAD_MAX / TSR_GROUP };

/* One head of one sequence's cache. */
struct head {
    const struct tsr_kv *kv;
    uint8_t *k, *v;
};

static struct head head_of(const struct tsr_kv *kv, size_t b, size_t head)
{
    return (struct head){kv, (uint8_t *)kv->k[b] + head * tsr_kv_k_bytes(kv),
                         (uint8_t *)kv->v[b] + head * tsr_kv_v_bytes(kv)};
}

static struct tsr_tile key_tile(const struct head *h)
{
    return (struct tsr_tile){h->k, h->kv->capacity, h->kv->d, h->kv->format};
}

/* ---- kv_store -------------------------------------------------------------------------------- */

static void put(uint8_t *base, uint32_t format, size_t index, float x)
{
    const uint16_t half = tsr_f32_to_f16(x);

    if (format == TSR_F32)
        memcpy(base + index * 4, &x, 4);
    else
        memcpy(base + index * 2, &half, 2);
}

/* The f16 scale and the codes of up to 32 values. */
static uint16_t round_group(int8_t codes[TSR_GROUP], const float *x, size_t count)
{
    const float most = 65504.0f;
    uint32_t amax = 0;
    float scale;

    memset(codes, 0, TSR_GROUP);
    for (size_t i = 0; i < count; i++) {
        const uint32_t bits = tsr_bits(x[i]) & 0x7fffffff;

        amax = bits > amax ? bits : amax;
    }
    if (amax >= 0x7f800000)
        return 0x7e00;
    scale = tsr_f16_to_f32(tsr_f32_to_f16(tsr_float(amax) / 127.0f));
    scale = scale > most ? most : scale;
    if (scale == 0)
        return 0;
    for (size_t i = 0; i < count; i++) {
        float code = x[i] * (1.0f / scale);

        code = code < -127.0f ? -127.0f : code;
        code = code > 127.0f ? 127.0f : code;
        codes[i] = (int8_t)rintf(code);
    }
    return tsr_f32_to_f16(scale);
}

/* Key `key` into the t8 tile of a head, padding included. */
static void store_key_t8(const struct head *h, size_t key, const float *x)
{
    const struct tsr_tile tile = key_tile(h);
    const size_t d = h->kv->d, r = key % TSR_PANEL;

    for (size_t i = 0; i < tsr_round_up(d, TSR_BLOCK); i += TSR_GROUP) {
        uint8_t *block = (uint8_t *)tsr_block(&tile, key / TSR_PANEL, i);
        uint8_t *lines = block + TSR_LINE_BYTES + i % TSR_BLOCK / 4 * TSR_LINE_BYTES + 4 * r;
        const size_t left = i < d ? d - i : 0;
        int8_t codes[TSR_GROUP];
        const uint16_t scale = round_group(codes, x + i, left < TSR_GROUP ? left : TSR_GROUP);

        memcpy(block + (i % TSR_BLOCK / TSR_GROUP * TSR_PANEL + r) * 2, &scale, 2);
        for (size_t c = 0; c < TSR_GROUP; c++)
            lines[c / 4 * TSR_LINE_BYTES + c % 4] = (uint8_t)(codes[c] + 128);
    }
}

static void store_value_t8(const struct head *h, size_t key, const float *x)
{
    uint8_t *row = h->v + key * tsr_kv_row_bytes(h->kv);
    const size_t d = h->kv->d;

    for (size_t i = 0; i < d; i += TSR_GROUP, row += TSR_Q8_BYTES) {
        int8_t codes[TSR_GROUP];
        const uint16_t scale = round_group(codes, x + i, d - i < TSR_GROUP ? d - i : TSR_GROUP);

        memcpy(row, &scale, 2);
        memcpy(row + 2, codes, TSR_GROUP);
    }
}

static void store_row(const struct head *h, size_t key, const float *k, const float *v)
{
    const size_t d = h->kv->d;
    const uint32_t format = h->kv->format;

    if (format == TSR_T8) {
        store_key_t8(h, key, k);
        store_value_t8(h, key, v);
        return;
    }
    for (size_t i = 0; i < d; i++) {
        put(h->k, format, (key / TSR_PANEL * d + i) * TSR_PANEL + key % TSR_PANEL, k[i]);
        put(h->v, format, key * d + i, v[i]);
    }
}

void tsr_kv_store_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_kv_store *a = args;
    const struct tsr_kv *kv = &a->kv;

    for (size_t unit = begin; unit < end; unit++) {
        const size_t b = unit / kv->heads, head = unit % kv->heads;
        const struct head h = head_of(kv, b, head);

        for (size_t row = 0; row < a->rows; row++) {
            const size_t in = b * a->rows + row;

            store_row(&h, a->start[b] + row, a->k + in * a->ldk + head * kv->d,
                      a->v + in * a->ldv + head * kv->d);
        }
    }
}

/* ---- attention ------------------------------------------------------------------------------- */

/* A query row of a head, scaled; and its codes, for a t8 cache. */
struct query {
    float x[TSR_HEAD_MAX];
    int8_t codes[TSR_HEAD_MAX];
    float scales[TSR_HEAD_MAX / TSR_ACT_BLOCK];
    int32_t sums[HEAD_GROUPS];
};

/* What a chunk of keys, or all chunks so far, came to. */
struct triple {
    float m, l;
    const float *o; /* [d] */
};

static void make_query(struct query *query, const float *q, float scale, const struct tsr_kv *kv)
{
    for (size_t i = 0; i < kv->d; i++)
        query->x[i] = q[i] * scale;
    if (kv->format == TSR_T8)
        tsr_quantize_rows_ref(&(struct tsr_quantize){.x = query->x,
                                                     .ldx = kv->d,
                                                     .q = {query->codes, query->scales, query->sums,
                                                           tsr_round_up(kv->d, TSR_BLOCK),
                                                           tsr_ceil_div(kv->d, TSR_ACT_BLOCK)},
                                                     .m = 1,
                                                     .k = kv->d},
                              0, 1);
}

/* Scores of the 16 keys of a panel. */
static void score_panel(float s[TSR_PANEL], const struct query *q, const struct head *h,
                        size_t panel)
{
    const struct tsr_tile keys = key_tile(h);
    const size_t d = h->kv->d, padded = tsr_round_up(d, TSR_BLOCK);

    memset(s, 0, TSR_PANEL * sizeof *s);
    if (h->kv->format == TSR_T8) {
        for (size_t i = 0; i < padded; i += TSR_ACT_BLOCK)
            tsr_block_dot(s, &keys, panel, i,
                          padded - i < TSR_ACT_BLOCK ? padded - i : TSR_ACT_BLOCK, q->codes + i,
                          q->sums + i / TSR_GROUP, q->scales[i / TSR_ACT_BLOCK]);
        return;
    }
    for (size_t i = 0; i < d; i++) {
        float column[TSR_PANEL];

        tsr_column(column, &keys, panel, i);
        for (size_t r = 0; r < TSR_PANEL; r++)
            s[r] = fmaf(q->x[i], column[r], s[r]);
    }
}

/* Element i of the value of a key. */
static float value(const struct head *h, size_t key, size_t i)
{
    const uint8_t *row = h->v + key * tsr_kv_row_bytes(h->kv);
    float single;
    uint16_t half;

    switch (h->kv->format) {
    case TSR_F32:
        memcpy(&single, row + i * 4, 4);
        return single;
    case TSR_F16:
        memcpy(&half, row + i * 2, 2);
        return tsr_f16_to_f32(half);
    default:
        row += i / TSR_GROUP * TSR_Q8_BYTES;
        memcpy(&half, row, 2);
        return (float)(int8_t)row[2 + i % TSR_GROUP] * tsr_f16_to_f32(half);
    }
}

/* m, l and o [d] of the keys [first, last), at most 256 of them, from a multiple of 256 on. */
static struct triple reduce_chunk(float *o, const struct query *q, const struct head *h,
                                  size_t first, size_t last)
{
    float p[TSR_KEY_CHUNK];
    struct triple t = {-INFINITY, 0, o};
    struct tsr_sum sum = {0};

    for (size_t j = first; j < last; j += TSR_PANEL)
        score_panel(p + (j - first), q, h, j / TSR_PANEL);
    for (size_t j = first; j < last; j++)
        t.m = p[j - first] > t.m ? p[j - first] : t.m;
    memset(o, 0, h->kv->d * sizeof *o);
    for (size_t j = first; j < last; j++) {
        const float e = tsr_exp(p[j - first] - t.m);

        tsr_sum_add(&sum, e);
        for (size_t i = 0; i < h->kv->d; i++)
            o[i] = fmaf(e, value(h, j, i), o[i]);
    }
    t.l = (float)tsr_sum_total(&sum);
    return t;
}

/* The triple `all`, whose o is `o`, with a chunk merged into it. */
static struct triple merge(struct triple all, float *o, struct triple chunk, size_t d)
{
    const float m = all.m > chunk.m ? all.m : chunk.m;
    const float a = tsr_exp(all.m - m), b = tsr_exp(chunk.m - m);

    for (size_t i = 0; i < d; i++)
        o[i] = fmaf(o[i], a, chunk.o[i] * b);
    return (struct triple){m, fmaf(all.l, a, chunk.l * b), o};
}

static size_t chunk_end(size_t first, size_t limit)
{
    return limit - first < TSR_KEY_CHUNK ? limit : first + TSR_KEY_CHUNK;
}

/* One query row of one head over keys [0, limit). */
static void attend(float *out, const struct query *q, const struct head *h, size_t limit)
{
    const size_t d = h->kv->d;
    float o[TSR_HEAD_MAX], chunk[TSR_HEAD_MAX];
    struct triple all = {0};

    for (size_t first = 0; first < limit; first += TSR_KEY_CHUNK) {
        const size_t last = chunk_end(first, limit);

        all = first == 0 ? reduce_chunk(o, q, h, first, last)
                         : merge(all, o, reduce_chunk(chunk, q, h, first, last), d);
    }
    for (size_t i = 0; i < d; i++)
        out[i] = limit > 0 ? o[i] / all.l : 0.0f;
}

/* The part of a query row of a head that is one chunk. */
static void attend_part(float *triple, const struct query *q, const struct head *h, size_t limit,
                        size_t first)
{
    if (first < limit) {
        const struct triple t = reduce_chunk(triple, q, h, first, chunk_end(first, limit));

        triple[h->kv->d] = t.m + 0.0f;
        triple[h->kv->d + 1] = t.l;
    }
}

void tsr_attention_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_attention *a = args;
    const size_t row_blocks = tsr_ceil_div(a->rows, TSR_ATTENTION_ROWS);
    const size_t parts = a->parts > 0 ? a->parts : 1, d = a->kv.d;
    const size_t shared = a->heads / a->kv.heads; /* query heads of a kv head */

    for (size_t unit = begin; unit < end; unit++) {
        const size_t block = unit / parts, pair = block / row_blocks;
        const size_t first = block % row_blocks * TSR_ATTENTION_ROWS;
        const size_t b = pair / a->kv.heads, kv_head = pair % a->kv.heads;
        const struct head head = head_of(&a->kv, b, kv_head);

        for (size_t i = first; i < first + TSR_ATTENTION_ROWS && i < a->rows; i++)
            for (size_t h = kv_head * shared; h < (kv_head + 1) * shared; h++) {
                const size_t row = b * a->rows + i, limit = (size_t)a->limits[row];
                struct query q;

                make_query(&q, a->q + row * a->ldq + h * d, a->scale, &a->kv);
                if (a->parts == 0)
                    attend(a->out + row * a->ldo + h * d, &q, &head, limit);
                else
                    attend_part(a->triples +
                                    ((row * a->heads + h) * parts + unit % parts) * (d + 2),
                                &q, &head, limit, unit % parts * TSR_KEY_CHUNK);
            }
    }
}

void tsr_attention_merge_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_attention_merge *a = args;
    const size_t d = a->d;

    for (size_t i = begin; i < end; i++) {
        const size_t row = i / a->heads, limit = (size_t)a->limits[row];
        const float *t = a->triples + i * a->parts * (d + 2);
        float *out = a->out + row * a->ldo + i % a->heads * d;
        struct triple all = {0};

        for (size_t first = 0; first < limit; first += TSR_KEY_CHUNK, t += d + 2) {
            const struct triple chunk = {t[d], t[d + 1], t};

            if (first == 0)
                memcpy(out, t, d * sizeof *out);
            all = first == 0 ? chunk : merge(all, out, chunk, d);
        }
        for (size_t j = 0; j < d; j++)
            out[j] = limit > 0 ? out[j] / all.l : 0.0f;
    }
}
