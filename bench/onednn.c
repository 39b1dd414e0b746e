/*
 * onednn.c: oneDNN's primitives for the shapes of cases.c, through its C API (v2).
 *
 * One describing function per operator fills the descriptor; everything else is the same for all:
 * layouts of weights are left to oneDNN ("any"), memory is made for whatever arguments the
 * primitive then names and filled with random numbers in that layout (the values do not matter, so
 * nothing is reordered), weights exist in as many copies as ours. What differs from our operators,
 * always in oneDNN's favour: int8 products are u8 x s8 with one scale a tensor and no groups, and
 * quantizing the activations is not timed. Attention, rmsnorm, groupnorm, codebooks and products
 * with f16 or 4-bit weights are not in it; the 4-bit rows are compared with its int8.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "onednn.h"

#ifdef HAVE_ONEDNN

#include <dnnl.h>
#include <stdlib.h>
#include <string.h>

/* Of OpenMP, whose threads oneDNN uses; declared here so that compilers without its header build
 * this file. */
void omp_set_num_threads(int threads);
int omp_pause_resource_all(int kind);

enum { ARGS_MAX = 8, PAUSE_HARD = 2 };

struct onednn {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_desc_t descriptor;
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t args[ARGS_MAX];
    int arg_count, weights; /* index of the weights in args, or -1 */
    dnnl_memory_t copies[CASE_COPIES];
    size_t copy_count;
    void *buffers[ARGS_MAX + CASE_COPIES];
    size_t buffer_count;
};

union descriptor {
    dnnl_matmul_desc_t matmul;
    dnnl_convolution_desc_t convolution;
    dnnl_softmax_desc_t softmax;
    dnnl_layer_normalization_desc_t layernorm;
    dnnl_eltwise_desc_t eltwise;
    dnnl_binary_desc_t binary;
    dnnl_resampling_desc_t resampling;
};

/* ---- descriptors
 * ------------------------------------------------------------------------------------------ */

static dnnl_memory_desc_t matrix(size_t rows, size_t columns, dnnl_data_type_t type,
                                 dnnl_format_tag_t tag)
{
    const dnnl_dims_t dims = {(dnnl_dim_t)rows, (dnnl_dim_t)columns};
    dnnl_memory_desc_t desc;

    dnnl_memory_desc_init_by_tag(&desc, 2, dims, type, tag);
    return desc;
}

/* A picture [1, channels, side, side] or weights [n, channels, side, side]. */
static dnnl_memory_desc_t picture(size_t n, size_t channels, size_t side, dnnl_data_type_t type,
                                  dnnl_format_tag_t tag)
{
    const dnnl_dims_t dims = {(dnnl_dim_t)n, (dnnl_dim_t)channels, (dnnl_dim_t)side,
                              (dnnl_dim_t)side};
    dnnl_memory_desc_t desc;

    dnnl_memory_desc_init_by_tag(&desc, 4, dims, type, tag);
    return desc;
}

static int matmul(union descriptor *d, const struct shape *s, dnnl_data_type_t x,
                  dnnl_data_type_t w)
{
    const dnnl_memory_desc_t source = matrix(s->m, s->k, x, dnnl_ab),
                             weights = matrix(s->k, s->n, w, dnnl_format_tag_any),
                             out = matrix(s->m, s->n, dnnl_f32, dnnl_ab);

    return dnnl_matmul_desc_init(&d->matmul, &source, &weights, NULL, &out) == dnnl_success;
}

static int matmul_q(union descriptor *d, const struct shape *s)
{
    return matmul(d, s, dnnl_u8, dnnl_s8);
}

static int matmul_tf(union descriptor *d, const struct shape *s)
{
    const dnnl_data_type_t type = s->format == TSR_BF16 ? dnnl_bf16 : dnnl_f32;

    return s->format != TSR_F16 && matmul(d, s, type, type);
}

static int convolution(union descriptor *d, const struct shape *s, dnnl_data_type_t x,
                       dnnl_data_type_t w)
{
    const dnnl_memory_desc_t source = picture(1, s->k, s->m, x, dnnl_nhwc),
                             out = picture(1, s->n, s->m, dnnl_f32, dnnl_nhwc),
                             weights = picture(s->n, s->k, s->extra, w, dnnl_format_tag_any);
    const dnnl_dim_t pad = (dnnl_dim_t)s->extra / 2;
    const dnnl_dims_t strides = {1, 1}, pads = {pad, pad};

    return dnnl_convolution_forward_desc_init(&d->convolution, dnnl_forward_inference,
                                              dnnl_convolution_direct, &source, &weights, NULL,
                                              &out, strides, pads, pads) == dnnl_success;
}

