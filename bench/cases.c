/*
 * cases.c: one maker per operator of kernels.def.
 *
 * A maker fills the arguments with random numbers of a sensible size and says what a run needs:
 * operations, bytes, and which limits bind. An operator without a maker does not link. Weights, keys and values
 * that a model reads once per token are held in copies that together exceed the last cache, and each run
 * takes the next copy.
 *
 * Bytes: each operand once as read and once as written, at the level that binds; what a second pass
 * finds in L1 does not count. Operations: a fma is two; where exp, phi, sin or cos bind, every instruction
 * of the function counts as one (exp 16, phi 19, SLEEF 3.5.1's sin and cos together 117), half a fma, which is what
 * they cost on cores with twice as many vector pipes as fma pipes; where the pipes are the same, such a row
 * cannot reach 100 %.
 */
#include "cases.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COPIES_BYTES = 160 << 20 };

/* A matrix with the rows of a token, of guidance, of four guided pictures and of prompts. */
#define MATRIX(op, format, label, n, k)                                                            \
    {op, label, 1, n, k, 0, format, 1}, {op, label, 2, n, k, 0, format, 1},                        \
        {op, label, 8, n, k, 0, format, 1}, {op, label, 24, n, k, 0, format, 1},                   \
        {op, label, 96, n, k, 0, format, 1}, {op, label, 576, n, k, 0, format, 1}

