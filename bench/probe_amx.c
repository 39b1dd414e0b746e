/*
 * probe_amx.c: the peaks of AVX-512 and those of AMX: tdpbssd of 64 k, and of a group of 32 among
 * what the contract of matmul_t8 and matmul_t4 asks for.
 *
 * mix: sums leave a tile only through memory, so that is stored and loaded, and nothing else: per
 * product of 16 rows, 16 outputs and 32 k a store, 16 conversions and fma; per block of four
 * products 16 fma. A conversion is a subtraction: it does not wait for products as vcvtdq2ps does
 * (kernels/x86/matmul_amx.inc).
 */
#include "probe.h"

#include <immintrin.h>

enum { TILE_ROWS = 16, TILE_LINE = 64, TILE_GROUP = 32, AMX_ROUNDS = PROBE_ROUNDS / 32 };

/* Tiles 0 to 3: products; 4, 5: 16 rows of `k` codes; 6, 7: 16 outputs of as many. */
static void tiles_begin(size_t k)
{
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } c = {.palette = 1};

    for (int i = 0; i < 8; i++) {
        c.row_bytes[i] = (uint16_t)(i == 4 || i == 5 ? k : TILE_LINE);
        c.rows[i] = (uint8_t)(i >= 6 ? k / 4 : TILE_ROWS);
    }
    __asm__ volatile("ldtilecfg %0" : : "m"(c));
    __asm__ volatile("tilezero %tmm4\n\ttilezero %tmm5\n\ttilezero %tmm6\n\ttilezero %tmm7");
}

static void amx_peak(const void *args, size_t begin, size_t end)
{
    (void)args;
    tiles_begin(TILE_LINE);
    for (size_t r = begin * AMX_ROUNDS; r < end * AMX_ROUNDS; r++)
        __asm__ volatile("tdpbssd %tmm6, %tmm4, %tmm0\n\ttdpbssd %tmm7, %tmm4, %tmm1\n\t"
                         "tdpbssd %tmm6, %tmm5, %tmm2\n\ttdpbssd %tmm7, %tmm5, %tmm3");
    __asm__ volatile("tilerelease" : : : "memory");
}

struct mix {
    float product[4][TILE_ROWS][16], start[16], acc[TILE_ROWS][16];
};

/* What tile c holds goes to product `to`; then it starts anew and gets a product. */
#define PRODUCT(c, a, b, to)                                                                       \
    __asm__ volatile(".p2align 6\n\t"                                                              \
                     "tilestored %%tmm" #c ", (%0,%1,1)\n\t"                                       \
                     "tileloadd (%2,%3,1), %%tmm" #c "\n\t"                                        \
                     "tdpbssd %%tmm" #b ", %%tmm" #a ", %%tmm" #c                                  \
                     :                                                                             \
                     : "r"(m->product[to]), "r"((size_t)TILE_LINE), "r"(m->start), "r"((size_t)0)  \
                     : "memory")
#define EACH_ROW(step)                                                                             \
    step(0) step(1) step(2) step(3) step(4) step(5) step(6) step(7) step(8) step(9) step(10)       \
        step(11) step(12) step(13) step(14) step(15)
#define SUM(r) __m512 t##r = w;
#define LINK(r) t##r = _mm512_fnmadd_ps(_mm512_sub_ps(start, _mm512_load_ps(from[r])), w, t##r);
#define ACCUMULATE(r)                                                                              \
    _mm512_store_ps(m->acc[r], _mm512_fmadd_ps(t##r, w, _mm512_load_ps(m->acc[r])));               \
    t##r = w;

static void amx_mix(const void *args, size_t begin, size_t end)
{
    struct mix mix __attribute__((aligned(64))) = {.start = {0}}, *const m = &mix;
    __m512 w = _mm512_setzero_ps(), start = w;

    (void)args;
    __asm__ volatile("" : "+v"(w), "+v"(start));
    EACH_ROW(SUM)
    tiles_begin(TILE_GROUP);
    for (size_t r = begin * AMX_ROUNDS; r < end * AMX_ROUNDS; r++) {
        float(*from)[16] = m->product[2];

        PRODUCT(0, 4, 6, 0);
        EACH_ROW(LINK)
        from = m->product[3];
        PRODUCT(1, 4, 7, 1);
        EACH_ROW(LINK)
        from = m->product[0];
        PRODUCT(2, 5, 6, 2);
        EACH_ROW(LINK)
        from = m->product[1];
        PRODUCT(3, 5, 7, 3);
        EACH_ROW(LINK)
        EACH_ROW(ACCUMULATE)
    }
    __asm__ volatile("tilerelease" : : : "memory");
}

#define PREFIX amx
#define I8_PEAK amx_peak
#define I8_PEAK_OPS (2.0 * 4 * AMX_ROUNDS * TILE_ROWS * 16 * TILE_LINE)
#define I8_MIX amx_mix
#define I8_MIX_OPS (2.0 * 4 * AMX_ROUNDS * TILE_ROWS * 16 * TILE_GROUP)
#include "probe_avx512.c"
