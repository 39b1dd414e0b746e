/*
 * tile_amx.h: the micro-kernel of t8 and t4 tiles on AMX, shared by matmul and conv2d, with the
 * bits of every other tier.
 *
 * tdpbssd gives the exact dots of 16 rows and 16 outputs over a group of 32 k, half of the k that
 * it could take: the contract scales each group. Its sums leave the tile through L1, become floats
 * there, and join the chain of the group's block. Weights are unpacked for this: an activation
 * block of AMX_PANELS panels at a time, signed (so there is no zero point), with f32 scales. All
 * rows, up to AMX_TILES tiles, run over them; what they have summed up waits on the caller's stack.
 *
 * Per product of 16 x 16 x 32: 1 tdpbssd, 1 tilestored, 2 tileloadd, 16 subtractions, 16 fma; per
 * four of them 16 fma with loads and stores, and for one in 8 panels 4 tileloadd of codes. Cycles
 * of it on an Intel Xeon (Golden Cove or later), one thread, in L1:
 *
 *     tdpbssd 18, tilestored 17 (on port 5); both 20 if a tile is stored before its next product
 *     starts, else 33. While products run, no fma and no vcvtdq2ps starts on port 5, but additions
 *     do. So floats come from an addition: tiles start at MAGIC, not at 0, and magic - product is
 *     exact: 34 cycles, 41 with conversions. A product read right after it was stored fills the
 *     schedulers with what waits for it: 44; read two products later 38. With all the rest 43 in a
 *     loop of assembly, 47 to 50 here. Where tile instructions lie across a boundary of 32 bytes,
 *     all takes twice as long, so AMX_STEP is aligned.
 *
 * The peak of tdpbssd would be 9, of a product and what the contract needs 39 (bench/probe_amx.c).
 */
#ifndef TSR_TILE_AMX_H
#define TSR_TILE_AMX_H

#include <immintrin.h>
#include <stddef.h>
#include <string.h>

#include "kernels.h"
#include "vec/tile_unroll.h"

enum {
    AMX_ROWS = 16,                          /* of a tile */
    AMX_TILES = 12,                         /* tiles of rows that share what is unpacked */
    AMX_PANELS = 8,                         /* unpacked together */
    AMX_GROUPS = TSR_ACT_BLOCK / TSR_GROUP, /* of a panel that are */
    AMX_SUMS = AMX_ROWS * TSR_PANEL
};
/* 1.5 * 2^23: for |x| < 2^22, the float of its bits + x is its value + x. */
#define AMX_MAGIC 12582912.0f

/* A group of a panel: signed codes as tdpbssd takes them, a line for each quad, and scales. */
struct amx_group {
    int8_t codes[TSR_GROUP / 4 * TSR_LINE_BYTES];
    float scales[TSR_PANEL];
};

/* What a block's products go through: read two products after they were stored. */
struct amx_sums {
    float product[AMX_GROUPS][AMX_SUMS], magic[AMX_SUMS];
};

/* The R rows of a tile, in one activation block: codes ldc apart, scales lds apart. (With a tsr_q8,
 * which has sums, too, in its place matmul was 0.98 times as fast.) */
struct amx_rows {
    const int8_t *codes;
    const float *scales;
    size_t ldc, lds;
};

/* What runs over the unpacked weights: `tiles` tiles of R rows. */
struct amx_job {
    const struct amx_rows *rows; /* [tiles] */
    size_t tiles, panels;
    int whole; /* the block is two stored blocks of 64 k; else one, and no code after it is read */
    const struct amx_group (*w)[AMX_GROUPS]; /* [panels] */
    float (*acc)[AMX_PANELS][AMX_SUMS];      /* [tiles] */
    /* Each tile fetches `fetch` bytes of each panel's weights, from `ahead` on, a step apart. */
    const char *ahead;
    size_t fetch, step;
};

/* The rows of x from `row` on, in activation block `block`. */
TILE_INLINE struct amx_rows amx_rows(const struct tsr_q8 *x, size_t row, size_t block)
{
    return (struct amx_rows){x->codes + row * x->ldc + block * TSR_ACT_BLOCK,
                             x->scales + row * x->lds + block, x->ldc, x->lds};
}

TILE_INLINE __mmask16 amx_mask(size_t outputs)
{
    return outputs < TSR_PANEL ? (__mmask16)((1u << outputs) - 1) : 0xffff;
}

/* ---- weights --------------------------------------------------------------------------------- */

