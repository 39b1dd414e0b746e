/*
 * test_picture.c: resizing and preprocessing against PIL (fixtures by CRC), PNG and JPEG against
 * files made here, damaged files, and the writer.
 */
#include <config.h>

#include <criterion/criterion.h>
#include <dirent.h>
#include <jansson.h>
#include <png.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <jpeglib.h>

#include "picture/picture.h"

static struct tsr_error error;

static const char *fixture(const char *name)
{
    static char path[4096];
    const char *root = getenv("TSR_SRCDIR");
    snprintf(path, sizeof path, "%s/tests/fixtures/%s", root ? root : ".", name);
    return path;
}

static struct tsr_picture picture_of(size_t width, size_t height)
{
    struct tsr_picture p = {width, height, malloc(width * height * 3)};
    cr_assert_not_null(p.rgb);
    return p;
}

/* The pictures of tests/reference/pictures.py. */
static struct tsr_picture formula(const char *kind, size_t width, size_t height)
{
    struct tsr_picture p = picture_of(width, height);
    uint32_t state = (uint32_t)(12345 + width * 65537 + height);
    for (size_t i = 0; i < width * height * 3; i++) {
        size_t c = i % 3, x = i / 3 % width, y = i / 3 / width;
        state = state * 1664525 + 1013904223;
        if (!strcmp(kind, "wave"))
            p.rgb[i] = (uint8_t)((x * 7 + y * 13) * (c + 3));
        else if (!strcmp(kind, "edges"))
            p.rgb[i] = (x / 3 + y / 2 + c) % 2 ? 255 : 0;
        else
            p.rgb[i] = (uint8_t)(state >> 24);
    }
    return p;
}

static uint32_t crc_of(const struct tsr_picture *p)
{
    return (uint32_t)crc32(0, p->rgb, (uInt)(p->width * p->height * 3));
}

static size_t number(const json_t *row, const char *key)
{
    return (size_t)json_integer_value(json_object_get(row, key));
}

static const char *word(const json_t *row, const char *key)
{
    return json_string_value(json_object_get(row, key));
}

/* ---- PIL ---- */

Test(picture, resize_equals_pil)
{
    json_t *cases = json_load_file(fixture("resize/cases.json"), 0, NULL), *row;
    json_t *list = json_object_get(cases, "resize");
    size_t i;
    cr_assert_geq(json_array_size(list), 50);
    json_array_foreach(list, i, row)
    {
        struct tsr_picture in = formula(word(row, "kind"), number(row, "width"),
                                        number(row, "height")),
                           out;
        enum tsr_filter filter =
            !strcmp(word(row, "filter"), "lanczos") ? TSR_LANCZOS : TSR_BICUBIC;
        cr_assert_eq(tsr_picture_resize(&out, &in, number(row, "to_width"),
                                        number(row, "to_height"), filter, &error),
                     TSR_OK, "%s", error.message);
        cr_expect_eq(crc_of(&out), number(row, "crc32"), "%s %zux%zu to %zux%zu",
                     word(row, "filter"), in.width, in.height, out.width, out.height);
        tsr_picture_free(&in);
        tsr_picture_free(&out);
    }
    json_decref(cases);
}

Test(picture, square_equals_pil)
{
    json_t *cases = json_load_file(fixture("resize/cases.json"), 0, NULL), *row;
    json_t *list = json_object_get(cases, "square");
    struct tsr_kernels kernels = tsr_kernels_select(tsr_cpu_tiers());
    size_t i;
    cr_assert_geq(json_array_size(list), 10);
    json_array_foreach(list, i, row)
    {
        struct tsr_picture in = formula(word(row, "kind"), number(row, "width"),
                                        number(row, "height")),
                           out;
        struct tsr_picture_rule rule = {.size = number(row, "size"),
                                        .min_side = number(row, "min_size"),
                                        .background = {127, 127, 127}};
        size_t width, height;
        tsr_picture_fit(&width, &height, in.width, in.height, &rule);
        cr_expect_eq(width, number(row, "to_width"));
        cr_expect_eq(height, number(row, "to_height"));
        cr_assert_eq(tsr_picture_square(&out, &in, &rule, &kernels, NULL, &error), TSR_OK);
        cr_expect_eq(crc_of(&out), number(row, "crc32"), "%zux%zu", in.width, in.height);
        tsr_picture_free(&in);
        tsr_picture_free(&out);
    }
    json_decref(cases);
}

/* The array of a .npy file behind its header; the caller frees *file. */
static const void *npy(const char *name, char **file)
{
    size_t bytes;
    cr_assert_eq(tsr_file_read(file, &bytes, fixture(name), 64 << 20, &error), TSR_OK, "%s",
                 error.message);
    return *file + 10 + (uint8_t)(*file)[8] + 256 * (uint8_t)(*file)[9];
}

