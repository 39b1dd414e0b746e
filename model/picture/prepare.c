/*
 * prepare.c: from an 8-bit picture to the vision tower's input, and from the decoder's output to 8
 * bits.
 *
 * Janus (VLMImageProcessor, and plot in the demos): picture.h states the rule with its roundings.
 * The order matters: int(side / longest * size) is one pixel less than int(side * (size / longest))
 * for some sides.
 */
#include <config.h>

#include "codec.h"

#include <stdlib.h>
#include <string.h>

static size_t fit(size_t side, size_t longest, const struct tsr_picture_rule *rule)
{
    size_t fitted = (size_t)((double)side / (double)longest * (double)rule->size);
    fitted = fitted > rule->min_side ? fitted : rule->min_side;
    fitted = fitted < rule->size ? fitted : rule->size;
    return fitted ? fitted : 1;
}

void tsr_picture_fit(size_t *out_width, size_t *out_height, size_t width, size_t height,
                     const struct tsr_picture_rule *rule)
{
    size_t longest = width > height ? width : height;
    *out_width = fit(width, longest, rule);
    *out_height = fit(height, longest, rule);
}

tsr_status tsr_picture_square(struct tsr_picture *out, const struct tsr_picture *in,
                              const struct tsr_picture_rule *rule,
                              const struct tsr_kernels *kernels, tsr_pool *pool,
                              struct tsr_error *error)
{
    struct tsr_picture small;
    size_t width, height, size = rule->size;
    *out = (struct tsr_picture){0};
    if (!in->width || !in->height)
        return tsr_fail(error, TSR_USAGE, "a picture of %zu x %zu pixels", in->width, in->height);
    tsr_picture_fit(&width, &height, in->width, in->height, rule);
    tsr_status status =
        tsr_picture_resize_with(&small, in, width, height, TSR_BICUBIC, kernels, pool, error);
    if (status == TSR_OK)
        status = tsr_picture_new(out, size, size, "picture", error);
    if (status == TSR_OK) {
        for (size_t i = 0; i < size * size; i++)
            memcpy(out->rgb + 3 * i, rule->background, 3);
        size_t left = (size - width) / 2, top = (size - height) / 2;
        for (size_t y = 0; y < height; y++)
            memcpy(out->rgb + ((top + y) * size + left) * 3, small.rgb + y * width * 3, width * 3);
    }
    tsr_picture_free(&small);
    return status;
}

void tsr_picture_patches(float *rows, const struct tsr_picture *in, size_t patch,
                         const struct tsr_picture_rule *rule)
{
    float value[3][256]; /* of each channel and byte */
    for (int c = 0; c < 3; c++)
        for (int x = 0; x < 256; x++)
            value[c][x] = ((float)(x * (1.0 / 255)) - rule->mean[c]) / rule->std[c];
    for (size_t top = 0; top < in->height; top += patch)
        for (size_t left = 0; left < in->width; left += patch)
            for (size_t y = top; y < top + patch; y++)
                for (size_t x = left; x < left + patch; x++)
                    for (size_t c = 0; c < 3; c++)
                        *rows++ = value[c][in->rgb[(y * in->width + x) * 3 + c]];
}

void tsr_picture_from_floats(uint8_t *rgb, const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        float x = (values[i] + 1.0f) / 2.0f * 255.0f;
        rgb[i] = (uint8_t)(x > 0 ? x < 255 ? x : 255 : 0);
    }
}
