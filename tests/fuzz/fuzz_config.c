/*
 * fuzz_config.c: reads any bytes as what a checkpoint folder says beside its tensors: config.json,
 * a zero byte, preprocessor_config.json, a zero byte, generation_config.json; or, behind a third
 * zero byte, the index of the shards.
 *
 * The folder has the tensors and the tokenizer of a fixture, in the naming of the library or, if
 * the config's text says "multi_modality", of the authors; the tensors' data are a hole.
 */
#include <config.h>

#include "fuzz.h"
#include "run/convert.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAMINGS = 2, FILES = 4, PATH = 256 };

static const char *const files[FILES] = {"config.json", "preprocessor_config.json",
                                         "generation_config.json", "model.safetensors.index.json"};
static const char *const fixtures[NAMINGS] = {"janus-a-f32", "janus-c-f16-official"};
static char folders[NAMINGS][PATH];

static void remove_folders(void)
{
    static const char *const others[] = {"model.safetensors", "shard.safetensors", "tokenizer.json"};
    char path[4 * PATH];

    for (int i = 0; i < NAMINGS; i++) {
        for (int j = 0; j < FILES + 3; j++) {
            snprintf(path, sizeof path, "%s/%s", folders[i], j < FILES ? files[j] : others[j - FILES]);
            unlink(path);
        }
        rmdir(folders[i]);
    }
}

/* Writes from[0, bytes) to folder/name, and a hole up to `size`. A new file: to cut an old one short
 * makes some file systems write it to disk. */
static void write_file(const char *folder, const char *name, const void *from, size_t bytes,
                       size_t size)
{
    char path[4 * PATH];
    int fd;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, from, bytes) != (ssize_t)bytes || ftruncate(fd, (off_t)size) != 0)
        abort();
    close(fd);
}

static void make_folders(void)
{
    const char *source = getenv("TSR_SRCDIR"), *parent = getenv("TMPDIR");
    char from[4 * PATH], *data;
    struct tsr_error error;
    size_t bytes;
    uint64_t header;

    for (int i = 0; i < NAMINGS; i++) {
        snprintf(folders[i], PATH, "%s/tessera-fuzz-XXXXXX", parent != NULL ? parent : "/tmp");
        if (mkdtemp(folders[i]) == NULL)
            abort();
        for (int j = 0; j < 2; j++) {
            static const char *const names[] = {"model.safetensors", "tokenizer.json"};

            snprintf(from, sizeof from, "%s/tests/fixtures/%s/%s", source != NULL ? source : ".",
                     fixtures[i], names[j]);
            if (tsr_file_read(&data, &bytes, from, 1 << 28, &error) != TSR_OK) {
                fprintf(stderr, "%s\n", error.message);
                exit(1);
            }
            memcpy(&header, data, sizeof header);
            write_file(folders[i], names[j], data, j == 0 ? 8 + (size_t)header : bytes, bytes);
            free(data);
        }
    }
    atexit(remove_folders);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const char official[] = "multi_modality";
    const size_t length = sizeof official - 1;
    struct tsr_error error = {0};
    struct tsr_convert convert = {0};
    const char *folder;
    tsr_status status;
    int naming = 0, sharded = 0;
    char path[4 * PATH], single[4 * PATH];

    if (folders[0][0] == '\0')
        make_folders();
    for (size_t i = 0; i + length <= bytes && !naming; i++)
        naming = memcmp(data + i, official, length) == 0;
    folder = folders[naming];
    for (int i = 0; i < FILES; i++) {
        const uint8_t *end = bytes > 0 ? memchr(data, 0, bytes) : NULL;
        size_t part = end != NULL ? (size_t)(end - data) : bytes;

        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        if (i > 0 && part == 0) {
            unlink(path);
        } else {
            write_file(folder, files[i], data, part, part);
            sharded = i == FILES - 1;
        }
        data += part + (end != NULL);
        bytes -= part + (end != NULL);
    }
    snprintf(single, sizeof single, "%s/model.safetensors", folder);
    snprintf(path, sizeof path, "%s/shard.safetensors", folder);
    if (sharded && rename(single, path) != 0)
        abort();
    convert.model = calloc(1, sizeof *convert.model);
    status = tsr_source_folder(&convert, folder, &error);
    if (status != TSR_OK && (error.status != status || error.message[0] == '\0'))
        abort();
    tsr_checkpoint_close(convert.checkpoint);
    tsr_model_close(convert.model);
    if (sharded && rename(path, single) != 0)
        abort();
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t room, unsigned seed)
{
    uint32_t state = seed;

    return json_mutate(data, bytes, room, &state);
}
