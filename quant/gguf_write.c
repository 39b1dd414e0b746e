/*
 * gguf_write.c: writes GGUF files of tessera's layout, which stands in gguf.h.
 *
 * Entries and tensors are collected in memory; begin writes the header, and from then on data
 * streams through in the declared order, each tensor padded, its CRC kept; finish appends the CRCs
 * and commits (atomic.h: the file appears whole or not at all). The size is known at begin, so that
 * a disk that is too small is found there and not after an hour. After an error nothing but free is
 * left.
 */
#include <config.h>

#include "atomic.h"
#include "checked.h"
#include "gguf.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* Bytes that grow. */
struct bytes {
    char *data;
    size_t used, room;
};

struct declared {
    char name[TSR_GGUF_NAME_MAX + 1];
    uint32_t type, dim_count;
    uint64_t dims[2];
    uint64_t bytes;
};

struct tsr_gguf_writer {
    enum { COLLECTING, STREAMING, DONE } state;
    struct tsr_atomic out;
    struct bytes entries, keys; /* keys: the texts, each terminated */
    size_t entry_count;
    struct bytes formats, ns, ks; /* of the tiles */
    struct declared *tensors;
    size_t tensor_count, tensor_room;
    uint32_t *crc;  /* [1 + tensor_count]: of the header, then of each tensor */
    size_t current; /* the tensor that takes data */
    uint64_t left;  /* bytes that it still lacks */
};

/* ---- collecting ------------------------------------------------------------------------------ */

static int put(struct bytes *to, const void *data, size_t bytes)
{
    size_t room = to->room < 256 ? 256 : to->room;
    char *grown;

    if (bytes > SIZE_MAX / 4 - to->used)
        return 0;
    while (room < to->used + bytes)
        room *= 2;
    if (room > to->room) {
        grown = realloc(to->data, room);
        if (grown == NULL)
            return 0;
        to->data = grown;
        to->room = room;
    }
    if (bytes > 0)
        memcpy(to->data + to->used, data, bytes);
    to->used += bytes;
    return 1;
}

static int put32(struct bytes *to, uint32_t value)
{
    return put(to, &value, sizeof value);
}

static int put64(struct bytes *to, uint64_t value)
{
    return put(to, &value, sizeof value);
}

static int put_string(struct bytes *to, const char *text, size_t bytes)
{
    return put64(to, bytes) && put(to, text, bytes);
}

static tsr_status out_of_memory(struct tsr_error *error)
{
    return tsr_fail(error, TSR_MEMORY, "out of memory while a GGUF file is made");
}

/* Begins an entry: its key and its value type. */
static tsr_status put_key(tsr_gguf_writer *w, const char *key, uint32_t type,
                          struct tsr_error *error)
{
    size_t bytes = strlen(key);

    if (w->state != COLLECTING)
        return tsr_fail(error, TSR_INTERNAL, "key '%.64s' is set after the header was written",
                        key);
    if (bytes > TSR_GGUF_KEY_MAX || !tsr_gguf_name_valid(key, bytes))
        return tsr_fail(error, TSR_INTERNAL, "key '%.64s' is not a valid GGUF key", key);
    if (!put(&w->keys, key, bytes + 1) || !put_string(&w->entries, key, bytes) ||
        !put32(&w->entries, type))
        return out_of_memory(error);
    w->entry_count++;
    return TSR_OK;
}

static tsr_status set_number(tsr_gguf_writer *w, const char *key, enum tsr_gguf_type type,
                             const void *value, struct tsr_error *error)
{
    tsr_status status = put_key(w, key, type, error);

    if (status == TSR_OK && !put(&w->entries, value, tsr_gguf_type_bytes(type)))
        status = out_of_memory(error);
    return status;
}

tsr_status tsr_gguf_set_u32(tsr_gguf_writer *w, const char *key, uint32_t value,
                            struct tsr_error *error)
{
    return set_number(w, key, TSR_GGUF_U32, &value, error);
}

tsr_status tsr_gguf_set_f32(tsr_gguf_writer *w, const char *key, float value,
                            struct tsr_error *error)
{
    return set_number(w, key, TSR_GGUF_F32, &value, error);
}

