/*
 * kernels.h: tessera's kernel library, usable alone: operators of unified multimodal models on CPUs.
 *
 * An operator is a pure function: it allocates nothing, starts no threads, keeps no state and cannot
 * fail. Its arguments stand in a struct whose comment is the whole contract, down to the order of the
 * roundings, so every tier (ref, avx2, avxvnni, avx512, avx512x2, amx, neon, neondot, i8mm) returns
 * the same bits for any number of threads. A call computes the units [begin, end) of its work; tsr_<args>_units()
 * says how many there are, and disjoint ranges may run on different threads at the same time. par.h hands them
 * out to a pool of threads; without par.h call `k.rmsnorm(&args, 0, tsr_norm_units(&args))`.
 *
 * Preconditions hold for all operators: pointers are valid for the stated shapes, sizes are as stated,
 * index arrays are in range (the caller checks; kernels do not). Sizes may be zero. f32 matrices are
 * row-major with a leading dimension ld* in elements; output never aliases input unless said. Nothing
 * outside the stated shapes is read or written.
 *
 * Words used in the contracts:
 *   fma(a,b,c)  one rounding. Every other +,-,*,/ and sqrt is one IEEE rounding, in the order written.
 *   chain       acc = start; for i ascending: acc = fma(x_i, y_i, acc)
 *   sum(x)      the reduction of the design: blocks of 1,024 elements; in a block 16 f32 lanes, element
 *               i in lane i mod 16, added ascending from +0; the lanes added by the tree (i, i+8),
 *               (i, i+4), (i, i+2), (i, i+1); the block sums added in double, ascending, from +0.
 *   max(a,b)    a > b ? a : b
 *   hold(x,a,b) x < a ? a : x > b ? b : x
 *   p(x)        the polynomial of a function: acc = its first coefficient; acc = fma(acc, x, each further one)
 *   exp(x)      h = hold(x, -105, 100); n = the integer nearest to h * log2(e);
 *               r = fma(n, -ln2_low, fma(n, -ln2_high, h)); (1 + fma(r * r, p(r), r)) * 2^n, one rounding:
 *               within 1 ulp, the bits of SLEEF's Sleef_finz_expf_u10
 *   phi(x)      h = hold(x, -5.36, 5.36); h * p(fma(h * h, 2 / 5.36^2, -1)): the normal distribution from 0 to x,
 *               within 1.0e-7
 *   sin, cos    SLEEF's Sleef_finz_*_u10 functions, f32
 * The constants of exp and phi stand in elementary.h.
 */
#ifndef TSR_KERNELS_H
#define TSR_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define TSR_API __attribute__((visibility("default")))
#else
#define TSR_API
#endif

/* ---- status ------------------------------------------------------------------------------------ */

/* What a call returns; also the exit codes of the program. */
enum tsr_status {
    TSR_OK = 0,
    TSR_INTERNAL = 1,    /* a bug in tessera */
    TSR_USAGE = 2,       /* the caller's arguments are wrong */
    TSR_IO = 3,          /* a file cannot be opened, read or written */
    TSR_MALFORMED = 4,   /* input is damaged or lies */
    TSR_UNSUPPORTED = 5, /* input is valid, but of a kind this version does not handle */
    TSR_MEMORY = 6,      /* not enough memory */
    TSR_CPU = 7,         /* the CPU lacks what is needed */
    TSR_CHECKSUM = 8,    /* a checksum does not match */
    TSR_END = 9,         /* no error: a stream of events is over */
    TSR_INTERRUPTED = 130 /* cancelled by the caller */
};
typedef enum tsr_status tsr_status;

/* An error in words, filled by the callee: one line, at most 255 bytes, no control characters. */
struct tsr_error {
    tsr_status status;
    char message[256];
};

