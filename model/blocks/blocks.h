/*
 * blocks.h: what families of models are made of: linear layers, transformer layers with their
 * cache, and the convolution blocks of VQ picture tokenizers.
 *
 * A block knows its weights and the rows it is given, never the model around it. It takes scratch
 * memory from the exec and gives it back. Shapes stand in brackets; m is a number of rows
 * (positions or pixels).
 */
#ifndef TSR_BLOCKS_H
#define TSR_BLOCKS_H

#include "exec.h"

/* ---- linear layers --------------------------------------------------------------------------- */

struct tsr_linear {
    struct tsr_tile w; /* [n, k] */
    const float *bias; /* [n] or NULL */
};

/* Weight and bias of a norm; bias NULL for rmsnorm. */
struct tsr_scale {
    const float *weight, *bias;
};

/* What rows are made of. */
enum tsr_from { TSR_FROM_ROWS, TSR_FROM_RMSNORM, TSR_FROM_LAYERNORM, TSR_FROM_SILU_MUL };

/*
 * Rows that enter one or more linear layers. They are made when the first layer asks, once, in the
 * form it asks for: codes of a norm or of silu_mul come from one operator, and no f32 rows exist
 * then. What they are made of must not change before.
 */
struct tsr_input {
    enum tsr_from from;
    struct tsr_norm norm; /* TSR_FROM_RMSNORM, TSR_FROM_LAYERNORM; y NULL: memory is taken for it */
    struct tsr_rows2 pair; /* TSR_FROM_SILU_MUL */
    const float *x;        /* [m, k]; NULL: not made yet */
    size_t ldx, m, k;
    int coded; /* q is made */
    struct tsr_q8 q;
};

/* Rows as they are. */
struct tsr_input tsr_input(const float *x, size_t m, size_t k);
/* rmsnorm and layernorm of x. */
struct tsr_input tsr_input_rmsnorm(const float *x, size_t m, size_t k, const struct tsr_scale *s,
                                   float eps);
struct tsr_input tsr_input_layernorm(const float *x, size_t m, size_t k, const struct tsr_scale *s,
                                     float eps);
/* silu(a) * b; f32 rows, if asked for, take the place of a. */
struct tsr_input tsr_input_silu_mul(float *a, const float *b, size_t m, size_t k);

/* y = x W^T + bias, by the operator of W's format. */
void tsr_linear(struct tsr_exec *e, struct tsr_input *in, const struct tsr_linear *l,
                float *y /* [m, n] */);

/* y = x W^T + bias for rows used once. */
void tsr_linear_once(struct tsr_exec *e, const float *x /* [m, k] */, size_t m,
                     const struct tsr_linear *l, float *y /* [m, n] */);

/* y = second(gelu_erf(first(in))). */
void tsr_gelu_mlp(struct tsr_exec *e, struct tsr_input in, const struct tsr_linear *first,
                  const struct tsr_linear *second, float *y /* [m, n] */);

/* x += y. */
void tsr_accumulate(struct tsr_exec *e, float *x /* [m, k] */, const float *y, size_t m, size_t k);

/* ---- attention with a cache ------------------------------------------------------------------ */

/* Keys and values of `slots` sequences in all layers. */
struct tsr_cache {
    uint8_t *base;
    uint32_t format; /* TSR_F32, TSR_F16 or TSR_T8: struct tsr_kv */
    size_t layers, slots, capacity, heads, d;
};

/* Bytes of a cache, SIZE_MAX / 2 if that overflows. */
size_t tsr_cache_bytes(const struct tsr_cache *cache);

/* Makes slot `to` hold the first `positions` of slot `from`. */
void tsr_cache_copy(const struct tsr_cache *cache, size_t from, size_t to, size_t positions);

/* New rows of several sequences that go through the layers together: row i of sequence b is b *
 * rows + i. */
struct tsr_batch {
    const struct tsr_cache *cache;
    size_t count, rows;     /* sequences, new rows of each */
    const size_t *slots;    /* [count] */
    const size_t *start;    /* [count] position of each sequence's first new row */
    int32_t *limits;        /* [count * rows] from here on made by tsr_batch_prepare */
    float *cosines, *sines; /* [count * rows, d / 2] */
    void **k, **v;          /* [count] */
    size_t streams;         /* tsr_kernels' where single rows read keys and values from memory, else 1 */
};