tsr_status tsr_gguf_set_bool(tsr_gguf_writer *w, const char *key, int value,
                             struct tsr_error *error)
{
    char byte = value != 0;

    return set_number(w, key, TSR_GGUF_BOOL, &byte, error);
}

tsr_status tsr_gguf_set_string(tsr_gguf_writer *w, const char *key, const char *text, size_t bytes,
                               struct tsr_error *error)
{
    tsr_status status = put_key(w, key, TSR_GGUF_STRING, error);

    if (status == TSR_OK && !put_string(&w->entries, text, bytes))
        status = out_of_memory(error);
    return status;
}

tsr_status tsr_gguf_set_strings(tsr_gguf_writer *w, const char *key, const struct tsr_slice *items,
                                size_t count, struct tsr_error *error)
{
    tsr_status status = put_key(w, key, TSR_GGUF_ARRAY, error);

    if (status == TSR_OK && (!put32(&w->entries, TSR_GGUF_STRING) || !put64(&w->entries, count)))
        status = out_of_memory(error);
    for (size_t i = 0; status == TSR_OK && i < count; i++)
        if (!put_string(&w->entries, items[i].text, items[i].bytes))
            status = out_of_memory(error);
    return status;
}

tsr_status tsr_gguf_set_numbers(tsr_gguf_writer *w, const char *key, enum tsr_gguf_type type,
                                const void *data, size_t count, struct tsr_error *error)
{
    size_t size = tsr_gguf_type_bytes(type);
    tsr_status status =
        size == 0 ? tsr_fail(error, TSR_INTERNAL, "key '%.64s': not a type of numbers", key)
                  : put_key(w, key, TSR_GGUF_ARRAY, error);

    if (status == TSR_OK && (count > SIZE_MAX / size || !put32(&w->entries, type) ||
                             !put64(&w->entries, count) || !put(&w->entries, data, count * size)))
        status = out_of_memory(error);
    return status;
}

static tsr_status add_tensor(tsr_gguf_writer *w, const struct declared *tensor,
                             struct tsr_error *error)
{
    if (w->tensor_count == w->tensor_room) {
        size_t room = w->tensor_room == 0 ? 64 : 2 * w->tensor_room;
        struct declared *tensors = realloc(w->tensors, room * sizeof *tensors);

        if (tensors == NULL)
            return out_of_memory(error);
        w->tensors = tensors;
        w->tensor_room = room;
    }
    w->tensors[w->tensor_count++] = *tensor;
    return TSR_OK;
}

tsr_status tsr_gguf_declare(tsr_gguf_writer *w, const char *name, uint32_t format, size_t n,
                            size_t k, int plain, struct tsr_error *error)
{
    struct declared tensor = {.type = TSR_GGML_I8, .dim_count = 1};
    size_t bytes, length = strlen(name);
    unsigned char byte = (unsigned char)format;
    tsr_status status;

    if (w->state != COLLECTING)
        return tsr_fail(error, TSR_INTERNAL, "tensor '%s' is declared after the header was written",
                        name);
    if (length > TSR_GGUF_NAME_MAX || !tsr_gguf_name_valid(name, length))
        return tsr_fail(error, TSR_INTERNAL, "'%.80s' is not a valid name of a tensor", name);
    if (plain && format != TSR_F32 && format != TSR_F16)
        return tsr_fail(error, TSR_INTERNAL, "tensor '%s': a plain one is f32 or f16", name);
    status = tsr_tile_bytes(&bytes, format, n, k, error); /* of plain ones too: no more than this */
    if (status != TSR_OK)
        return status;
    memcpy(tensor.name, name, length);
    if (plain) {
        tensor.type = format == TSR_F32 ? TSR_GGML_F32 : TSR_GGML_F16;
        tensor.dim_count = n == 1 ? 1 : 2;
        tensor.dims[0] = k;
        tensor.dims[1] = n;
        tensor.bytes = (uint64_t)n * k * (format == TSR_F32 ? 4 : 2);
    } else {
        tensor.dims[0] = tensor.bytes = bytes;
        if (!put(&w->formats, &byte, 1) || !put64(&w->ns, n) || !put64(&w->ks, k))
            return out_of_memory(error);
    }
    return add_tensor(w, &tensor, error);
}

/* ---- the header ------------------------------------------------------------------------------ */