const struct shape bench_shapes[] = {
    {TSR_OP_matmul_t4, "token", 1, 5632, 2048, 0, TSR_T4, 0},
    {TSR_OP_matmul_t4, "guided pair", 2, 5632, 2048, 0, TSR_T4, 0},
    {TSR_OP_matmul_t4, "4 guided", 8, 5632, 2048, 0, TSR_T4, 0},
    {TSR_OP_matmul_t4, "", 24, 5632, 2048, 0, TSR_T4, 0},
    {TSR_OP_matmul_t4, "", 96, 5632, 2048, 0, TSR_T4, 0},
    {TSR_OP_matmul_t4, "picture", 576, 5632, 2048, 0, TSR_T4, 0},
    MATRIX(TSR_OP_matmul_t4, TSR_T4, "q, k, v", 2048, 2048),
    MATRIX(TSR_OP_matmul_t4, TSR_T4, "down", 2048, 5632),
    MATRIX(TSR_OP_matmul_t4, TSR_T4, "head", 102400, 2048),
    {TSR_OP_matmul_t8, "token", 1, 5632, 2048, 0, TSR_T8, 0},
    {TSR_OP_matmul_t8, "guided pair", 2, 5632, 2048, 0, TSR_T8, 0},
    {TSR_OP_matmul_t8, "4 guided", 8, 5632, 2048, 0, TSR_T8, 0},
    {TSR_OP_matmul_t8, "", 24, 5632, 2048, 0, TSR_T8, 0},
    {TSR_OP_matmul_t8, "", 96, 5632, 2048, 0, TSR_T8, 0},
    {TSR_OP_matmul_t8, "picture", 576, 5632, 2048, 0, TSR_T8, 0},
    MATRIX(TSR_OP_matmul_t8, TSR_T8, "q, k, v", 2048, 2048),
    MATRIX(TSR_OP_matmul_t8, TSR_T8, "down", 2048, 5632),
    MATRIX(TSR_OP_matmul_t8, TSR_T8, "head", 102400, 2048),
    {TSR_OP_matmul_tf, "f16 token", 1, 5632, 2048, 0, TSR_F16, 0},
    {TSR_OP_matmul_tf, "f16 picture", 576, 2048, 2048, 0, TSR_F16, 0},
    {TSR_OP_matmul_tf, "f32 token", 1, 5632, 2048, 0, TSR_F32, 1},
    {TSR_OP_matmul_tf, "f32 picture", 576, 2048, 2048, 0, TSR_F32, 0},
    {TSR_OP_matmul_tf, "bf16 picture", 576, 2048, 2048, 0, TSR_BF16, 1},
    {TSR_OP_attention, "prefill f16", 576, 576, 128, 16, TSR_F16, 0},
    {TSR_OP_attention, "prefill f16", 1024, 4096, 128, 16, TSR_F16, 1},
    {TSR_OP_attention, "prefill q8", 576, 576, 128, 16, TSR_T8, 0},
    {TSR_OP_attention, "prefill q8", 1024, 4096, 128, 16, TSR_T8, 1},
    {TSR_OP_attention, "guided f16", 2, 320, 128, 16, TSR_F16, 0},
    {TSR_OP_attention, "guided q8", 2, 320, 128, 16, TSR_T8, 0},
    {TSR_OP_attention, "token f16", 1, 4096, 128, 16, TSR_F16, 0},
    {TSR_OP_attention, "token q8", 1, 4096, 128, 16, TSR_T8, 0},
    {TSR_OP_attention, "1 kv head f16", 1, 65536, 128, 1, TSR_F16, 0},
    {TSR_OP_attention, "1 kv head q8", 1, 65536, 128, 1, TSR_T8, 1},
    {TSR_OP_attention, "vision f32", 576, 576, 64, 16, TSR_F32, 0},
    {TSR_OP_attention, "decoder f32", 576, 576, 512, 1, TSR_F32, 0},
    {TSR_OP_attention_merge, "", 1, 4096, 128, 16, 0, 0},
    {TSR_OP_conv2d_tf, "3x3", 384, 128, 128, 3, TSR_F32, 0},
    {TSR_OP_conv2d_tf, "3x3", 96, 256, 256, 3, TSR_F32, 0},
    {TSR_OP_conv2d_tf, "3x3", 24, 512, 512, 3, TSR_F32, 0},
    {TSR_OP_conv2d_tf, "3x3 last", 384, 3, 128, 3, TSR_F32, 1},
    {TSR_OP_conv2d_tf, "1x1", 24, 512, 512, 1, TSR_F32, 1},
    {TSR_OP_conv2d_t8, "3x3", 384, 128, 128, 3, TSR_T8, 0},
    {TSR_OP_conv2d_t8, "3x3", 96, 256, 256, 3, TSR_T8, 0},
    {TSR_OP_conv2d_t8, "3x3", 24, 512, 512, 3, TSR_T8, 0},
    {TSR_OP_codebook_nearest, "VQ-16", 576, 16384, 8, 0, TSR_F32, 0},
    {TSR_OP_codebook_nearest, "Chameleon", 1024, 8192, 256, 0, TSR_F32, 0},
    {TSR_OP_codebook_nearest, "Emu3", 1024, 32768, 4, 0, TSR_F32, 1},
    {TSR_OP_codebook_nearest, "large", 576, 262144, 16, 0, TSR_F32, 1},
    {TSR_OP_quantize_rows, "", 96, 0, 2048, 0, 0, 0},
    {TSR_OP_gather_rows, "t4", 96, 96 * TSR_PANEL, 2048, 0, TSR_T4, 0},
    {TSR_OP_kv_store, "f16", 64, 1024, 128, 16, TSR_F16, 0},
    {TSR_OP_kv_store, "q8", 64, 1024, 128, 16, TSR_T8, 0},
    {TSR_OP_rmsnorm, "", 48, 0, 2048, 0, 0, 0},
    {TSR_OP_layernorm, "", 96, 0, 1024, 0, 0, 0},
    {TSR_OP_l2norm, "", 576, 0, 8, 0, 0, 1},
    {TSR_OP_rmsnorm_quantize, "", 48, 0, 2048, 0, 0, 0},
    {TSR_OP_layernorm_quantize, "", 96, 0, 1024, 0, 0, 0},
    {TSR_OP_groupnorm_sums, "", 24 * 24, 32, 512, 0, TSR_F32, 0},
    {TSR_OP_groupnorm_sums, "picture", 384 * 384, 32, 128, 0, TSR_F32, 0},
    {TSR_OP_groupnorm_sums, "picture f16", 384 * 384, 32, 128, 0, TSR_F16, 1},
    {TSR_OP_groupnorm_fold, "picture", 384 * 384, 32, 128, 0, 0, 1},
    {TSR_OP_groupnorm_apply, "", 768, 0, 128, 0, TSR_F32, 0},
    {TSR_OP_groupnorm_apply, "silu", 768, 1, 128, 0, TSR_F32, 0},
    {TSR_OP_groupnorm_apply, "silu f16", 768, 1, 128, 0, TSR_F16, 1},
    {TSR_OP_cast, "to f32", 96, 0, 2048, 0, TSR_F16, 0},
    {TSR_OP_cast, "to f16", 96, 0, 2048, 0, TSR_F32, 0},
    {TSR_OP_rope_table, "", 96, 0, 128, 0, 0, 1},
    {TSR_OP_rope, "", 48, 0, 128, 16, 0, 0},
    {TSR_OP_softmax, "", 48, 0, 2048, 0, 0, 0},
    {TSR_OP_silu, "", 48, 0, 2048, 0, 0, 0},
    {TSR_OP_gelu_erf, "", 24, 0, 4096, 0, 0, 0},
    {TSR_OP_gelu_tanh, "", 24, 0, 4096, 0, 0, 1},
    {TSR_OP_silu_mul, "", 12, 0, 5632, 0, 0, 0},
    {TSR_OP_silu_mul_quantize, "", 12, 0, 5632, 0, 0, 0},
    {TSR_OP_add, "", 32, 0, 2048, 0, 0, 0},
    {TSR_OP_upsample2x, "", 24, 0, 256, 0, 0, 0},
    {TSR_OP_resize, "1024x768", 768, 1024, 384, 0, 0, 0},
    {TSR_OP_argmax, "", 1, 0, 102400, 0, 0, 0},
    {TSR_OP_sample, "guided", 1, 0, 16384, 0, 0, 0},
};
#undef MATRIX
const size_t bench_shape_count = sizeof bench_shapes / sizeof *bench_shapes;

