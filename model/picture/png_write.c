/*
 * png_write.c: an RGB picture as a PNG file that appears whole or not at all (quant/atomic.h), with
 * text chunks: tEXt for ASCII, iTXt for the rest, which is UTF-8.
 */
#include <config.h>

#include "atomic.h"
#include "codec.h"
#include "png_memory.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

struct writer {
    png_structp png;
    png_infop info;
    struct tsr_atomic file;
    struct tsr_error *error;
    tsr_status status;
    int no_memory; /* libpng asked in vain */
    const struct tsr_picture *picture;
    png_text *texts; /* [text_count] */
    int text_count;
};

static void fail(png_structp png, png_const_charp message)
{
    struct writer *w = png_get_error_ptr(png);
    if (w->status == TSR_OK)
        w->status =
            tsr_fail(w->error, w->no_memory ? TSR_MEMORY : TSR_INTERNAL,
                     "%s: cannot write PNG: %s", w->file.path, message);
    png_longjmp(png, 1);
}

static void ignore(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void write_bytes(png_structp png, png_bytep bytes, size_t count)
{
    struct writer *w = png_get_io_ptr(png);
    w->status = tsr_atomic_write(&w->file, bytes, count, w->error);
    if (w->status != TSR_OK)
        png_error(png, "write error");
}

static void flush(png_structp png)
{
    (void)png;
}

static int is_ascii(const char *text)
{
    while (*text && (unsigned char)*text < 0x80) /* char is unsigned on Arm */
        text++;
    return !*text;
}

/* A keyword of a text chunk: 1 to 79 printable ASCII characters, spaces only single and inside. */
static int is_key(const char *key)
{
    size_t length = strlen(key);
    for (size_t i = 0; i < length; i++)
        if (key[i] < ' ' || key[i] > '~' ||
            (key[i] == ' ' && (i == 0 || i + 1 == length || key[i + 1] == ' ')))
            return 0;
    return length >= 1 && length <= 79;
}

/* Fills the list of text chunks from key, value, ..., NULL. */
static tsr_status take_texts(struct writer *w, const char *const *texts)
{
    size_t count = 0;
    while (texts && texts[count])
        count++;
    if (count % 2 || count > 2000)
        return tsr_fail(w->error, TSR_USAGE,
                        "texts of a PNG are pairs of key and value, at most 1000");
    w->texts = calloc(count / 2 + 1, sizeof *w->texts);
    if (!w->texts)
        return tsr_fail(w->error, TSR_MEMORY, "out of memory for the texts of a PNG");
    for (size_t i = 0; i < count; i += 2) {
        if (!is_key(texts[i]))
            return tsr_fail(w->error, TSR_USAGE, "\"%.80s\" cannot be the key of a text in a PNG",
                            texts[i]);
        w->texts[w->text_count++] =
            (png_text){.compression = is_ascii(texts[i + 1]) ? PNG_TEXT_COMPRESSION_NONE
                                                             : PNG_ITXT_COMPRESSION_NONE,
                       .key = (png_charp)texts[i],
                       .text = (png_charp)texts[i + 1]};
    }
    return TSR_OK;
}

/* Everything that can jump. */
static void write_picture(struct writer *w)
{
    size_t width = w->picture->width, height = w->picture->height;
    png_set_write_fn(w->png, w, write_bytes, flush);
    png_set_IHDR(w->png, w->info, (png_uint_32)width, (png_uint_32)height, 8, PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_text(w->png, w->info, w->texts, w->text_count);
    png_write_info(w->png, w->info);
    for (size_t y = 0; y < height; y++)
        png_write_row(w->png, w->picture->rgb + y * width * 3);
    png_write_end(w->png, w->info);
}

/* setjmp in a function without variables that change. */
static void try_to_write(struct writer *w)
{
    if (!setjmp(png_jmpbuf(w->png)))
        write_picture(w);
}

tsr_status tsr_picture_write(const struct tsr_picture *picture, const char *path,
                             const char *const *texts, struct tsr_error *error)
{
    struct writer w = {.error = error, .picture = picture, .file = {.fd = -1}};
    if (!picture->width || !picture->height || picture->width > TSR_PICTURE_SIDE_MAX ||
        picture->height > TSR_PICTURE_SIDE_MAX)
        return tsr_fail(error, TSR_USAGE, "%s: a picture of %zu x %zu pixels cannot be written",
                        path, picture->width, picture->height);
    w.status = take_texts(&w, texts);
    if (w.status == TSR_OK)
        w.status = tsr_atomic_open(&w.file, path, error);
    if (w.status == TSR_OK) {
        w.png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, &w, fail, ignore, &w.no_memory,
                                          tsr_png_take, tsr_png_give);
        w.info = w.png ? png_create_info_struct(w.png) : NULL;
        if (!w.info)
            w.status = tsr_fail(error, TSR_MEMORY, "%s: out of memory for the PNG encoder", path);
        else
            try_to_write(&w);
        png_destroy_write_struct(&w.png, &w.info);
        if (w.status == TSR_OK)
            w.status = tsr_atomic_commit(&w.file, error);
        else
            tsr_atomic_abort(&w.file);
    }
    free(w.texts);
    return w.status;
}
