/*
 * quant_safetensors.c: checkpoint folders: what is read, what is refused and in which words.
 *
 * Malformed headers are cases of tests/hostile.
 */
#include <config.h>

#include "json.h"
#include "quant_files.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define OK(call) cr_assert((call) == TSR_OK, "%s: %s", #call, error.message)

/* A tensor "x" of two f32, which the first 8 bytes of the data hold. */
#define X "\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}"
/* A tensor "x" with a shape and a range. */
#define SHAPED(shape, range)                                                                       \
    "{\"x\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":" range "}}"

/* Writes folder/name: a safetensors file with this header and `data` bytes of data 0, 1, 2, ... */
static void safetensors_write(const char *folder, const char *name, const char *json,
                              int64_t length, size_t data)
{
    struct bytes bytes = {0};
    char *path = path_in(folder, name);
    uint64_t declared = length < 0 ? strlen(json) : (uint64_t)length;

    bytes_add(&bytes, &declared, 8);
    bytes_add(&bytes, json, strlen(json));
    for (size_t i = 0; i < data; i++)
        bytes_add(&bytes, &(char){(char)i}, 1);
    file_write(path, bytes.data, bytes.used);
    bytes_free(&bytes);
    free(path);
}

/* Opens and closes. */
static tsr_status open_folder(const char *folder, struct tsr_error *error)
{
    tsr_checkpoint *checkpoint;
    tsr_status status = tsr_checkpoint_open(&checkpoint, folder, error);

    if (status == TSR_OK)
        tsr_checkpoint_close(checkpoint);
    return status;
}

/* Files that are something else altogether. */
Test(safetensors, other_files)
{
    static const struct {
        const char *script, *says;
    } cases[] = {
        {"", "empty file"},
        {"b1", "header too small: 1 bytes"},
        {"q0", "empty header"},
        {"z7", "header too small: 7 bytes"},
        {"q-1 z100", "header too large: 18446744073709551615"},
        {"'version https://git-lfs.github.com/spec/v1' z9", "Git LFS pointer"},
        {"'<!DOCTYPE html>' z100", "web page"},
        {"'PK\\x03\\x04' z100", "zip archive or PyTorch pickle"},
        {"'\\x80\\x04\\x95' z100", "Python pickle"},
        {"'GGUF' d3 z100", "it is a GGUF file"},
    };
    char *folder = folder_make(), *path = path_in(folder, "model.safetensors");

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bytes bytes = {0};
        struct tsr_error error = {0};

        assemble(&bytes, cases[i].script);
        file_write(path, bytes.data, bytes.used);
        expect_error(cases[i].says, open_folder(folder, &error), &error, TSR_MALFORMED,
                     cases[i].says);
        bytes_free(&bytes);
    }
    free(path);
    folder_remove(folder);
}

/* S10: 10,000 tensors on the same bytes; S20: a value of 50 MB; a header within the format's limit
 * but beyond ours. */
Test(safetensors, large_headers)
{
    char *folder = folder_make(), *path = path_in(folder, "model.safetensors"), text[120];
    struct bytes json = {0}, file = {0};
    struct tsr_error error = {0};
    uint64_t length;

    bytes_add(&json, "{", 1);
    for (int i = 0; i < 10000; i++) {
        snprintf(text, sizeof text,
                 "%s\"t%d\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}", i ? "," : "",
                 i);
        bytes_add(&json, text, strlen(text));
    }
    bytes_add(&json, "}", 2);
    safetensors_write(folder, "model.safetensors", json.data, -1, 8);
    expect_error("S10", open_folder(folder, &error), &error, TSR_MALFORMED, "overlap");
    bytes_free(&json);

    bytes_add(&json, "{\"__metadata__\":{\"a\":\"", 22);
    for (int i = 0; i < 500000; i++)
        bytes_add(&json,
                  "01234567890123456789012345678901234567890123456789012345678901234567890123456789"
                  "01234567890123456789",
                  100);
    bytes_add(&json, "\"}}", 3);
    length = json.used;
    bytes_add(&file, &length, 8);
    bytes_add(&file, json.data, json.used);
    file_write(path, file.data, file.used);
    expect_error("S20", open_folder(folder, &error), &error, TSR_UNSUPPORTED, "header too large");
    bytes_free(&json);
    bytes_free(&file);
    free(path);
    folder_remove(folder);
}