/* The signed codes of quad q of a group whose lines begin at `line`. */
TILE_INLINE __m512i amx_codes(const uint8_t *line, size_t q, size_t bits)
{
    const __m512i codes = _mm512_load_si512(line + q * bits / 8 * TSR_LINE_BYTES);

    if (bits == 8)
        return _mm512_xor_si512(codes, _mm512_set1_epi8(-128));
    return _mm512_sub_epi8(
        _mm512_and_si512(q % 2 ? _mm512_srli_epi16(codes, 4) : codes, _mm512_set1_epi8(15)),
        _mm512_set1_epi8(8));
}

/* Groups [first, first + count) of a panel, and zeros to AMX_GROUPS, which change no sum. */
TILE_INLINE void amx_unpack(struct amx_group *to, const uint8_t *panel, size_t first, size_t count,
                            size_t bits)
{
    const size_t stored = bits == 8 ? TSR_T8_BYTES : TSR_T4_BYTES; /* two groups */
    const size_t half = (stored - TSR_LINE_BYTES) / 2;

    for (size_t g = 0; g < AMX_GROUPS; g++) {
        const uint8_t *block = panel + (first + g) / 2 * stored;
        const size_t second = (first + g) % 2;
        if (g >= count) {
            memset(to + g, 0, sizeof *to);
            continue;
        }
        _mm512_store_ps(to[g].scales,
                        _mm512_cvtph_ps(_mm256_load_si256((const __m256i *)block + second)));
        TILE_UNROLL
        for (size_t q = 0; q < TSR_GROUP / 4; q++)
            _mm512_store_si512(to[g].codes + q * TSR_LINE_BYTES,
                               amx_codes(block + TSR_LINE_BYTES + second * half, q, bits));
    }
}

/* acc of `tiles` tiles starts at the outputs' bias or +0; `left` of the outputs exist. */
TILE_INLINE void amx_start(float (*acc)[AMX_PANELS][AMX_SUMS], size_t tiles, size_t panels,
                           const float *bias, size_t left)
{
    for (size_t p = 0; p < panels; p++) {
        const __m512 start =
            bias ? _mm512_maskz_loadu_ps(amx_mask(left - p * TSR_PANEL), bias + p * TSR_PANEL)
                 : _mm512_setzero_ps();
        for (size_t i = 0; i < tiles; i++)
            for (size_t r = 0; r < AMX_ROWS; r++)
                _mm512_store_ps(acc[i][p] + r * TSR_PANEL, start);
    }
}

/* y of one row = row r of a tile's acc. */
TILE_INLINE void amx_finish(float *y, float (*acc)[AMX_SUMS], size_t r, size_t panels, size_t left)
{
    for (size_t p = 0; p < panels; p++)
        _mm512_mask_storeu_ps(y + p * TSR_PANEL, amx_mask(left - p * TSR_PANEL),
                              _mm512_load_ps(acc[p] + r * TSR_PANEL));
}

/* ---- tiles: tmm0, 1 products; 2, 3 weights; 4 to 7 the activations of a block's groups ------- */

TILE_INLINE void amx_begin(size_t rows)
{
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } c = {.palette = 1};

    for (int i = 0; i < 8; i++) {
        c.row_bytes[i] = i < 4 ? TSR_LINE_BYTES : TSR_GROUP;
        c.rows[i] = (uint8_t)(i == 2 || i == 3 ? TSR_GROUP / 4 : rows);
    }
    __asm__ volatile("ldtilecfg %0" : : "m"(c));
}

TILE_INLINE void amx_end(void)
{
    __asm__ volatile("tilerelease" : : : "memory");
}

#define AMX_LOAD(x, at, stride)                                                                    \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #x                                               \
                     :                                                                             \
                     : "r"((at)), "r"((size_t)(stride))                                            \
                     : "memory")

#define AMX_STORE(c, to)                                                                           \
    __asm__ volatile("tilestored %%tmm" #c ", (%0,%1,1)"                                           \
                     :                                                                             \
                     : "r"((to)), "r"((size_t)TSR_LINE_BYTES)                                      \
                     : "memory")

/* What tile c holds goes to s->product[to]; then it starts at magic and gets the product of tile x
 * and w[g], through tile b. */
