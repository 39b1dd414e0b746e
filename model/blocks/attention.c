/*
 * attention.c: the cache of keys and values, and the transformer layers around it.
 *
 * The cache is one block: layer by layer, slot by slot, first the keys of all heads, then the
 * values. A slot is a sequence. Rows of several sequences go through a layer as one batch, so the
 * weights are read once for all of them: with guidance a drawing is two sequences, four drawings
 * are eight.
 */
#include "blocks.h"

#include <math.h>
#include <string.h>

enum {
    UNITS_A_THREAD = 4,  /* enough for threads to finish together */
    NEAR_BYTES = 1 << 20 /* of a cache that L2 keeps from token to token; fetching it would only cost */
};

/* ---- cache ----------------------------------------------------------------------------------- */

static struct tsr_kv kv_of(const struct tsr_cache *c)
{
    return (struct tsr_kv){
        .format = c->format, .capacity = c->capacity, .heads = c->heads, .d = c->d};
}

/* Bytes of one slot's keys, or values, in one layer, to whole lines. */
static size_t key_bytes(const struct tsr_cache *c)
{
    const struct tsr_kv kv = kv_of(c);

    return tsr_round_up(c->heads * tsr_kv_k_bytes(&kv), TSR_LINE_BYTES);
}

static size_t slot_bytes(const struct tsr_cache *c)
{
    const struct tsr_kv kv = kv_of(c);

    return key_bytes(c) + tsr_round_up(c->heads * tsr_kv_v_bytes(&kv), TSR_LINE_BYTES);
}

size_t tsr_cache_bytes(const struct tsr_cache *c)
{
    /* no format takes more than 4 bytes for an element of a head padded to blocks, and a line more */
    const size_t factors[] = {c->capacity, c->d + TSR_BLOCK, c->heads + 1, c->layers, c->slots};
    size_t bytes = 2 * sizeof(float) * TSR_PANEL;

    for (size_t i = 0; i < sizeof factors / sizeof *factors; i++)
        if (__builtin_mul_overflow(bytes, factors[i], &bytes) || bytes > SIZE_MAX / 4)
            return SIZE_MAX / 2;
    return c->layers * c->slots * slot_bytes(c);
}

static uint8_t *keys(const struct tsr_cache *c, size_t layer, size_t slot)
{
    return c->base + (layer * c->slots + slot) * slot_bytes(c);
}

static uint8_t *values(const struct tsr_cache *c, size_t layer, size_t slot)
{
    return keys(c, layer, slot) + key_bytes(c);
}

void tsr_cache_copy(const struct tsr_cache *c, size_t from, size_t to, size_t positions)
{
    const struct tsr_kv kv = kv_of(c);
    const size_t k = tsr_kv_k_bytes(&kv), v = tsr_kv_v_bytes(&kv);
    const size_t panel = tsr_panel_bytes(c->format, c->d), row = tsr_kv_row_bytes(&kv);

    for (size_t layer = 0; layer < c->layers; layer++)
        for (size_t h = 0; h < c->heads; h++) {
            memcpy(keys(c, layer, to) + h * k, keys(c, layer, from) + h * k,
                   tsr_ceil_div(positions, TSR_PANEL) * panel);
            memcpy(values(c, layer, to) + h * v, values(c, layer, from) + h * v, positions * row);
        }
}

/* ---- positions ------------------------------------------------------------------------------- */

void tsr_rope_frequencies(float *inv_freq, size_t d, double theta)
{
    const size_t n = d / 2;
    double low = 1, high = theta < 1 ? 1 : theta, power = 1;

    for (int step = 0; step < 128; step++) {
        const double middle = low + (high - low) / 2;
        double p = 1;
        for (size_t i = 0; i < n; i++)
            p *= middle;
        if (p > theta)
            high = middle;
        else
            low = middle;
    }
    for (size_t i = 0; i < n; i++, power *= low)
        inv_freq[i] = (float)(1 / power);
}

void tsr_batch_prepare(struct tsr_exec *e, struct tsr_batch *b, const float *inv_freq)
{
    const size_t m = b->count * b->rows, half = b->cache->d / 2;
    const struct tsr_kv kv = kv_of(b->cache);
    size_t seen = 0;
    float *positions;
    size_t mark;

    b->limits = tsr_take(e, m, 1, sizeof(int32_t));
    b->cosines = tsr_floats(e, m, half);
    b->sines = tsr_floats(e, m, half);
    b->k = tsr_take(e, b->count, 1, sizeof(void *));
    b->v = tsr_take(e, b->count, 1, sizeof(void *));
    mark = tsr_mark(e);
    positions = tsr_floats(e, m, 1);
    if (tsr_live(e))
        for (size_t i = 0; i < m; i++) {
            const size_t position = b->start[i / b->rows] + i % b->rows;
            b->limits[i] = (int32_t)position + 1;
            positions[i] = (float)position;
            seen += position + 1;
        }
    b->streams = 2 * seen * tsr_kv_row_bytes(&kv) * kv.heads * b->cache->layers > NEAR_BYTES ? e->kernels.streams : 1;
    tsr_do_rope_table(e, &(struct tsr_rope_table){.positions = positions,
                                                  .inv_freq = inv_freq,
                                                  .cosines = b->cosines,
                                                  .sines = b->sines,
                                                  .m = m,
                                                  .half = half});
    tsr_release(e, mark);
}