/* What the layout itself demands: its entries, and the tensor of the CRCs. */
static tsr_status add_layout(tsr_gguf_writer *w, struct tsr_error *error)
{
    struct declared crc = {.name = TSR_GGUF_CRC, .type = TSR_GGML_I32, .dim_count = 1};
    size_t tiles = w->formats.used;
    tsr_status status = tsr_gguf_set_u32(w, TSR_GGUF_KEY_ALIGNMENT, TSR_GGUF_ALIGNMENT, error);

    if (status == TSR_OK)
        status = tsr_gguf_set_u32(w, TSR_GGUF_KEY_LAYOUT, TSR_GGUF_LAYOUT, error);
    if (status == TSR_OK)
        status = tsr_gguf_set_numbers(w, TSR_GGUF_KEY_FORMAT, TSR_GGUF_U8, w->formats.data, tiles,
                                      error);
    if (status == TSR_OK)
        status = tsr_gguf_set_numbers(w, TSR_GGUF_KEY_N, TSR_GGUF_U64, w->ns.data, tiles, error);
    if (status == TSR_OK)
        status = tsr_gguf_set_numbers(w, TSR_GGUF_KEY_K, TSR_GGUF_U64, w->ks.data, tiles, error);
    if (status != TSR_OK)
        return status;
    crc.dims[0] = w->tensor_count + 1; /* the header has one too */
    crc.bytes = crc.dims[0] * sizeof *w->crc;
    return add_tensor(w, &crc, error);
}

/* TSR_INTERNAL if two of the names are equal. */
static tsr_status check_unique(struct tsr_name *names, size_t count, const char *what,
                               struct tsr_error *error)
{
    const struct tsr_name *twice = tsr_names_sort(names, count);

    return twice == NULL
               ? TSR_OK
               : tsr_fail(error, TSR_INTERNAL, "%s '%.64s' is set twice", what, twice->text);
}

static tsr_status check_names(tsr_gguf_writer *w, struct tsr_error *error)
{
    size_t most = w->entry_count > w->tensor_count ? w->entry_count : w->tensor_count;
    struct tsr_name *names = calloc(most, sizeof *names);
    const char *key = w->keys.data;
    tsr_status status;

    if (names == NULL)
        return out_of_memory(error);
    for (size_t i = 0; i < w->entry_count; i++, key += strlen(key) + 1)
        names[i] = (struct tsr_name){key, i};
    status = check_unique(names, w->entry_count, "key", error);
    for (size_t i = 0; i < w->tensor_count; i++)
        names[i] = (struct tsr_name){w->tensors[i].name, i};
    if (status == TSR_OK)
        status = check_unique(names, w->tensor_count, "tensor", error);
    free(names);
    return status;
}

/* The whole header; *total = the size of the file. */
static tsr_status make_header(const tsr_gguf_writer *w, struct bytes *header, uint64_t *total,
                              struct tsr_error *error)
{
    static const char zeros[TSR_GGUF_ALIGNMENT];
    uint64_t offset = 0, padded;
    int fits = put(header, "GGUF", 4) && put32(header, TSR_GGUF_VERSION) &&
               put64(header, w->tensor_count) && put64(header, w->entry_count) &&
               put(header, w->entries.data, w->entries.used);

    for (size_t i = 0; fits && i < w->tensor_count; i++) {
        const struct declared *tensor = &w->tensors[i];

        fits = put_string(header, tensor->name, strlen(tensor->name)) &&
               put32(header, tensor->dim_count);
        for (uint32_t d = 0; fits && d < tensor->dim_count; d++)
            fits = put64(header, tensor->dims[d]);
        fits = fits && put32(header, tensor->type) && put64(header, offset);
        if (!tsr_checked_round_up(&padded, tensor->bytes, TSR_GGUF_ALIGNMENT) ||
            !tsr_checked_add(&offset, offset, padded) || offset > INT64_MAX / 2)
            return tsr_fail(error, TSR_UNSUPPORTED,
                            "overflow: the tensors are too large for a file");
    }
    if (!fits || !put(header, zeros, (size_t)-header->used % TSR_GGUF_ALIGNMENT))
        return out_of_memory(error);
    *total = header->used + offset;
    return TSR_OK;
}

