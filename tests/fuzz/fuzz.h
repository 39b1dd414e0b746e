/*
 * fuzz.h: what a fuzz target is. Each target is one file that defines the first two functions; it
 * is linked with libFuzzer (make fuzz), or with replay.c, which feeds it the corpus and some
 * mutations without libFuzzer (make check).
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Runs the parser on the bytes of a file; returns 0. A finding is a crash, a sanitizer's report, or
 * abort(). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Changes data[0..bytes) within [0, room), knowing its structure; returns the new length. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t room, unsigned seed);

/* Given by libFuzzer or replay.c: changes bytes without knowing anything. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t bytes, size_t room);

/* The mutator of JSON texts (json_mutate.c). */
size_t json_mutate(uint8_t *data, size_t bytes, size_t room, uint32_t *state);

/* The next of a sequence of numbers that `state` stands for. */
static inline uint32_t fuzz_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* A file in memory, the same in every call: its path, and *fd to write it. */
static inline const char *fuzz_memory(int *fd)
{
    static char path[40];
    static int made = -1;

    if (made < 0) {
        made = memfd_create("fuzz", 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", made);
    }
    *fd = made;
    return path;
}

/* The same, holding these bytes. */
static inline const char *fuzz_file(const void *data, size_t bytes, int *fd)
{
    const char *const path = fuzz_memory(fd);

    if (ftruncate(*fd, 0) != 0 || pwrite(*fd, data, bytes, 0) != (ssize_t)bytes)
        abort();
    return path;
}

/* Where a target may write a file of its own: in memory, if the system has a folder there. */
static inline const char *fuzz_output(void)
{
    static char path[60];

    snprintf(path, sizeof path, "%s/tessera-fuzz-%d",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (int)getpid());
    return path;
}

/* A number of the kind on which parsers stumble. */
static inline uint64_t fuzz_number(uint32_t *state, uint64_t old)
{
    static const uint64_t sharp[] = {0,  1,  7,   8,   13,  31,         32,         33,        63,
                                     64, 65, 127, 255, 256, 0x7fffffff, 0x80000000, 0xffffffff};
    uint64_t near = (uint64_t)1 << fuzz_random(state) % 64;

    switch (fuzz_random(state) % 5) {
    case 0:
        return sharp[fuzz_random(state) % (sizeof sharp / sizeof sharp[0])];
    case 1:
        return near - fuzz_random(state) % 3;
    case 2:
        return -near;
    case 3:
        return old + 1 - fuzz_random(state) % 3;
    default:
        return old ^ near;
    }
}

#endif
