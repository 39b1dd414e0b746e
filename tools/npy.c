/*
 * npy.c: arrays in numpy's .npy format, version 1.0 (numpy.lib.format), and lists of ids.
 *
 * What is written: C order, little-endian, the header padded to 64 bytes. What is read: one-dimensional or
 * higher int32 or int64 arrays, or text with numbers between blanks or commas. Files are untrusted: sizes
 * come from what was read, every number is checked to fit an int32 that is not negative.
 */
#include "program.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { IDS_FILE_MAX = 64 << 20 };

static size_t element_bytes(const char *type)
{
    return (size_t)(type[2] - '0');
}

int npy_write(const char *folder, const char *name, const char *type, const void *data,
              const size_t *shape, size_t dims)
{
    char path[4096], header[256], size[128] = "";
    size_t count = 1, length;
    FILE *file;
    int ok;

    for (size_t i = 0; i < dims; i++) {
        const size_t at = strlen(size);

        snprintf(size + at, sizeof size - at, "%zu,", shape[i]);
        count *= shape[i];
    }
    snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", type, size);
    length = strlen(header);
    while ((10 + length + 1) % 64 != 0)
        header[length++] = ' ';
    header[length++] = '\n';
    if (snprintf(path, sizeof path, "%s/%s.npy", folder, name) >= (int)sizeof path)
        return program_error(TSR_IO, "the path of %s.npy is too long", name);
    file = fopen(path, "wbe");
    if (file == NULL)
        return program_error(TSR_IO, "%.200s: %s", path, strerror(errno));
    ok = fwrite("\x93NUMPY\x01\x00", 1, 8, file) == 8;
    ok = ok && fputc((int)(length & 255), file) != EOF && fputc((int)(length >> 8), file) != EOF;
    ok = ok && fwrite(header, 1, length, file) == length;
    ok = ok && fwrite(data, element_bytes(type), count, file) == count;
    ok = (fclose(file) == 0) && ok;
    if (!ok) {
        remove(path);
        return program_error(TSR_IO, "%.200s: write error: %s", path, strerror(errno));
    }
    return 0;
}

static int bad_ids(const char *path, const char *why)
{
    return program_error(TSR_MALFORMED, "%.200s: %s", path, why);
}

/* Integers of `width` bytes at `data`. */
static int ids_from_binary(const char *path, const char *data, size_t bytes, size_t width,
                           int32_t *values, size_t *count)
{
    if (bytes % width != 0)
        return bad_ids(path, "the array is cut short");
    *count = bytes / width;
    for (size_t i = 0; i < *count; i++) {
        int64_t value;

        if (width == 8) {
            memcpy(&value, data + 8 * i, 8);
        } else {
            int32_t narrow;

            memcpy(&narrow, data + 4 * i, 4);
            value = narrow;
        }
        if (value < 0 || value > INT32_MAX)
            return bad_ids(path, "an id is negative or too large");
        values[i] = (int32_t)value;
    }
    return 0;
}

static int ids_from_text(const char *path, const char *text, int32_t *values, size_t *count)
{
    *count = 0;
    for (;;) {
        char *end;
        long long value;

        while (isspace((unsigned char)*text) || *text == ',' || *text == '[' || *text == ']')
            text++;
        if (*text == '\0')
            return 0;
        value = isdigit((unsigned char)*text) ? strtoll(text, &end, 10) : -1;
        if (value < 0 || value > INT32_MAX)
            return bad_ids(path, "not a list of ids");
        values[(*count)++] = (int32_t)value;
        text = end;
    }
}

int ids_read(const char *path, int32_t **values, size_t *count)
{
    struct tsr_error error;
    char *data;
    size_t bytes;
    int code;

    if (tsr_file_read(&data, &bytes, path, IDS_FILE_MAX, &error) != TSR_OK)
        return program_fail(&error);
    *values = malloc((bytes + 1) * sizeof **values); /* each id takes at least one byte */
    if (*values == NULL) {
        free(data);
        return program_error(TSR_MEMORY, "no memory for %.200s", path);
    }
    if (bytes >= 10 && memcmp(data, "\x93NUMPY\x01\x00", 8) == 0) {
        const size_t start = 10 + (size_t)(unsigned char)data[8] + 256 * (size_t)(unsigned char)data[9];
        char header[512] = "";

        if (start > bytes || start - 10 >= sizeof header) {
            code = bad_ids(path, "damaged .npy header");
        } else {
            memcpy(header, data + 10, start - 10);
            if (strstr(header, "'fortran_order': False") == NULL)
                code = bad_ids(path, "the .npy array must be in C order");
            else if (strstr(header, "'<i4'") != NULL)
                code = ids_from_binary(path, data + start, bytes - start, 4, *values, count);
            else if (strstr(header, "'<i8'") != NULL)
                code = ids_from_binary(path, data + start, bytes - start, 8, *values, count);
            else
                code = bad_ids(path, "the .npy array must be of int32 or int64");
        }
    } else {
        code = ids_from_text(path, data, *values, count);
    }
    free(data);
    if (code != 0) {
        free(*values);
        *values = NULL;
    }
    return code;
}
