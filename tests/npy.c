/*
 * npy.c: see npy.h. The header is a Python dict in a fixed form: {'descr': '<f4', 'fortran_order':
 * False, 'shape': (2, 3), }.
 */
#include <criterion/criterion.h>

#include "npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *fixture_path(const char *folder, const char *file)
{
    static char path[4][4096];
    static unsigned next;
    const char *root = getenv("TSR_SRCDIR");
    char *out = path[next++ % 4];

    snprintf(out, sizeof path[0], "%s/tests/fixtures/%s/%s", root != NULL ? root : ".", folder,
             file);
    return out;
}

static void parse(struct npy *array, const char *header)
{
    const char *descr = strstr(header, "'descr': '"), *shape = strstr(header, "'shape': (");

    cr_assert(descr != NULL && shape != NULL && strstr(header, "'fortran_order': False") != NULL);
    memcpy(array->type, descr + 10, 3);
    array->count = 1;
    for (shape += 10; *shape != ')';) {
        char *end;
        array->shape[array->dims] = strtoul(shape, &end, 10);
        array->count *= array->shape[array->dims++];
        for (shape = end; *shape == ',' || *shape == ' ';)
            shape++;
    }
}

struct npy npy_read(const char *folder, const char *name, const char *type)
{
    struct npy array = {.dims = 0};
    unsigned char magic[10];
    char file[256], header[1024] = "";
    FILE *stream;

    snprintf(file, sizeof file, "%s.npy", name);
    stream = fopen(fixture_path(folder, file), "rb");
    cr_assert(stream != NULL, "%s cannot be opened", fixture_path(folder, file));
    cr_assert_eq(fread(magic, 1, 10, stream), 10);
    cr_assert(memcmp(magic, "\x93NUMPY\x01", 7) == 0);
    const size_t length = magic[8] + 256u * magic[9];
    cr_assert(length < sizeof header && fread(header, 1, length, stream) == length);
    parse(&array, header);
    cr_assert(strcmp(array.type, type) == 0, "%s holds %s", file, array.type);
    const size_t bytes = array.count * (size_t)(type[2] - '0');
    array.data = malloc(bytes + 1);
    cr_assert_eq(fread(array.data, 1, bytes, stream), bytes);
    fclose(stream);
    return array;
}

void npy_free(struct npy *array)
{
    free(array->data);
    array->data = NULL;
}