/* ---- Llama ----------------------------------------------------------------------------------- */

static struct tsr_kv batch_kv(struct tsr_exec *e, const struct tsr_batch *b, size_t layer)
{
    const struct tsr_cache *c = b->cache;
    struct tsr_kv kv = kv_of(c);

    if (tsr_live(e))
        for (size_t i = 0; i < b->count; i++) {
            b->k[i] = keys(c, layer, b->slots[i]);
            b->v[i] = values(c, layer, b->slots[i]);
        }
    kv.k = b->k;
    kv.v = b->v;
    return kv;
}

/* Queries over the cache. Where single tokens leave threads without work (one kv head is one unit),
 * the chunks of their keys are handed out one by one. */
static void cached_attention(struct tsr_exec *e, struct tsr_attention a)
{
    const size_t mark = tsr_mark(e), m = a.batch * a.rows, d = a.kv.d;
    const size_t most = a.rows == 1 ? tsr_ceil_div(a.kv.capacity, TSR_KEY_CHUNK) : 0;
    int32_t limit = 0;

    a.triples = tsr_floats(e, m * a.heads, most * (d + 2));
    if (tsr_live(e))
        for (size_t i = 0; i < m && most > 0; i++)
            limit = a.limits[i] > limit ? a.limits[i] : limit;
    if (e->pool != NULL && tsr_attention_units(&a) < UNITS_A_THREAD * tsr_pool_threads(e->pool))
        a.parts = tsr_ceil_div((size_t)limit, TSR_KEY_CHUNK);
    a.parts = a.parts > 1 ? a.parts : 0;
    tsr_do_attention(e, &a);
    if (a.parts > 0)
        tsr_do_attention_merge(e, &(struct tsr_attention_merge){.triples = a.triples,
                                                                .out = a.out,
                                                                .ldo = a.ldo,
                                                                .limits = a.limits,
                                                                .m = m,
                                                                .heads = a.heads,
                                                                .parts = a.parts,
                                                                .d = d});
    tsr_release(e, mark);
}

static void rope(struct tsr_exec *e, const struct tsr_batch *b, float *x, size_t heads)
{
    const size_t d = b->cache->d;

    tsr_do_rope(e, &(struct tsr_rope){.x = x,
                                      .ldx = heads * d,
                                      .cosines = b->cosines,
                                      .sines = b->sines,
                                      .m = b->count * b->rows,
                                      .heads = heads,
                                      .d = d});
}

/* out = attention of norm(x); stores its keys and values. */
static void self_attention(struct tsr_exec *e, const struct tsr_llama_shape *s,
                           const struct tsr_llama_layer *w, const struct tsr_batch *b, size_t layer,
                           const float *x, float *out)
{
    const size_t m = b->count * b->rows, ldq = s->heads * s->d, ldk = s->kv_heads * s->d;
    const size_t mark = tsr_mark(e);
    const struct tsr_kv kv = batch_kv(e, b, layer);
    struct tsr_input in = tsr_input_rmsnorm(x, m, s->width, &w->attn_norm, s->eps);
    float *q = tsr_floats(e, m, ldq);   /* [m, heads * d] */
    float *k = tsr_floats(e, m, ldk);   /* [m, kv_heads * d] */
    float *v = tsr_floats(e, m, ldk);   /* [m, kv_heads * d] */
    float *mix = tsr_floats(e, m, ldq); /* [m, heads * d] */

    tsr_linear(e, &in, &w->q, q);
    tsr_linear(e, &in, &w->k, k);
    tsr_linear(e, &in, &w->v, v);
    rope(e, b, q, s->heads);
    rope(e, b, k, s->kv_heads);
    tsr_do_kv_store(e, &(struct tsr_kv_store){.kv = kv,
                                              .k = k,
                                              .v = v,
                                              .ldk = ldk,
                                              .ldv = ldk,
                                              .start = b->start,
                                              .batch = b->count,
                                              .rows = b->rows,
                                              .streams = b->streams});
    cached_attention(e, (struct tsr_attention){.q = q,
                                               .ldq = ldq,
                                               .out = mix,
                                               .ldo = ldq,
                                               .kv = kv,
                                               .limits = b->limits,
                                               .batch = b->count,
                                               .rows = b->rows,
                                               .heads = s->heads,
                                               .streams = b->streams,
                                               .scale = (float)(1 / sqrt((double)s->d))});
    tsr_linear_once(e, mix, m, &w->o, out);
    tsr_release(e, mark);
}