Test(safetensors, truncation)
{
    static const char json[] =
        "{" X ",\"y\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[8,16]}}";
    char *folder = folder_make(), *path = path_in(folder, "model.safetensors");
    struct tsr_error error = {0};
    struct bytes bytes;

    safetensors_write(folder, "model.safetensors", json, -1, 16);
    OK(open_folder(folder, &error));
    bytes = file_bytes(path);
    for (size_t cut = 0; cut < bytes.used; cut++) {
        file_write(path, bytes.data, cut);
        expect_error("cut", open_folder(folder, &error), &error, TSR_MALFORMED,
                     "model.safetensors: ");
    }
    bytes_free(&bytes);
    free(path);
    folder_remove(folder);
}

/* ---- values ---- */

Test(safetensors, values)
{
    static const char json[] =
        "{\"half\":{\"dtype\":\"F16\",\"shape\":[2,2],\"data_offsets\":[0,8]},"
        "\"brain\":{\"dtype\":\"BF16\",\"shape\":[4],\"data_offsets\":[8,16]},"
        "\"single\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[16,24]},"
        "\"wide\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[24,32]},"
        "\"ids\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[32,40]}}";
    static const struct {
        const char *name;
        uint32_t format;
        unsigned dims;
        size_t count;
        float values[4];
    } expected[] = {
        {"half", TSR_F16, 2, 4, {1, -2, 65504, 0x1p-24f}},
        {"brain", TSR_BF16, 1, 4, {1, -2, 0x1p127f, 3.140625f}},
        {"single", TSR_F32, 2, 2, {1.5f, -0.1f}},
        {"wide", TSR_F32, 0, 1, {0.1f}},
        {"ids", ~0u, 1, 1, {0}},
    };
    char *folder = folder_make(), *path = path_in(folder, "model.safetensors");
    struct bytes bytes = {0};
    struct tsr_error error = {0};
    tsr_checkpoint *checkpoint;
    uint64_t length = sizeof json - 1;
    float out[4];

    setlocale(LC_ALL,
              "de_DE.UTF-8"); /* a decimal comma, where there is such a locale, changes nothing */
    bytes_add(&bytes, &length, 8);
    bytes_add(&bytes, json, length);
    assemble(&bytes, "d0xc0003c00 d0x00017bff d0xc0003f80 d0x40497f00 ");
    bytes_add(&bytes, expected[2].values, 8);
    bytes_add(&bytes, &(double){0.1}, 8);
    assemble(&bytes, "q77");
    file_write(path, bytes.data, bytes.used);
    OK(tsr_checkpoint_open(&checkpoint, folder, &error));
    cr_assert(tsr_checkpoint_count(checkpoint) == 5);
    for (size_t i = 0; i < 5; i++) {
        const struct tsr_checkpoint_tensor *tensor =
            tsr_checkpoint_find(checkpoint, expected[i].name);

        cr_assert_not_null(tensor);
        cr_expect(tensor == tsr_checkpoint_at(checkpoint, i), "the order is that of the data");
        cr_expect(tensor->format == expected[i].format && tensor->dims == expected[i].dims &&
                  tensor->count == expected[i].count);
        if (tensor->format == ~0u) {
            expect_error("I64", tsr_checkpoint_read(checkpoint, tensor, 0, 1, out, &error), &error,
                         TSR_UNSUPPORTED, "'ids': dtype I64");
            continue;
        }
        for (size_t first = 0; first <= tensor->count; first++) {
            size_t count = tensor->count - first;

            OK(tsr_checkpoint_read(checkpoint, tensor, first, count, out, &error));
            cr_expect(memcmp(out, expected[i].values + first, count * sizeof *out) == 0,
                      "%s from %zu", tensor->name, first);
            expect_error("too far",
                         tsr_checkpoint_read(checkpoint, tensor, first, count + 1, out, &error),
                         &error, TSR_INTERNAL, tensor->name);
        }
    }
    cr_expect_null(tsr_checkpoint_at(checkpoint, 5));
    cr_expect_null(tsr_checkpoint_find(checkpoint, "hal"));
    tsr_checkpoint_close(checkpoint);
    bytes_free(&bytes);
    free(path);
    folder_remove(folder);
}

