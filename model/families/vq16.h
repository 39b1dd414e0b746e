/*
 * vq16.h: the VQ-16 picture tokenizer of LlamaGen (Sun et al. 2024), which Janus draws with: codes
 * of a square grid to pixels and back. A part that families share; it knows none of them.
 */
#ifndef TSR_VQ16_H
#define TSR_VQ16_H

#include "families/family.h"

enum { TSR_VQ16_LEVELS = TSR_LIST_MAX, TSR_VQ16_BLOCKS = 4 };

struct tsr_vq16_shape {
    size_t grid;                     /* codes a side */
    size_t codebook, code_width;     /* codes, and numbers of each */
    size_t latent, base, blocks;     /* channels, channels, residual blocks a level */
    const struct tsr_list *channels; /* of each level, highest resolution first */
};

struct tsr_vq16_level {
    struct tsr_vq_res res[TSR_VQ16_BLOCKS + 1];
    struct tsr_vq_attn attn[TSR_VQ16_BLOCKS + 1]; /* at the lowest resolution only */
    struct tsr_conv
        resample; /* the encoder's way down, the decoder's way up; none in the last level */
};

/* The encoder's levels go down from the full size, the decoder's up to it. */
struct tsr_vq16_half {
    struct tsr_conv in, out;
    struct tsr_vq16_level levels[TSR_VQ16_LEVELS];
    struct tsr_vq_res mid[2];
    struct tsr_vq_attn mid_attn;
    struct tsr_scale norm;
};

struct tsr_vq16 {
    struct tsr_tile codebook; /* F32 */
    struct tsr_linear to_latent, from_latent;
    struct tsr_vq16_half encoder, decoder;
};

/* Pixels a side. */
size_t tsr_vq16_side(const struct tsr_vq16_shape *shape);

/* Checks that the shape can be run; names what is wrong. */
tsr_status tsr_vq16_check(const struct tsr_vq16_shape *shape, struct tsr_error *error);

/* Visits all tensors: "vq." in GGUF, below `library` and `official` in checkpoints. Parts: decoder
 * and encoder. */
void tsr_vq16_walk(struct tsr_walk *walk, const struct tsr_vq16_shape *shape, const char *library,
                   const char *official, struct tsr_vq16 *w);

/* codes [grid * grid], row-major, to pixels [side, side, 3] in about -1..1; and back. */
void tsr_vq16_decode(struct tsr_exec *e, const struct tsr_vq16_shape *shape,
                     const struct tsr_vq16 *w, const int32_t *codes, float *pixels);
void tsr_vq16_encode(struct tsr_exec *e, const struct tsr_vq16_shape *shape,
                     const struct tsr_vq16 *w, const float *pixels, int32_t *codes);

#endif
