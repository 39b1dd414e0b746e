/*
 * png_read.c: PNG to 8-bit RGB with libpng, which reports errors by longjmp; nothing else in this
 * file keeps state across it.
 *
 * The conversion is that of PIL's convert("RGB"): alpha and transparent colours are dropped, not
 * blended; gray is repeated; palettes are looked up (an index beyond the palette is black); fewer
 * than 8 bits are scaled, of 16 bits the upper 8 are taken; gamma and colour profiles are ignored.
 * One exception: PIL clips 16-bit gray without alpha at 255, so that nearly all of it is white;
 * here it is treated like all other 16-bit pictures.
 *
 * Chunks that change nothing in this (text, profiles, times, ...) are skipped unread, so they
 * cannot cost memory. What libpng calls a benign error is one here: a file that lies in one place
 * is not believed in others.
 */
#include <config.h>

#include "codec.h"
#include "png_memory.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    png_structp png;
    png_infop info;
    struct tsr_source *source;
    struct tsr_error *error;
    tsr_status status;
    int no_memory;        /* libpng asked in vain */
    const uint8_t *bytes; /* not yet read ones of the source's buffer */
    size_t left;
    struct tsr_picture *picture;
};

static void fail(png_structp png, png_const_charp message)
{
    struct reader *r = png_get_error_ptr(png);
    if (r->status == TSR_OK)
        r->status = r->no_memory ? tsr_fail(r->error, TSR_MEMORY,
                                            "%s: out of memory for the PNG decoder", r->source->name)
                                 : tsr_fail(r->error, TSR_MALFORMED, "%s: damaged PNG: %s",
                                            r->source->name, message);
    png_longjmp(png, 1);
}

static void ignore(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void read_bytes(png_structp png, png_bytep to, size_t count)
{
    struct reader *r = png_get_io_ptr(png);
    while (count) {
        if (!r->left)
            r->left = tsr_source_next(r->source, &r->bytes);
        if (!r->left) {
            r->status =
                r->source->status != TSR_OK
                    ? r->source->status
                    : tsr_fail(r->error, TSR_MALFORMED, "%s: truncated PNG", r->source->name);
            png_error(png, "truncated");
        }
        size_t now = count < r->left ? count : r->left;
        memcpy(to, r->bytes, now);
        r->bytes += now;
        r->left -= now;
        to += now;
        count -= now;
    }
}

/* Everything that can jump. */
static void read_picture(struct reader *r)
{
    static const png_byte skipped[] =
        "bKGD\0cHRM\0gAMA\0hIST\0iCCP\0iTXt\0oFFs\0pCAL\0pHYs\0sBIT\0sCAL\0sPLT\0sRGB\0"
        "sTER\0tEXt\0tIME\0zTXt\0eXIf";
    png_structp png = r->png;
    png_set_read_fn(png, r, read_bytes);
    png_set_user_limits(png, 0x7FFFFFFF, 0x7FFFFFFF); /* ours are checked by tsr_picture_new */
    png_set_benign_errors(png, 0);
    png_set_check_for_invalid_index(png, 0);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, 0);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, skipped, sizeof skipped / 5);
    png_read_info(png, r->info);
    size_t width = png_get_image_width(png, r->info), height = png_get_image_height(png, r->info);
    r->status = tsr_picture_new(r->picture, width, height, r->source->name, r->error);
    if (r->status != TSR_OK)
        return;
    png_set_palette_to_rgb(png);
    if (!(png_get_color_type(png, r->info) & PNG_COLOR_MASK_COLOR)) {
        png_set_expand_gray_1_2_4_to_8(png);
        png_set_gray_to_rgb(png);
    }
    png_set_strip_16(png);
    png_set_strip_alpha(png);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, r->info);
    if (png_get_rowbytes(png, r->info) != 3 * width)
        png_error(png, "unexpected row size");
    for (int pass = 0; pass < passes; pass++)
        for (size_t y = 0; y < height; y++)
            png_read_row(png, r->picture->rgb + y * width * 3, NULL);
    png_read_end(png, NULL);
}

/* setjmp in a function without variables that change. */
static void try_to_read(struct reader *r)
{
    if (!setjmp(png_jmpbuf(r->png)))
        read_picture(r);
}

tsr_status tsr_png_decode(struct tsr_picture *picture, struct tsr_source *source,
                          struct tsr_error *error)
{
    struct reader r = {.source = source, .error = error, .picture = picture};
    r.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &r, fail, ignore, &r.no_memory,
                                     tsr_png_take, tsr_png_give);
    r.info = r.png ? png_create_info_struct(r.png) : NULL;
    if (!r.info) {
        png_destroy_read_struct(&r.png, &r.info, NULL);
        return tsr_fail(error, TSR_MEMORY, "%s: out of memory for the PNG decoder", source->name);
    }
    try_to_read(&r);
    png_destroy_read_struct(&r.png, &r.info, NULL);
    return r.status;
}
