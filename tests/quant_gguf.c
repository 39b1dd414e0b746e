/*
 * quant_gguf.c: GGUF files: what the writer writes the reader reads; what is damaged or lies is
 * refused with the right code and words; the writer leaves nothing half-done. Malformed headers are
 * cases of tests/hostile.
 */
#include <config.h>

#include "quant_files.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- paths ---- */

Test(gguf, paths_that_are_no_files)
{
    char *folder = folder_make(), *pipe = path_in(folder, "pipe"),
         *absent = path_in(folder, "absent");
    char long_name[4096];
    const char *const paths[] = {folder, pipe, absent, "/dev/zero", "/dev/null", "", long_name};

    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    cr_assert(mkfifo(pipe, 0600) == 0);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct tsr_error error = {0};
        tsr_gguf *file;
        char *data;
        size_t bytes, length = strlen(paths[i]);
        const char *tail = length > 40 ? paths[i] + length - 40 : paths[i];

        expect_error(paths[i], tsr_gguf_open(&file, paths[i], NULL, &error), &error, TSR_IO, tail);
        expect_error(paths[i], tsr_file_read(&data, &bytes, paths[i], 100, &error), &error, TSR_IO,
                     tail);
    }
    free(pipe);
    free(absent);
    folder_remove(folder);
}

/* ---- a whole file ---- */

static const float numbers[3] = {1, 2.5f, -3e20f};
static const struct tsr_slice words[3] = {{"a", 1}, {"", 0}, {"\xe2\x96\x81xyz\n", 7}};
static const float plain[5] = {1, 2, 3, 4, 5};

enum { TILE_N = 33, TILE_K = 70 };

#define OK(call) cr_assert((call) == TSR_OK, "%s: %s", #call, error.message)

/* The tile of the test file: q4_0 [33, 70]; to be freed. */
static void *test_tile(size_t *bytes)
{
    float rows[TILE_N * TILE_K];
    uint64_t state = 23;
    struct tsr_error error;
    void *tile;

    for (size_t i = 0; i < TILE_N * TILE_K; i++)
        rows[i] = random_normal(&state);
    OK(tsr_tile_bytes(bytes, TSR_T4, TILE_N, TILE_K, &error));
    cr_assert(posix_memalign(&tile, 64, *bytes) == 0);
    OK(tsr_tile_pack(tile, TSR_T4, rows, TILE_N, TILE_K, NULL, &error));
    return tile;
}

static void declare_all(tsr_gguf_writer *w)
{
    struct tsr_error error;

    OK(tsr_gguf_set_string(w, "general.architecture", "janus", 5, &error));
    OK(tsr_gguf_set_u32(w, "a.u32", 4000000000u, &error));
    OK(tsr_gguf_set_f32(w, "a.f32", 1e-6f, &error));
    OK(tsr_gguf_set_bool(w, "a.bool", 5, &error));
    OK(tsr_gguf_set_string(w, "a.empty", "", 0, &error));
    OK(tsr_gguf_declare(w, "blk.0.w", TSR_T4, TILE_N, TILE_K, 0, &error));
    OK(tsr_gguf_set_strings(w, "a.words", words, 3, &error));
    OK(tsr_gguf_set_strings(w, "a.none", NULL, 0, &error));
    OK(tsr_gguf_set_numbers(w, "a.numbers", TSR_GGUF_F32, numbers, 3, &error));
    OK(tsr_gguf_declare(w, "norm.bias", TSR_F32, 1, 5, 1, &error));
    OK(tsr_gguf_declare(w, "table", TSR_F16, 2, 3, 1, &error));
    OK(tsr_gguf_declare(w, "code", TSR_F32, 1, 1, 0, &error));
}