/* From PNG to the tower's input, and from the decoder's output to pixels: all bits. */
Test(picture, preprocessing_equals_janus)
{
    static const struct {
        const char *folder, *files[2];
        size_t size, min_side, drawn;
    } models[] = {{"janus-a-f32", {"small.png", "tall.png"}, 18, 14, 6},
                  {"janus-b-bf16-sharded", {"grey.png", "wide.png"}, 32, 6, 16},
                  {"janus-c-f16-official", {"big.png", "line.png"}, 25, 14, 20}};
    struct tsr_kernels kernels = tsr_kernels_select(tsr_cpu_tiers());
    for (size_t m = 0; m < 3; m++) {
        size_t side = models[m].size, count = side * side,
               drawn = 3 * 3 * models[m].drawn * models[m].drawn;
        struct tsr_picture_rule rule = {
            side, models[m].min_side, {127, 127, 127}, {0.5f, 0.5f, 0.5f}, {0.5f, 0.5f, 0.5f}};
        char name[256], *files[4];
        snprintf(name, sizeof name, "%s/pixel_rgb.npy", models[m].folder);
        const uint8_t *rgb = npy(name, &files[0]);
        snprintf(name, sizeof name, "%s/pixel_values.npy", models[m].folder);
        const float *values = npy(name, &files[1]);
        for (size_t i = 0; i < 2; i++) {
            struct tsr_picture in, square;
            float *rows = malloc(count * 3 * sizeof *rows);
            snprintf(name, sizeof name, "%s/%s", models[m].folder, models[m].files[i]);
            cr_assert_eq(tsr_picture_read(&in, fixture(name), &error), TSR_OK, "%s", error.message);
            cr_assert_eq(tsr_picture_square(&square, &in, &rule, &kernels, NULL, &error), TSR_OK);
            cr_expect_arr_eq(square.rgb, rgb + i * count * 3, count * 3, "%s", name);
            tsr_picture_patches(rows, &square, side, &rule);
            for (size_t j = 0; j < count * 3; j++)
                cr_assert_eq(rows[j], values[i * count * 3 + j % 3 * count + j / 3], "%s value %zu",
                             name, j);
            free(rows);
            tsr_picture_free(&in);
            tsr_picture_free(&square);
        }
        snprintf(name, sizeof name, "%s/vq_pixels.npy", models[m].folder);
        const float *pixels = npy(name, &files[2]); /* [3, 3, s, s]: any order will do */
        snprintf(name, sizeof name, "%s/vq_rgb.npy", models[m].folder);
        const uint8_t *want = npy(name, &files[3]); /* [3, s, s, 3] */
        uint8_t *got = malloc(drawn);
        size_t area = drawn / 9;
        tsr_picture_from_floats(got, pixels, drawn);
        for (size_t j = 0; j < drawn; j++)
            cr_assert_eq(got[j], want[j / (3 * area) * 3 * area + j % area * 3 + j / area % 3],
                         "%s %zu", name, j);
        free(got);
        for (size_t i = 0; i < 4; i++)
            free(files[i]);
    }
}

Test(picture, patches)
{
    struct tsr_picture p = formula("noise", 12, 8);
    struct tsr_picture_rule rule = {.mean = {0.5f, 0.25f, 0}, .std = {0.5f, 1, 2}};
    float rows[8 * 12 * 3];
    tsr_picture_patches(rows, &p, 4, &rule);
    for (size_t y = 0; y < 8; y++)
        for (size_t x = 0; x < 12; x++)
            for (size_t c = 0; c < 3; c++) {
                float got = rows[(((y / 4 * 3 + x / 4) * 4 + y % 4) * 4 + x % 4) * 3 + c];
                cr_assert_eq(got,
                             ((float)(p.rgb[(y * 12 + x) * 3 + c] * (1.0 / 255)) - rule.mean[c]) /
                                 rule.std[c]);
            }
    tsr_picture_free(&p);
    uint8_t out[6];
    tsr_picture_from_floats(out, (const float[]){-2, 2, 0, 0.0f / 0.0f, -1, 1}, 6);
    cr_expect_arr_eq(out, ((const uint8_t[]){0, 255, 127, 0, 0, 255}), 6);
}

/* ---- files made here ---- */

struct bytes {
    uint8_t *at;
    size_t size;
};

static void append(struct bytes *to, const void *bytes, size_t count)
{
    to->at = realloc(to->at, to->size + count + 1);
    cr_assert_not_null(to->at);
    memcpy(to->at + to->size, bytes, count);
    to->size += count;
}