static int conv2d_tf(union descriptor *d, const struct shape *s)
{
    return s->format == TSR_F32 && convolution(d, s, dnnl_f32, dnnl_f32);
}

static int conv2d_t8(union descriptor *d, const struct shape *s)
{
    return convolution(d, s, dnnl_u8, dnnl_s8);
}

static int softmax(union descriptor *d, const struct shape *s)
{
    const dnnl_memory_desc_t rows = matrix(s->m, s->k, dnnl_f32, dnnl_ab);

    return dnnl_softmax_forward_desc_init(&d->softmax, dnnl_forward_inference, &rows, 1) ==
           dnnl_success;
}

static int layernorm(union descriptor *d, const struct shape *s)
{
    const dnnl_memory_desc_t rows = matrix(s->m, s->k, dnnl_f32, dnnl_ab);

    return dnnl_layer_normalization_forward_desc_init(&d->layernorm, dnnl_forward_inference, &rows,
                                                      NULL, 1e-6f,
                                                      dnnl_use_scaleshift) == dnnl_success;
}

static int eltwise(union descriptor *d, const struct shape *s, dnnl_alg_kind_t kind)
{
    const dnnl_memory_desc_t rows = matrix(s->m, s->k, dnnl_f32, dnnl_ab);

    return dnnl_eltwise_forward_desc_init(&d->eltwise, dnnl_forward_inference, kind, &rows, 1, 0) ==
           dnnl_success;
}

static int silu(union descriptor *d, const struct shape *s)
{
    return eltwise(d, s, dnnl_eltwise_swish);
}

static int gelu_erf(union descriptor *d, const struct shape *s)
{
    return eltwise(d, s, dnnl_eltwise_gelu_erf);
}

static int gelu_tanh(union descriptor *d, const struct shape *s)
{
    return eltwise(d, s, dnnl_eltwise_gelu_tanh);
}

static int add(union descriptor *d, const struct shape *s)
{
    const dnnl_memory_desc_t rows = matrix(s->m, s->k, dnnl_f32, dnnl_ab);

    return dnnl_binary_desc_init(&d->binary, dnnl_binary_add, &rows, &rows, &rows) == dnnl_success;
}

static int upsample2x(union descriptor *d, const struct shape *s)
{
    const dnnl_memory_desc_t source = picture(1, s->k, s->m, dnnl_f32, dnnl_nhwc),
                             out = picture(1, s->k, 2 * s->m, dnnl_f32, dnnl_nhwc);
    const float factors[] = {2, 2};

    return dnnl_resampling_forward_desc_init(&d->resampling, dnnl_forward_inference,
                                             dnnl_resampling_nearest, factors, &source,
                                             &out) == dnnl_success;
}

static int (*const describe[TSR_OPS])(union descriptor *, const struct shape *) = {
    [TSR_OP_matmul_t8] = matmul_q,
    [TSR_OP_matmul_t4] = matmul_q,
    [TSR_OP_matmul_tf] = matmul_tf,
    [TSR_OP_conv2d_t8] = conv2d_t8,
    [TSR_OP_conv2d_tf] = conv2d_tf,
    [TSR_OP_layernorm] = layernorm,
    [TSR_OP_softmax] = softmax,
    [TSR_OP_silu] = silu,
    [TSR_OP_gelu_erf] = gelu_erf,
    [TSR_OP_gelu_tanh] = gelu_tanh,
    [TSR_OP_add] = add,
    [TSR_OP_upsample2x] = upsample2x,
};

/* ---- memory ---------------------------------------------------------------------------------- */

/* Random floats in [-1, 1) or codes. */
static void fill(void *data, dnnl_data_type_t type, size_t bytes)
{
    uint32_t state = 1;

    for (size_t i = 0; i < bytes; i++) {
        state = state * 1664525u + 1013904223u;
        if (type == dnnl_f32 && i % 4 == 0 && i + 4 <= bytes)
            ((float *)data)[i / 4] = (float)(int32_t)state / 2147483648.0f;
        else if (type == dnnl_bf16 && i % 2 == 0 && i + 2 <= bytes)
            ((uint16_t *)data)[i / 2] = (uint16_t)(0x3f00 | state >> 24 | (state & 0x80) << 8);
        else if (type == dnnl_u8 || type == dnnl_s8)
            ((uint8_t *)data)[i] = (uint8_t)(state >> 24);
    }
}

/* Memory on the same pages as ours: lent, for copies, else its own. like: what it is a copy of, or NULL. */
static dnnl_memory_t take_memory(struct onednn *o, const dnnl_memory_desc_t *desc,
                                 struct limits *lender, const void *like)
{
    const size_t bytes = dnnl_memory_desc_get_size(desc);
    void *data = lender != NULL ? limits_lend(lender, bytes) : NULL;
    dnnl_memory_t memory;