/* Writes the test file, the data in pieces of `piece` bytes. */
static void write_test_file(const char *path, size_t piece)
{
    struct tsr_error error;
    tsr_gguf_writer *w;
    struct bytes data = {0};
    size_t bytes;
    void *tile = test_tile(&bytes);

    bytes_add(&data, tile, bytes);
    bytes_add(&data, plain, sizeof plain);
    assemble(&data, "d0x3c004000 d0x4200c000 d0x00017c00"); /* f16 */
    assemble(&data, "d0x3f800000 z60");                     /* the tile [1, 1] of f32 */
    OK(tsr_gguf_writer_new(&w, path, &error));
    declare_all(w);
    OK(tsr_gguf_begin(w, &error));
    for (size_t at = 0; at < data.used; at += piece)
        OK(tsr_gguf_data(w, data.data + at, data.used - at < piece ? data.used - at : piece,
                         &error));
    OK(tsr_gguf_finish(w, &error));
    tsr_gguf_writer_free(w);
    bytes_free(&data);
    free(tile);
}

static void check_metadata(const tsr_gguf *file)
{
    struct tsr_error error = {0};
    struct tsr_slice text;
    const struct tsr_slice *items;
    enum tsr_gguf_type type;
    const void *data;
    uint64_t natural;
    double real;
    size_t count;

    OK(tsr_gguf_string(file, "general.architecture", &text, &error));
    cr_expect(text.bytes == 5 && memcmp(text.text, "janus", 5) == 0);
    OK(tsr_gguf_string(file, "a.empty", &text, &error));
    cr_expect(text.bytes == 0);
    OK(tsr_gguf_u64(file, "a.u32", 0, UINT64_MAX, &natural, &error));
    cr_expect(natural == 4000000000u);
    OK(tsr_gguf_u64(file, "a.bool", 0, 1, &natural, &error));
    cr_expect(natural == 1);
    OK(tsr_gguf_f64(file, "a.f32", 0, 1, &real, &error));
    cr_expect(real == (double)1e-6f);
    OK(tsr_gguf_f64(file, "a.u32", 0, 1e10, &real, &error));
    cr_expect(real == 4e9);
    OK(tsr_gguf_strings(file, "a.words", &items, &count, &error));
    cr_assert(count == 3);
    for (size_t i = 0; i < 3; i++)
        cr_expect(items[i].bytes == words[i].bytes &&
                  memcmp(items[i].text, words[i].text, words[i].bytes) == 0);
    OK(tsr_gguf_strings(file, "a.none", &items, &count, &error));
    cr_expect(count == 0);
    OK(tsr_gguf_numbers(file, "a.numbers", &type, &data, &count, &error));
    cr_expect(type == TSR_GGUF_F32 && count == 3 && memcmp(data, numbers, sizeof numbers) == 0);

    expect_error("absent", tsr_gguf_u64(file, "no.such", 0, 1, &natural, &error), &error,
                 TSR_MALFORMED, "no.such");
    expect_error("range", tsr_gguf_u64(file, "a.u32", 7, 9, &natural, &error), &error,
                 TSR_MALFORMED, "'a.u32' is 4000000000, not in 7..9");
    expect_error("range", tsr_gguf_f64(file, "a.f32", 0.5, 1, &real, &error), &error, TSR_MALFORMED,
                 "'a.f32'");
    expect_error("type", tsr_gguf_u64(file, "a.f32", 0, 1, &natural, &error), &error, TSR_MALFORMED,
                 "an integer");
    expect_error("type", tsr_gguf_f64(file, "a.words", 0, 1, &real, &error), &error, TSR_MALFORMED,
                 "a number");
    expect_error("type", tsr_gguf_string(file, "a.words", &text, &error), &error, TSR_MALFORMED,
                 "wrong type");
    expect_error("type", tsr_gguf_strings(file, "a.numbers", &items, &count, &error), &error,
                 TSR_MALFORMED, "an array of text");
    expect_error("type", tsr_gguf_numbers(file, "a.u32", &type, &data, &count, &error), &error,
                 TSR_MALFORMED, "an array of numbers");
    cr_expect(tsr_gguf_has(file, "a.none") && !tsr_gguf_has(file, "a.non"));
}