/* ---- memory and random numbers
 * ----------------------------------------------------------------------- */

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* A zeroed buffer that the case owns; NULL when memory is out. */
static void *take(struct bench_case *c, size_t bytes)
{
    void *const buffer = c->buffer_count < CASE_BUFFERS ? bench_memory(bytes) : NULL;

    if (buffer == NULL)
        return NULL;
    memset(buffer, 0, bytes);
    c->buffers[c->buffer_count++] = buffer;
    return buffer;
}

/* Random f32 in (-1, 1). */
static float *take_floats(struct bench_case *c, size_t count)
{
    float *values = take(c, count * sizeof *values);
    uint32_t state = (uint32_t)count + 1;

    for (size_t i = 0; values != NULL && i < count; i++)
        values[i] = (float)next_random(&state) / 8388608.0f - 1.0f;
    return values;
}

/* A map of random f32 or f16. */
static void *take_map(struct bench_case *c, size_t count, uint32_t format)
{
    float *values = take_floats(c, count);
    uint16_t *map = format == TSR_F16 ? take(c, count * sizeof *map) : NULL;

    if (format != TSR_F16 || values == NULL || map == NULL)
        return format == TSR_F16 ? NULL : values;
    tsr_kernels_select(0).cast(&(struct tsr_cast){values, map, TSR_F32, 1, count}, 0, 1);
    return map;
}

static float *take_output(struct bench_case *c, size_t count)
{
    c->out_bytes = count * sizeof(float);
    c->out = take(c, c->out_bytes);
    return c->out;
}

size_t case_copies(size_t bytes, const struct limits *limits)
{
    const size_t last_cache = limits->topology.l3_bytes;
    const size_t all = last_cache > COPIES_BYTES ? last_cache : COPIES_BYTES;
    const size_t copies = 1 + all / (bytes + 1);

    return copies < CASE_COPIES ? copies : CASE_COPIES;
}

/* Where copies lie. */
static void *take_copies(struct bench_case *c, size_t bytes)
{
    void *const memory = limits_lend(c->limits, bytes);

    return memory != NULL ? memory : take(c, bytes);
}

/* Random weights packed as a tile; far: in as many copies as it takes to leave the caches. */
static int take_tile(struct bench_case *c, struct tsr_tile *tile, uint32_t format, size_t n,
                     size_t k, int far)
{
    const size_t rows_max = 4096; /* random rows repeat after these */
    size_t bytes, copies;
    float *rows;
    char *data;

    if (tsr_tile_bytes(&bytes, format, n, k, NULL) != TSR_OK)
        return 0;
    copies = far ? case_copies(bytes, c->limits) : 1;
    rows = take_floats(c, (n < rows_max ? n : rows_max) * k);
    data = take_copies(c, bytes * copies);
    if (rows == NULL || data == NULL)
        return 0;
    for (size_t first = 0; first < n; first += rows_max) {
        const size_t count = n - first < rows_max ? n - first : rows_max;

        if (tsr_tile_pack(data + first / TSR_PANEL * tsr_panel_bytes(format, k), format, rows,
                          count, k, NULL, NULL) != TSR_OK)
            return 0;
    }
    for (size_t i = 1; i < copies; i++)
        memcpy(data + i * bytes, data, bytes);
    *tile = (struct tsr_tile){data, n, k, format};
    c->rotates[0] = copies > 1 ? &tile->data : NULL;
    c->copy_base[0] = data;
    c->copies = copies;
    c->copy_bytes = bytes;
    return 1;
}

/* m rows of k activations and where their codes go; quantizing them is part of the timed run. */
static int take_q8(struct bench_case *c, struct tsr_q8 *q, size_t m, size_t k, size_t ldc)
{
    *q = (struct tsr_q8){
        take(c, m * ldc), take(c, m * tsr_ceil_div(k, TSR_ACT_BLOCK) * sizeof(float)),
        take(c, m * ldc / TSR_GROUP * sizeof(int32_t)), ldc, tsr_ceil_div(k, TSR_ACT_BLOCK)};
    c->quantize = (struct tsr_quantize){take_floats(c, m * k), k, *q, m, k};
    c->quantizes = 1;
    return q->codes != NULL && q->scales != NULL && q->sums != NULL && c->quantize.x != NULL;
}

