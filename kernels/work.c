/*
 * work.c: what a call of an operator needs at least: arithmetic operations and bytes.
 *
 * The benchmarks and the profile divide these by the machine's measured limits: the largest
 * quotient is the least time that the call can take, and its share of the time taken says how much
 * is left. An addition, a multiplication and a comparison count 1, an fma 2; exp and phi count their fewest
 * vector instructions (16 and 19, vec/elementary.inc), sin and cos as many as SLEEF's vector functions execute, which
 * was counted in their machine code (together 117). Bytes are counted once, however often an implementation reads
 * them. A profile adds all this up over the calls of a job.
 */
#include "kernels.h"

/* Operations per element, what stands around a function included; 0: the operator's own count. */
static const double per_element[TSR_OPS] = {
    [TSR_OP_quantize_rows] = 2,
    [TSR_OP_rmsnorm] = 4,
    [TSR_OP_layernorm] = 4,
    [TSR_OP_l2norm] = 4,
    [TSR_OP_rmsnorm_quantize] = 4 + 2,
    [TSR_OP_layernorm_quantize] = 4 + 2,
    [TSR_OP_rope_table] = 117 + 1,
    [TSR_OP_rope] = 3,
    [TSR_OP_softmax] = 16 + 6,
    [TSR_OP_silu] = 16 + 3,
    [TSR_OP_silu_mul] = 16 + 4,
    [TSR_OP_silu_mul_quantize] = 16 + 4 + 2,
    [TSR_OP_gelu_erf] = 19 + 2,
    [TSR_OP_gelu_tanh] = 16 + 6,
    [TSR_OP_sample] = 19,
};

static double tile_bytes(const struct tsr_tile *w)
{
    return (double)tsr_ceil_div(w->n, TSR_PANEL) * (double)tsr_panel_bytes(w->format, w->k);
}

/* Bytes of `rows` quantized rows: codes, sums of groups, scales. */
static double q8_bytes(const struct tsr_q8 *q, size_t rows)
{
    return (double)rows * ((double)q->ldc * (1 + 4.0 / TSR_GROUP) + (double)q->lds * 4);
}

/* m x k elements, one operation and so many bytes each. */
static struct tsr_work elements(size_t m, size_t k, double bytes)
{
    const double count = (double)m * (double)k;

    return (struct tsr_work){.operations = count, .rows = count * bytes};
}

static struct tsr_work work_quantize(const struct tsr_quantize *a)
{
    struct tsr_work work = elements(a->m, a->k, 4);

    work.rows += q8_bytes(&a->q, a->m);
    return work;
}

static struct tsr_work work_matmul_q(const struct tsr_matmul_q *a)
{
    return (struct tsr_work){2.0 * (double)a->m * (double)a->w.n * (double)a->w.k,
                             tile_bytes(&a->w),
                             q8_bytes(&a->x, a->m) + (double)a->m * (double)a->w.n * 4, 1};
}

static struct tsr_work work_matmul_f(const struct tsr_matmul_f *a)
{
    return (struct tsr_work){2.0 * (double)a->m * (double)a->w.n * (double)a->w.k,
                             tile_bytes(&a->w), (double)a->m * (double)(a->w.k + a->w.n) * 4, 0};
}

/* Every line of a panel holds a few bytes of each of its rows, and memory moves whole lines. */
static struct tsr_work work_gather(const struct tsr_gather *a)
{
    struct tsr_work work = elements(a->count, a->w.k, 4);

    work.weights = (double)a->count * (double)tsr_panel_bytes(a->w.format, a->w.k);
    return work;
}

/* Bytes of one key or value of all kv heads. */
static double kv_bytes(const struct tsr_kv *kv)
{
    return (double)kv->heads * (double)tsr_panel_bytes(kv->format, kv->d) / TSR_PANEL;
}

static struct tsr_work work_kv_store(const struct tsr_kv_store *a)
{
    struct tsr_work work = elements(a->batch * a->rows, a->kv.heads * a->kv.d, 8);

    work.rows += 2 * (double)(a->batch * a->rows) * kv_bytes(&a->kv);
    return work;
}

static struct tsr_work work_attention(const struct tsr_attention *a)
{
    struct tsr_work work =
        elements(a->batch * a->rows, a->heads * a->kv.d, 8); /* queries in, rows out */

    work.operations = 0;
    for (size_t b = 0; b < a->batch; b++) {
        int32_t most = 0;

        for (size_t i = 0; i < a->rows; i++) {
            const int32_t limit = a->limits[b * a->rows + i];

            work.operations += 4.0 * (double)limit * (double)(a->heads * a->kv.d);
            most = limit > most ? limit : most;
        }
        work.weights += 2 * (double)most * kv_bytes(&a->kv);
    }
    return work;
}

static struct tsr_work work_attention_merge(const struct tsr_attention_merge *a)
{
    struct tsr_work work = {0};

    for (size_t row = 0; row < a->m; row++)
        work.operations += 4.0 * (double)a->heads * (double)a->d *
                           (double)tsr_ceil_div((size_t)a->limits[row], TSR_KEY_CHUNK);
    work.rows = work.operations + 4.0 * (double)(a->m * a->heads * a->d);
    return work;
}

static struct tsr_work work_codebook(const struct tsr_codebook *a)
{
    return (struct tsr_work){2.0 * (double)a->m * (double)a->w.n * (double)a->w.k,
                             tile_bytes(&a->w), (double)a->m * (double)(a->w.k + 1) * 4, 0};
}