static void check_tensors(const tsr_gguf *file)
{
    static const struct {
        const char *name;
        uint32_t format;
        size_t n, k, bytes;
        int plain;
    } expected[] = {
        {"blk.0.w", TSR_T4, TILE_N, TILE_K, 3456, 0},
        {"norm.bias", TSR_F32, 1, 5, 20, 1},
        {"table", TSR_F16, 2, 3, 12, 1},
        {"code", TSR_F32, 1, 1, 64, 0},
    };
    const void *base;
    size_t bytes;
    void *tile = test_tile(&bytes);

    cr_expect(memcmp(tsr_gguf_tensor(file, "blk.0.w")->tile.data, tile, bytes) == 0);
    cr_expect(memcmp(tsr_gguf_tensor(file, "norm.bias")->tile.data, plain, sizeof plain) == 0);
    free(tile);
    tsr_gguf_range(file, &base, &bytes);
    cr_assert(tsr_gguf_tensor_count(file) == 4);
    for (size_t i = 0; i < 4; i++) {
        const struct tsr_tensor *tensor = tsr_gguf_tensor_at(file, i);

        cr_expect(tensor == tsr_gguf_tensor(file, expected[i].name));
        cr_expect_str_eq(tensor->name, expected[i].name);
        cr_expect(tensor->tile.format == expected[i].format && tensor->tile.n == expected[i].n &&
                  tensor->tile.k == expected[i].k && tensor->bytes == expected[i].bytes &&
                  tensor->plain == expected[i].plain);
        cr_expect((uintptr_t)tensor->tile.data % 64 == 0 && tensor->offset % 64 == 0);
        cr_expect((const char *)tensor->tile.data >= (const char *)base &&
                  (const char *)tensor->tile.data + tensor->bytes <= (const char *)base + bytes);
    }
    cr_expect_null(tsr_gguf_tensor_at(file, 4));
    cr_expect_null(tsr_gguf_tensor(file, "tessera.crc"));
}

Test(gguf, round_trip)
{
    char *folder = folder_make(), *path = path_in(folder, "m.gguf"),
         *again = path_in(folder, "n.gguf");
    struct tsr_error error = {0};
    struct bytes one, other;

    write_test_file(path, SIZE_MAX / 2);
    for (int how = TSR_LOAD_MAP; how <= TSR_LOAD_HUGE; how++) {
        const struct tsr_load_options options = {.load = (enum tsr_load)how, .verify = 1};
        tsr_gguf *file;

        OK(tsr_gguf_open(&file, path, &options, &error));
        check_metadata(file);
        check_tensors(file);
        OK(tsr_gguf_verify(file, &error));
        tsr_gguf_close(file);
    }
    write_test_file(again, 7);
    one = file_bytes(path);
    other = file_bytes(again);
    cr_expect(one.used == other.used && memcmp(one.data, other.data, one.used) == 0);
    cr_expect(folder_count(folder) == 2, "something is left in the folder");
    bytes_free(&one);
    bytes_free(&other);
    free(path);
    free(again);
    folder_remove(folder);
}

