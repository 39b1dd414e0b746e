/*
 * test_picture.c: resizing and preprocessing against PIL (fixtures by CRC), PNG and JPEG against files made here, damaged
 * files, and the writer.
 */
#include <config.h>

#include <criterion/criterion.h>
#include <dirent.h>
#include <jansson.h>
#include <png.h>
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

/* ---- PIL ------------------------------------------------------------------------------------------------ */

Test(picture, resize_equals_pil)
{
    json_t *cases = json_load_file(fixture("resize/cases.json"), 0, NULL), *row;
    json_t *list = json_object_get(cases, "resize");
    size_t i;
    cr_assert_geq(json_array_size(list), 50);
    json_array_foreach(list, i, row)
    {
        struct tsr_picture in = formula(word(row, "kind"), number(row, "width"), number(row, "height")), out;
        enum tsr_filter filter = !strcmp(word(row, "filter"), "lanczos") ? TSR_LANCZOS : TSR_BICUBIC;
        cr_assert_eq(tsr_picture_resize(&out, &in, number(row, "to_width"), number(row, "to_height"), filter, &error),
                     TSR_OK, "%s", error.message);
        cr_expect_eq(crc_of(&out), number(row, "crc32"), "%s %zux%zu to %zux%zu", word(row, "filter"), in.width, in.height,
                     out.width, out.height);
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
        struct tsr_picture in = formula(word(row, "kind"), number(row, "width"), number(row, "height")), out;
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
