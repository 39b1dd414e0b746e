/*
 * jpeg_read.c: JPEG to 8-bit RGB with libjpeg-turbo, which reports errors through a function that
 * must not return; nothing else in this file keeps state across its longjmp.
 *
 * Baseline and progressive, 8 bits, gray or three components (YCbCr or RGB, as the markers say),
 * with the integer `islow` transform and smooth chroma upsampling: libjpeg's defaults, and PIL's.
 * EXIF orientation is ignored, as PIL does unless told otherwise. Refused: arithmetic coding,
 * lossless, 12 bits, two and four components (CMYK). libjpeg decodes damaged data as far as it can
 * and calls that a warning: here it is an error, except the warnings that are about neither length
 * nor coefficients.
 */
#include <config.h>

#include "codec.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

struct reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr from;
    struct jpeg_progress_mgr progress;
    jmp_buf out;
    struct tsr_source *source;
    struct tsr_error *error;
    tsr_status status;
    struct tsr_picture *picture;
};

static void stop(struct reader *r, tsr_status status, const char *what)
{
    r->status = r->source->status != TSR_OK
                    ? r->source->status
                    : tsr_fail(r->error, status, "%s: %s", r->source->name, what);
    longjmp(r->out, 1);
}

/* What libjpeg says of an error, and whose fault it is. */
static void fail(j_common_ptr jpeg)
{
    struct reader *r = jpeg->client_data;
    char message[JMSG_LENGTH_MAX], line[JMSG_LENGTH_MAX + 32];
    tsr_status status = TSR_MALFORMED;
    switch (jpeg->err->msg_code) {
    case JERR_ARITH_NOTIMPL:
    case JERR_BAD_PRECISION: /* 12 bits */
    case JERR_CONVERSION_NOTIMPL:
    case JERR_IMAGE_TOO_BIG:
    case JERR_NOT_COMPILED:
    case JERR_SOF_DUPLICATE:
    case JERR_SOF_UNSUPPORTED:
        status = TSR_UNSUPPORTED;
        break;
    case JERR_OUT_OF_MEMORY:
        status = TSR_MEMORY;
        break;
    default:
        break;
    }
    jpeg->err->format_message(jpeg, message);
    snprintf(line, sizeof line, "%s JPEG: %s",
             status == TSR_MALFORMED ? "damaged" : "cannot read this", message);
    stop(r, status, line);
}

static void warn(j_common_ptr jpeg, int level)
{
    switch (jpeg->err->msg_code) {
    case JWRN_ADOBE_XFORM:     /* an unknown colour transform number: taken as YCbCr */
    case JWRN_EXTRANEOUS_DATA: /* bytes between two markers */
    case JWRN_JFIF_MAJOR:
    case JWRN_TOO_MUCH_DATA:
        return;
    default:
        if (level < 0)
            fail(jpeg);
    }
}

static void say_nothing(j_common_ptr jpeg)
{
    (void)jpeg;
}

static void no_source_call(j_decompress_ptr jpeg)
{
    (void)jpeg;
}

static boolean next_bytes(j_decompress_ptr jpeg)
{
    struct reader *r = jpeg->client_data;
    const uint8_t *bytes;
    size_t count = tsr_source_next(r->source, &bytes);
    if (!count)
        stop(r, TSR_MALFORMED, "truncated JPEG");
    r->from.next_input_byte = bytes;
    r->from.bytes_in_buffer = count;
    return TRUE;
}

static void skip_bytes(j_decompress_ptr jpeg, long count)
{
    struct reader *r = jpeg->client_data;
    while (count > 0 && (size_t)count > r->from.bytes_in_buffer) {
        count -= (long)r->from.bytes_in_buffer;
        next_bytes(jpeg);
    }
    if (count > 0) {
        r->from.next_input_byte += count;
        r->from.bytes_in_buffer -= (size_t)count;
    }
}

static void count_scans(j_common_ptr jpeg)
{
    struct reader *r = jpeg->client_data;
    if (r->jpeg.input_scan_number > TSR_JPEG_SCANS_MAX)
        stop(r, TSR_UNSUPPORTED, "JPEG of more than 100 scans");
}

/* Everything that can jump. */
static void read_picture(struct reader *r)
{
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    jpeg_create_decompress(jpeg);
    jpeg->src = &r->from;
    jpeg->progress = &r->progress;
    jpeg_read_header(jpeg, TRUE);
    r->status = tsr_picture_new(r->picture, jpeg->image_width, jpeg->image_height, r->source->name,
                                r->error);
    if (r->status != TSR_OK)
        return;
    if (jpeg->arith_code)
        stop(r, TSR_UNSUPPORTED, "cannot read this JPEG: arithmetic coding");
    if (jpeg->num_components != 1 && jpeg->num_components != 3)
        stop(r, TSR_UNSUPPORTED, "cannot read this JPEG: neither gray nor RGB (CMYK?)");
    jpeg->out_color_space = JCS_RGB;
    jpeg->dct_method = JDCT_ISLOW;
    jpeg_start_decompress(jpeg);
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW row = r->picture->rgb + (size_t)jpeg->output_scanline * r->picture->width * 3;
        jpeg_read_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_decompress(jpeg);
}

tsr_status tsr_jpeg_decode(struct tsr_picture *picture, struct tsr_source *source,
                           struct tsr_error *error)
{
    struct reader *r = calloc(1, sizeof *r);
    if (!r)
        return tsr_fail(error, TSR_MEMORY, "%s: out of memory for the JPEG decoder", source->name);
    r->source = source;
    r->error = error;
    r->picture = picture;
    r->jpeg.err = jpeg_std_error(&r->errors);
    r->jpeg.client_data = r;
    r->errors.error_exit = fail;
    r->errors.emit_message = warn;
    r->errors.output_message = say_nothing;
    r->progress.progress_monitor = count_scans;
    r->from.init_source = no_source_call;
    r->from.fill_input_buffer = next_bytes;
    r->from.skip_input_data = skip_bytes;
    r->from.resync_to_restart = jpeg_resync_to_restart;
    r->from.term_source = no_source_call;
    if (!setjmp(r->out))
        read_picture(r);
    jpeg_destroy_decompress(&r->jpeg);
    tsr_status status = r->status;
    free(r);
    return status;
}