Test(gguf, entries_as_text)
{
    static const char *const expected[][2] = {
        {"general.architecture", "janus"},
        {"a.u32", "4000000000"},
        {"a.f32", "1e-6"},
        {"a.bool", "true"},
        {"a.empty", ""},
        {"a.words", "3 strings: a, , \xe2\x96\x81xyz?"},
        {"a.none", "0 strings: "},
        {"a.numbers", "3 numbers: 1.0, 2.5, -3e20"},
        {"general.alignment", "64"},
        {"tessera.layout", "1"},
        {"tessera.tile.format", "2 numbers: 4, 0"},
        {"tessera.tile.n", "2 numbers: 33, 1"},
        {"tessera.tile.k", "2 numbers: 70, 1"},
    };
    char *folder = folder_make(), *path = path_in(folder, "m.gguf"), value[64];
    struct tsr_error error = {0};
    tsr_gguf *file;
    const char *key;
    size_t count = sizeof expected / sizeof expected[0];

    /* A decimal comma, where there is such a locale, changes nothing. */
    setlocale(LC_ALL, "de_DE.UTF-8");
    write_test_file(path, 1000);
    OK(tsr_gguf_open(&file, path, NULL, &error));
    for (size_t i = 0; i < count; i++) {
        cr_assert(tsr_gguf_entry(file, i, &key, value, sizeof value) == 1);
        cr_expect_str_eq(key, expected[i][0]);
        cr_expect_str_eq(value, expected[i][1]);
    }
    cr_expect(tsr_gguf_entry(file, count, &key, value, sizeof value) == 0);
    cr_expect(tsr_gguf_entry(file, 5, &key, value, 18) == 1);
    cr_expect_str_eq(value, "3 strings: a, , ", "a character is cut in two");
    cr_expect(tsr_gguf_entry(file, 0, &key, value, 1) == 1 && value[0] == '\0');
    tsr_gguf_close(file);
    free(path);
    folder_remove(folder);
}

/* ---- progress ---- */

struct steps {
    size_t calls, done, total, stop_at;
};

static int take_step(void *data, size_t done, size_t total)
{
    struct steps *steps = data;

    cr_expect(steps->calls == 0 ? done == 0 : done > steps->done && total == steps->total);
    *steps = (struct steps){steps->calls + 1, done, total, steps->stop_at};
    return steps->calls == steps->stop_at;
}

/* Whoever shows progress hears of every part of the data, and can stop between them. */
Test(gguf, progress)
{
    const char *root = getenv("TSR_SRCDIR");
    char path[512];
    struct tsr_error error = {0};
    size_t calls = 1;
    tsr_gguf *file;

    snprintf(path, sizeof path, "%s/model/mini/mini-janus-Q8_0.gguf", root ? root : ".");
    for (int how = TSR_LOAD_READ; how <= TSR_LOAD_HUGE; how++) {
        struct steps steps = {0};
        const struct tsr_load_options options = {(enum tsr_load)how, 1, take_step, &steps};
        const void *base;
        size_t bytes;

        OK(tsr_gguf_open(&file, path, &options, &error));
        tsr_gguf_range(file, &base, &bytes);
        cr_expect(steps.calls > 3 && steps.done == steps.total && steps.total == bytes);
        tsr_gguf_close(file);
        calls = steps.calls;
    }
    for (size_t stop = 1; stop <= calls; stop++) {
        struct steps steps = {.stop_at = stop};
        const struct tsr_load_options options = {TSR_LOAD_READ, 0, take_step, &steps};

        cr_expect_eq(tsr_gguf_open(&file, path, &options, &error), TSR_INTERRUPTED);
        cr_expect(error.status == TSR_INTERRUPTED && error.message[0] != '\0');
    }
}

/* ---- damage ---- */

static tsr_status open_and_close(const char *path, int verify, struct tsr_error *error)
{
    const struct tsr_load_options options = {.load = TSR_LOAD_READ, .verify = verify};
    tsr_gguf *file;
    tsr_status status = tsr_gguf_open(&file, path, &options, error);

    if (status == TSR_OK)
        tsr_gguf_close(file);
    return status;
}

/* G39: the file cut at every length. */
Test(gguf, truncation)
{
    char *folder = folder_make(), *path = path_in(folder, "m.gguf");
    struct bytes bytes;

    write_test_file(path, 1000);
    bytes = file_bytes(path);
    for (size_t cut = bytes.used; cut-- > 0;) {
        struct tsr_error error = {0};

        cr_assert(truncate(path, (off_t)cut) == 0);
        expect_error("cut", open_and_close(path, 0, &error), &error, TSR_MALFORMED, "m.gguf: ");
    }
    bytes_free(&bytes);
    free(path);
    folder_remove(folder);
}