/* A tensor larger than the buffer of conversion, read whole and in pieces. */
Test(safetensors, long_reads)
{
    enum { COUNT = 100003 };
    char *folder = folder_make(), *path = path_in(folder, "model.safetensors"), json[100];
    struct bytes bytes = {0};
    struct tsr_error error = {0};
    tsr_checkpoint *checkpoint;
    float *whole = malloc(COUNT * sizeof *whole), *piece = malloc(COUNT * sizeof *piece);
    const struct tsr_checkpoint_tensor *tensor;
    uint64_t length;

    length = (uint64_t)snprintf(
        json, sizeof json, "{\"x\":{\"dtype\":\"BF16\",\"shape\":[%d],\"data_offsets\":[0,%d]}}",
        COUNT, 2 * COUNT);
    bytes_add(&bytes, &length, 8);
    bytes_add(&bytes, json, length);
    for (unsigned i = 0; i < COUNT; i++)
        bytes_add(&bytes, &(uint16_t){(uint16_t)(i % 0x7f00)}, 2);
    file_write(path, bytes.data, bytes.used);
    OK(tsr_checkpoint_open(&checkpoint, folder, &error));
    tensor = tsr_checkpoint_at(checkpoint, 0);
    OK(tsr_checkpoint_read(checkpoint, tensor, 0, COUNT, whole, &error));
    for (size_t at = 0; at < COUNT; at += 33333)
        OK(tsr_checkpoint_read(checkpoint, tensor, at, COUNT - at < 33333 ? COUNT - at : 33333,
                               piece + at, &error));
    cr_expect(memcmp(whole, piece, COUNT * sizeof *whole) == 0);
    for (unsigned i = 0; i < COUNT; i++) {
        uint32_t bits = i % 0x7f00 << 16;

        cr_assert(memcmp(&whole[i], &bits, 4) == 0);
    }
    tsr_checkpoint_close(checkpoint);
    bytes_free(&bytes);
    free(whole);
    free(piece);
    free(path);
    folder_remove(folder);
}

/* ---- folders ---- */

#define Y "\"y\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}"
#define INDEX(map) "{\"metadata\":{\"total_size\":16},\"weight_map\":" map "}"

static void text_write(const char *folder, const char *name, const char *text)
{
    char *path = path_in(folder, name);

    file_write(path, text, strlen(text));
    free(path);
}

/* S21, S22: the index of a folder that has a.safetensors (x), b.safetensors (y), c.safetensors (y),
 * a link out of it. */