static double conv2d_operations(const struct tsr_conv2d *s, size_t cout)
{
    return 2.0 * (double)(s->oh * s->ow) * (double)cout * (double)(s->kh * s->kw * s->cin);
}

static struct tsr_work work_conv2d_f(const struct tsr_conv2d_f *a)
{
    const struct tsr_conv2d *s = &a->s;

    return (struct tsr_work){
        conv2d_operations(s, a->weights.n), tile_bytes(&a->weights),
        ((double)(s->h * s->w * s->cin) + (double)(s->oh * s->ow * a->weights.n)) * 4, 0};
}

static struct tsr_work work_conv2d_q(const struct tsr_conv2d_q *a)
{
    const struct tsr_conv2d *s = &a->s;

    return (struct tsr_work){
        conv2d_operations(s, a->weights.n), tile_bytes(&a->weights),
        q8_bytes(&a->x, s->h * s->w) + (double)(s->oh * s->ow * a->weights.n) * 4, 1};
}

static struct tsr_work work_norm(const struct tsr_norm *a)
{
    return elements(a->m, a->k, 8);
}

static struct tsr_work work_norm_quantize(const struct tsr_norm_quantize *a)
{
    struct tsr_work work = elements(a->norm.m, a->norm.k, 4);

    work.rows += q8_bytes(&a->q, a->norm.m);
    return work;
}

static double map_bytes(uint32_t format)
{
    return format == TSR_F16 ? 2 : 4;
}

static struct tsr_work work_groupnorm_sums(const struct tsr_groupnorm_sums *a)
{
    struct tsr_work work = elements(a->pixels, a->channels, map_bytes(a->format));

    work.operations *= a->means != NULL ? 3 : 1;
    return work;
}

static struct tsr_work work_groupnorm_fold(const struct tsr_groupnorm_fold *a)
{
    return elements(tsr_ceil_div(a->pixels * (a->channels / a->groups), TSR_REDUCE_BLOCK),
                    a->groups, 4);
}

static struct tsr_work work_groupnorm_apply(const struct tsr_groupnorm_apply *a)
{
    struct tsr_work work = elements(a->pixels, a->channels, map_bytes(a->format) + 4);

    work.operations *= 4 + (a->silu ? per_element[TSR_OP_silu] : 0);
    return work;
}

static struct tsr_work work_cast(const struct tsr_cast *a)
{
    return elements(a->m, a->k, 2 + 4);
}

static struct tsr_work work_rope_table(const struct tsr_rope_table *a)
{
    return elements(a->m, a->half, 8);
}

static struct tsr_work work_rope(const struct tsr_rope *a)
{
    return elements(a->m, a->heads * a->d, 8);
}

static struct tsr_work work_upsample(const struct tsr_upsample *a)
{
    return elements(a->h * a->w, a->c, 5 * 4);
}

static struct tsr_work work_resize(const struct tsr_resize *a)
{
    const size_t across = a->vertical ? a->w : a->h, length = a->vertical ? a->h : a->w;

    return (struct tsr_work){.operations = 2.0 * (double)(across * a->size * a->c * a->taps),
                             .rows = (double)(across * (length + a->size) * a->c)};
}

static struct tsr_work work_argmax(const struct tsr_argmax *a)
{
    return elements(a->m, a->k, 4);
}

static struct tsr_work work_sample(const struct tsr_sample *a)
{
    return elements(a->m, a->k, a->uncond != NULL ? 16 : 12);
}

static struct tsr_work work_rows(const struct tsr_rows *a)
{
    return elements(a->m, a->k, 8);
}

static struct tsr_work work_rows2(const struct tsr_rows2 *a)
{
    return elements(a->m, a->k, 12);
}

static struct tsr_work work_rows2_quantize(const struct tsr_rows2_quantize *a)
{
    struct tsr_work work = elements(a->rows.m, a->rows.k, 8);

    work.rows += q8_bytes(&a->q, a->rows.m);
    return work;
}

struct tsr_work tsr_op_work(enum tsr_op op, const void *args)
{
    struct tsr_work work = {0};

    switch (op) {
#define OP(name, args_)                                                                            \
    case TSR_OP_##name:                                                                            \
        work = work_##args_(args);                                                                 \
        break;
#include "kernels.def"
    case TSR_OPS:
        break;
    }
    if (op < TSR_OPS && per_element[op] > 0)
        work.operations *= per_element[op];
    return work;
}

static double quotient(double amount, double rate)
{
    return rate > 0 ? amount / rate : 0;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

void tsr_profile_add(struct tsr_profile *profile, enum tsr_op op, const void *args, double seconds)
{
    struct tsr_profile_row *const row = &profile->rows[op];
    const struct tsr_work work = tsr_op_work(op, args);
    const int in_l2 = work.rows <= (double)profile->l2_bytes;
    const double memory = quotient(larger(work.weights, in_l2 ? 0 : work.rows), profile->read);
    const double inside =
        larger(quotient(work.operations, work.int8 ? profile->int8 : profile->f32),
               in_l2 ? quotient(work.rows, profile->copy) : 0);

    row->calls++;
    row->seconds += seconds;
    row->least += larger(memory, inside);
    row->memory += memory >= inside ? memory : 0;
    row->work.operations += work.operations;
    row->work.weights += work.weights;
    row->work.rows += work.rows;
    row->work.int8 = work.int8;
}