static void append_u32(struct bytes *to, uint32_t value)
{
    append(to,
           (const uint8_t[]){(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                             (uint8_t)value},
           4);
}

static void append_chunk(struct bytes *to, const char *type, const void *data, size_t count)
{
    append_u32(to, (uint32_t)count);
    size_t from = to->size;
    append(to, type, 4);
    append(to, data, count);
    append_u32(to, (uint32_t)crc32(0, to->at + from, (uInt)(count + 4)));
}

static void append_ihdr(struct bytes *to, uint32_t width, uint32_t height, int depth, int type,
                        int interlaced)
{
    struct bytes head = {0};
    append_u32(&head, width);
    append_u32(&head, height);
    append(&head, (const uint8_t[]){(uint8_t)depth, (uint8_t)type, 0, 0, (uint8_t)interlaced}, 5);
    append_chunk(to, "IHDR", head.at, head.size);
    free(head.at);
}

/* IDAT of `count` bytes, each `value`, deflated. */
static void append_idat(struct bytes *to, size_t count, uint8_t value)
{
    uint8_t *raw = malloc(count + 1), *packed;
    uLongf size = compressBound(count);
    packed = malloc(size);
    memset(raw, value, count);
    cr_assert_eq(compress2(packed, &size, raw, count, 9), Z_OK);
    append_chunk(to, "IDAT", packed, size);
    free(raw);
    free(packed);
}

static const char SIGNATURE[] = "\x89PNG\r\n\x1a\n";

/* A PNG of one IDAT of zeros, rows * (1 + row_bytes) long. */
static struct bytes small_png(uint32_t width, uint32_t height, int depth, int type,
                              size_t row_bytes)
{
    struct bytes png = {0};
    append(&png, SIGNATURE, 8);
    append_ihdr(&png, width, height, depth, type, 0);
    append_idat(&png, height * (1 + row_bytes), 0);
    append_chunk(&png, "IEND", "", 0);
    return png;
}

/* Decodes and frees the file; returns the status; the message must hold `word`. */
static tsr_status try_file(struct bytes file, const char *word)
{
    struct tsr_picture p;
    error = (struct tsr_error){0};
    tsr_status status = tsr_picture_decode(&p, file.at, file.size, &error);
    cr_expect(status == TSR_OK ? p.rgb != NULL : p.rgb == NULL);
    cr_expect(strstr(error.message, word), "\"%s\" lacks \"%s\"", error.message, word);
    tsr_picture_free(&p);
    free(file.at);
    return status;
}

static size_t find(const struct bytes *file, const char *text, size_t count)
{
    for (size_t i = 0; i + count <= file->size; i++)
        if (!memcmp(file->at + i, text, count))
            return i;
    cr_assert_fail("no %s", text);
    return 0;
}

Test(picture, damaged_png_head)
{
    struct bytes png;
    static const struct {
        size_t at;
        uint8_t value;
    } faults[] = {{0, 0x09}, {4, '\n'}, {5, '\r'}, {7, '\r'}, {6, 0}, {1, 'p'}};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) { /* P01 */
        png = small_png(2, 2, 8, 2, 6);
        png.at[faults[i].at] = faults[i].value;
        cr_expect_eq(try_file(png, "not a PNG"), TSR_MALFORMED);
    }
    png = small_png(2, 2, 8, 2, 6); /* P02 */
    png.at[29] ^= 1;
    cr_expect_eq(try_file(png, "damaged PNG"), TSR_MALFORMED);
    png = small_png(2, 2, 8, 2, 6);
    png.at[11] = 12;
    cr_expect_eq(try_file(png, "damaged PNG"), TSR_MALFORMED);
    png = (struct bytes){0};
    append(&png, SIGNATURE, 8);
    append_ihdr(&png, 2, 2, 8, 2, 0);
    append_ihdr(&png, 2, 2, 8, 2, 0);
    append_idat(&png, 14, 0);
    append_chunk(&png, "IEND", "", 0);
    cr_expect_eq(try_file(png, "damaged PNG"), TSR_MALFORMED);
    png = (struct bytes){0};
    append(&png, SIGNATURE, 8);
    append_idat(&png, 14, 0);
    append_ihdr(&png, 2, 2, 8, 2, 0);
    cr_expect_eq(try_file(png, "damaged PNG"), TSR_MALFORMED);
    cr_expect_eq(try_file(small_png(0, 2, 8, 2, 6), "damaged PNG"), TSR_MALFORMED); /* P03 */
    cr_expect_eq(try_file(small_png(2, 0, 8, 2, 6), "damaged PNG"), TSR_MALFORMED);
    png = small_png(2, 2, 8, 2, 6);
    png.at[16] = 0x80; /* the sign bit of the width; the CRC anew */
    uint32_t crc = (uint32_t)crc32(0, png.at + 12, 17);
    memcpy(png.at + 29,
           (const uint8_t[]){(uint8_t)(crc >> 24), (uint8_t)(crc >> 16), (uint8_t)(crc >> 8),
                             (uint8_t)crc},
           4);
    cr_expect_eq(try_file(png, "damaged PNG"), TSR_MALFORMED);
    static const int pairs[][2] = {{8, 1}, {8, 9},  {0, 0}, {3, 0}, {99, 0},
                                   {4, 2}, {16, 3}, {2, 4}, {1, 6}}; /* P04 */
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        cr_expect_eq(try_file(small_png(2, 2, pairs[i][0], pairs[i][1], 6), "damaged PNG"),
                     TSR_MALFORMED);
}

