/*
 * replay.c: runs a fuzz target without libFuzzer: on every file of the folders and files that are
 * named, on each of them cut short, and on mutations of them. Deterministic, a few seconds; part of
 * `make check`, so that a corpus that once found a bug keeps finding it, with or without clang.
 *
 * Usage: replay_TARGET [--corpus-only] [FOLDER|FILE ...]; without names
 * $TSR_SRCDIR/tests/fuzz/corpus/TARGET. --corpus-only: neither cuts nor mutations.
 */
#include "../conditions.h"
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* MUTATIONS and CUTS: of all files together. */
enum { ROOM = 1 << 16, MUTATIONS = 6000, IN_A_ROW = 4, CUTS = 2000 };

static uint32_t state = 1;
static size_t mutations, cuts; /* a file */

size_t LLVMFuzzerMutate(uint8_t *data, size_t bytes, size_t room)
{
    size_t at = bytes > 0 ? fuzz_random(&state) % bytes : 0;
    size_t some = 1 + fuzz_random(&state) % 16;

    switch (fuzz_random(&state) % 4) {
    case 0: /* flip a bit */
        if (bytes > 0)
            data[at] ^= (uint8_t)(1u << fuzz_random(&state) % 8);
        return bytes;
    case 1: /* another byte */
        if (bytes > 0)
            data[at] = (uint8_t)fuzz_random(&state);
        return bytes;
    case 2: /* insert */
        if (bytes + some > room)
            return bytes;
        memmove(data + at + some, data + at, bytes - at);
        for (size_t i = 0; i < some; i++)
            data[at + i] = (uint8_t)fuzz_random(&state);
        return bytes + some;
    default: /* remove */
        if (at + some > bytes)
            return bytes;
        memmove(data + at, data + at + some, bytes - at - some);
        return bytes - some;
    }
}

/* Runs on a copy of the exact size, so that a sanitizer sees every byte too far. */
static void run(const uint8_t *data, size_t bytes)
{
    uint8_t *copy = malloc(bytes > 0 ? bytes : 1);

    if (copy == NULL)
        abort();
    memcpy(copy, data, bytes);
    LLVMFuzzerTestOneInput(copy, bytes);
    free(copy);
}

static int replay(const char *path)
{
    static uint8_t seed[ROOM], data[ROOM];
    FILE *file = fopen(path, "rb");
    size_t bytes;

    if (file == NULL)
        return 0;
    bytes = fread(seed, 1, ROOM, file);
    fclose(file);
    run(seed, bytes);
    for (size_t cut = 0; cuts > 0 && cut < bytes; cut += 1 + bytes / cuts)
        run(seed, cut);
    for (size_t i = 0; i < mutations; i++) {
        size_t used = bytes;

        memcpy(data, seed, bytes);
        for (size_t j = 0; j <= i % IN_A_ROW; j++)
            used = LLVMFuzzerCustomMutator(data, used, ROOM, fuzz_random(&state));
        run(data, used);
    }
    return 1;
}

/* Calls `each` for a file, or for the files of a folder; returns the sum of what it returns. */
static int for_all(const char *path, int (*each)(const char *))
{
    DIR *folder = opendir(path);
    char name[4096];
    int count = 0;

    if (folder == NULL)
        return each(path);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        count += each(name);
    }
    closedir(folder);
    return count;
}

static int one(const char *path)
{
    (void)path;
    return 1;
}

static int all(char **paths, int count, int (*each)(const char *))
{
    int sum = 0;

    for (int i = 0; i < count; i++)
        sum += for_all(paths[i], each);
    return sum;
}

int main(int count, char **arguments)
{
    const char *target = strrchr(arguments[0], '_'), *source = getenv("TSR_SRCDIR");
    const int plain = count > 1 && strcmp(arguments[1], "--corpus-only") == 0;
    char corpus[4096], *standard = corpus, **paths = arguments + 1 + plain;
    int files;

    count -= 1 + plain;
    if (count == 0) {
        snprintf(corpus, sizeof corpus, "%s/tests/fuzz/corpus/%s", source != NULL ? source : ".",
                 target != NULL ? target + 1 : "");
        paths = &standard;
        count = 1;
    }
    files = all(paths, count, one);
    if (!plain && files > 0) {
        mutations = 1 + repeats("mutations", MUTATIONS, MUTATIONS / 6) / (size_t)files;
        cuts = 1 + repeats("cuts", CUTS, CUTS / 6) / (size_t)files;
    }
    files = all(paths, count, replay);
    printf("%d files replayed, with %zu mutations each\n", files, mutations);
    return files > 0 ? 0 : 1;
}
