/*
 * fuzz_gguf.c: opens any bytes as a GGUF file; if that succeeds, asks it everything and computes
 * with its tensors.
 *
 * The mutator changes a number of the file or lets libFuzzer change bytes (gguf_walk.h); then it
 * mostly mends what would stop the parser early: the length of the file, and the CRC of the header.
 */
#include <config.h>

#include "fuzz.h"
#include "gguf_walk.h"
#include "quant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

/* ---- the target ---- */

static void ask_everything(const tsr_gguf *file)
{
    char value[64];
    const char *key;
    struct tsr_error error;
    struct tsr_slice text;
    const struct tsr_slice *items;
    enum tsr_gguf_type type;
    const void *data;
    size_t count, sum = 0;
    uint64_t natural;
    double real;

    for (size_t i = 0; tsr_gguf_entry(file, i, &key, value, sizeof value); i++) {
        tsr_gguf_u64(file, key, 1, 1000, &natural, &error);
        tsr_gguf_f64(file, key, -1, 1, &real, &error);
        tsr_gguf_string(file, key, &text, &error);
        if (tsr_gguf_strings(file, key, &items, &count, &error) == TSR_OK)
            for (size_t j = 0; j < count; j++)
                for (size_t k = 0; k < items[j].bytes; k++)
                    sum += (unsigned char)items[j].text[k];
        tsr_gguf_numbers(file, key, &type, &data, &count, &error);
        if (!tsr_gguf_has(file, key))
            abort();
    }
    for (size_t i = 0; i < tsr_gguf_tensor_count(file); i++) {
        const struct tsr_tensor *tensor = tsr_gguf_tensor_at(file, i);
        size_t elements = tensor->tile.n * tensor->tile.k;
        float *rows = tensor->plain || elements > 100000 ? NULL : malloc(elements * sizeof *rows);

        if (tsr_gguf_tensor(file, tensor->name) != tensor)
            abort();
        for (size_t j = 0; j < tensor->bytes; j++)
            sum += ((const unsigned char *)tensor->tile.data)[j];
        if (rows != NULL)
            tsr_tile_unpack(rows, &tensor->tile);
        free(rows);
    }
    if (sum == 1) /* so that nothing is optimized away */
        fputs(" ", stderr);
    tsr_gguf_verify(file, &error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    int fd;
    struct tsr_error error = {0};
    const struct tsr_load_options options = {.load = TSR_LOAD_READ};
    tsr_gguf *file;
    tsr_status status;

    status = tsr_gguf_open(&file, fuzz_file(data, bytes, &fd), &options, &error);
    if (status == TSR_OK) {
        ask_everything(file);
        tsr_gguf_close(file);
    } else if (error.status != status || error.message[0] == '\0') {
        abort();
    }
    return 0;
}

/* ---- the mutator ---- */

/* Makes the file as long as its header says, and its header's CRC right. */
static size_t mend(uint8_t *data, size_t bytes, size_t room)
{
    static struct gguf_walk w;
    uint32_t crc;

    w = (struct gguf_walk){.data = data, .bytes = bytes};
    gguf_walk(&w);
    if (w.header_bytes == 0 || w.header_bytes > room || w.data_bytes > room - w.header_bytes)
        return bytes;
    if (w.header_bytes + w.data_bytes > bytes)
        memset(data + bytes, 0, w.header_bytes + (size_t)w.data_bytes - bytes);
    bytes = w.header_bytes + (size_t)w.data_bytes;
    if (w.data_bytes < 4 || w.crc_at > w.data_bytes - 4)
        return bytes;
    crc = (uint32_t)crc32(0, data, (uInt)w.header_bytes);
    memcpy(data + w.header_bytes + w.crc_at, &crc, 4);
    return bytes;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t room, unsigned seed)
{
    uint32_t state = seed;

    bytes = gguf_mutate(data, bytes, room, &state);
    return fuzz_random(&state) % 4 == 0 ? bytes : mend(data, bytes, room);
}