static long peak_kib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

Test(picture, png_limits)
{
    struct bytes png = {0};
    long before = peak_kib();
    cr_expect_eq(try_file(small_png(60000, 60000, 1, 0, 1), "over the limit"),
                 TSR_UNSUPPORTED); /* P05 */
    cr_expect_lt(peak_kib() - before, 8 << 10);
    cr_expect_eq(try_file(small_png(65536, 1, 8, 0, 65536), "over the limit"), TSR_UNSUPPORTED);
    cr_expect_eq(try_file(small_png(65535, 1, 8, 0, 65535), ""), TSR_OK);
    before = peak_kib();
    append(&png, SIGNATURE, 8);
    append_ihdr(&png, 100, 100, 8, 0, 0);
    append_idat(&png, 1000 * 101 * 100, 0); /* P06 */
    append_chunk(&png, "IEND", "", 0);
    long made = peak_kib();
    cr_expect_eq(try_file(png, "damaged PNG"), TSR_MALFORMED);
    cr_expect_lt(peak_kib() - made, 8 << 10);
    (void)before;
    png = (struct bytes){0};
    append(&png, SIGNATURE, 8);
    append_ihdr(&png, 2, 2, 8, 2, 0);
    for (int i = 0; i < 10000; i++) /* P11 */
        append_chunk(&png, "tEXt", "key\0value", 9);
    uLongf size = compressBound(60 << 20);
    uint8_t *zeros = calloc(60 << 20, 1), *packed = malloc(size + 8);
    memcpy(packed, "key\0\0", 5);
    cr_assert_eq(compress2(packed + 5, &size, zeros, 60 << 20, 9), Z_OK);
    append_chunk(&png, "zTXt", packed, size + 5);
    append_chunk(&png, "iCCP", packed, size + 5);
    append_idat(&png, 14, 0);
    append_chunk(&png, "IEND", "", 0);
    free(zeros);
    free(packed);
    made = peak_kib();
    cr_expect_eq(try_file(png, ""), TSR_OK);
    cr_expect_lt(peak_kib() - made, 8 << 10);
}

