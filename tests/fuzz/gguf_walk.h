/*
 * gguf_walk.h: the structure of a GGUF file as the fuzz targets need it: where its numbers lie, and
 * how long it says that it is. Written apart from the library's reader, and believes everything.
 */
#ifndef GGUF_WALK_H
#define GGUF_WALK_H

#include <stddef.h>
#include <stdint.h>

enum { GGUF_FIELDS = 4096 };

/* Where the numbers of a file lie, as far as it could be walked. {.data, .bytes} at the start. */
struct gguf_walk {
    const uint8_t *data;
    size_t bytes, at;
    struct {
        size_t at;
        unsigned bytes;
    } fields[GGUF_FIELDS];
    size_t count;
    uint64_t data_bytes; /* of all tensors, padded */
    size_t header_bytes; /* 0: the walk did not come so far */
    uint64_t crc_at;     /* of the last tensor in the data */
};

void gguf_walk(struct gguf_walk *walk);

/* Changes one of the numbers of a file, or lets the fuzzer change bytes; returns the new length. */
size_t gguf_mutate(uint8_t *data, size_t bytes, size_t room, uint32_t *state);

#endif