/* ---- makers: return 0 when memory is out
 * -------------------------------------------------------------- */

/* matmul: [m, k] x [n, k]. */
static int make_matmul_q(struct bench_case *c, const struct shape *s)
{
    struct tsr_matmul_q *a = &c->args.matmul_t8; /* t4 has the same arguments at the same place */

    if (!take_tile(c, &a->w, s->format, s->n, s->k, s->m <= CASE_TOKENS) ||
        !take_q8(c, &a->x, s->m, s->k, tsr_round_up(s->k, TSR_BLOCK)))
        return 0;
    a->y = take_output(c, s->m * s->n);
    a->ldy = s->n;
    a->m = s->m;
    a->streams = tsr_cpu_streams();
    c->memory = LIMIT_READ;
    return a->y != NULL;
}

static int make_matmul_t8(struct bench_case *c, const struct shape *s)
{
    return make_matmul_q(c, s);
}
static int make_matmul_t4(struct bench_case *c, const struct shape *s)
{
    return make_matmul_q(c, s);
}

static int make_matmul_tf(struct bench_case *c, const struct shape *s)
{
    struct tsr_matmul_f *a = &c->args.matmul_tf;

    if (!take_tile(c, &a->w, s->format, s->n, s->k, s->m <= CASE_TOKENS))
        return 0;
    a->x = take_floats(c, s->m * s->k);
    a->ldx = s->k;
    a->y = take_output(c, s->m * s->n);
    a->ldy = s->n;
    a->m = s->m;
    c->memory = LIMIT_READ;
    return a->x != NULL && a->y != NULL;
}

/* A row of each of m panels, as rows of a large table lie: n = 16 m. */
static int make_gather_rows(struct bench_case *c, const struct shape *s)
{
    struct tsr_gather *a = &c->args.gather_rows;
    int32_t *ids = take(c, s->m * sizeof *ids);
    uint32_t state = 7;

    if (ids == NULL || !take_tile(c, &a->w, s->format, s->n, s->k, 1))
        return 0;
    for (size_t i = 0; i < s->m; i++)
        ids[i] = (int32_t)(i * TSR_PANEL + next_random(&state) % TSR_PANEL);
    c->memory = LIMIT_READ;
    a->ids = ids;
    a->count = s->m;
    a->y = take_output(c, s->m * s->k);
    a->ldy = s->k;
    return a->y != NULL;
}

/* A cache of n keys for `batch` sequences, heads = extra, d = k; far: in as many copies as it takes to leave the
 * caches. */
static int make_kv(struct bench_case *c, struct tsr_kv *kv, const struct shape *s, size_t batch, int far)
{
    void *(*bases)[2][2]; /* of each copy: keys, values [batch] */
    size_t keys, values;
    char *data;

    *kv = (struct tsr_kv){.format = s->format,
                          .capacity = tsr_round_up(s->n, TSR_PANEL),
                          .heads = s->extra,
                          .d = s->k};
    keys = s->extra * tsr_kv_k_bytes(kv);
    values = s->extra * tsr_kv_v_bytes(kv);
    c->copies = far ? case_copies(batch * (keys + values), c->limits) : 1;
    c->copy_bytes = sizeof *bases;
    bases = take(c, c->copies * sizeof *bases);
    data = take_copies(c, c->copies * batch * (keys + values));
    if (bases == NULL || data == NULL)
        return 0;
    for (size_t i = 0; i < c->copies; i++)
        for (size_t b = 0; b < batch; b++, data += keys + values) {
            bases[i][0][b] = data;
            bases[i][1][b] = data + keys;
        }
    kv->k = bases[0][0];
    kv->v = bases[0][1];
    return 1;
}

/* Every run takes the next copy. */
static void rotate_kv(struct bench_case *c, struct tsr_kv *kv)
{
    c->rotates[0] = (const void **)(void *)&kv->k;
    c->rotates[1] = (const void **)(void *)&kv->v;
    c->copy_base[0] = (const char *)kv->k;
    c->copy_base[1] = (const char *)kv->v;
}

