/*
 * fuzz_gguf.c: opens any bytes as a GGUF file; if that succeeds, asks it everything and computes
 * with its tensors.
 *
 * The mutator walks the file as far as it makes sense, notes where its numbers lie, and changes one
 * of them or lets libFuzzer change bytes; then it mostly mends what would stop the parser early:
 * the length of the file, and the CRC of the header.
 */
#include <config.h>

#include "fuzz.h"
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
    static int fd = -1;
    static char path[40];
    struct tsr_error error = {0};
    tsr_gguf *file;
    tsr_status status;

    if (fd < 0) {
        fd = memfd_create("fuzz", 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    if (ftruncate(fd, 0) != 0 || pwrite(fd, data, bytes, 0) != (ssize_t)bytes)
        abort();
    status = tsr_gguf_open(&file, path, TSR_LOAD_READ, 0, &error);
    if (status == TSR_OK) {
        ask_everything(file);
        tsr_gguf_close(file);
    } else if (error.status != status || error.message[0] == '\0') {
        abort();
    }
    return 0;
}

/* ---- the mutator ---- */

enum { FIELDS = 512 };

/* Where the numbers of a file lie, as far as it could be walked. */
struct walk {
    const uint8_t *data;
    size_t bytes, at;
    struct {
        size_t at;
        unsigned bytes;
    } fields[FIELDS];
    size_t count;
    uint64_t data_bytes; /* of all tensors, padded */
    size_t header_bytes; /* 0: the walk did not come so far */
    size_t crc_at;
};

static int take(struct walk *w, unsigned bytes, uint64_t *value)
{
    if (w->bytes - w->at < bytes)
        return 0;
    *value = 0;
    memcpy(value, w->data + w->at, bytes);
    if (w->count < FIELDS) {
        w->fields[w->count].at = w->at;
        w->fields[w->count++].bytes = bytes;
    }
    w->at += bytes;
    return 1;
}

static int skip(struct walk *w, uint64_t bytes)
{
    if (bytes > w->bytes - w->at)
        return 0;
    w->at += (size_t)bytes;
    return 1;
}

static int walk_string(struct walk *w)
{
    uint64_t length;

    return take(w, 8, &length) && skip(w, length);
}

static int walk_value(struct walk *w, uint64_t type, int depth)
{
    static const unsigned sizes[13] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    uint64_t item, count, value;

    if (type == TSR_GGUF_STRING)
        return walk_string(w);
    if (type != TSR_GGUF_ARRAY)
        return type < 13 && take(w, sizes[type], &value);
    if (depth > 0 || !take(w, 4, &item) || !take(w, 8, &count))
        return 0;
    for (uint64_t i = 0; i < count; i++)
        if (!walk_value(w, item, depth + 1))
            return 0;
    return 1;
}

static int walk_tensor(struct walk *w)
{
    uint64_t dims, dim, type, offset, bytes = 1;

    if (!walk_string(w) || !take(w, 4, &dims))
        return 0;
    for (uint64_t d = 0; d < dims; d++) {
        if (!take(w, 8, &dim))
            return 0;
        bytes *= dim;
    }
    if (!take(w, 4, &type) || !take(w, 8, &offset))
        return 0;
    w->crc_at = (size_t)offset;                  /* in the data; the last tensor's stays */
    bytes *= type == 24 ? 1 : type == 1 ? 2 : 4; /* I8, F16, F32 or I32 */
    w->data_bytes += (bytes + 63) / 64 * 64;
    return 1;
}

static void walk_file(struct walk *w)
{
    uint64_t version, tensors, entries, type;

    if (!skip(w, 4) || !take(w, 4, &version) || !take(w, 8, &tensors) || !take(w, 8, &entries))
        return;
    for (uint64_t i = 0; i < entries; i++)
        if (!walk_string(w) || !take(w, 4, &type) || !walk_value(w, type, 0))
            return;
    for (uint64_t i = 0; i < tensors; i++)
        if (!walk_tensor(w))
            return;
    w->header_bytes = (w->at + 63) / 64 * 64;
}

/* Makes the file as long as its header says, and its header's CRC right. */
static size_t mend(uint8_t *data, size_t bytes, size_t room)
{
    struct walk w = {.data = data, .bytes = bytes};
    uint32_t crc;

    walk_file(&w);
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
    struct walk w = {.data = data, .bytes = bytes};
    uint32_t state = seed;
    uint64_t value = 0;

    walk_file(&w);
    if (w.count == 0 || fuzz_random(&state) % 3 == 0) {
        bytes = LLVMFuzzerMutate(data, bytes, room);
    } else {
        size_t field = fuzz_random(&state) % w.count;

        memcpy(&value, data + w.fields[field].at, w.fields[field].bytes);
        value = fuzz_number(&state, value);
        memcpy(data + w.fields[field].at, &value, w.fields[field].bytes);
    }
    return fuzz_random(&state) % 4 == 0 ? bytes : mend(data, bytes, room);
}