static uint32_t crc_add(uint32_t crc, const void *data, size_t bytes)
{
    return (uint32_t)crc32_z(crc, data, bytes);
}

tsr_status tsr_gguf_begin(tsr_gguf_writer *w, struct tsr_error *error)
{
    struct bytes header = {0};
    uint64_t total = 0;
    tsr_status status = add_layout(w, error);

    if (status == TSR_OK)
        status = check_names(w, error);
    if (status != TSR_OK)
        return status;
    w->crc = calloc(w->tensor_count, sizeof *w->crc);
    status = w->crc == NULL ? out_of_memory(error) : make_header(w, &header, &total, error);
    if (status == TSR_OK)
        status = tsr_atomic_reserve(&w->out, total, error);
    if (status == TSR_OK)
        status = tsr_atomic_write(&w->out, header.data, header.used, error);
    if (status == TSR_OK) {
        w->crc[0] = crc_add(0, header.data, header.used);
        w->left = w->tensors[0].bytes;
        w->state = STREAMING;
    }
    free(header.data);
    return status;
}

/* ---- the data
 * -----------------------------------------------------------------------------------------------
 */

/* Pads the current tensor, which is complete, and goes to the next. */
static tsr_status end_tensor(tsr_gguf_writer *w, struct tsr_error *error)
{
    static const char zeros[TSR_GGUF_ALIGNMENT];
    size_t padding = (size_t)(-w->tensors[w->current].bytes % TSR_GGUF_ALIGNMENT);
    tsr_status status = tsr_atomic_write(&w->out, zeros, padding, error);

    if (status != TSR_OK)
        return status;
    if (w->current + 1 < w->tensor_count) { /* the last one holds the CRCs and has none */
        w->crc[1 + w->current] = crc_add(w->crc[1 + w->current], zeros, padding);
        w->left = w->tensors[w->current + 1].bytes;
    }
    w->current++;
    return TSR_OK;
}

tsr_status tsr_gguf_data(tsr_gguf_writer *w, const void *data, size_t bytes,
                         struct tsr_error *error)
{
    const char *from = data;

    if (w->state != STREAMING)
        return tsr_fail(error, TSR_INTERNAL, "data before the header of the GGUF file");
    while (bytes > 0) {
        size_t piece = bytes < w->left ? bytes : (size_t)w->left;
        tsr_status status;

        if (w->current + 1 >= w->tensor_count)
            return tsr_fail(error, TSR_INTERNAL, "%zu bytes of data after the last tensor", bytes);
        status = tsr_atomic_write(&w->out, from, piece, error);
        if (status != TSR_OK)
            return status;
        w->crc[1 + w->current] = crc_add(w->crc[1 + w->current], from, piece);
        from += piece;
        bytes -= piece;
        w->left -= piece;
        if (w->left == 0)
            status = end_tensor(w, error);
        if (status != TSR_OK)
            return status;
    }
    return TSR_OK;
}

tsr_status tsr_gguf_finish(tsr_gguf_writer *w, struct tsr_error *error)
{
    tsr_status status;

    if (w->state != STREAMING || w->current + 1 != w->tensor_count)
        return tsr_fail(error, TSR_INTERNAL, "the GGUF file is finished before its last tensor");
    status = tsr_atomic_write(&w->out, w->crc, w->tensor_count * sizeof *w->crc, error);
    if (status == TSR_OK)
        status = end_tensor(w, error);
    w->state = DONE;
    if (status == TSR_OK)
        status = tsr_atomic_commit(&w->out, error);
    return status;
}

tsr_status tsr_gguf_writer_new(tsr_gguf_writer **writer, const char *path, struct tsr_error *error)
{
    tsr_gguf_writer *w = calloc(1, sizeof *w);
    tsr_status status = w == NULL ? out_of_memory(error) : tsr_atomic_open(&w->out, path, error);

    if (status != TSR_OK)
        free(w);
    else
        *writer = w;
    return status;
}

void tsr_gguf_writer_free(tsr_gguf_writer *w)
{
    if (w == NULL)
        return;
    tsr_atomic_abort(&w->out);
    free(w->entries.data);
    free(w->keys.data);
    free(w->formats.data);
    free(w->ns.data);
    free(w->ks.data);
    free(w->tensors);
    free(w->crc);
    free(w);
}