Test(picture, damaged_png_body)
{
    struct bytes png = {0};
    append(&png, SIGNATURE, 8); /* P07 */
    append_ihdr(&png, 2, 2, 8, 2, 0);
    append_chunk(&png, "IEND", "", 0);
    cr_expect_eq(try_file(png, "damaged PNG"), TSR_MALFORMED);
    for (int i = 0; i < 4; i++) {
        png = (struct bytes){0};
        append(&png, SIGNATURE, 8);
        append_ihdr(&png, 2, 2, 8, 2, 0);
        if (i == 3) {
            append_idat(&png, 7, 0);
            append_chunk(&png, "tEXt", "k\0v", 3);
            append_idat(&png, 7, 0);
        } else {
            append_idat(&png, i == 0 ? 7 : 14, i == 1 ? 5 : 0); /* too few rows; P12: filter 5 */
        }
        if (i == 2) { /* Adler: the last byte but the CRC of IDAT */
            size_t last = png.size - 5;
            png.at[last] ^= 1;
            size_t idat = find(&png, "IDAT", 4);
            uint32_t crc = (uint32_t)crc32(0, png.at + idat, (uInt)(png.size - 4 - idat));
            png.size -= 4;
            append_u32(&png, crc);
        }
        append_chunk(&png, "IEND", "", 0);
        cr_expect_eq(try_file(png, "damaged PNG"), TSR_MALFORMED, "case %d", i);
    }
    png = small_png(2, 2, 8, 2, 6);
    png.at[find(&png, "IDAT", 4) + 6] ^= 0x10;
    cr_expect_eq(try_file(png, "damaged PNG"), TSR_MALFORMED);
    png = small_png(2, 2, 8, 2, 6); /* P08 */
    memset(png.at + find(&png, "IDAT", 4) - 4, 0xFF, 4);
    cr_expect_eq(try_file(png, "damaged PNG"), TSR_MALFORMED);
    png = small_png(2, 2, 8, 2, 6);
    png.at[find(&png, "IDAT", 4) - 2] = 1;
    cr_expect_eq(try_file(png, "truncated PNG"), TSR_MALFORMED);
    uint8_t palette[771] = {10, 20, 30};
    for (int i = 0; i < 4; i++) { /* P09, P10 */
        png = (struct bytes){0};
        append(&png, SIGNATURE, 8);
        append_ihdr(&png, 2, 2, 8, 3, 0);
        if (i)
            append_chunk(&png, "PLTE", palette, i == 1 ? 771 : 3);
        if (i == 2)
            append_chunk(&png, "tRNS", palette, 2);
        append_idat(&png, 6, 0);
        append_chunk(&png, "IEND", "", 0);
        cr_expect_eq(try_file(png, i == 3 ? "" : "damaged PNG"), i == 3 ? TSR_OK : TSR_MALFORMED,
                     "case %d", i);
    }
    png = (struct bytes){0};
    append(&png, SIGNATURE, 8);
    append_ihdr(&png, 2, 1, 8, 3, 0);
    append_chunk(&png, "PLTE", palette, 3);
    append_chunk(&png, "IDAT", "\x78\x01\x01\x03\x00\xFC\xFF\x00\x00\x09\x00\x0C\x00\x0A",
                 14); /* stored: 0, 0, 9 */
    append_chunk(&png, "IEND", "", 0);
    struct tsr_picture p;
    cr_assert_eq(tsr_picture_decode(&p, png.at, png.size, &error), TSR_OK, "%s", error.message);
    cr_expect_arr_eq(p.rgb, ((const uint8_t[]){10, 20, 30, 0, 0, 0}),
                     6); /* beyond the palette: black, as PIL */
    tsr_picture_free(&p);
    free(png.at);
}

/* Every cut is refused, every flipped bit refused or harmless. Frees the file. */
static void cut_and_flip(struct bytes file)
{
    struct tsr_picture p;
    for (size_t cut = 0; cut < file.size; cut++) {
        uint8_t *copy = malloc(cut + 1); /* so that a sanitizer sees a read beyond the end */
        memcpy(copy, file.at, cut);
        cr_expect_eq(tsr_picture_decode(&p, copy, cut, &error), TSR_MALFORMED, "cut at %zu", cut);
        cr_expect_null(p.rgb);
        free(copy);
    }
    for (size_t bit = 0; bit < file.size * 8; bit += file.size < 2000 ? 1 : 7) {
        file.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        tsr_status status = tsr_picture_decode(&p, file.at, file.size, &error);
        cr_expect(status == TSR_OK || status == TSR_MALFORMED || status == TSR_UNSUPPORTED);
        tsr_picture_free(&p);
        file.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    free(file.at);
}

Test(picture, cut_and_flipped_png, .timeout = 300)
{
    struct bytes png = {0};
    append(&png, SIGNATURE, 8);
    append_ihdr(&png, 9, 5, 8, 6, 1); /* interlaced: seven passes */
    append_idat(&png,
                1 * (1 + 8) + 1 * (1 + 4) + 1 * (1 + 12) + 2 * (1 + 8) + 1 * (1 + 20) +
                    3 * (1 + 16) + 2 * (1 + 36),
                0);
    append_chunk(&png, "IEND", "", 0);
    struct tsr_picture p;
    cr_assert_eq(tsr_picture_decode(&p, png.at, png.size, &error), TSR_OK, "%s", error.message);
    tsr_picture_free(&p);
    cut_and_flip(png);
    cut_and_flip(small_png(9, 5, 16, 2, 54));
    for (uint32_t height = 1; height <= 9; height += 8) { /* P13 */
        png = (struct bytes){0};
        append(&png, SIGNATURE, 8);
        append_ihdr(&png, 1, height, 8, 0, 1);
        append_idat(&png, height * 2, 0);
        append_chunk(&png, "IEND", "", 0);
        cr_expect_eq(try_file(png, ""), TSR_OK);
    }
}

/* ---- JPEG ---- */

struct recipe {
    int gray, progressive, arithmetic, cmyk, restarts, scans;
};

/* A JPEG of 33 x 17 pixels. */
static struct bytes make_jpeg(struct recipe how)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    static jpeg_scan_info script[1 + 63 + 63];
    unsigned char *at = NULL;
    unsigned long size = 0;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &at, &size);
    jpeg.image_width = 33;
    jpeg.image_height = 17;
    jpeg.input_components = how.gray ? 1 : how.cmyk ? 4 : 3;
    jpeg.in_color_space = how.gray ? JCS_GRAYSCALE : how.cmyk ? JCS_CMYK : JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 60, TRUE);
    jpeg.arith_code = how.arithmetic;
    jpeg.restart_interval = (unsigned)how.restarts;
    if (how.progressive)
        jpeg_simple_progression(&jpeg);
    if (how.scans) { /* each coefficient in two scans of its own */
        script[0] = (jpeg_scan_info){1, {0}, 0, 0, 0, 0};
        for (int i = 1; i < 64; i++) {
            script[i] = (jpeg_scan_info){1, {0}, i, i, 0, 1};
            script[63 + i] = (jpeg_scan_info){1, {0}, i, i, 1, 0};
        }
        jpeg.scan_info = script;
        jpeg.num_scans = how.scans;
    }
    jpeg_start_compress(&jpeg, TRUE);
    struct tsr_picture p = formula("wave", 44, 17); /* 33 * 4 bytes a row */
    while (jpeg.next_scanline < jpeg.image_height) {
        JSAMPROW row = p.rgb + jpeg.next_scanline * 132;
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    tsr_picture_free(&p);
    return (struct bytes){at, size};
}