/* Every bit of the header, and 1,000 bits anywhere: opening with verify finds them all. */
Test(gguf, bit_flips)
{
    char *folder = folder_make(), *path = path_in(folder, "m.gguf");
    struct bytes bytes;
    struct tsr_error error = {0};
    uint64_t state = 31;
    size_t header = 0, found = 0;
    tsr_gguf *file;
    int fd;

    write_test_file(path, 1000);
    bytes = file_bytes(path);
    OK(tsr_gguf_open(&file, path, &(struct tsr_load_options){.verify = 1}, &error));
    header = (size_t)tsr_gguf_tensor_at(file, 0)->offset;
    tsr_gguf_close(file);
    fd = open(path, O_WRONLY);
    for (size_t i = 0; i < header * 8 + 1000; i++) {
        size_t bit = i < header * 8 ? i : random_bits(&state) % (bytes.used * 8), at = bit / 8;
        char flipped = (char)(bytes.data[at] ^ 1 << bit % 8);
        tsr_status status;

        cr_assert(pwrite(fd, &flipped, 1, (off_t)at) == 1);
        status = open_and_close(path, 1, &error);
        cr_expect(status == TSR_MALFORMED || status == TSR_UNSUPPORTED || status == TSR_CHECKSUM,
                  "bit %zu: %d", bit, (int)status);
        found += status != TSR_OK;
        cr_assert(pwrite(fd, &bytes.data[at], 1, (off_t)at) == 1);
    }
    close(fd);
    cr_expect(found == header * 8 + 1000);
    bytes_free(&bytes);
    free(path);
    folder_remove(folder);
}

Test(gguf, verify_names_the_tensor)
{
    char *folder = folder_make(), *path = path_in(folder, "m.gguf");
    struct tsr_error error = {0};
    struct bytes bytes;
    tsr_gguf *file;
    size_t at;

    write_test_file(path, 1000);
    OK(tsr_gguf_open(&file, path, NULL, &error));
    at = (size_t)tsr_gguf_tensor(file, "table")->offset;
    tsr_gguf_close(file);
    bytes = file_bytes(path);
    bytes.data[at] ^= 1;
    file_write(path, bytes.data, bytes.used);
    OK(tsr_gguf_open(&file, path, NULL, &error));
    expect_error("flip", tsr_gguf_verify(file, &error), &error, TSR_CHECKSUM, "tensor 'table'");
    tsr_gguf_close(file);
    bytes_free(&bytes);
    free(path);
    folder_remove(folder);
}

/* ---- many names ---- */

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* 100,000 keys, tensors and strings: opened within seconds, so nothing is quadratic. */
Test(gguf, many_names)
{
    enum { MANY = 100000 };
    char *folder = folder_make(), *path = path_in(folder, "m.gguf"), name[40];
    struct tsr_slice *strings = malloc(MANY * sizeof *strings);
    struct tsr_error error = {0};
    tsr_gguf_writer *w;
    tsr_gguf *file;
    uint64_t value;
    double start;

    OK(tsr_gguf_writer_new(&w, path, &error));
    for (size_t i = 0; i < MANY; i++) {
        strings[i] = (struct tsr_slice){"token", i % 6};
        snprintf(name, sizeof name, "key.%zu", i);
        OK(tsr_gguf_set_u32(w, name, (uint32_t)i, &error));
        snprintf(name, sizeof name, "tensor.%zu", i);
        OK(tsr_gguf_declare(w, name, TSR_F32, 1, 1, 1, &error));
    }
    OK(tsr_gguf_set_strings(w, "tokens", strings, MANY, &error));
    OK(tsr_gguf_begin(w, &error));
    for (float i = 0; i < MANY; i++)
        OK(tsr_gguf_data(w, &i, sizeof i, &error));
    OK(tsr_gguf_finish(w, &error));
    tsr_gguf_writer_free(w);
    start = seconds();
    OK(tsr_gguf_open(&file, path, NULL, &error));
    cr_expect(seconds() - start < 5, "%.3f s", seconds() - start); /* 0.04 s without sanitizers */
    OK(tsr_gguf_u64(file, "key.99999", 0, MANY, &value, &error));
    cr_expect(value == 99999 &&
              *(const float *)tsr_gguf_tensor(file, "tensor.77777")->tile.data == 77777);
    tsr_gguf_close(file);
    free(strings);
    free(path);
    folder_remove(folder);
}

