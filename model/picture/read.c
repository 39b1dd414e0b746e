/*
 * read.c: pictures from files: what kind a file is of is decided by its first bytes, never by its name.
 */
#include <config.h>

#include "codec.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* What is neither PNG nor JPEG, in words. */
static tsr_status refuse(const uint8_t *head, size_t count, const char *name,
                         struct tsr_error *error)
{
    static const struct {
        const char *kind, *magic;
        size_t at, bytes;
    } kinds[] = {
        {"GIF", "GIF8", 0, 4},       {"WebP", "WEBP", 8, 4},  {"AVIF or HEIC", "ftyp", 4, 4},
        {"BMP", "BM", 0, 2},         {"TIFF", "II*\0", 0, 4}, {"TIFF", "MM\0*", 0, 4},
        {"JPEG XL", "\xFF\n", 0, 2}, {"PDF", "%PDF", 0, 4},   {"SVG", "<svg", 0, 4}};
    if (!count)
        return tsr_fail(error, TSR_MALFORMED, "%s: empty file", name);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (count >= kinds[i].at + kinds[i].bytes &&
            !memcmp(head + kinds[i].at, kinds[i].magic, kinds[i].bytes))
            return tsr_fail(error, TSR_UNSUPPORTED, "%s: %s; convert it to PNG or JPEG", name,
                            kinds[i].kind);
    return tsr_fail(error, TSR_MALFORMED, "%s: not a PNG or JPEG file", name);
}

static tsr_status decode(struct tsr_picture *picture, struct tsr_source *source,
                         struct tsr_error *error)
{
    static const uint8_t png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    const uint8_t *head;
    size_t count = tsr_source_next(source, &head);
    tsr_status status;
    if (source->status != TSR_OK)
        return source->status;
    source->at = 0;
    if (count >= sizeof png && !memcmp(head, png, sizeof png))
        status = tsr_png_decode(picture, source, error);
    else if (count >= 2 && head[0] == 0xFF && head[1] == 0xD8)
        status = tsr_jpeg_decode(picture, source, error);
    else
        status = refuse(head, count, source->name, error);
    if (status != TSR_OK)
        tsr_picture_free(picture);
    return status;
}

tsr_status tsr_picture_decode(struct tsr_picture *picture, const void *file, size_t bytes,
                              struct tsr_error *error)
{
    *picture = (struct tsr_picture){0};
    struct tsr_source *source = calloc(1, sizeof *source);
    if (!source)
        return tsr_fail(error, TSR_MEMORY, "picture: out of memory");
    source->memory = file;
    source->size = bytes;
    source->name = "picture";
    source->error = error;
    tsr_status status = decode(picture, source, error);
    free(source);
    return status;
}

tsr_status tsr_picture_read(struct tsr_picture *picture, const char *path, struct tsr_error *error)
{
    *picture = (struct tsr_picture){0};
    struct tsr_input in;
    tsr_status status = tsr_input_open(&in, AT_FDCWD, path, error);
    if (status != TSR_OK)
        return status;
    struct tsr_source *source = calloc(1, sizeof *source);
    if (source) {
        source->in = &in;
        source->size = in.size;
        source->name = in.name;
        source->error = error;
        status = decode(picture, source, error);
    } else {
        status = tsr_fail(error, TSR_MEMORY, "%s: out of memory", in.name);
    }
    free(source);
    tsr_input_close(&in);
    return status;
}