Test(checkpoint, index)
{
    static const struct {
        const char *name, *index;
        tsr_status status;
        const char *says;
    } cases[] = {
        {"good", INDEX("{\"x\":\"a.safetensors\",\"y\":\"b.safetensors\"}"), TSR_OK, ""},
        {"S21 parent", INDEX("{\"x\":\"../a.safetensors\"}"), TSR_MALFORMED,
         "outside of the model folder"},
        {"S21 root", INDEX("{\"x\":\"/etc/passwd\"}"), TSR_MALFORMED,
         "outside of the model folder"},
        {"S21 ..", INDEX("{\"x\":\"..\"}"), TSR_MALFORMED, "outside of the model folder"},
        {"S21 nothing", INDEX("{\"x\":\"\"}"), TSR_MALFORMED, "outside of the model folder"},
        {"S21 below", INDEX("{\"x\":\"sub/a.safetensors\"}"), TSR_MALFORMED,
         "outside of the model folder"},
        {"S21 link", INDEX("{\"x\":\"link.safetensors\"}"), TSR_MALFORMED,
         "link to a path outside"},
        {"S21 NUL", INDEX("{\"x\":\"a.safetensors\\u0000\"}"), TSR_MALFORMED, "bad JSON"},
        {"S22 missing", INDEX("{\"x\":\"a.safetensors\",\"y\":\"z.safetensors\"}"), TSR_IO,
         "'z.safetensors'"},
        {"S22 twice",
         INDEX("{\"x\":\"a.safetensors\",\"y\":\"b.safetensors\",\"z\":\"c.safetensors\"}"),
         TSR_MALFORMED, "'y' is in two shards, 'b.safetensors' and 'c.safetensors'"},
        {"S22 lacks", INDEX("{\"x\":\"a.safetensors\",\"z\":\"a.safetensors\"}"), TSR_MALFORMED,
         "shard 'a.safetensors' lacks tensor 'z'"},
        {"S22 elsewhere", INDEX("{\"x\":\"b.safetensors\",\"y\":\"b.safetensors\"}"), TSR_MALFORMED,
         "shard 'b.safetensors' lacks tensor 'x'"},
        {"not text", INDEX("{\"x\":7}"), TSR_MALFORMED, "the file of 'x' is not text"},
        {"no map", INDEX("[]"), TSR_MALFORMED, "weight_map is not an object"},
        {"no map at all", "{}", TSR_MALFORMED, "weight_map is not an object"},
        {"twice in the map", INDEX("{\"x\":\"a.safetensors\",\"x\":\"b.safetensors\"}"),
         TSR_MALFORMED, "duplicate"},
        {"no JSON", "{", TSR_MALFORMED, "bad JSON at byte"},
        {"a list", "[]", TSR_MALFORMED, "an object is wanted"},
        {"a folder", INDEX("{\"x\":\"sub\"}"), TSR_IO, "sub: is a folder"},
    };
    char *folder = folder_make(), *other = folder_make();
    char *link = path_in(folder, "link.safetensors"), *target = path_in(other, "x.safetensors");
    char *sub = path_in(folder, "sub");

    safetensors_write(folder, "a.safetensors", "{" X "}", -1, 8);
    safetensors_write(folder, "b.safetensors", "{" Y "}", -1, 8);
    safetensors_write(folder, "c.safetensors", "{" Y "}", -1, 8);
    safetensors_write(other, "x.safetensors", "{" X "}", -1, 8);
    cr_assert(symlink(target, link) == 0 && mkdir(sub, 0700) == 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tsr_error error = {0};

        text_write(folder, "model.safetensors.index.json", cases[i].index);
        expect_error(cases[i].name, open_folder(folder, &error), &error, cases[i].status,
                     cases[i].says);
    }
    free(link);
    free(target);
    free(sub);
    folder_remove(folder);
    folder_remove(other);
}

/* The cache of huggingface_hub: MODEL/snapshots/REVISION/model.safetensors -> ../../blobs/HASH;
 * nothing else outside. */
Test(checkpoint, links_of_a_snapshot)
{
    char *model = folder_make(), *blobs = path_in(model, "blobs"),
         *snapshots = path_in(model, "snapshots");
    char *revision = path_in(snapshots, "1a2b"), *link = path_in(revision, "model.safetensors");
    struct tsr_error error = {0};

    cr_assert(mkdir(blobs, 0700) == 0 && mkdir(snapshots, 0700) == 0 && mkdir(revision, 0700) == 0);
    safetensors_write(blobs, "77aa", "{" X "}", -1, 8);
    safetensors_write(model, "77aa", "{" X "}", -1, 8);
    safetensors_write(revision, "77aa", "{" X "}", -1, 8);
    cr_assert(symlink("../../blobs/77aa", link) == 0);
    OK(open_folder(revision, &error));
    cr_assert(unlink(link) == 0 && symlink("77aa", link) == 0);
    OK(open_folder(revision, &error));
    cr_assert(unlink(link) == 0 && symlink("../../77aa", link) == 0);
    expect_error("outside", open_folder(revision, &error), &error, TSR_MALFORMED,
                 "outside of the model folder");
    cr_assert(unlink(link) == 0 && symlink("nowhere", link) == 0);
    expect_error("nowhere", open_folder(revision, &error), &error, TSR_IO, "model.safetensors");
    free(link);
    free(blobs);
    free(snapshots);
    free(revision);
    folder_remove(model);
}

