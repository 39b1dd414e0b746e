/*
 * picture.c: what every decoder of picture files stands on: the bytes of the file, piece by piece, and the
 * memory of the picture, whose size is held to the limits before it is taken.
 */
#include <config.h>

#include "codec.h"

#include <stdlib.h>

size_t tsr_source_next(struct tsr_source *source, const uint8_t **bytes)
{
    uint64_t left = source->size - source->at;
    if (!source->in) {
        *bytes = source->memory + source->at;
        source->at = source->size;
        return (size_t)left;
    }
    size_t count = left < sizeof source->buffer ? (size_t)left : sizeof source->buffer;
    if (!count)
        return 0;
    source->status = tsr_input_read(source->in, source->at, source->buffer, count, source->error);
    if (source->status != TSR_OK)
        return 0;
    source->at += count;
    *bytes = source->buffer;
    return count;
}

tsr_status tsr_picture_new(struct tsr_picture *picture, size_t width, size_t height,
                           const char *name, struct tsr_error *error)
{
    *picture = (struct tsr_picture){0};
    if (!width || !height)
        return tsr_fail(error, TSR_MALFORMED, "%s: a picture of %zu x %zu pixels", name, width,
                        height);
    if (width > TSR_PICTURE_SIDE_MAX || height > TSR_PICTURE_SIDE_MAX ||
        width > TSR_PICTURE_AREA_MAX / height)
        return tsr_fail(
            error, TSR_UNSUPPORTED,
            "%s: %zu x %zu pixels are over the limit of 16 million (or %d a side); make it smaller",
            name, width, height, TSR_PICTURE_SIDE_MAX);
    picture->rgb = malloc(width * height * 3);
    if (!picture->rgb)
        return tsr_fail(error, TSR_MEMORY, "%s: out of memory for %zu x %zu pixels", name, width,
                        height);
    picture->width = width;
    picture->height = height;
    return TSR_OK;
}

void tsr_picture_free(struct tsr_picture *picture)
{
    if (!picture)
        return;
    free(picture->rgb);
    *picture = (struct tsr_picture){0};
}