    if (data == NULL) {
        data = bench_memory(bytes);
        if (data == NULL)
            return NULL;
        o->buffers[o->buffer_count++] = data;
    }
    if (like != NULL)
        memcpy(data, like, bytes);
    else
        fill(data, desc->data_type, bytes);
    return dnnl_memory_create(&memory, desc, o->engine, data) == dnnl_success ? memory : NULL;
}

/* The weights, far: in as many copies as it takes to leave the caches. 0 when memory is out. */
static int take_weights(struct onednn *o, const dnnl_memory_desc_t *desc, int far,
                        struct limits *limits)
{
    const size_t copies = far ? case_copies(dnnl_memory_desc_get_size(desc), limits) : 1;
    void *first = NULL;

    for (; o->copy_count < copies; o->copy_count++) {
        dnnl_memory_t *const copy = &o->copies[o->copy_count];

        if ((*copy = take_memory(o, desc, far ? limits : NULL, first)) == NULL)
            return 0;
        if (first == NULL)
            dnnl_memory_get_data_handle(*copy, &first);
    }
    return 1;
}

/* Memory for every argument that the primitive names. 0 when memory is out. */
static int take_arguments(struct onednn *o, int far, struct limits *limits)
{
    static const int names[] = {DNNL_ARG_SRC, DNNL_ARG_SRC_1, DNNL_ARG_WEIGHTS, DNNL_ARG_DST};

    o->weights = -1;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const dnnl_memory_desc_t *desc =
            dnnl_primitive_desc_query_md(o->descriptor, dnnl_query_exec_arg_md, names[i]);

        if (desc == NULL || desc->ndims == 0)
            continue;
        if (names[i] == DNNL_ARG_WEIGHTS) {
            o->weights = o->arg_count;
            if (!take_weights(o, desc, far, limits))
                return 0;
        }
        o->args[o->arg_count].arg = names[i];
        o->args[o->arg_count].memory =
            names[i] == DNNL_ARG_WEIGHTS ? o->copies[0] : take_memory(o, desc, NULL, NULL);
        if (o->args[o->arg_count++].memory == NULL)
            return 0;
    }
    return 1;
}

struct onednn *onednn_new(const struct shape *shape, struct limits *limits)
{
    union descriptor descriptor;
    struct onednn *o;

    if (describe[shape->op] == NULL || (o = calloc(1, sizeof *o)) == NULL)
        return NULL;
    omp_set_num_threads((int)tsr_pool_threads(limits->pool));
    if (dnnl_engine_create(&o->engine, dnnl_cpu, 0) != dnnl_success ||
        dnnl_stream_create(&o->stream, o->engine, dnnl_stream_default_flags) != dnnl_success ||
        !describe[shape->op](&descriptor, shape) ||
        dnnl_primitive_desc_create(&o->descriptor, &descriptor, NULL, o->engine, NULL) !=
            dnnl_success ||
        dnnl_primitive_create(&o->primitive, o->descriptor) != dnnl_success ||
        !take_arguments(o, shape->m <= CASE_TOKENS, limits)) {
        onednn_free(o);
        return NULL;
    }
    return o;
}

void onednn_free(struct onednn *o)
{
    if (o == NULL)
        return;
    for (int i = 0; i < o->arg_count; i++)
        if (i != o->weights && o->args[i].memory != NULL)
            dnnl_memory_destroy(o->args[i].memory);
    for (size_t i = 0; i < o->copy_count; i++)
        dnnl_memory_destroy(o->copies[i]);
    if (o->primitive != NULL)
        dnnl_primitive_destroy(o->primitive);
    if (o->descriptor != NULL)
        dnnl_primitive_desc_destroy(o->descriptor);
    if (o->stream != NULL)
        dnnl_stream_destroy(o->stream);
    if (o->engine != NULL)
        dnnl_engine_destroy(o->engine);
    for (size_t i = 0; i < o->buffer_count; i++)
        free(o->buffers[i]);
    free(o);
    onednn_rest();
}

void onednn_run(struct onednn *o, size_t round)
{
    if (o->weights >= 0)
        o->args[o->weights].memory = o->copies[round % o->copy_count];
    dnnl_primitive_execute(o->primitive, o->stream, o->arg_count, o->args);
    dnnl_stream_wait(o->stream);
}

void onednn_rest(void)
{
    omp_pause_resource_all(PAUSE_HARD);
}

#else

struct onednn *onednn_new(const struct shape *shape, struct limits *limits)
{
    (void)shape;
    (void)limits;
    return NULL;
}

void onednn_free(struct onednn *onednn)
{
    (void)onednn;
}

void onednn_run(struct onednn *onednn, size_t round)
{
    (void)onednn;
    (void)round;
}

void onednn_rest(void) {}

#endif