/* out = down(silu(gate(h)) * up(h)), h = norm(x). */
static void swiglu(struct tsr_exec *e, const struct tsr_llama_shape *s,
                   const struct tsr_llama_layer *w, size_t m, const float *x, float *out)
{
    const size_t mark = tsr_mark(e), f = s->hidden;
    struct tsr_input in = tsr_input_rmsnorm(x, m, s->width, &w->ffn_norm, s->eps);
    float *gate = tsr_floats(e, m, f); /* [m, hidden] */
    float *up = tsr_floats(e, m, f);   /* [m, hidden] */

    tsr_linear(e, &in, &w->gate, gate);
    tsr_linear(e, &in, &w->up, up);
    in = tsr_input_silu_mul(gate, up, m, f);
    tsr_linear(e, &in, &w->down, out);
    tsr_release(e, mark);
}

void tsr_llama_layer(struct tsr_exec *e, const struct tsr_llama_shape *s,
                     const struct tsr_llama_layer *w, const struct tsr_batch *b, size_t layer,
                     float *x)
{
    const size_t m = b->count * b->rows, mark = tsr_mark(e);
    float *out = tsr_floats(e, m, s->width); /* [m, width] */

    self_attention(e, s, w, b, layer, x, out);
    tsr_accumulate(e, x, out, m, s->width);
    swiglu(e, s, w, m, x, out);
    tsr_accumulate(e, x, out, m, s->width);
    tsr_release(e, mark);
}

/* ---- full attention and the vision transformer ----------------------------------------------- */

void tsr_full_attention(struct tsr_exec *e, const float *q, const float *k, const float *v,
                        size_t m, size_t heads, size_t d, float *out)
{
    const size_t mark = tsr_mark(e), ld = heads * d, capacity = tsr_round_up(m, TSR_PANEL);
    void *key_rows = tsr_floats(e, heads * capacity, d);
    void *value_rows = tsr_floats(e, heads * capacity, d);
    int32_t *limits = tsr_take(e, m, 1, sizeof(int32_t));
    const size_t start = 0;
    const struct tsr_kv kv = {.k = &key_rows,
                              .v = &value_rows,
                              .format = TSR_F32,
                              .capacity = capacity,
                              .heads = heads,
                              .d = d};

    if (tsr_live(e))
        for (size_t i = 0; i < m; i++)
            limits[i] = (int32_t)m;
    tsr_do_kv_store(e, &(struct tsr_kv_store){.kv = kv,
                                              .k = k,
                                              .v = v,
                                              .ldk = ld,
                                              .ldv = ld,
                                              .start = &start,
                                              .batch = 1,
                                              .rows = m});
    tsr_do_attention(e, &(struct tsr_attention){.q = q,
                                                .ldq = ld,
                                                .out = out,
                                                .ldo = ld,
                                                .kv = kv,
                                                .limits = limits,
                                                .batch = 1,
                                                .rows = m,
                                                .heads = heads,
                                                .scale = (float)(1 / sqrt((double)d))});
    tsr_release(e, mark);
}

void tsr_vit_layer(struct tsr_exec *e, const struct tsr_vit_layer *w, size_t m, size_t heads,
                   float eps, float *x)
{
    const size_t mark = tsr_mark(e), width = w->q.w.n;
    struct tsr_input in = tsr_input_layernorm(x, m, width, &w->norm1, eps);
    float *out = tsr_floats(e, m, width); /* [m, width], as all below */
    float *q = tsr_floats(e, m, width);
    float *k = tsr_floats(e, m, width);
    float *v = tsr_floats(e, m, width);
    float *mix = tsr_floats(e, m, width);

    tsr_linear(e, &in, &w->q, q);
    tsr_linear(e, &in, &w->k, k);
    tsr_linear(e, &in, &w->v, v);
    tsr_full_attention(e, q, k, v, m, heads, width / heads, mix);
    tsr_linear_once(e, mix, m, &w->o, out);
    tsr_accumulate(e, x, out, m, width);
    in = tsr_input_layernorm(x, m, width, &w->norm2, eps);
    tsr_gelu_mlp(e, in, &w->fc1, &w->fc2, out);
    tsr_accumulate(e, x, out, m, width);
    tsr_release(e, mark);
}
