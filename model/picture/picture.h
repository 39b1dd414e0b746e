/*
 * picture.h: pictures for the model: read, resize as PIL does, pad, normalize, and back. Private to
 * model/; knows no layers and no tokens. Reading, writing and tsr_picture_resize are public
 * (model.h); here is the rest.
 *
 * Both ways are those of the Janus processors.
 *
 * In: side' = max((int)(side / longest * size), min_side) in double, truncated; bicubic; centred on
 * a square of the background colour at (size - side') / 2; then
 *
 *   v = ((float)(x * (1.0 / 255)) - mean) / std      the product in double, the rest in f32
 *
 * Out: clip((v + 1) / 2 * 255, 0, 255) in f32, truncated.
 */
#ifndef TSR_PICTURE_H
#define TSR_PICTURE_H

#include "model.h"

/* Preprocessing of one model. */
struct tsr_picture_rule {
    size_t size;           /* side of the square */
    size_t min_side;       /* of the shorter side after resizing */
    uint8_t background[3]; /* 127, 127, 127 */
    float mean[3], std[3]; /* 0.5 each */
};

/* As tsr_picture_resize, with chosen kernels, on a pool (may be NULL). */
tsr_status tsr_picture_resize_with(struct tsr_picture *out, const struct tsr_picture *in,
                                   size_t width, size_t height, enum tsr_filter filter,
                                   const struct tsr_kernels *kernels, tsr_pool *pool,
                                   struct tsr_error *error);

/* The size that a picture is resized to before padding; never larger than rule->size, never 0. */
void tsr_picture_fit(size_t *out_width, size_t *out_height, size_t width, size_t height,
                     const struct tsr_picture_rule *rule);

/* Resized and padded to the square of rule->size. *out is freed by the caller. */
tsr_status tsr_picture_square(struct tsr_picture *out, const struct tsr_picture *in,
                              const struct tsr_picture_rule *rule,
                              const struct tsr_kernels *kernels, tsr_pool *pool,
                              struct tsr_error *error);

/*
 * Normalized f32 pixels of a square picture as rows of patches: patch p = (y / patch) * (size /
 * patch) + x / patch, in a row the order (y, x, channel). The sides are multiples of `patch`. patch
 * = side: one row, which is NHWC.
 */
void tsr_picture_patches(float *rows, /* [(h / patch) * (w / patch), patch * patch * 3] */
                         const struct tsr_picture *in, size_t patch,
                         const struct tsr_picture_rule *rule);

/* 8-bit pixels of `count` f32 values in -1 .. 1; out of range is clipped, NaN gives 0. */
void tsr_picture_from_floats(uint8_t *rgb, const float *values, size_t count);

#endif