static int make_kv_store(struct bench_case *c, const struct shape *s)
{
    struct tsr_kv_store *a = &c->args.kv_store;

    if (!make_kv(c, &a->kv, s, 1, 0))
        return 0;
    a->ldk = a->ldv = s->extra * s->k;
    a->k = take_floats(c, s->m * a->ldk);
    a->v = take_floats(c, s->m * a->ldv);
    a->start = take(c, sizeof *a->start);
    a->batch = 1;
    a->rows = s->m;
    c->out = a->kv.k[0];
    c->out_bytes = s->m * s->k * 2;
    return a->k != NULL && a->v != NULL && a->start != NULL;
}

/* m queries over n keys of d = k, heads = extra: causal unless f32; two queries: of a sequence each; one query and one
 * head: in parts, merged in the timed run. */
static int make_attention(struct bench_case *c, const struct shape *s)
{
    struct tsr_attention *a = &c->args.attention;
    const size_t width = s->extra * s->k, batch = s->m <= 2 ? s->m : 1;
    struct tsr_kv_store store = {.ldk = width, .ldv = width, .batch = 1, .rows = s->n};
    const struct tsr_kernels kernels = tsr_kernels_select(tsr_cpu_tiers());
    int32_t *limits = take(c, s->m * sizeof *limits);
    size_t start = 0;

    if (limits == NULL || !make_kv(c, &a->kv, s, batch, s->m <= 2))
        return 0;
    store.kv = a->kv;
    store.k = take_floats(c, s->n * width);
    store.v = store.k;
    store.start = &start;
    a->q = take_floats(c, s->m * width);
    a->out = take_output(c, s->m * width);
    if (store.k == NULL || a->q == NULL || a->out == NULL)
        return 0;
    for (size_t i = 0; i < c->copies * batch; i++) {
        void *const *const bases = a->kv.k + i / batch * (c->copy_bytes / sizeof *bases) + i % batch;

        store.kv.k = bases;
        store.kv.v = bases + (a->kv.v - a->kv.k);
        kernels.kv_store(&store, 0, tsr_kv_store_units(&store));
    }
    if (c->copies > 1)
        rotate_kv(c, &a->kv);
    for (size_t i = 0; i < s->m; i++)
        limits[i] = (int32_t)(batch == 1 && s->format != TSR_F32 ? s->n - s->m + i + 1 : s->n);
    a->limits = limits;
    a->ldq = a->ldo = width;
    a->batch = batch;
    a->rows = s->m / batch;
    a->heads = s->extra;
    a->streams = kernels.streams;
    a->scale = 1.0f / sqrtf((float)s->k);
    if (s->m == 1 && s->extra == 1) {
        a->parts = tsr_ceil_div(s->n, TSR_KEY_CHUNK);
        c->merge = (struct tsr_attention_merge){
            NULL, a->out, width, limits, s->m, s->extra, a->parts, s->k};
        c->merge.triples = a->triples = take_output(c, a->parts * (s->k + 2));
        c->merges = 1;
    }
    c->memory = LIMIT_READ;
    return !c->merges || a->triples != NULL;
}

/* m rows of n keys each, d = k, heads = extra. */
static int make_attention_merge(struct bench_case *c, const struct shape *s)
{
    struct tsr_attention_merge *a = &c->args.attention_merge;
    const size_t rows = s->m * s->extra, parts = tsr_ceil_div(s->n, TSR_KEY_CHUNK);
    int32_t *limits = take(c, s->m * sizeof *limits);

    *a = (struct tsr_attention_merge){take_floats(c, rows * parts * (s->k + 2)),
                                      take_output(c, rows * s->k),
                                      s->extra * s->k,
                                      limits,
                                      s->m,
                                      s->extra,
                                      parts,
                                      s->k};
    for (size_t i = 0; limits != NULL && i < s->m; i++)
        limits[i] = (int32_t)s->n;
    return a->triples != NULL && a->out != NULL && limits != NULL;
}

static int make_codebook_nearest(struct bench_case *c, const struct shape *s)
{
    struct tsr_codebook *a = &c->args.codebook_nearest;

    if (!take_tile(c, &a->w, TSR_F32, s->n, s->k, 0))
        return 0;
    a->x = take_floats(c, s->m * s->k);
    a->ldx = s->k;
    a->index = (int32_t *)take_output(c, s->m);
    a->m = s->m;
    return a->x != NULL && a->index != NULL;
}

/* A square picture of side m, k channels in, n out, extra x extra taps, the size kept. */
static struct tsr_conv2d conv_shape(const struct shape *s)
{
    const size_t pad = s->extra / 2;

    return (struct tsr_conv2d){s->m, s->m, s->k, s->m, s->m, s->extra, s->extra, 1, pad, pad};
}