/* ---- the writer ---- */

Test(gguf_writer, whole_or_not_at_all)
{
    char *folder = folder_make(), *path = path_in(folder, "m.gguf");
    struct tsr_error error = {0};
    tsr_gguf_writer *w;
    struct bytes bytes;

    file_write(path, "old", 3);
    for (int stage = 0; stage < 3;
         stage++) { /* left before begin, before data, in the middle of data */
        OK(tsr_gguf_writer_new(&w, path, &error));
        declare_all(w);
        if (stage > 0)
            OK(tsr_gguf_begin(w, &error));
        if (stage > 1)
            OK(tsr_gguf_data(w, plain, sizeof plain, &error));
        cr_expect(folder_count(folder) == 2);
        tsr_gguf_writer_free(w);
        bytes = file_bytes(path);
        cr_expect(bytes.used == 3 && memcmp(bytes.data, "old", 3) == 0);
        cr_expect(folder_count(folder) == 1, "a temporary file is left");
        bytes_free(&bytes);
    }
    tsr_gguf_writer_free(NULL);
    free(path);
    folder_remove(folder);
}

/* What a killed writer left is removed by the next one to the same path; what a living one holds is
 * not. */
Test(gguf_writer, left_over_files)
{
    char *folder = folder_make(), *path = path_in(folder, "m.gguf");
    char *dead = path_in(folder, "m.gguf.tmp.1.0"), *other = path_in(folder, "n.gguf.tmp.1.0");
    struct tsr_error error = {0};
    tsr_gguf_writer *first, *second;

    file_write(dead, "x", 1);
    file_write(other, "x", 1);
    OK(tsr_gguf_writer_new(&first, path, &error));
    cr_expect(folder_count(folder) == 2 && access(dead, F_OK) != 0 && access(other, F_OK) == 0);
    OK(tsr_gguf_writer_new(&second, path, &error));
    cr_expect(folder_count(folder) == 3);
    for (int i = 0; i < 2; i++) { /* both finish: the later one wins whole */
        tsr_gguf_writer *w = i == 0 ? first : second;

        OK(tsr_gguf_set_u32(w, "who", (uint32_t)i, &error));
        OK(tsr_gguf_begin(w, &error));
        OK(tsr_gguf_finish(w, &error));
        tsr_gguf_writer_free(w);
        OK(open_and_close(path, 1, &error));
    }
    cr_expect(folder_count(folder) == 2);
    free(dead);
    free(other);
    free(path);
    folder_remove(folder);
}

