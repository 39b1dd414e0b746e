/*
 * make.c: makes the files of the cases; see hostile.h. Everything is made here from a fixture of a
 * tiny model; nothing is downloaded, no malformed file is kept.
 */
#include <config.h>

#include "hostile.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

enum { PATH = 1024 };

static const char *const folders[][2] = {{"folder", "janus-a-f32"},
                                         {"sharded", "janus-b-bf16-sharded"}};
static const char *const parts[] = {"config.json",
                                    "preprocessor_config.json",
                                    "generation_config.json",
                                    "tokenizer.json",
                                    "model.safetensors",
                                    "model.safetensors.index.json",
                                    "model-00001-of-00002.safetensors",
                                    "model-00002-of-00002.safetensors"};

/* SOURCE/tests/NAME */
static void source_path(char path[PATH], const char *name)
{
    const char *source = getenv("TSR_SRCDIR");

    cr_assert(snprintf(path, PATH, "%s/tests/%s", source != NULL ? source : ".", name) < PATH);
}

static struct bytes source_bytes(const char *name)
{
    char path[PATH];

    source_path(path, name);
    return file_bytes(path);
}

void make_good(const char *file)
{
    char name[PATH], path[PATH];
    const char *slash = strchr(file, '/');
    struct bytes bytes;

    for (size_t i = 0; slash != NULL && i < sizeof folders / sizeof *folders; i++) {
        if (strncmp(file, folders[i][0], (size_t)(slash - file)) != 0)
            continue;
        snprintf(name, sizeof name, "fixtures/%s%s", folders[i][1], slash);
        source_path(path, name);
        if (access(path, R_OK) != 0)
            continue;
        bytes = file_bytes(path);
        file_write(file, bytes.data, bytes.used);
        bytes_free(&bytes);
    }
}

static void make_folders(void)
{
    char file[PATH];

    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        cr_assert(mkdir(folders[i][0], 0700) == 0);
        for (size_t j = 0; j < sizeof parts / sizeof *parts; j++) {
            snprintf(file, sizeof file, "%s/%s", folders[i][0], parts[j]);
            make_good(file);
        }
    }
    cr_assert(symlink("../model.gguf", "sharded/link.safetensors") == 0);
    cr_assert(link("sharded/model-00001-of-00002.safetensors", "sharded/copy.safetensors") == 0);
}

static void make_odd_things(void)
{
    cr_assert(mkfifo("pipe", 0600) == 0);
    cr_assert(symlink("circle", "circle") == 0);
    cr_assert(mkdir("pipes", 0700) == 0 && mkfifo("pipes/model.safetensors", 0600) == 0);
    cr_assert(mkdir("pickles", 0700) == 0);
    file_write("pickles/pytorch_model.bin", "x", 1);
    file_write("text", "text", 4);
    file_write("hole", "", 0);
    cr_assert(truncate("hole", (off_t)2 << 30) == 0);
}

void make_work(const char *program)
{
    struct bytes picture = source_bytes("fixtures/janus-a-f32/small.png");
    char command[2 * PATH];

    make_folders();
    make_odd_things();
    file_write("good.png", picture.data, picture.used);
    bytes_free(&picture);
    cr_assert(snprintf(command, sizeof command, "'%s' convert folder -o model.gguf >/dev/null",
                       program) < (int)sizeof command);
    cr_assert(system(command) == 0, "the good folder is not converted");
}

void make_script(const char *file, const char *make)
{
    struct bytes bytes = {0};

    assemble(&bytes, make);
    file_write(file, bytes.data, bytes.used);
    bytes_free(&bytes);
}

/* ---- JSON ---- */

void make_number(const char *file, const char *make)
{
    const char *path = strchr(make, ' ') + 1, *value = strchr(path, ' ') + 1, *dot;
    char target[PATH], part[64];
    json_t *root, *at;

    (void)file;
    for (size_t i = 0; i < 3; i++) { /* another row may have changed another file */
        snprintf(target, sizeof target, "folder/%s", parts[i]);
        make_good(target);
    }
    snprintf(target, sizeof target, "folder/%.*s", (int)(path - 1 - make), make);
    root = at = json_load_file(target, 0, NULL);
    cr_assert_not_null(root);
    while ((dot = strpbrk(path, ". ")) != NULL && *dot == '.') {
        snprintf(part, sizeof part, "%.*s", (int)(dot - path), path);
        at = json_object_get(at, part);
        path = dot + 1;
    }
    snprintf(part, sizeof part, "%.*s", (int)(value - 1 - path), path);
    if (strcmp(value, "-") == 0)
        json_object_del(at, part);
    else
        json_object_set_new(at, part, json_loads(value, JSON_DECODE_ANY, NULL));
    unlink(target);
    cr_assert(json_dump_file(root, target, 0) == 0);
    json_decref(root);
}