static int make_conv2d_tf(struct bench_case *c, const struct shape *s)
{
    struct tsr_conv2d_f *a = &c->args.conv2d_tf;
    const size_t taps = s->extra * s->extra;

    a->s = conv_shape(s);
    if (!take_tile(c, &a->weights, s->format, s->n, taps * s->k, 0))
        return 0;
    a->x = take_floats(c, s->m * s->m * s->k);
    a->y = take_output(c, s->m * s->m * s->n);
    a->zeros = take(c, s->k * sizeof(float));
    c->memory = LIMIT_READ;
    return a->x != NULL && a->y != NULL && a->zeros != NULL;
}

static int make_conv2d_t8(struct bench_case *c, const struct shape *s)
{
    struct tsr_conv2d_q *a = &c->args.conv2d_t8;
    const size_t taps = s->extra * s->extra, cin = tsr_round_up(s->k, TSR_GROUP);

    a->s = conv_shape(s);
    if (!take_tile(c, &a->weights, TSR_T8, s->n, taps * cin, 0) ||
        !take_q8(c, &a->x, s->m * s->m, s->k, cin))
        return 0;
    a->y = take_output(c, s->m * s->m * s->n);
    a->zeros = take(c, cin * 4);
    c->memory = LIMIT_READ;
    return a->y != NULL && a->zeros != NULL;
}

/* Codes of m rows of k as what comes out. */
static int make_codes(struct bench_case *c, struct tsr_q8 *q, const struct shape *s)
{
    if (!take_q8(c, q, s->m, s->k, tsr_round_up(s->k, TSR_BLOCK)))
        return 0;
    c->quantizes = 0;
    c->out = q->codes;
    c->out_bytes = s->m * q->ldc;
    c->codes = 1;
    return 1;
}

static int make_quantize_rows(struct bench_case *c, const struct shape *s)
{
    struct tsr_quantize *a = &c->args.quantize_rows;

    if (!make_codes(c, &a->q, s))
        return 0;
    *a = c->quantize;
    return 1;
}

/* Rows of k in, rows of k out. */
static int make_norm(struct bench_case *c, struct tsr_norm *a, const struct shape *s)
{
    *a = (struct tsr_norm){take_floats(c, s->m * s->k),
                           s->k,
                           take_output(c, s->m * s->k),
                           s->k,
                           take_floats(c, s->k),
                           take_floats(c, s->k),
                           s->m,
                           s->k,
                           1e-6f};
    return a->x != NULL && a->y != NULL && a->weight != NULL && a->bias != NULL;
}

static int make_rmsnorm(struct bench_case *c, const struct shape *s)
{
    return make_norm(c, &c->args.rmsnorm, s);
}
static int make_layernorm(struct bench_case *c, const struct shape *s)
{
    return make_norm(c, &c->args.layernorm, s);
}
static int make_l2norm(struct bench_case *c, const struct shape *s)
{
    return make_norm(c, &c->args.l2norm, s);
}

static int make_norm_quantize(struct bench_case *c, struct tsr_norm_quantize *a,
                              const struct shape *s)
{
    return make_norm(c, &a->norm, s) && make_codes(c, &a->q, s);
}

static int make_rmsnorm_quantize(struct bench_case *c, const struct shape *s)
{
    return make_norm_quantize(c, &c->args.rmsnorm_quantize, s);
}
static int make_layernorm_quantize(struct bench_case *c, const struct shape *s)
{
    return make_norm_quantize(c, &c->args.layernorm_quantize, s);
}

/* m pixels, k channels, n groups. */
static int make_groupnorm_sums(struct bench_case *c, const struct shape *s)
{
    struct tsr_groupnorm_sums *a = &c->args.groupnorm_sums;
    float *means = take_floats(c, s->k);

    for (size_t i = 1; means != NULL && i < s->k; i++)
        means[i] = means[0]; /* equal within a group */
    *a = (struct tsr_groupnorm_sums){take_map(c, s->m * s->k, s->format), s->format, means, NULL, s->m, s->k, s->n};
    a->sums = take_output(c, tsr_groupnorm_sums_units(a) * s->n);
    c->memory = s->m * s->k * 4 > (size_t)8 << 20 ? LIMIT_READ : LIMIT_COPY;
    return a->x != NULL && a->means != NULL && a->sums != NULL;
}

static int make_groupnorm_fold(struct bench_case *c, const struct shape *s)
{
    struct tsr_groupnorm_fold *a = &c->args.groupnorm_fold;

    *a = (struct tsr_groupnorm_fold){take_floats(c, tsr_ceil_div(s->m * (s->k / s->n), TSR_REDUCE_BLOCK) * s->n),
                                     take_output(c, s->k), s->m, s->k, s->n, 0, 1e-6f};
    return a->sums != NULL && a->values != NULL;
}