/* Sets the byte at `offset` behind the two bytes of a marker (and the first `skip` such markers).
 */
static struct bytes with_byte(struct bytes jpeg, uint8_t marker, size_t offset, uint8_t value)
{
    jpeg.at[find(&jpeg, (const char[]){(char)0xFF, (char)marker}, 2) + 2 + offset] = value;
    return jpeg;
}

static const struct recipe plain = {0};

Test(picture, jpeg_decodes)
{
    static const struct recipe good[] = {
        {0}, {.gray = 1}, {.progressive = 1}, {.restarts = 1}, {.gray = 1, .scans = 100}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct bytes jpeg = make_jpeg(good[i]);
        struct tsr_picture p;
        cr_assert_eq(tsr_picture_decode(&p, jpeg.at, jpeg.size, &error), TSR_OK, "%s",
                     error.message);
        cr_expect(p.width == 33 && p.height == 17);
        for (size_t j = 0; good[i].gray && j < 33 * 17; j++)
            cr_assert(p.rgb[3 * j] == p.rgb[3 * j + 1] && p.rgb[3 * j] == p.rgb[3 * j + 2]);
        tsr_picture_free(&p);
        free(jpeg.at);
    }
}

Test(picture, damaged_jpeg)
{
    enum { SOF = 0xC0, DHT = 0xC4, SOS = 0xDA, DQT = 0xDB };
    struct bytes jpeg = make_jpeg(plain), twice = {0};
    size_t sof = find(&jpeg, "\xFF\xC0", 2), dqt = find(&jpeg, "\xFF\xDB", 2);
    append(&twice, jpeg.at, sof); /* J10 */
    append(&twice, jpeg.at + sof, 19);
    append(&twice, jpeg.at + sof, jpeg.size - sof);
    cr_expect_eq(try_file(twice, "SOF"), TSR_UNSUPPORTED);
    for (int i = 0; i < 4; i++) /* J06: DQT to APP12 */
        if (jpeg.at[dqt] == 0xFF && jpeg.at[dqt + 1] == DQT)
            jpeg.at[dqt + 1] = 0xEC, dqt += 2 + jpeg.at[dqt + 2] * 256u + jpeg.at[dqt + 3];
    cr_expect_eq(try_file(jpeg, "uantization"), TSR_MALFORMED);
    jpeg = (struct bytes){0};
    append(&jpeg, "\xFF\xD8", 2); /* J01 */
    cr_expect_eq(try_file(jpeg, "truncated"), TSR_MALFORMED);
    jpeg = with_byte(make_jpeg(plain), SOF, 4, 0); /* J02 */
    cr_expect_eq(try_file(with_byte(jpeg, SOF, 3, 0), "mpty"), TSR_MALFORMED);
    jpeg = with_byte(with_byte(make_jpeg(plain), SOF, 3, 0xFF), SOF, 4, 0xFF);
    cr_expect_eq(try_file(with_byte(with_byte(jpeg, SOF, 5, 0xFF), SOF, 6, 0xFF), "65500"),
                 TSR_UNSUPPORTED);
    jpeg = with_byte(with_byte(make_jpeg(plain), SOF, 3, 0xEA), SOF, 5, 0xEA);
    cr_expect_eq(try_file(jpeg, "over the limit"), TSR_UNSUPPORTED);
    for (uint8_t length = 0; length < 2; length++) /* J03 */
        cr_expect_eq(
            try_file(with_byte(with_byte(make_jpeg(plain), DQT, 0, 0), DQT, 1, length), "damaged"),
            TSR_MALFORMED);
    cr_expect_eq(try_file(with_byte(make_jpeg(plain), DHT, 0, 0xFF), ""), TSR_MALFORMED);
    cr_expect_eq(try_file(with_byte(make_jpeg(plain), DHT, 3, 200), "damaged"),
                 TSR_MALFORMED); /* J04 */
    cr_expect_eq(try_file(with_byte(make_jpeg(plain), SOS, 4, 0x33), "damaged"),
                 TSR_MALFORMED); /* J05 */
    cr_expect_eq(try_file(with_byte(make_jpeg(plain), SOF, 9, 0x00), "damaged"),
                 TSR_MALFORMED); /* J07 */
    cr_expect_eq(try_file(with_byte(make_jpeg(plain), SOF, 9, 0x55), "damaged"), TSR_MALFORMED);
    cr_expect_eq(try_file(with_byte(make_jpeg(plain), SOF, 7, 0), "damaged"), TSR_MALFORMED);
    cr_expect_eq(try_file(with_byte(make_jpeg(plain), SOF, 7, 5), "damaged"), TSR_MALFORMED);
    cr_expect_eq(try_file(with_byte(make_jpeg(plain), SOS, 5, 1), "damaged"),
                 TSR_MALFORMED);                    /* a component twice */
    struct recipe many = {.gray = 1, .scans = 101}; /* J08 */
    cr_expect_eq(try_file(make_jpeg(many), "100 scans"), TSR_UNSUPPORTED);
    struct recipe progressive = {.gray = 1, .progressive = 1}; /* J09 */
    cr_expect_eq(try_file(with_byte(make_jpeg(progressive), SOS, 5, 40), "damaged"), TSR_MALFORMED);
    cr_expect_eq(try_file(with_byte(make_jpeg(progressive), SOS, 7, 0xEE), "damaged"),
                 TSR_MALFORMED);
    struct recipe arithmetic = {.arithmetic = 1}, cmyk = {.cmyk = 1}; /* J11 */
    cr_expect_eq(try_file(make_jpeg(arithmetic), "arithmetic"), TSR_UNSUPPORTED);
    cr_expect_eq(try_file(make_jpeg(cmyk), "CMYK"), TSR_UNSUPPORTED);
    cr_expect_eq(try_file(with_byte(make_jpeg(plain), SOF, 2, 12), "precision"), TSR_UNSUPPORTED);
    jpeg = make_jpeg(plain);
    jpeg.at[find(&jpeg, "\xFF\xC0", 2) + 1] = 0xC3;
    cr_expect_eq(try_file(jpeg, "SOF"), TSR_UNSUPPORTED);
    struct recipe restarts = {.restarts = 1}; /* J12 */
    cr_expect_eq(try_file(with_byte(make_jpeg(restarts), 0xDD, 3, 2), "damaged"), TSR_MALFORMED);
    jpeg = make_jpeg(restarts);
    jpeg.at[find(&jpeg, "\xFF\xD1", 2) + 1] = 0xD5;
    cr_expect_eq(try_file(jpeg, "damaged"), TSR_MALFORMED);
    jpeg = make_jpeg(plain); /* J13 */
    struct bytes exif = {0};
    append(&exif, jpeg.at, 2);
    append(&exif,
           "\xFF\xE1\x00\x22"
           "Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x09\0\0\0\x08\0\0\0",
           36);
    append(&exif, jpeg.at + 2, jpeg.size - 2);
    free(jpeg.at);
    cr_expect_eq(try_file(exif, ""), TSR_OK);
}