Test(checkpoint, folders_that_hold_something_else)
{
    static const struct {
        const char *file;
        tsr_status status;
        const char *says;
    } cases[] = {
        {"config.json", TSR_IO, "no model.safetensors in the folder"},
        {"model.gguf", TSR_UNSUPPORTED, "holds GGUF files"},
        {"pytorch_model.bin", TSR_UNSUPPORTED, "deepseek-community/Janus-Pro-1B"},
        {"diffusion.safetensors", TSR_UNSUPPORTED, "not named model.safetensors"},
    };
    char *folder = folder_make(), *file = path_in(folder, "config.json");
    struct tsr_error error = {0};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) { /* each joins those before it */
        text_write(folder, cases[i].file, "{}");
        expect_error(cases[i].file, open_folder(folder, &error), &error, cases[i].status,
                     cases[i].says);
    }
    expect_error("a file", open_folder(file, &error), &error, TSR_UNSUPPORTED,
                 "config.json: not a folder");
    expect_error("absent", open_folder("/nonexistent", &error), &error, TSR_IO, "/nonexistent");
    free(file);
    folder_remove(folder);
}

/* 100,000 tensors open within seconds: nothing is quadratic. */
Test(checkpoint, many_tensors)
{
    enum { MANY = 100000 };
    char *folder = folder_make(), *path = path_in(folder, "model.safetensors"), text[120];
    struct bytes json = {0}, file = {0};
    struct tsr_error error = {0};
    struct timespec start, end;
    uint64_t length;

    bytes_add(&json, "{", 1);
    for (int i = 0; i < MANY; i++) {
        snprintf(text, sizeof text,
                 "%s\"t%d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%d,%d]}",
                 i ? "," : "", i, i, i + 1);
        bytes_add(&json, text, strlen(text));
    }
    bytes_add(&json, "}", 1);
    length = json.used;
    bytes_add(&file, &length, 8);
    bytes_add(&file, json.data, json.used);
    for (int i = 0; i < MANY; i++)
        bytes_add(&file, "", 1);
    file_write(path, file.data, file.used);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    OK(open_folder(folder, &error));
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    cr_expect((double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec) <
              5);
    bytes_free(&json);
    bytes_free(&file);
    free(path);
    folder_remove(folder);
}

/* ---- JSON ---- */

Test(json, depth)
{
    struct tsr_error error = {0};
    struct bytes text = {0};
    json_t *root;

    assemble(&text, "'{\"a\":' *127{'['} *127{']'} '}'");
    OK(tsr_json_load(&root, text.data, text.used, "f.json", &error));
    json_decref(root);
    bytes_free(&text);
    assemble(&text, "'{\"a\":' *128{'['} *128{']'} '}'");
    expect_error("129", tsr_json_load(&root, text.data, text.used, "f.json", &error), &error,
                 TSR_MALFORMED, "f.json: bad JSON at byte 132: nested deeper than 128");
    bytes_free(&text);
    assemble(&text, "*100000{'['}");
    expect_error("C02", tsr_json_load(&root, text.data, text.used, "f.json", &error), &error,
                 TSR_MALFORMED, "nested deeper");
    bytes_free(&text);
    assemble(&text, "'{\"' *1000{'[\\\\\"{'} '\":1}'"); /* brackets in a string do not count */
    OK(tsr_json_load(&root, text.data, text.used, "f.json", &error));
    json_decref(root);
    bytes_free(&text);
}