static int make_groupnorm_apply(struct bench_case *c, const struct shape *s)
{
    struct tsr_groupnorm_apply *a = &c->args.groupnorm_apply;

    *a = (struct tsr_groupnorm_apply){take_map(c, s->m * s->k, s->format),
                                      s->format,
                                      take_output(c, s->m * s->k),
                                      take_floats(c, s->k),
                                      take_floats(c, s->k),
                                      take_floats(c, s->k),
                                      take_floats(c, s->k),
                                      s->m,
                                      s->k,
                                      s->n != 0};
    return a->x != NULL && a->y != NULL && a->means != NULL && a->scales != NULL && a->weight != NULL &&
           a->bias != NULL;
}

static int make_cast(struct bench_case *c, const struct shape *s)
{
    struct tsr_cast *a = &c->args.cast;

    *a = (struct tsr_cast){take_map(c, s->m * s->k, s->format), take_output(c, s->m * s->k), s->format, s->m, s->k};
    return a->x != NULL && a->y != NULL;
}

static int make_rope_table(struct bench_case *c, const struct shape *s)
{
    struct tsr_rope_table *a = &c->args.rope_table;
    const size_t half = s->k / 2;

    *a = (struct tsr_rope_table){take_floats(c, s->m),
                                 take_floats(c, half),
                                 take_output(c, s->m * half),
                                 take(c, s->m * half * sizeof(float)),
                                 s->m,
                                 half};
    return a->positions != NULL && a->inv_freq != NULL && a->cosines != NULL && a->sines != NULL;
}

/* In place: the values rotate on and on, which keeps their size. */
static int make_rope(struct bench_case *c, const struct shape *s)
{
    struct tsr_rope *a = &c->args.rope;
    const size_t width = s->extra * s->k, half = s->k / 2;
    float *cosines = take_floats(c, s->m * half), *sines = take_floats(c, s->m * half);

    if (cosines == NULL || sines == NULL)
        return 0;
    for (size_t i = 0; i < s->m * half; i++)
        sines[i] = sqrtf(1.0f - cosines[i] * cosines[i]);
    *a = (struct tsr_rope){
        take_floats(c, s->m * width), width, cosines, sines, s->m, s->extra, s->k, 0};
    c->out = a->x;
    c->out_bytes = s->m * width * sizeof(float);
    return a->x != NULL;
}

static int make_rows(struct bench_case *c, struct tsr_rows *a, const struct shape *s)
{
    *a = (struct tsr_rows){
        take_floats(c, s->m * s->k), s->k, take_output(c, s->m * s->k), s->k, s->m, s->k};
    return a->x != NULL && a->y != NULL;
}

static int make_softmax(struct bench_case *c, const struct shape *s)
{
    return make_rows(c, &c->args.softmax, s);
}
static int make_silu(struct bench_case *c, const struct shape *s)
{
    return make_rows(c, &c->args.silu, s);
}
static int make_gelu_erf(struct bench_case *c, const struct shape *s)
{
    return make_rows(c, &c->args.gelu_erf, s);
}
static int make_gelu_tanh(struct bench_case *c, const struct shape *s)
{
    return make_rows(c, &c->args.gelu_tanh, s);
}

static int make_rows2(struct bench_case *c, struct tsr_rows2 *a, const struct shape *s)
{
    *a = (struct tsr_rows2){take_floats(c, s->m * s->k),
                            s->k,
                            take_floats(c, s->m * s->k),
                            s->k,
                            take_output(c, s->m * s->k),
                            s->k,
                            s->m,
                            s->k};
    return a->a != NULL && a->b != NULL && a->y != NULL;
}

static int make_silu_mul(struct bench_case *c, const struct shape *s)
{
    return make_rows2(c, &c->args.silu_mul, s);
}
static int make_silu_mul_quantize(struct bench_case *c, const struct shape *s)
{
    struct tsr_rows2_quantize *a = &c->args.silu_mul_quantize;

    return make_rows2(c, &a->rows, s) && make_codes(c, &a->q, s);
}
static int make_add(struct bench_case *c, const struct shape *s)
{
    return make_rows2(c, &c->args.add, s);
}

static int make_upsample2x(struct bench_case *c, const struct shape *s)
{
    struct tsr_upsample *a = &c->args.upsample2x;
    const size_t count = s->m * s->m * s->k;

    *a = (struct tsr_upsample){take_floats(c, count), take_output(c, 4 * count), s->m, s->m, s->k};
    return a->x != NULL && a->y != NULL;
}