Test(picture, cut_and_flipped_jpeg, .timeout = 300)
{
    static const struct recipe all[] = {{0}, {.progressive = 1}, {.gray = 1, .restarts = 1}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        cut_and_flip(make_jpeg(all[i]));
}

Test(picture, other_files)
{
    static const struct {
        const char *bytes, *word;
        size_t count;
        tsr_status status;
    } cases[] = {{"", "empty", 0, TSR_MALFORMED},
                 {"GIF89a..", "GIF", 8, TSR_UNSUPPORTED},
                 {"RIFF....WEBPVP8 ", "WebP", 16, TSR_UNSUPPORTED},
                 {"<!DOCTYPE html>", "not a PNG or JPEG", 15, TSR_MALFORMED},
                 {"\xFF", "not a PNG or JPEG", 1, TSR_MALFORMED}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes file = {0};
        append(&file, cases[i].bytes, cases[i].count);
        cr_expect_eq(try_file(file, cases[i].word), cases[i].status, "%s", error.message);
    }
    static const char *const paths[] = {"/nonexistent/x.png", "/dev/zero", "/tmp"}; /* F01 */
    struct tsr_picture p;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        cr_expect_eq(tsr_picture_read(&p, paths[i], &error), TSR_IO);
        cr_expect(strstr(error.message, paths[i]), "%s", error.message);
    }
}

