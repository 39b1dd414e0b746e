/*
 * codec.h: what the decoders of picture files share: where bytes come from, and the limits.
 *
 * A decoder reads forward only and allocates nothing that grows with a size before that size is
 * within the limits. Memory while decoding: the picture (3 bytes a pixel), the same again for an
 * interlaced PNG, at most 6 bytes a pixel of coefficients for a progressive JPEG, and below 1 MiB
 * beside.
 */
#ifndef TSR_CODEC_H
#define TSR_CODEC_H

#include "input.h"
#include "picture.h"

enum {
    TSR_PICTURE_AREA_MAX = 16 << 20, /* pixels */
    TSR_PICTURE_SIDE_MAX =
        65535,               /* JPEG has no more; bounds what resizing keeps between its passes */
    TSR_JPEG_SCANS_MAX = 100 /* each costs a walk over all coefficients */
};

/* The bytes of a picture file: of a file on disk (in) or in memory. */
struct tsr_source {
    const struct tsr_input *in; /* or NULL */
    const uint8_t *memory;
    uint64_t size, at;
    const char *name;  /* for messages */
    tsr_status status; /* of the last read, filled with *error */
    struct tsr_error *error;
    uint8_t buffer[1 << 16];
};

/* The next bytes, valid until the next call; 0: the end, or an error (source->status). */
size_t tsr_source_next(struct tsr_source *source, const uint8_t **bytes);

/* Checks the sides and takes the memory of a picture. TSR_MALFORMED (0), TSR_UNSUPPORTED (limits),
 * TSR_MEMORY. */
tsr_status tsr_picture_new(struct tsr_picture *picture, size_t width, size_t height,
                           const char *name, struct tsr_error *error);

/* On failure *picture may hold memory: the caller frees it. */
tsr_status tsr_png_decode(struct tsr_picture *picture, struct tsr_source *source,
                          struct tsr_error *error);
tsr_status tsr_jpeg_decode(struct tsr_picture *picture, struct tsr_source *source,
                           struct tsr_error *error);

#endif
