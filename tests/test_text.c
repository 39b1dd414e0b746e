/*
 * test_text.c: the tokenizer against the ids of the library `tokenizers`, through a GGUF file and without; damaged
 * tokenizer.json files; texts that tempt an implementation into quadratic time or deep stacks; prompt formats.
 *
 * Expected ids and texts lie in tests/fixtures (made by tests/reference/tokenizer_cases.py).
 */
#include <config.h>

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "text/text.h"

static const char *fixture(const char *folder, const char *name)
{
    static char path[4096];
    const char *root = getenv("TSR_SRCDIR");
    snprintf(path, sizeof path, "%s/tests/fixtures/%s%s", root ? root : ".", folder, name);
    return path;
}

static char *read_file(const char *path, size_t *bytes)
{
    struct tsr_error error = {0};
    char *data;
    cr_assert_eq(tsr_file_read(&data, bytes, path, 64 << 20, &error), TSR_OK, "%s", error.message);
    return data;
}

static tsr_tokenizer *from_text(const char *json)
{
    struct tsr_error error = {0};
    tsr_tokenizer *t;
    cr_assert_eq(tsr_tokenizer_from_json(&t, json, strlen(json), &error), TSR_OK, "%s", error.message);
    return t;
}

/* Writes the tokenizer to a GGUF file and reads it back. */
static tsr_tokenizer *through_gguf(tsr_tokenizer *t)
{
    struct tsr_error error = {0};
    char path[] = "/tmp/tsr_text_XXXXXX";
    int fd = mkstemp(path);
    cr_assert(fd >= 0);
    close(fd);
    tsr_gguf_writer *writer;
    tsr_gguf *file;
    tsr_tokenizer *again;
    cr_assert_eq(tsr_gguf_writer_new(&writer, path, &error), TSR_OK, "%s", error.message);
    cr_assert_eq(tsr_gguf_set_string(writer, "general.architecture", "test", 4, &error), TSR_OK);
    cr_assert_eq(tsr_tokenizer_store(t, writer, &error), TSR_OK, "%s", error.message);
    cr_assert_eq(tsr_gguf_begin(writer, &error), TSR_OK, "%s", error.message);
    cr_assert_eq(tsr_gguf_finish(writer, &error), TSR_OK, "%s", error.message);
    tsr_gguf_writer_free(writer);
    cr_assert_eq(tsr_gguf_open(&file, path, TSR_LOAD_MAP, 0, &error), TSR_OK, "%s", error.message);
    unlink(path);
    cr_assert_eq(tsr_tokenizer_load(&again, file, &error), TSR_OK, "%s", error.message);
    tsr_gguf_close(file);
    tsr_tokenizer_free(t);
    return again;
}

/* Encodes text as one span; the caller frees *ids. */
static size_t encode(const tsr_tokenizer *t, const char *bytes, size_t size, enum tsr_span_kind kind, int special,
                     int32_t **ids)
{
    struct tsr_error error = {0};
    struct tsr_text text = {0};
    size_t count;
    cr_assert_eq(tsr_text_add(&text, bytes, size, kind, &error), TSR_OK);
    cr_assert_eq(tsr_tokenizer_encode(t, &text, special, ids, &count, &error), TSR_OK, "%s", error.message);
    tsr_text_free(&text);
    return count;
}

/* The ids of a JSON array; the caller frees them. */
static int32_t *ids_of(const json_t *array, size_t *count)
{
    *count = json_array_size(array);
    int32_t *ids = calloc(*count + 1, sizeof *ids);
    for (size_t i = 0; i < *count; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(array, i));
    return ids;
}

/* ---- fixtures ------------------------------------------------------------------------------------------- */

static void check_encode(const tsr_tokenizer *t, const json_t *row)
{
    size_t want_count;
    int32_t *want = ids_of(json_object_get(row, "ids"), &want_count), *ids;
    const json_t *text = json_object_get(row, "text");
    size_t count =
        encode(t, json_string_value(text), json_string_length(text), TSR_SPAN_TEMPLATE, 1, &ids);
    int same = count == want_count && !memcmp(ids, want, count * sizeof *ids);
    cr_expect(same, "\"%s\": %zu ids, expected %zu", json_string_value(text), count, want_count);
    free(ids);
    free(want);
}

static void check_decode(const tsr_tokenizer *t, const json_t *row)
{
    struct tsr_error error = {0};
    size_t count, bytes;
    char *text;
    int32_t *ids = ids_of(json_object_get(row, "ids"), &count);
    const json_t *want = json_object_get(row, "text");
    cr_assert_eq(tsr_tokenizer_decode(t, ids, count, json_is_true(json_object_get(row, "skip_special")), &text, &bytes,
                                      &error),
                 TSR_OK);
    cr_expect(bytes == json_string_length(want) && !memcmp(text, json_string_value(want), bytes), "\"%s\", expected \"%s\"",
              text, json_string_value(want));
    free(text);
    free(ids);
}

/* Runs a check over the lines of a file; returns their number. */
static size_t each_line(const char *path, const tsr_tokenizer *t, void (*check)(const tsr_tokenizer *, const json_t *))
{
    size_t bytes, lines = 0;
    char *data = read_file(path, &bytes);
    for (char *line = data, *end; (end = memchr(line, '\n', (size_t)(data + bytes - line))) != NULL; line = end + 1) {
        json_t *row = json_loadb(line, (size_t)(end - line), JSON_ALLOW_NUL, NULL);
        cr_assert_not_null(row);
        check(t, row);
        json_decref(row);
        lines++;
    }
    free(data);
    return lines;
}

static const char *const folders[] = {"janus-a-f32/",     "janus-b-bf16-sharded/", "janus-c-f16-official/",
                                      "tokenizers/gpt2/", "tokenizers/qwen2/",     "tokenizers/cl100k/"};

static tsr_tokenizer *from_fixture(const char *folder)
{
    size_t bytes;
    char *json = read_file(fixture(folder, "tokenizer.json"), &bytes);
    tsr_tokenizer *t = from_text(json);
    free(json);
    return t;
}

Test(text, fixtures)
{
    size_t texts = 0, decodings = 0;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        tsr_tokenizer *t = from_fixture(folders[i]);
        for (int stored = 0; stored < 2; stored++) {
            if (stored)
                t = through_gguf(t);
            texts += each_line(fixture(folders[i], "encode.jsonl"), t, check_encode);
            decodings += each_line(fixture(folders[i], "decode.jsonl"), t, check_decode);
        }
        tsr_tokenizer_free(t);
    }
    cr_expect_eq(texts, 2 * 6 * 335, "%zu texts", texts);
    cr_expect_eq(decodings, 2 * 6 * 117, "%zu decodings", decodings);
}