/* Takes and fills limits (causal), the rope table and room for pointers; sets streams. */
void tsr_batch_prepare(struct tsr_exec *e, struct tsr_batch *b,
                       const float *inv_freq /* [d / 2] */);

/*
 * inv_freq[i] = theta^(-2i / d), the powers of the (d/2)-th root of theta, which is found by
 * bisection: only IEEE multiplications and divisions in double, so equal everywhere.
 */
void tsr_rope_frequencies(float *inv_freq /* [d / 2] */, size_t d, double theta);

/* A Llama layer: rmsnorm, grouped-query attention with half-split rope, rmsnorm, SwiGLU. */
struct tsr_llama_layer {
    struct tsr_scale attn_norm, ffn_norm;
    struct tsr_linear q, k, v, o;
    struct tsr_linear gate, up, down;
};

struct tsr_llama_shape {
    size_t width, heads, kv_heads, d, hidden;
    float eps;
};

void tsr_llama_layer(struct tsr_exec *e, const struct tsr_llama_shape *s,
                     const struct tsr_llama_layer *w, const struct tsr_batch *b, size_t layer,
                     float *x /* [count * rows, width] */);

/* A layer of a vision transformer: pre-norm, biases everywhere, full attention, erf GELU. */
struct tsr_vit_layer {
    struct tsr_scale norm1, norm2;
    struct tsr_linear q, k, v, o;
    struct tsr_linear fc1, fc2;
};

void tsr_vit_layer(struct tsr_exec *e, const struct tsr_vit_layer *w, size_t m, size_t heads,
                   float eps, float *x /* [m, width] */);

/* softmax(q k^T / sqrt(d)) v for all rows against all rows, with f32 keys and values. */
void tsr_full_attention(struct tsr_exec *e, const float *q, const float *k, const float *v,
                        size_t m, size_t heads, size_t d, float *out /* [m, heads * d] */);

/* ---- pictures: VQ encoder and decoder -------------------------------------------------------- */

/* A square convolution; a 1x1 one is a tsr_linear over pixels. */
struct tsr_conv {
    struct tsr_tile w; /* [cout, size * size * cin_p] */
    const float *bias; /* [cout] */
    size_t size, cin;
};

/* The current map in x, [h, w, c], and room for another. */
struct tsr_maps {
    void *x, *a;
    uint32_t format; /* of their elements: TSR_F32 or TSR_F16, rounded when a block ends */
    size_t h, w, c;
};

/* Takes room for maps of so many elements, in the format that the exec says. */
struct tsr_maps tsr_maps_take(struct tsr_exec *e, size_t elements);

enum { TSR_VQ_GROUPS = 32 }; /* of every GroupNorm */

/* The map is conv(x), same size. */
void tsr_vq_in(struct tsr_exec *e, const struct tsr_conv *c, const float *x /* [h, w, cin] */, size_t h, size_t w,
               struct tsr_maps *maps);

/* y = conv(silu(norm(map))), same size. */
void tsr_vq_out(struct tsr_exec *e, const struct tsr_scale *norm, const struct tsr_conv *c, float eps,
                const struct tsr_maps *maps, float *y /* [h, w, cout] */);

struct tsr_vq_res {
    struct tsr_scale norm1, norm2;
    struct tsr_conv conv1, conv2;
    struct tsr_linear shortcut; /* w.data NULL when input and output have the same channels */
};

struct tsr_vq_attn {
    struct tsr_scale norm;
    struct tsr_linear q, k, v, o;
};

/* x = shortcut(x) + conv2(silu(norm2(conv1(silu(norm1(x)))))). */
void tsr_vq_res(struct tsr_exec *e, const struct tsr_vq_res *w, float eps, struct tsr_maps *maps);

/* x += o(attention of one head over all pixels of norm(x)). */
void tsr_vq_attn(struct tsr_exec *e, const struct tsr_vq_attn *w, float eps, struct tsr_maps *maps);

/* x = conv(nearest 2x of x);  x = conv of stride 2 with a zero border on the right and below. */
void tsr_vq_up(struct tsr_exec *e, const struct tsr_conv *c, struct tsr_maps *maps);
void tsr_vq_down(struct tsr_exec *e, const struct tsr_conv *c, struct tsr_maps *maps);

#endif