/* ---- the writer ---- */

/* Number of entries of a folder. */
static size_t entries(const char *path)
{
    DIR *folder = opendir(path);
    size_t count = 0;
    cr_assert_not_null(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count - 2;
}

Test(picture, writes)
{
    char folder[] = "/tmp/tsr_picture_XXXXXX", path[64];
    static const char *const texts[] = {"prompt", "a red fox", "note", "caf\xc3\xa9", NULL};
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/fox.jpg", folder); /* P15: names do not count */
    struct tsr_picture p = formula("noise", 37, 11), back;
    for (int again = 0; again < 2; again++) {
        cr_assert_eq(tsr_picture_write(&p, path, texts, &error), TSR_OK, "%s", error.message);
        cr_expect_eq(entries(folder), 1);
        cr_assert_eq(tsr_picture_read(&back, path, &error), TSR_OK, "%s", error.message);
        cr_expect_eq(crc_of(&back), crc_of(&p));
        tsr_picture_free(&back);
    }
    struct bytes file = {0};
    char *data;
    size_t size;
    cr_assert_eq(tsr_file_read(&data, &size, path, 1 << 20, &error), TSR_OK);
    append(&file, data, size);
    find(&file, "tEXtprompt\0a red fox", 20);
    find(&file, "iTXtnote\0\0\0\0\0caf\xc3\xa9", 18);
    free(data);
    free(file.at);
    static const char *const bad[][3] = {
        {"", "x", NULL}, {" a", "x", NULL}, {"a\n", "x", NULL}, {"a", NULL, NULL}};
    for (size_t i = 0; i < 4; i++)
        cr_expect_eq(tsr_picture_write(&p, path, bad[i], &error), TSR_USAGE);
    unlink(path);
    rmdir(folder);
    tsr_picture_free(&p);
}

/* A write that fails says so, leaves nothing behind and the old file as it was. */
Test(picture, write_errors)
{
    char folder[] = "/tmp/tsr_picture_XXXXXX", path[64];
    struct tsr_picture p = formula("noise", 300, 200), small = formula("wave", 3, 2), back;
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/old.png", folder);
    cr_assert_eq(tsr_picture_write(&small, path, NULL, &error), TSR_OK);
    signal(SIGXFSZ, SIG_IGN);
    for (rlim_t limit = 0; limit < 180000; limit += limit < 200 ? 17 : 30011) {
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){limit, RLIM_INFINITY});
        tsr_status status = tsr_picture_write(&p, path, NULL, &error);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY});
        cr_expect_eq(status, TSR_IO, "limit %zu: %s", (size_t)limit, error.message);
        cr_expect_eq(entries(folder), 1);
    }
    cr_assert_eq(tsr_picture_read(&back, path, &error), TSR_OK);
    cr_expect_eq(crc_of(&back), crc_of(&small));
    cr_expect_eq(tsr_picture_write(&p, "/dev/full", NULL, &error), TSR_IO);
    cr_expect(strstr(error.message, "/dev/full"), "%s", error.message);
    cr_expect_eq(tsr_picture_write(&p, "/nonexistent/x.png", NULL, &error), TSR_IO);
    cr_expect_eq(tsr_picture_write(&p, folder, NULL, &error), TSR_IO);
    cr_expect_eq(tsr_picture_write(&p, "/dev/null", NULL, &error), TSR_OK);
    snprintf(path, sizeof path, "%s/old.png.tmp.1.0",
             folder); /* what a killed writer has left goes with the next */
    FILE *stale = fopen(path, "w");
    cr_assert_not_null(stale);
    fclose(stale);
    snprintf(path, sizeof path, "%s/old.png", folder);
    cr_expect_eq(tsr_picture_write(&small, path, NULL, &error), TSR_OK);
    cr_expect_eq(entries(folder), 1);
    unlink(path);
    rmdir(folder);
    tsr_picture_free(&p);
    tsr_picture_free(&small);
    tsr_picture_free(&back);
}