/* The horizontal pass of [m, n] pixels to width k, with taps as bicubic shrinking has them. */
static int make_resize(struct bench_case *c, const struct shape *s)
{
    struct tsr_resize *a = &c->args.resize;
    const size_t taps = 4 * s->n / s->k + 1;
    int32_t *first = take(c, s->k * sizeof *first), *count = take(c, s->k * sizeof *count);
    int32_t *coef = take(c, s->k * taps * sizeof *coef);
    uint8_t *x = take(c, s->m * s->n * 3);

    if (first == NULL || count == NULL || coef == NULL || x == NULL)
        return 0;
    for (size_t i = 0; i < s->k; i++) {
        const size_t at = i * s->n / s->k;

        first[i] = (int32_t)(at + taps <= s->n ? at : s->n - taps);
        count[i] = (int32_t)taps;
        for (size_t t = 0; t < taps; t++)
            coef[i * taps + t] = (int32_t)((1 << 22) / taps);
    }
    *a = (struct tsr_resize){
        x, take(c, s->m * s->k * 3), s->m, s->n, 3, s->k, taps, first, count, coef, 0};
    c->out = a->y;
    c->out_bytes = s->m * s->k * 3;
    return a->y != NULL;
}

static int make_argmax(struct bench_case *c, const struct shape *s)
{
    struct tsr_argmax *a = &c->args.argmax;

    *a = (struct tsr_argmax){take_floats(c, s->m * s->k), s->k, (int32_t *)take_output(c, s->m),
                             s->m, s->k};
    return a->x != NULL && a->index != NULL;
}

static int make_sample(struct bench_case *c, const struct shape *s)
{
    struct tsr_sample *a = &c->args.sample;

    *a = (struct tsr_sample){take_floats(c, s->m * s->k),
                             take_floats(c, s->m * s->k),
                             s->k,
                             take_floats(c, s->m),
                             (int32_t *)take_output(c, s->m),
                             take(c, s->m * s->k * 12),
                             s->m,
                             s->k,
                             0,
                             5,
                             1,
                             1};
    return a->cond != NULL && a->uncond != NULL && a->u != NULL && a->index != NULL &&
           a->scratch != NULL;
}

/* ---- the table
 * ----------------------------------------------------------------------------------------- */

static int (*const makers[TSR_OPS])(struct bench_case *, const struct shape *) = {
#define OP(name, args) make_##name,
#include "kernels.def"
};

/* The units of the operator that the case was made for. */
static size_t units_of(const struct bench_case *c)
{
    switch (c->shape->op) {
#define OP(name, args_)                                                                            \
    case TSR_OP_##name:                                                                            \
        return tsr_##args_##_units(&c->args.name);
#include "kernels.def"
    default:
        return 0;
    }
}

tsr_status case_make(struct bench_case *c, const struct shape *shape, struct limits *limits,
                     struct tsr_error *error)
{
    struct tsr_work work;

    memset(c, 0, sizeof *c);
    c->shape = shape;
    c->limits = limits;
    limits->lent = 0;
    c->memory = LIMIT_COPY;
    if (!makers[shape->op](c, shape))
        return tsr_fail(error, TSR_MEMORY, "no memory to time %s", tsr_op_names[shape->op]);
    c->units = units_of(c);
    work = tsr_op_work((enum tsr_op)shape->op, &c->args);
    c->ops = work.operations;
    c->bytes = work.weights > work.rows ? work.weights : work.rows;
    c->peak = work.int8 ? LIMIT_I8 : LIMIT_F32;
    return TSR_OK;
}

void case_free(struct bench_case *c)
{
    for (size_t i = 0; i < c->buffer_count; i++)
        free(c->buffers[i]);
    c->buffer_count = 0;
}

/* The kernels of a choice by number, in the order of the table. */
static tsr_kernel *kernel_of(const struct tsr_kernels *kernels, unsigned op)
{
    switch (op) {
#define OP(name, args)                                                                             \
    case TSR_OP_##name:                                                                            \
        return kernels->name;
#include "kernels.def"
    default:
        return NULL;
    }
}

void case_run(struct bench_case *c, tsr_pool *pool, const struct tsr_kernels *kernels, size_t round)
{
    for (size_t i = 0; i < 2; i++)
        if (c->rotates[i] != NULL)
            *c->rotates[i] = c->copy_base[i] + round % c->copies * c->copy_bytes;
    if (c->quantizes)
        tsr_pool_run(pool, kernels->quantize_rows, &c->quantize, c->quantize.m);
    tsr_pool_run(pool, kernel_of(kernels, c->shape->op), &c->args, c->units);
    if (c->merges)
        tsr_run_attention_merge(pool, kernels, &c->merge);
}