/* Fills *error (may be NULL) like printf, with control bytes replaced by '?', and returns `status`. */
TSR_API tsr_status tsr_fail(struct tsr_error *error, tsr_status status, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/* ---- tiles ------------------------------------------------------------------------------------- */

/* Element formats. The numbers stand in files (`tessera.tile.format`): never renumber. */
enum tsr_format {
    TSR_F32 = 0,
    TSR_F16 = 1,
    TSR_BF16 = 2,
    TSR_T8 = 3, /* 8-bit codes, zero point 128, one f16 scale per 32 k */
    TSR_T4 = 4  /* 4-bit codes, zero point 8, one f16 scale per 32 k */
};

enum {
    TSR_PANEL = 16,       /* rows of a panel */
    TSR_LINE_BYTES = 64,  /* 16 rows x 4 bytes */
    TSR_GROUP = 32,       /* k that share a weight scale and an activation sum */
    TSR_BLOCK = 64,       /* k of a stored t8 or t4 block */
    TSR_ACT_BLOCK = 128,  /* k that share an activation scale */
    TSR_T8_BYTES = 1088,  /* bytes of a t8 block of 64 k x 16 rows */
    TSR_T4_BYTES = 576,   /* bytes of a t4 block of 64 k x 16 rows */
    TSR_Q8_BYTES = 34,    /* bytes of a q8_0 block of 32 values: f16 scale, 32 s8 codes */
    TSR_KEY_CHUNK = 256,  /* keys that are reduced together in attention */
    TSR_REDUCE_BLOCK = 1024,
    TSR_ATTENTION_ROWS = 32, /* query rows of one unit of attention */
    TSR_CONV_PANELS = 8,     /* panels of one unit of a convolution with many weights */
    TSR_HEAD_MAX = 512       /* largest head dimension of attention */
};

/*
 * A matrix W[n][k] in tile layout: panels of 16 rows, one after the other; a panel is a run of 64-byte
 * lines of 16 rows x 4 bytes, row r at bytes 4r..4r+3. Base 64-byte aligned (f16: 32). Rows that pad n
 * to 16 are zero (t8, t4: the zero code, scale 0).
 *   TSR_T8    per 64 k a block: 64 B of scales (group 0: 16 f16, group 1: 16 f16), then 16 lines; line q
 *             holds codes k = 4q..4q+3 of each row.            value = (u8 - 128) * scale
 *   TSR_T4    per 64 k a block: 64 B of scales, then 8 lines; line j holds in its low nibbles quad 2j, in
 *             its high nibbles quad 2j+1 (byte i of a row: k = 4q+i).   value = (u4 - 8) * scale
 *   TSR_F32   [k][16] f32;   TSR_F16  [k][16] f16;   TSR_BF16  [ceil(k/2)][16][2] bf16
 * t8, t4 pad k to 64 with the zero code and scale 0; bf16 pads k to 2 with zero.
 */
struct tsr_tile {
    const void *data;
    size_t n, k;
    uint32_t format; /* enum tsr_format */
};

static inline size_t tsr_round_up(size_t x, size_t to)
{
    return (x + to - 1) / to * to;
}

static inline size_t tsr_ceil_div(size_t x, size_t by)
{
    return (x + by - 1) / by;
}

/* Bytes of one panel of 16 rows; the caller has checked that it cannot overflow (quant.h does). */
static inline size_t tsr_panel_bytes(uint32_t format, size_t k)
{
    switch (format) {
    case TSR_F32:
        return k * 64;
    case TSR_F16:
        return k * 32;
    case TSR_BF16:
        return tsr_ceil_div(k, 2) * 64;
    case TSR_T8:
        return tsr_ceil_div(k, TSR_BLOCK) * TSR_T8_BYTES;
    default:
        return tsr_ceil_div(k, TSR_BLOCK) * TSR_T4_BYTES;
    }
}

/*
 * Activations quantized on the fly: s8 codes, one f32 scale per row and block of 128 k, one s32 sum of
 * codes per row and group of 32 k. ldc: codes per row, k rounded up to a multiple of 32 (matmul: of 64),
 * zero-padded; lds: scales per row, ceil(k/128); sums per row: ldc/32.
 */
struct tsr_q8 {
    int8_t *codes;  /* [m, ldc] */
    float *scales;  /* [m, lds] */
    int32_t *sums;  /* [m, ldc/32] */
    size_t ldc, lds;
};

/* ---- operators: arguments and contracts ---------------------------------------------------------- */

/* Every implementation: computes units [begin, end) of the work described by *args. */
typedef void tsr_kernel(const void *args, size_t begin, size_t end);

/*
 * quantize_rows: q = x in s8. Unit: a row. Per block of 128 k (the last may be shorter): amax = the
 * largest |x|, taken as the integer maximum of the bits without sign. Any Inf or NaN: codes 0, scale NaN.
 * amax < 2^-100: codes 0, scale +0. Else inv = 127/amax, code = round-half-even(x*inv), scale = amax/127.
 */
struct tsr_quantize {
    const float *x; /* [m, k] */
    size_t ldx;
    struct tsr_q8 q;
    size_t m, k;
};
static inline size_t tsr_quantize_units(const struct tsr_quantize *a) { return a->m; }

/*
 * matmul_t8, matmul_t4: y[m][n] = x W^T + bias. Unit: a panel of 16 outputs. Per element: acc = bias[n] or
 * +0; for each block of 128 k ascending: t = +0; for each of its groups of 32 ascending:
 * t = fma((float)dot_g, ws[n][g], t); then acc = fma(t, xs[m][b], acc). dot_g is the exact s32 dot of the
 * unsigned weight codes with the activation codes, minus zero point times the group's sum. Groups run to
 * k rounded up to 64, padding included. The contract holds for every byte value of the tile.
 */
struct tsr_matmul_q {
    struct tsr_q8 x; /* m rows, ldc = k rounded up to 64 */
    struct tsr_tile w;
    const float *bias; /* [n] or NULL */
    float *y;          /* [m, n] */
    size_t ldy;
    size_t m;
    size_t streams; /* a hint: weights to come are fetched as one stream; above 1, as four */
};
static inline size_t tsr_matmul_q_units(const struct tsr_matmul_q *a)
{
    return tsr_ceil_div(a->w.n, TSR_PANEL);
}

/*
 * matmul_tf: y = x W^T + bias for W of f32, f16 or bf16 (converted exactly). Unit: a panel of 16 outputs.
 * Per element a chain over k ascending that starts at bias[n] or +0.
 */
struct tsr_matmul_f {
    const float *x; /* [m, k] */
    size_t ldx;
    struct tsr_tile w;
    const float *bias; /* [n] or NULL */
    float *y;          /* [m, n] */
    size_t ldy;
    size_t m;
};
static inline size_t tsr_matmul_f_units(const struct tsr_matmul_f *a)
{
    return tsr_ceil_div(a->w.n, TSR_PANEL);
}

/* gather_rows: y[i] = row ids[i] of any tile, as f32; t8, t4: (float)(code - zero) * scale. Unit: an id. */
struct tsr_gather {
    struct tsr_tile w;
    const int32_t *ids; /* [count], 0 <= id < n */
    float *y;           /* [count, k] */
    size_t ldy;
    size_t count;
};
static inline size_t tsr_gather_units(const struct tsr_gather *a) { return a->count; }

/*
 * The key and value cache of one layer for `batch` sequences. Per sequence and kv head: K is a tile of
 * keys (rows) x d, V rows [key][d]. capacity is a multiple of 16; a head starts tsr_kv_k_bytes (of V:
 * tsr_kv_v_bytes) after the one before. `format` is of both:
 *   TSR_F32, TSR_F16   K in panels of 16 keys, [d][16]; V plain rows
 *   TSR_T8             K a t8 tile; V rows of q8_0 blocks: per 32 d an f16 scale and 32 s8 codes, value =
 *                      code * scale; d padded to 32 with codes 0
 */
struct tsr_kv {
    void *const *k; /* [batch] */
    void *const *v; /* [batch] */
    uint32_t format;
    size_t capacity, heads, d;
};
static inline size_t tsr_kv_k_bytes(const struct tsr_kv *kv)
{
    return kv->capacity / TSR_PANEL * tsr_panel_bytes(kv->format, kv->d);
}
/* Bytes of one value row, and of all of a head. */
static inline size_t tsr_kv_row_bytes(const struct tsr_kv *kv)
{
    return kv->format == TSR_T8 ? tsr_ceil_div(kv->d, TSR_GROUP) * TSR_Q8_BYTES
                                : kv->d * (kv->format == TSR_F16 ? 2 : 4);
}
static inline size_t tsr_kv_v_bytes(const struct tsr_kv *kv)
{
    return kv->capacity * tsr_kv_row_bytes(kv);
}

/*
 * kv_store: writes `rows` new keys and values of each sequence at index start[b] + row, rounded to
 * `format` (f16: to nearest even). t8, per row and group of 32 d (the last may be shorter): amax = the
 * largest |x| by its bits. Any Inf or NaN: codes 0, scale NaN. Else scale = f16(amax / 127), at most 65504;
 * code = round-half-even(x * (1 / scale)) held within +-127; scale 0: codes 0. What pads d has codes 0,
 * whole groups of padding scale 0. Unit: sequence b * kv.heads + head.
 */
struct tsr_kv_store {
    struct tsr_kv kv;
    const float *k, *v; /* [batch * rows, heads * d] */
    size_t ldk, ldv;
    const size_t *start; /* [batch] */
    size_t batch, rows;
    size_t streams; /* a hint, as for weights: above 1, what few rows write next is fetched */
};
static inline size_t tsr_kv_store_units(const struct tsr_kv_store *a)
{
    return a->batch * a->kv.heads;
}

/*
 * attention: out = softmax(q k^T * scale) v per head, query row i of sequence b sees the keys with index
 * below limits[b*rows + i] (which expresses causal, full, block-causal and prefix masks alike). Query head
 * h reads kv head h / (heads / kv.heads).
 * q' = q * scale. Keys in chunks of 256 by absolute index. Per chunk: s_j = chain over d of q'[d], k_j[d]
 * from +0; m = max(s_j, m) over j ascending from -Inf; p_j = exp(s_j - m); l = sum(p_j) over the visible
 * keys of the chunk (as f32); o = chain over j of p_j, v_j from +0. Triples merge in ascending order, the
 * first chunk as it is: M = max(m, m_c); a = exp(m - M); b = exp(m_c - M); l = fma(l, a, l_c * b);
 * o[d] = fma(o[d], a, o_c[d] * b); m = M. out = o / l. No visible key: zeros.
 * t8: q' goes through quantize_rows (k = d) and s_j is as in matmul_t8; v_j = code * scale, which is exact.
 * Unit: (b * kv.heads + kv head) * ceil(rows/32) + block of 32 query rows, all query heads of the kv head.
 *
 * With `parts` > 0 a unit is one chunk of the above (unit * parts + chunk; limits are at most 256 * parts),
 * `out` is not written, and each chunk's triple goes to `triples`: o [d], m + 0, l; those of chunks in which a
 * row sees no key are left alone. attention_merge makes `out` of them. So few queries over many keys, too,
 * give work to all threads, with the same bits.
 */
struct tsr_attention {
    const float *q; /* [batch * rows, heads * d] */
    size_t ldq;
    float *out; /* [batch * rows, heads * d] */
    size_t ldo;
    struct tsr_kv kv;
    const int32_t *limits; /* [batch * rows], each <= kv.capacity */
    size_t batch, rows, heads;
    float scale;
    float *triples; /* [batch * rows, heads, parts, d + 2] */
    size_t parts;
    size_t streams; /* a hint, as for weights: above 1, what single queries read next is fetched, in four */
};
static inline size_t tsr_attention_units(const struct tsr_attention *a)
{
    return a->batch * a->kv.heads * tsr_ceil_div(a->rows, TSR_ATTENTION_ROWS) *
           (a->parts > 0 ? a->parts : 1);
}

/* attention_merge: out of the triples of attention with `parts`, merged as said there. Unit: row * heads + head. */
struct tsr_attention_merge {
    const float *triples; /* [m, heads, parts, d + 2] */
    float *out;           /* [m, heads * d] */
    size_t ldo;
    const int32_t *limits; /* [m] */
    size_t m, heads, parts, d;
};
static inline size_t tsr_attention_merge_units(const struct tsr_attention_merge *a)
{
    return a->m * a->heads;
}

/*
 * codebook_nearest: index[i] = argmax over codes c of a chain over k of x, w_c that starts at bias[c] or +0
 * (nearest in L2: bias = -|w_c|^2 / 2). The lowest index wins a tie; NaN never wins; all NaN: 0. Unit: a row.
 */
struct tsr_codebook {
    const float *x; /* [m, k] */
    size_t ldx;
    struct tsr_tile w;  /* F32 [n, k] */
    const float *bias;  /* [n] or NULL */
    int32_t *index;     /* [m] */
    size_t m;
};
static inline size_t tsr_codebook_units(const struct tsr_codebook *a) { return a->m; }

/* Shape of a convolution, NHWC, one picture. Taps outside the picture read zeros and are run over. */
struct tsr_conv2d {
    size_t h, w, cin;   /* input [h, w, cin] */
    size_t oh, ow;      /* output [oh, ow, cout = weights.n] */
    size_t kh, kw, stride, pad_top, pad_left;
};
/* Units: an output row where the picture is larger than the weights, else 8 panels of outputs of a row, all rows of the first
 * 8 before those of the next: a thread reads the larger of the two in part, the other again and again. */
static inline size_t tsr_conv2d_panels(const struct tsr_conv2d *s, size_t cout)
{
    return s->h * s->w < s->kh * s->kw * cout ? TSR_CONV_PANELS : tsr_ceil_div(cout, TSR_PANEL);
}
static inline size_t tsr_conv2d_units(const struct tsr_conv2d *s, size_t cout)
{
    return cout == 0 ? 0 : s->oh * tsr_ceil_div(tsr_ceil_div(cout, TSR_PANEL), tsr_conv2d_panels(s, cout));
}

/*
 * conv2d_tf: weights k = (ky*kw + kx)*cin + c, weights.k = kh*kw*cin. Per output a chain over k ascending
 * from bias or +0; taps outside read +0. Units: tsr_conv2d_units.
 */
struct tsr_conv2d_f {
    struct tsr_conv2d s;
    const float *x; /* [h, w, cin] */
    struct tsr_tile weights; /* F32, F16 or BF16 */
    const float *bias;       /* [cout] or NULL */
    float *y;                /* [oh, ow, cout] */
    const float *zeros;      /* [cin] of +0 */
};
static inline size_t tsr_conv2d_f_units(const struct tsr_conv2d_f *a) { return tsr_conv2d_units(&a->s, a->weights.n); }

/*
 * conv2d_t8: pixels quantized by quantize_rows (m = h*w, k = cin, ldc = cin_p = cin rounded up to 32);
 * weights T8 with k = (ky*kw + kx)*cin_p + c, weights.k = kh*kw*cin_p. As matmul_t8, with the activation
 * blocks of 128 restarting at each tap; taps outside have codes 0, sums 0 and scale +0, and are run over.
 * The groups that pad weights.k to 64 are not run. Units: tsr_conv2d_units.
 */
struct tsr_conv2d_q {
    struct tsr_conv2d s;
    struct tsr_q8 x; /* [h*w] rows */
    struct tsr_tile weights;
    const float *bias;  /* [cout] or NULL */
    float *y;           /* [oh, ow, cout] */
    const void *zeros;  /* cin_p * 4 bytes of zero: codes, sums and scales of a tap outside */
};
static inline size_t tsr_conv2d_q_units(const struct tsr_conv2d_q *a) { return tsr_conv2d_units(&a->s, a->weights.n); }

/*
 * rmsnorm:   r = 1 / sqrt((float)(sum(x*x) / k) + eps);  y = (x * r) * weight      (sum's lanes: fma(x, x, lane))
 * layernorm: u = (float)(sum(x) / k); r = 1 / sqrt((float)(sum((x-u)*(x-u)) / k) + eps) (lanes by fma);
 *            y = fma((x - u) * r, weight, bias)
 * l2norm:    y = x / max(sqrt((float)sum(x*x)), eps)                               (weight, bias unused)
 * The divisions by k are in double. Unit: a row. y may be x.
 */
struct tsr_norm {
    const float *x; /* [m, k] */
    size_t ldx;
    float *y; /* [m, k] */
    size_t ldy;
    const float *weight, *bias; /* [k] */
    size_t m, k;
    float eps;
};
static inline size_t tsr_norm_units(const struct tsr_norm *a) { return a->m; }

/*
 * rmsnorm_quantize, layernorm_quantize: the codes that quantize_rows gives of the rows that rmsnorm or layernorm
 * gives, bit for bit; the rows themselves are nowhere stored. Unit: a row.
 */
struct tsr_norm_quantize {
    struct tsr_norm norm; /* y and ldy unused */
    struct tsr_q8 q;      /* norm.m rows of norm.k */
};
static inline size_t tsr_norm_quantize_units(const struct tsr_norm_quantize *a) { return a->norm.m; }

/*
 * GroupNorm of a map x [pixels, channels] of f32 or f16 (converted exactly), in operators that stream through it: u, r
 * and y are as in layernorm, over a group: channels/groups neighbouring channels of all pixels, its elements ordered
 * pixel-major, then channel. The sums of x and the fold give u, the sums with u and the fold to a root give r; then
 * any pixels may be normalized, a few rows at a time, right before they are used.
 *
 * groupnorm_sums: of each group the block sums of sum(x), or with `means` of sum((x-u)*(x-u)) (lanes by fma).
 * Unit: a block of 1,024 elements of every group; groups divides channels.
 */
struct tsr_groupnorm_sums {
    const void *x;
    uint32_t format;    /* TSR_F32 or TSR_F16 */
    const float *means; /* [channels], of the group of each, or NULL */
    float *sums;        /* [units, groups] */
    size_t pixels, channels, groups;
};
static inline size_t tsr_groupnorm_sums_units(const struct tsr_groupnorm_sums *a)
{
    return tsr_ceil_div(a->pixels * (a->channels / a->groups), TSR_REDUCE_BLOCK);
}

/*
 * groupnorm_fold: v = (float)(the group's block sums added in double, ascending, from +0, / elements); with `root`
 * 1 / sqrt(v + eps). It stands for each channel of the group. Unit: a group.
 */
struct tsr_groupnorm_fold {
    const float *sums; /* of groupnorm_sums */
    float *values;     /* [channels] */
    size_t pixels, channels, groups;
    int root;
    float eps;
};
static inline size_t tsr_groupnorm_fold_units(const struct tsr_groupnorm_fold *a) { return a->groups; }

/* groupnorm_apply: y = fma((x - u) * r, weight, bias), with `silu` silu of that. Unit: a pixel. f32: y may be x. */
struct tsr_groupnorm_apply {
    const void *x;
    uint32_t format; /* TSR_F32 or TSR_F16 */
    float *y;        /* [pixels, channels] */
    const float *means, *scales, *weight, *bias; /* [channels] */
    size_t pixels, channels;
    int silu;
};
static inline size_t tsr_groupnorm_apply_units(const struct tsr_groupnorm_apply *a) { return a->pixels; }

/* cast: f32 to f16, to nearest even (NaN: a quiet one of its sign), or f16 to f32. Unit: a row. */
struct tsr_cast {
    const void *x; /* [m, k] */
    void *y;       /* [m, k], of the other format */
    uint32_t format; /* of x: TSR_F32 or TSR_F16 */
    size_t m, k;
};
static inline size_t tsr_cast_units(const struct tsr_cast *a) { return a->m; }

/* rope_table: angle = pos * inv_freq; cosines = cos(angle), sines = sin(angle). Unit: a position. */
struct tsr_rope_table {
    const float *positions; /* [m] */
    const float *inv_freq;  /* [half] */
    float *cosines, *sines; /* [m, half] */
    size_t m, half;
};
static inline size_t tsr_rope_table_units(const struct tsr_rope_table *a) { return a->m; }

/*
 * rope: rotates pairs in place, per row and head of d: pair p is (p, p + d/2), interleaved: (2p, 2p+1).
 * a' = fma(-b, s, a * c);  b' = fma(a, s, b * c). Unit: a row.
 */
struct tsr_rope {
    float *x; /* [m, heads * d] */
    size_t ldx;
    const float *cosines, *sines; /* [m, d/2] */
    size_t m, heads, d;
    int interleaved;
};
static inline size_t tsr_rope_units(const struct tsr_rope *a) { return a->m; }

/*
 * softmax:   m = max(x_j, m) over j ascending from -Inf; e = exp(x - m); y = e / (float)sum(e)
 * silu:      y = x / (1 + exp(-x))
 * gelu_erf:  y = fma(x, phi(x), 0.5 * x); within 1.4e-7 of abs(x) of 0.5 x (1 + erf(x / sqrt(2)))
 * gelu_tanh: y = x / (1 + exp(-1.5957691f * fma((0.044715f * x) * x, x, x))), which is
 *            0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
 * Unit: a row. y may be x.
 */
struct tsr_rows {
    const float *x; /* [m, k] */
    size_t ldx;
    float *y; /* [m, k] */
    size_t ldy;
    size_t m, k;
};
static inline size_t tsr_rows_units(const struct tsr_rows *a) { return a->m; }

/* add: y = a + b;  silu_mul: y = silu(a) * b. ldb = 0 repeats one row. Unit: a row. y may be a or b. */
struct tsr_rows2 {
    const float *a; /* [m, k] */
    size_t lda;
    const float *b; /* [m, k] */
    size_t ldb;
    float *y; /* [m, k] */
    size_t ldy;
    size_t m, k;
};
static inline size_t tsr_rows2_units(const struct tsr_rows2 *a) { return a->m; }

enum { TSR_ROW_PART = 1024 }; /* k of a unit of silu_mul_quantize: eight blocks of 128 */

/*
 * silu_mul_quantize: the codes that quantize_rows gives of the rows that silu_mul gives, bit for bit; the rows
 * themselves are nowhere stored. Unit: TSR_ROW_PART columns of a row, the last of a row to its end.
 */
struct tsr_rows2_quantize {
    struct tsr_rows2 rows; /* y and ldy unused */
    struct tsr_q8 q;       /* rows.m rows of rows.k */
};
static inline size_t tsr_rows2_quantize_units(const struct tsr_rows2_quantize *a)
{
    return a->rows.m * tsr_ceil_div(a->rows.k, TSR_ROW_PART);
}

/* upsample2x: nearest, y[2i+u][2j+v][c] = x[i][j][c]. Unit: an input row (two output rows). */
struct tsr_upsample {
    const float *x; /* [h, w, c] */
    float *y;       /* [2h, 2w, c] */
    size_t h, w, c;
};
static inline size_t tsr_upsample_units(const struct tsr_upsample *a) { return a->h; }

/*
 * resize: one pass of PIL's integer resize over interleaved u8 pixels. Output index o of the resized axis
 * reads count[o] inputs from first[o] on with s32 coefficients of 22 fraction bits, coef[o*taps + i]:
 * y = clip8((2^21 + sum x * coef) >> 22). vertical = 0: [h, w] -> [h, size]; else [h, w] -> [size, w].
 * Unit: an output row. (Pillow, src/libImaging/Resample.c)
 */
struct tsr_resize {
    const uint8_t *x; /* [h, w, c] */
    uint8_t *y;
    size_t h, w, c, size, taps;
    const int32_t *first, *count; /* [size] */
    const int32_t *coef;          /* [size, taps] */
    int vertical;
};
static inline size_t tsr_resize_units(const struct tsr_resize *a)
{
    return a->vertical ? a->size : a->h;
}

/* argmax: lowest index of the largest value; NaN never wins; all NaN: 0. Unit: a row. */
struct tsr_argmax {
    const float *x; /* [m, k] */
    size_t ldx;
    int32_t *index; /* [m] */
    size_t m, k;
};
static inline size_t tsr_argmax_units(const struct tsr_argmax *a) { return a->m; }

/*
 * sample: one index per row from logits. l = cond, or with guidance (uncond not NULL)
 * fma(guidance, cond - uncond, uncond). temperature 0: argmax. Else l = l / temperature; candidates sorted by l
 * descending, the lowest index first in a tie (NaN: never); top_k > 0 keeps the first top_k; p = exp(l - max),
 * in f32; top_p < 1 keeps the shortest prefix whose cumulated p, in double, reaches top_p of the total of
 * the kept; then over the kept in ascending index the cumulated sum in double: the first index whose
 * sum > u * total, else the last kept. u in [0,1). Unit: a row.
 */
struct tsr_sample {
    const float *cond, *uncond; /* [m, k]; uncond may be NULL */
    size_t ld;
    const float *u; /* [m] */
    int32_t *index; /* [m] */
    void *scratch;  /* m * k * 12 bytes, 8-byte aligned */
    size_t m, k, top_k;
    float guidance, temperature, top_p;
};
static inline size_t tsr_sample_units(const struct tsr_sample *a) { return a->m; }

/* ---- the table, the CPU and the choice ----------------------------------------------------------- */

enum tsr_tier {
#define TIER(name, text) TSR_TIER_##name,
#include "kernels.def"
    TSR_TIERS
};

enum tsr_op {
#define OP(name, args) TSR_OP_##name,
#include "kernels.def"
    TSR_OPS
};

/* A choice of one implementation per operator: a value, made by tsr_kernels_select. */
struct tsr_kernels {
    size_t streams; /* for tsr_matmul_q and tsr_attention: tsr_cpu_streams() */
#define OP(name, args) tsr_kernel *name;
#include "kernels.def"
    uint8_t tier[TSR_OPS]; /* enum tsr_tier of each */
};

/* A row of the table. */
struct tsr_impl {
    uint8_t op, tier;
    tsr_kernel *run;
    float bound; /* 0: the bits of ref; else of --math fast, see FAST in kernels.def */
};

TSR_API extern const struct tsr_impl tsr_impls[];
TSR_API extern const size_t tsr_impl_count;
TSR_API extern const char *const tsr_op_names[TSR_OPS];
TSR_API extern const char *const tsr_tier_names[TSR_TIERS];
TSR_API extern const char *const tsr_tier_texts[TSR_TIERS];
/* The tier that a twin or a fast one builds on; of any other itself. */
TSR_API extern const uint8_t tsr_tier_bases[TSR_TIERS];
/* The tiers of --math fast, as bits 1 << tier; the others are exact. */
TSR_API extern const uint32_t tsr_fast_tiers;

/*
 * The exact tiers this CPU and its operating system can run, as bits 1 << tier. 0: below the floor (x86-64 with
 * AVX2, FMA, F16C, BMI2; AArch64): nothing may be run, not even ref. Where there is AMX, this asks Linux for its
 * registers: alternate signal stacks of the process must have room for them from then on (sysconf(_SC_SIGSTKSZ)).
 */
TSR_API uint32_t tsr_cpu_tiers(void);

/* The fast tiers it can run: add them to the exact ones for a choice that need not keep the bits of ref. */
TSR_API uint32_t tsr_cpu_fast_tiers(void);

/* Of the tiers that can run, the bits that are no gain on this CPU model (policy, apart from capability). */
TSR_API uint32_t tsr_cpu_slow_tiers(void);

/* In how many streams weights to come are best fetched on this CPU model (policy, and no bits). */
TSR_API size_t tsr_cpu_streams(void);

/*
 * Reads a choice of tiers: "avx2" (that tier, those below it, and the fast ones built on them),
 * "-avx512,-avxvnni" (all but these and those built on them), "" or NULL (all that can run and are not
 * slow). `able` is what the CPU has; fast tiers are in it if fast math is wanted. An unknown name, or "-ref": TSR_USAGE; asking for a tier
 * that the CPU lacks (or a fast one unwanted), or a CPU below the floor: TSR_CPU.
 */
TSR_API tsr_status tsr_tiers_parse(uint32_t *tiers, const char *text, uint32_t able,
                                   struct tsr_error *error);

/* Chooses for each operator the last implementation in the table whose tier is in `tiers`. */
TSR_API struct tsr_kernels tsr_kernels_select(uint32_t tiers);

/*
 * What a call needs at least. Its least time on a machine is the largest of operations / peak, weights /
 * memory bandwidth and rows / bandwidth of the cache that holds them.
 */
struct tsr_work {
    double operations; /* additions and multiplications, an fma is 2; exp, phi, sin, cos: their instructions */
    double weights;    /* bytes of weights, codebook or cache */
    double rows;       /* bytes of rows and maps, read and written */
    int int8;          /* the operations are dots of int8 */
};

/* The work of one call of an operator; args is its struct. */
TSR_API struct tsr_work tsr_op_work(enum tsr_op op, const void *args);

/* Where time goes, operator by operator. The caller sets the machine's rates and zeroes the rows. */
struct tsr_profile {
    double read, copy, f32, int8; /* bytes/s from memory, within L2; operations/s. 0: unknown, binds nothing */
    size_t l2_bytes;              /* rows of a call up to this size lie in L2 */
    struct tsr_profile_row {
        uint64_t calls;
        double seconds; /* taken */
        double least;   /* least possible at the rates */
        double memory;  /* of `least`, of the calls that `read` binds */
        struct tsr_work work;
    } rows[TSR_OPS];
};

/* Adds a call that took `seconds`. */
TSR_API void tsr_profile_add(struct tsr_profile *profile, enum tsr_op op, const void *args,
                             double seconds);

/* A fingerprint of SLEEF's sin, cos, pow and log as linked: bits are promised for equal fingerprints. */
TSR_API uint32_t tsr_math_fingerprint(void);

#ifdef __cplusplus
}
#endif

#endif
