/*
 * attention_ref.c: kv_store and attention, by the contracts of struct tsr_kv_store and
 * tsr_attention.
 *
 * Keys are reduced in chunks of 256 by absolute index, each chunk to a triple (m, l, o), and the
 * triples are merged in ascending order. Since neither the chunks nor the merge know how many
 * queries came together, a prompt gives the same bits in one piece, in pieces, or token by token.
 */
#include "ref/ref.h"

/* ---- the cache: element (key, i) of a head ---- */

static size_t k_index(const struct tsr_kv *kv, size_t head, size_t key, size_t i)
{
    return head * kv->capacity * kv->d + (key / TSR_PANEL * kv->d + i) * TSR_PANEL +
           key % TSR_PANEL;
}

static size_t v_index(const struct tsr_kv *kv, size_t head, size_t key, size_t i)
{
    return (head * kv->capacity + key) * kv->d + i;
}

static void put(void *base, uint32_t format, size_t index, float x)
{
    if (format == TSR_F32)
        ((float *)base)[index] = x;
    else
        ((uint16_t *)base)[index] = tsr_f32_to_f16(x);
}

static float get(const void *base, uint32_t format, size_t index)
{
    return format == TSR_F32 ? ((const float *)base)[index]
                             : tsr_f16_to_f32(((const uint16_t *)base)[index]);
}

void tsr_kv_store_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_kv_store *a = args;
    const struct tsr_kv *kv = &a->kv;

    for (size_t unit = begin; unit < end; unit++) {
        const size_t b = unit / kv->heads, head = unit % kv->heads;

        for (size_t row = 0; row < a->rows; row++) {
            const size_t key = a->start[b] + row, in = b * a->rows + row;

            for (size_t i = 0; i < kv->d; i++) {
                put(kv->k[b], kv->format, k_index(kv, head, key, i),
                    a->k[in * a->ldk + head * kv->d + i]);
                put(kv->v[b], kv->format, v_index(kv, head, key, i),
                    a->v[in * a->ldv + head * kv->d + i]);
            }
        }
    }
}

/* ---- attention ---- */

/* One head of one sequence's cache. */
struct head {
    const struct tsr_kv *kv;
    const void *k, *v;
    size_t head;
};

/* What a chunk of keys, or all chunks so far, came to. */
struct triple {
    float m, l;
    float o[TSR_HEAD_MAX];
};

/* The triple of keys [first, last), at most 256 of them; q is scaled already. */
static void reduce_chunk(struct triple *t, const float *q, const struct head *h, size_t first,
                         size_t last)
{
    const struct tsr_kv *kv = h->kv;
    float p[TSR_KEY_CHUNK];
    struct tsr_sum sum = {0};

    t->m = -INFINITY;
    for (size_t j = first; j < last; j++) {
        float s = 0;

        for (size_t i = 0; i < kv->d; i++)
            s = fmaf(q[i], get(h->k, kv->format, k_index(kv, h->head, j, i)), s);
        p[j - first] = s;
        t->m = s > t->m ? s : t->m;
    }
    memset(t->o, 0, kv->d * sizeof *t->o);
    for (size_t j = first; j < last; j++) {
        const float e = tsr_exp(p[j - first] - t->m);

        tsr_sum_add(&sum, e);
        for (size_t i = 0; i < kv->d; i++)
            t->o[i] = fmaf(e, get(h->v, kv->format, v_index(kv, h->head, j, i)), t->o[i]);
    }
    t->l = (float)tsr_sum_total(&sum);
}

static void merge(struct triple *t, const struct triple *chunk, size_t d)
{
    const float m = t->m > chunk->m ? t->m : chunk->m;
    const float a = tsr_exp(t->m - m), b = tsr_exp(chunk->m - m);

    t->m = m;
    t->l = fmaf(t->l, a, chunk->l * b);
    for (size_t i = 0; i < d; i++)
        t->o[i] = fmaf(t->o[i], a, chunk->o[i] * b);
}

/* One query row of one head: q [d], out [d], keys [0, limit). */
static void attend(float *out, const float *q, float scale, const struct head *h, size_t limit)
{
    const size_t d = h->kv->d;
    float scaled[TSR_HEAD_MAX];
    struct triple all, chunk;

    for (size_t i = 0; i < d; i++)
        scaled[i] = q[i] * scale;
    for (size_t first = 0; first < limit; first += TSR_KEY_CHUNK) {
        const size_t last = limit - first < TSR_KEY_CHUNK ? limit : first + TSR_KEY_CHUNK;

        reduce_chunk(first == 0 ? &all : &chunk, scaled, h, first, last);
        if (first > 0)
            merge(&all, &chunk, d);
    }
    for (size_t i = 0; i < d; i++)
        out[i] = limit > 0 ? all.o[i] / all.l : 0.0f;
}

void tsr_attention_ref(const void *args, size_t begin, size_t end)
{
    const struct tsr_attention *a = args;
    const size_t row_blocks = tsr_ceil_div(a->rows, TSR_ATTENTION_ROWS);
    const size_t shared = a->heads / a->kv.heads; /* query heads of a kv head */

    for (size_t unit = begin; unit < end; unit++) {
        const size_t pair = unit / row_blocks, first = unit % row_blocks * TSR_ATTENTION_ROWS;
        const size_t b = pair / a->kv.heads, kv_head = pair % a->kv.heads;
        const struct head head = {&a->kv, a->kv.k[b], a->kv.v[b], kv_head};

        for (size_t i = first; i < first + TSR_ATTENTION_ROWS && i < a->rows; i++)
            for (size_t h = kv_head * shared; h < (kv_head + 1) * shared; h++) {
                const size_t row = b * a->rows + i;

                attend(a->out + row * a->ldo + h * a->kv.d, a->q + row * a->ldq + h * a->kv.d,
                       a->scale, &head, (size_t)a->limits[row]);
            }
    }
}