/* ---- models ---- */

static char *find(const struct bytes *in, const char *text, size_t length)
{
    for (size_t i = 0; i + length <= in->used; i++)
        if (memcmp(in->data + i, text, length) == 0)
            return in->data + i;
    cr_assert_fail("nothing to change");
    return NULL;
}

/* Makes the checksum of the header anew; the infos end with the one of tessera.crc, whose data are
 * the last of the file. */
static void mend(struct bytes *model)
{
    static const char last[] = "tessera.crc";
    const char *info = find(model, last, sizeof last - 1);
    size_t header = ((size_t)(info - model->data) + sizeof last - 1 + 4 + 8 + 4 + 8 + 63) / 64 * 64;
    uint64_t offset;
    uint32_t crc = (uint32_t)crc32_z(0, (const void *)model->data, header);

    memcpy(&offset, info + sizeof last - 1 + 4 + 8 + 4, sizeof offset);
    memcpy(model->data + header + offset, &crc, sizeof crc);
}

void make_change(const char *file, const char *make)
{
    struct bytes model = file_bytes("model.gguf");
    const char *equals = strchr(make, '=');

    if (equals == NULL) {
        file_write(file, model.data, model.used * strtoul(make + 1, NULL, 10) / 64);
    } else {
        char *at = find(&model, make, (size_t)(equals - make));

        cr_assert(strlen(equals + 1) == (size_t)(equals - make));
        memcpy(at, equals + 1, strlen(equals + 1));
        mend(&model);
        file_write(file, model.data, model.used);
    }
    bytes_free(&model);
}

/* ---- JPEG ---- */

/* A gray picture of 8 x 8 in `count` progressive scans, each nearly empty: one of the DC, then 8
 * bands of coefficients, each bit plane from 13 down to 0 in a scan of its own. */
static struct bytes empty_scans(size_t count)
{
    struct bytes jpeg = {0};
    char scan[80];

    assemble(&jpeg, "xFFD8 xFFDB004300 *64{b1} xFFC2000B080008000801011100"
                    "xFFC400140001 z15 b0 xFFC400141001 z15 b0 xFFDA0008010100000000 x7F");
    for (size_t i = 0; i + 1 < count; i++) {
        size_t plane = i / 8, band = i % 8;

        snprintf(scan, sizeof scan, "xFFDA0008010100 b%zu b%zu b%zu x7F", band == 0 ? 1 : 8 * band,
                 8 * band + 7, plane == 0 ? 13 : (14 - plane) << 4 | (13 - plane));
        assemble(&jpeg, scan);
    }
    assemble(&jpeg, "xFFD9");
    return jpeg;
}

/* One word: MARKER+OFFSET=BYTES, MARKER+OFFSET<BYTES or /N. */
static void change_jpeg(struct bytes *jpeg, const char *word)
{
    struct bytes marker = {0}, with = {0}, tail = {0};
    char script[256], *sign;
    size_t at;

    if (word[0] == '/') {
        long end = strtol(word + 1, NULL, 10);

        jpeg->used = end < 0 ? jpeg->used - (size_t)-end : (size_t)end;
        return;
    }
    assemble(&marker, (char[]){'x', word[0], word[1], word[2], word[3], '\0'});
    at = (size_t)(find(jpeg, marker.data, 2) + 2 - jpeg->data) + (size_t)strtol(word + 5, &sign, 16);
    bytes_free(&marker);
    cr_assert(*sign == '=' || *sign == '<');
    snprintf(script, sizeof script, "x%s", sign + 1);
    assemble(&with, script);
    bytes_add(&tail, jpeg->data + at, jpeg->used - at);
    jpeg->used = at;
    bytes_add(jpeg, with.data, with.used);
    if (*sign == '<')
        bytes_add(jpeg, tail.data, tail.used);
    else
        bytes_add(jpeg, tail.data + with.used, tail.used - with.used);
    bytes_free(&with);
    bytes_free(&tail);
}

void make_jpeg(const char *file, const char *make)
{
    char *words = strdup(make), *rest = NULL, name[PATH];
    const char *word = strtok_r(words, " ", &rest);
    struct bytes jpeg;

    if (strcmp(word, "scans") == 0) {
        jpeg = empty_scans(strtoul(strtok_r(NULL, " ", &rest), NULL, 10));
    } else {
        snprintf(name, sizeof name, "fuzz/corpus/picture/%s.jpg", word);
        jpeg = source_bytes(name);
    }
    while ((word = strtok_r(NULL, " ", &rest)) != NULL)
        change_jpeg(&jpeg, word);
    file_write(file, jpeg.data, jpeg.used);
    bytes_free(&jpeg);
    free(words);
}