#define AMX_STEP(c, b, x, g, to)                                                                   \
    __asm__ volatile(".p2align 6\n\t"                                                              \
                     "tilestored %%tmm" #c ", %c3(%0,%1,1)\n\t"                                    \
                     "tileloadd %c4(%2,%1,1), %%tmm" #b "\n\t"                                     \
                     "tileloadd %c5(%0,%1,1), %%tmm" #c "\n\t"                                     \
                     "tdpbssd %%tmm" #b ", %%tmm" #x ", %%tmm" #c                                  \
                     :                                                                             \
                     : "r"(s), "r"((size_t)TSR_LINE_BYTES), "r"(w),                                \
                       "i"((to) * sizeof *s->product), "i"((g) * sizeof(struct amx_group)),        \
                       "i"(offsetof(struct amx_sums, magic))                                       \
                     : "memory")

/* t = fma(product, scales, t), of the first group of a chain from 0 on. */
TILE_INLINE void amx_link(__m512 *t, const float *product, const float *scales, int first, int R)
{
    const __m512 s = _mm512_load_ps(scales), magic = _mm512_set1_ps(AMX_MAGIC);

    TILE_UNROLL
    for (int r = 0; r < R; r++) {
        const __m512 negative = _mm512_sub_ps(magic, _mm512_load_ps(product + r * TSR_PANEL));
        t[r] = _mm512_fnmadd_ps(negative, s, first ? _mm512_setzero_ps() : t[r]);
    }
}

/* acc = fma(t, the row's scale, acc). */
TILE_INLINE void amx_add(float *acc, const __m512 *t, const struct amx_rows *rows, int R)
{
    const float *scale = rows->scales;
    const size_t lds = rows->lds;

    TILE_UNROLL
    for (int r = 0; r < R; r++) {
        float *to = acc + r * TSR_PANEL;
        _mm512_store_ps(to, _mm512_fmadd_ps(t[r], _mm512_set1_ps(*scale), _mm512_load_ps(to)));
        scale += lds;
        __asm__ volatile("" : "+r"(scale)); /* or compilers keep 16 addresses, on the stack */
    }
}

TILE_INLINE void amx_run(const struct amx_job *job, int R)
{
    const size_t half = job->whole ? 2 * TSR_GROUP : 0; /* 0: any codes do, their weights are 0 */
    const struct amx_group *before = NULL; /* the unit whose products are not all added yet, */
    const struct amx_rows *of = NULL;      /* its rows, */
    float *acc = NULL;                     /* and sums */
    struct amx_sums sums __attribute__((aligned(64))), *const s = &sums;
    __m512 t[AMX_ROWS];

    for (int r = 0; r < AMX_ROWS; r++)
        _mm512_store_ps(s->magic + r * TSR_PANEL, _mm512_set1_ps(AMX_MAGIC));
    for (size_t i = 0; i < job->tiles; i++) {
        const struct amx_rows *const rows = job->rows + i;

        AMX_LOAD(4, rows->codes, rows->ldc);
        AMX_LOAD(5, rows->codes + TSR_GROUP, rows->ldc);
        AMX_LOAD(6, rows->codes + half, rows->ldc);
        AMX_LOAD(7, rows->codes + half + TSR_GROUP, rows->ldc);
        for (size_t p = 0; p < job->panels; p++) {
            const struct amx_group *w = job->w[p];
            const char *ahead = job->ahead + p * job->step + i * job->fetch;

            if (before) {
                AMX_STEP(0, 2, 4, 0, 2);
                amx_link(t, s->product[0], before[0].scales, 1, R);
                AMX_STEP(1, 3, 5, 1, 3);
                amx_link(t, s->product[1], before[1].scales, 0, R);
                AMX_STEP(0, 2, 6, 2, 0);
                amx_link(t, s->product[2], before[2].scales, 0, R);
                AMX_STEP(1, 3, 7, 3, 1);
                amx_link(t, s->product[3], before[3].scales, 0, R);
                amx_add(acc, t, of, R);
            } else {
                AMX_STEP(0, 2, 4, 0, 2);
                AMX_STEP(1, 3, 5, 1, 3);
                AMX_STEP(0, 2, 6, 2, 0);
                AMX_STEP(1, 3, 7, 3, 1);
            }
            for (size_t line = 0; line < job->fetch; line += TSR_LINE_BYTES)
                __builtin_prefetch(ahead + line, 0, 2);
            before = w;
            of = rows;
            acc = job->acc[i][p];
        }
    }
    AMX_STORE(0, s->product[2]);
    AMX_STORE(1, s->product[3]);
    TILE_UNROLL
    for (int g = 0; g < AMX_GROUPS; g++)
        amx_link(t, s->product[g], before[g].scales, g == 0, R);
    amx_add(acc, t, of, R);
}

#endif
