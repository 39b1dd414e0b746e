/*
 * fuzz_picture.c: decodes any bytes as a picture file, PNG or JPEG, from memory and from a file,
 * which must agree; and asks for the memory of pictures of many sizes.
 *
 * The mutator changes bytes, and in a PNG then makes every chunk's CRC right; half the time it
 * changes the pixel data before compression instead, so that what lies behind zlib is reached.
 */
#include <config.h>

#include "fuzz.h"
#include "picture/codec.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* Sizes around the limits: 8 bits, at any of 10 places. */
static void take_memory(const uint8_t *data, size_t bytes)
{
    struct tsr_error error;
    struct tsr_picture p;

    if (bytes < 4)
        return;
    const size_t width = (size_t)data[0] << data[1] % 10, height = (size_t)data[2] << data[3] % 10;
    const tsr_status status = tsr_picture_new(&p, width, height, "fuzz", &error);
    const int fits = width > 0 && height > 0 && width <= TSR_PICTURE_SIDE_MAX &&
                     height <= TSR_PICTURE_SIDE_MAX && width * height <= TSR_PICTURE_AREA_MAX;
    if ((status == TSR_OK) != fits)
        abort();
    tsr_picture_free(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct tsr_error error = {0};
    struct tsr_picture p, q;
    int fd;
    const tsr_status status = tsr_picture_decode(&p, data, bytes, &error);

    take_memory(data, bytes);
    if (status != TSR_OK &&
        ((status != TSR_MALFORMED && status != TSR_UNSUPPORTED) || p.rgb || !*error.message))
        abort();
    if (tsr_picture_read(&q, fuzz_file(data, bytes, &fd), &error) != status || q.width != p.width ||
        q.height != p.height ||
        (status == TSR_OK && memcmp(p.rgb, q.rgb, p.width * p.height * 3) != 0))
        abort();
    tsr_picture_free(&p);
    tsr_picture_free(&q);
    return 0;
}

/* ---- the mutator ---- */

static uint32_t u32_at(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* The next chunk behind `at` (8: the first): its length, or 0 at the end. *at moves behind it. */
static const uint8_t *chunk(uint8_t *data, size_t bytes, size_t *at, uint32_t *length)
{
    if (bytes - *at < 12 || (*length = u32_at(data + *at)) > bytes - *at - 12)
        return NULL;
    *at += 12 + *length;
    return data + *at - 8 - *length; /* the type */
}

static void mend(uint8_t *data, size_t bytes)
{
    const uint8_t *type;
    uint32_t length;
    for (size_t at = 8; (type = chunk(data, bytes, &at, &length)) != NULL;)
        put_u32(data + at - 4, (uint32_t)crc32(0, type, length + 4));
}

/* Unpacks the first IDAT, changes it, packs it again. */
static size_t mutate_pixels(uint8_t *data, size_t bytes, size_t room)
{
    static uint8_t raw[1 << 16], packed[1 << 17];
    const uint8_t *type;
    uint32_t length;
    for (size_t at = 8; (type = chunk(data, bytes, &at, &length)) != NULL;) {
        uLongf size = sizeof raw, packed_size = sizeof packed;
        if (memcmp(type, "IDAT", 4))
            continue;
        uncompress(raw, &size, type + 4, length); /* what came out before an error will do */
        size = LLVMFuzzerMutate(raw, size, sizeof raw);
        if (compress2(packed, &packed_size, raw, size, 1) != Z_OK ||
            bytes - length + packed_size > room)
            return bytes;
        size_t begin = at - 4 - length;
        memmove(data + begin + packed_size, data + begin + length, bytes - begin - length);
        memcpy(data + begin, packed, packed_size);
        put_u32(data + begin - 8, (uint32_t)packed_size);
        return bytes - length + packed_size;
    }
    return LLVMFuzzerMutate(data, bytes, room);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t room, unsigned seed)
{
    uint32_t state = seed;
    if (bytes < 8 || memcmp(data, "\x89PNG\r\n\x1a\n", 8))
        return LLVMFuzzerMutate(data, bytes, room);
    bytes = fuzz_random(&state) % 2 ? mutate_pixels(data, bytes, room)
                                    : LLVMFuzzerMutate(data, bytes, room);
    if (bytes >= 8 && fuzz_random(&state) % 8)
        mend(data, bytes);
    return bytes;
}