Test(gguf_writer, misuse)
{
    char *folder = folder_make(), *path = path_in(folder, "m.gguf");
    struct tsr_error error = {0};
    tsr_gguf_writer *w;
    char name[65];

    memset(name, 'n', 64);
    name[64] = '\0';
    OK(tsr_gguf_writer_new(&w, path, &error));
    expect_error("key", tsr_gguf_set_u32(w, "a b", 1, &error), &error, TSR_INTERNAL, "a b");
    expect_error("name", tsr_gguf_declare(w, name, TSR_F32, 1, 1, 0, &error), &error, TSR_INTERNAL,
                 "nnn");
    expect_error("plain", tsr_gguf_declare(w, "x", TSR_T4, 1, 1, 1, &error), &error, TSR_INTERNAL,
                 "'x'");
    expect_error("shape", tsr_gguf_declare(w, "x", TSR_T4, 0, 1, 0, &error), &error, TSR_MALFORMED,
                 "empty");
    expect_error("type", tsr_gguf_set_numbers(w, "x", TSR_GGUF_STRING, "", 0, &error), &error,
                 TSR_INTERNAL, "'x'");
    expect_error("data", tsr_gguf_data(w, name, 1, &error), &error, TSR_INTERNAL,
                 "before the header");
    expect_error("finish", tsr_gguf_finish(w, &error), &error, TSR_INTERNAL,
                 "before its last tensor");
    OK(tsr_gguf_set_u32(w, "twice", 1, &error));
    OK(tsr_gguf_set_u32(w, "twice", 1, &error));
    expect_error("key twice", tsr_gguf_begin(w, &error), &error, TSR_INTERNAL,
                 "key 'twice' is set twice");
    tsr_gguf_writer_free(w);

    OK(tsr_gguf_writer_new(&w, path, &error));
    OK(tsr_gguf_declare(w, "x", TSR_F32, 1, 4, 1, &error));
    OK(tsr_gguf_declare(w, "x", TSR_F32, 1, 4, 1, &error));
    expect_error("tensor twice", tsr_gguf_begin(w, &error), &error, TSR_INTERNAL,
                 "tensor 'x' is set twice");
    tsr_gguf_writer_free(w);

    OK(tsr_gguf_writer_new(&w, path, &error));
    OK(tsr_gguf_declare(w, "x", TSR_F32, 1, 4, 1, &error));
    OK(tsr_gguf_begin(w, &error));
    expect_error("late key", tsr_gguf_set_u32(w, "late", 1, &error), &error, TSR_INTERNAL,
                 "'late'");
    OK(tsr_gguf_data(w, plain, 12, &error));
    expect_error("early finish", tsr_gguf_finish(w, &error), &error, TSR_INTERNAL,
                 "before its last tensor");
    expect_error("too much", tsr_gguf_data(w, plain, 8, &error), &error, TSR_INTERNAL,
                 "4 bytes of data after");
    tsr_gguf_writer_free(w);
    cr_expect(folder_count(folder) == 0);
    free(path);
    folder_remove(folder);
}

/* Writes a file of a MiB; the status of the first call that fails. */
static tsr_status write_large(const char *path, struct tsr_error *error)
{
    tsr_gguf_writer *w;
    float *row = calloc(1 << 18, sizeof *row);
    tsr_status status = tsr_gguf_writer_new(&w, path, error);

    if (status == TSR_OK) {
        status = tsr_gguf_declare(w, "x", TSR_F32, 1, 1 << 18, 1, error);
        if (status == TSR_OK)
            status = tsr_gguf_begin(w, error);
        if (status == TSR_OK)
            status = tsr_gguf_data(w, row, (1 << 18) * sizeof *row, error);
        if (status == TSR_OK)
            status = tsr_gguf_finish(w, error);
        tsr_gguf_writer_free(w);
    }
    free(row);
    return status;
}

Test(gguf_writer, no_room)
{
    char *folder = folder_make(), *path = path_in(folder, "m.gguf");
    struct tsr_error error = {0};
    struct rlimit limit;

    expect_error("full device", write_large("/dev/full", &error), &error, TSR_IO,
                 "/dev/full: cannot write");
    expect_error("no folder", write_large("/nonexistent/m.gguf", &error), &error, TSR_IO,
                 "/nonexistent/m.gguf");
    expect_error("a folder", write_large(folder, &error), &error, TSR_IO, "folder");
    cr_assert(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = 100000;
    cr_assert(setrlimit(RLIMIT_FSIZE, &limit) == 0); /* SIGXFSZ would end this process */
    expect_error("file size limit", write_large(path, &error), &error, TSR_IO, "ulimit -f");
    cr_expect(folder_count(folder) == 0, "something is left");
    free(path);
    folder_remove(folder);
}
