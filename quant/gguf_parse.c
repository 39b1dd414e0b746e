/*
 * gguf_parse.c: the header of a GGUF file: entries and tensor infos, from untrusted bytes. The
 * layout stands in gguf.h.
 *
 * The header is read into memory piece by piece, as far as it turns out to go, and every number in
 * it is checked against the bytes that the file has before it sizes, counts or points to anything:
 * memory taken is a small multiple of the header bytes seen. Nothing recurses. Names are sorted, so
 * many of them are no slower for being hostile. What makes any GGUF file malformed is looked for
 * before what makes it foreign.
 */
#include <config.h>

#include "checked.h"
#include "gguf.h"

#include <stdlib.h>
#include <string.h>

enum {
    HEADER_MAX = 128 << 20, /* bytes; a vocabulary of 256k tokens with merges takes 16 MiB */
    FIRST_READ = 64 << 10,
    SMALLEST_ENTRY = 8 + 1 + 4 + 1,         /* key length, key, type, value */
    SMALLEST_TENSOR = 8 + 1 + 4 + 8 + 4 + 8 /* name length, name, dims, one dim, type, offset */
};

struct reader {
    struct tsr_gguf *file;
    struct tsr_gguf_infos *infos;
    const struct tsr_input *in;
    struct tsr_error *error;
    uint64_t tensor_count, entry_count; /* as declared */
    size_t at;                          /* the cursor: bytes of the header that are parsed */
    size_t have, room;                  /* bytes of file->header that are read, allocated */
    size_t string_count;                /* of all arrays of strings */
};

#define FAIL(r, status, ...) tsr_fail((r)->error, status, __VA_ARGS__)

static tsr_status out_of_memory(struct reader *r)
{
    return FAIL(r, TSR_MEMORY, "%s: out of memory", r->in->name);
}

/* ---- the cursor ------------------------------------------------------------------------------ */

/* Makes `bytes` bytes at the cursor readable; `what` they are, for the message. */
static tsr_status need(struct reader *r, uint64_t bytes, const char *what)
{
    size_t end, room;
    char *header;
    tsr_status status;

    if (!tsr_checked_range(r->at, bytes, r->in->size))
        return FAIL(r, TSR_MALFORMED,
                    "%s: truncated: %s at byte %zu takes %llu bytes, %llu are left", r->in->name,
                    what, r->at, (unsigned long long)bytes,
                    (unsigned long long)(r->in->size - r->at));
    if (!tsr_checked_range(r->at, bytes, HEADER_MAX))
        return FAIL(r, TSR_UNSUPPORTED, "%s: the header is longer than %d bytes at %s", r->in->name,
                    HEADER_MAX, what);
    end = r->at + (size_t)bytes;
    if (end <= r->have)
        return TSR_OK;
    room = r->room < FIRST_READ ? FIRST_READ : r->room;
    while (room < end)
        room *= 2;
    room = room < r->in->size ? room : (size_t)r->in->size;
    header = realloc(r->file->header, room);
    if (header == NULL)
        return out_of_memory(r);
    r->file->header = header;
    r->room = room;
    status = tsr_input_read(r->in, r->have, header + r->have, room - r->have, r->error);
    if (status == TSR_OK)
        r->have = room;
    return status;
}

/* *out = the next `bytes` bytes, at most 8, little-endian. */
static tsr_status next(struct reader *r, size_t bytes, uint64_t *out, const char *what)
{
    tsr_status status = need(r, bytes, what);

    if (status != TSR_OK)
        return status;
    *out = 0;
    memcpy(out, r->file->header + r->at, bytes);
    r->at += bytes;
    return TSR_OK;
}

static tsr_status next32(struct reader *r, uint32_t *out, const char *what)
{
    uint64_t value;
    tsr_status status = next(r, 4, &value, what);

    if (status == TSR_OK)
        *out = (uint32_t)value;
    return status;
}

/* A string: *at, *bytes say where its text is; the cursor moves behind it. */
static tsr_status next_string(struct reader *r, size_t *at, size_t *bytes, const char *what)
{
    uint64_t length;
    tsr_status status = next(r, 8, &length, what);

    if (status == TSR_OK)
        status = need(r, length, what);
    if (status != TSR_OK)
        return status;
    *at = r->at;
    *bytes = (size_t)length;
    r->at += (size_t)length;
    return TSR_OK;
}

/* Grows an array by doubling, so that memory follows what was really seen in the file. */
static void *grown(void *array, size_t count, size_t size)
{
    if (count != 0 && (count < 16 || (count & (count - 1)) != 0))
        return array;
    return realloc(array, (count < 16 ? 16 : 2 * count) * size);
}

/* ---- the entries ----------------------------------------------------------------------------- */

static tsr_status read_start(struct reader *r)
{
    static const char magic[4] = {'G', 'G', 'U', 'F'};
    uint32_t first = 0, version = 0;
    tsr_status status;

    if (r->in->size < 4)
        return tsr_input_not(r->in, "GGUF", r->error);
    status = next32(r, &first, "the magic");
    if (status != TSR_OK)
        return status;
    if (memcmp(r->file->header, magic, sizeof magic) != 0)
        return tsr_input_not(r->in, "GGUF", r->error);
    status = next32(r, &version, "the version");
    if (status != TSR_OK)
        return status;
    if (version == 0)
        return FAIL(r, TSR_MALFORMED, "%s: bad version 0", r->in->name);
    if ((version & 0xffff) == 0)
        return FAIL(r, TSR_UNSUPPORTED, "%s: a big-endian GGUF file is not supported", r->in->name);
    if (version != TSR_GGUF_VERSION)
        return FAIL(r, TSR_UNSUPPORTED, "%s: GGUF version %u is %s: convert the checkpoint again",
                    r->in->name, version, version < 3 ? "not supported" : "newer than supported");
    status = next(r, 8, &r->tensor_count, "the number of tensors");
    if (status == TSR_OK)
        status = next(r, 8, &r->entry_count, "the number of entries");
    if (status != TSR_OK)
        return status;
    if (!tsr_checked_count(r->tensor_count, SMALLEST_TENSOR, r->in->size - r->at))
        return FAIL(r, TSR_MALFORMED, "%s: the count of tensors, %llu, exceeds the file",
                    r->in->name, (unsigned long long)r->tensor_count);
    if (!tsr_checked_count(r->entry_count, SMALLEST_ENTRY, r->in->size - r->at))
        return FAIL(r, TSR_MALFORMED, "%s: the count of entries, %llu, exceeds the file",
                    r->in->name, (unsigned long long)r->entry_count);
    return TSR_OK;
}

/* `count` numbers of `type` at the cursor, moved behind them; bools must be 0 or 1. */
static tsr_status skip_numbers(struct reader *r, uint32_t type, size_t count, size_t entry)
{
    tsr_status status = need(r, (uint64_t)count * tsr_gguf_type_bytes(type), "a value");
    const char *value = r->file->header + r->at;

    if (status != TSR_OK)
        return status;
    for (size_t i = 0; type == TSR_GGUF_BOOL && i < count; i++)
        if (value[i] != 0 && value[i] != 1)
            return FAIL(r, TSR_MALFORMED, "%s: bad bool %d in entry %zu at byte %zu", r->in->name,
                        (unsigned char)value[i], entry, r->at + i);
    r->at += count * tsr_gguf_type_bytes(type);
    return TSR_OK;
}

static tsr_status read_array(struct reader *r, struct tsr_gguf_entry *entry, size_t index)
{
    uint64_t count, left;
    size_t at, bytes, size;
    tsr_status status = next32(r, &entry->item, "an array's type");

    if (status == TSR_OK)
        status = next(r, 8, &count, "an array's length");
    if (status != TSR_OK)
        return status;
    if (entry->item == TSR_GGUF_ARRAY)
        return FAIL(r, TSR_MALFORMED, "%s: nested arrays are not supported (entry %zu, byte %zu)",
                    r->in->name, index, r->at);
    if (entry->item > TSR_GGUF_F64)
        return FAIL(r, TSR_MALFORMED, "%s: bad value type %u in the array of entry %zu",
                    r->in->name, entry->item, index);
    size = entry->item == TSR_GGUF_STRING ? 8 : tsr_gguf_type_bytes(entry->item);
    left = r->in->size - r->at;
    if (!tsr_checked_count(count, size, left))
        return FAIL(r, TSR_MALFORMED, "%s: the count of entry %zu's array, %llu, exceeds the file",
                    r->in->name, index, (unsigned long long)count);
    entry->at = r->at;
    entry->count = (size_t)count;
    if (entry->item != TSR_GGUF_STRING)
        return skip_numbers(r, entry->item, entry->count, index);
    for (size_t i = 0; status == TSR_OK && i < entry->count; i++)
        status = next_string(r, &at, &bytes, "a string of an array");
    r->string_count += entry->count;
    return status;
}

static tsr_status read_entry(struct reader *r, struct tsr_gguf_entry *entry, size_t index)
{
    size_t start = r->at;
    tsr_status status = next_string(r, &entry->key_at, &entry->key_bytes, "a key");
    const char *key = r->file->header + entry->key_at;
    int shown = entry->key_bytes < 64 ? (int)entry->key_bytes : 64;

    if (status != TSR_OK)
        return status;
    if (entry->key_bytes == 0)
        return FAIL(r, TSR_MALFORMED, "%s: empty key of entry %zu at byte %zu", r->in->name, index,
                    start);
    if (entry->key_bytes > TSR_GGUF_KEY_MAX || !tsr_gguf_name_valid(key, entry->key_bytes))
        return FAIL(r, TSR_MALFORMED, "%s: invalid key '%.*s' of entry %zu at byte %zu",
                    r->in->name, shown, key, index, start);
    status = next32(r, &entry->type, "a value type");
    if (status != TSR_OK)
        return status;
    if (entry->type > TSR_GGUF_F64)
        return FAIL(r, TSR_MALFORMED, "%s: bad value type %u of entry %zu at byte %zu", r->in->name,
                    entry->type, index, start);
    if (entry->type == TSR_GGUF_ARRAY)
        return read_array(r, entry, index);
    if (entry->type == TSR_GGUF_STRING)
        return next_string(r, &entry->at, &entry->count, "a string value");
    entry->at = r->at;
    entry->count = 1;
    return skip_numbers(r, entry->type, 1, index);
}

const char *tsr_gguf_keep(char **to, const char *from, size_t bytes)
{
    char *text = *to;

    memcpy(text, from, bytes);
    text[bytes] = '\0';
    *to = text + bytes + 1;
    return text;
}

static tsr_status index_keys(struct reader *r, size_t text_bytes)
{
    struct tsr_gguf *file = r->file;
    const struct tsr_name *twice;
    char *to;

    file->key_texts = to = malloc(text_bytes + 1);
    file->keys = calloc(file->entry_count + 1, sizeof *file->keys);
    if (file->key_texts == NULL || file->keys == NULL)
        return out_of_memory(r);
    for (size_t i = 0; i < file->entry_count; i++) {
        struct tsr_gguf_entry *entry = &file->entries[i];

        entry->key = tsr_gguf_keep(&to, file->header + entry->key_at, entry->key_bytes);
        file->keys[i] = (struct tsr_name){entry->key, i};
    }
    twice = tsr_names_sort(file->keys, file->entry_count);
    if (twice != NULL)
        return FAIL(r, TSR_MALFORMED, "%s: duplicate key '%.64s' at byte %zu", r->in->name,
                    twice->text, file->entries[twice->index].key_at - 8);
    return TSR_OK;
}

static tsr_status read_entries(struct reader *r)
{
    struct tsr_gguf *file = r->file;
    size_t text_bytes = 0;

    for (uint64_t i = 0; i < r->entry_count; i++) {
        struct tsr_gguf_entry entry = {0};
        void *entries = grown(file->entries, file->entry_count, sizeof entry);
        tsr_status status;

        if (entries == NULL)
            return out_of_memory(r);
        file->entries = entries;
        status = read_entry(r, &entry, file->entry_count);
        if (status != TSR_OK)
            return status;
        file->entries[file->entry_count++] = entry;
        text_bytes += entry.key_bytes + 1;
    }
    return index_keys(r, text_bytes);
}

/* Is it our layout? First what makes any GGUF file malformed, then what makes it foreign. */
static tsr_status check_layout(struct reader *r)
{
    const struct tsr_gguf_entry *entry = tsr_gguf_find(r->file, TSR_GGUF_KEY_ALIGNMENT);
    uint64_t alignment = 32, layout; /* the default of the specification */
    tsr_status status;

    if (entry != NULL) {
        if (entry->type != TSR_GGUF_U32)
            return FAIL(r, TSR_MALFORMED,
                        "%s: wrong type of key 'general.alignment': u32 is wanted", r->in->name);
        tsr_gguf_u64(r->file, entry->key, 0, UINT32_MAX, &alignment, NULL);
        if (alignment == 0 || (alignment & (alignment - 1)) != 0 || alignment > 65536)
            return FAIL(r, TSR_MALFORMED, "%s: bad alignment %llu: %s", r->in->name,
                        (unsigned long long)alignment,
                        alignment > 65536 ? "too large" : "not a power of two");
    }
    if (!tsr_gguf_has(r->file, TSR_GGUF_KEY_LAYOUT))
        return FAIL(r, TSR_UNSUPPORTED,
                    "%s: a GGUF file of another program (no 'tessera.layout'): convert the model's "
                    "safetensors folder with 'tessera convert'",
                    r->in->name);
    status = tsr_gguf_u64(r->file, TSR_GGUF_KEY_LAYOUT, 0, UINT64_MAX, &layout, r->error);
    if (status != TSR_OK)
        return status;
    if (layout != TSR_GGUF_LAYOUT)
        return FAIL(
            r, TSR_UNSUPPORTED,
            "%s: 'tessera.layout' is %llu, this version reads %d: convert the checkpoint again",
            r->in->name, (unsigned long long)layout, TSR_GGUF_LAYOUT);
    if (alignment != TSR_GGUF_ALIGNMENT)
        return FAIL(r, TSR_MALFORMED, "%s: bad alignment %llu: layout 1 has 64", r->in->name,
                    (unsigned long long)alignment);
    return TSR_OK;
}

/* ---- the tensor infos ------------------------------------------------------------------------ */

/* Types that other programs write, for messages; block: elements that share scales. */
static const struct {
    uint32_t type;
    unsigned block;
} block_types[] = {{2, 32},   {3, 32},   {6, 32},   {7, 32},   {8, 32},   {9, 32},
                   {10, 256}, {11, 256}, {12, 256}, {13, 256}, {14, 256}, {15, 256},
                   {16, 256}, {17, 256}, {18, 256}, {19, 256}, {20, 32},  {21, 256},
                   {22, 256}, {23, 256}, {29, 256}, {34, 256}, {35, 256}, {39, 32}};

static tsr_status check_type(struct reader *r, const struct tsr_gguf_info *info, const char *name)
{
    if (info->type == TSR_GGML_F32 || info->type == TSR_GGML_F16 || info->type == TSR_GGML_I8 ||
        info->type == TSR_GGML_I32)
        return TSR_OK;
    for (size_t i = 0; i < sizeof block_types / sizeof block_types[0]; i++)
        if (block_types[i].type == info->type && info->dims[0] % block_types[i].block != 0)
            return FAIL(r, TSR_MALFORMED,
                        "%s: tensor %zu '%s': %llu is not a multiple of its block of %u",
                        r->in->name, r->infos->count, name, (unsigned long long)info->dims[0],
                        block_types[i].block);
    return FAIL(r, TSR_UNSUPPORTED, "%s: tensor %zu '%s': type %u is not supported", r->in->name,
                r->infos->count, name, info->type);
}

/* The dims of a tensor, and its bytes. */
static tsr_status read_shape(struct reader *r, struct tsr_gguf_info *info, const char *name)
{
    uint64_t size;
    tsr_status status = next32(r, &info->dim_count, "a count of dims");

    if (status != TSR_OK)
        return status;
    if (info->dim_count == 0 || info->dim_count > TSR_GGUF_DIMS)
        return FAIL(r, TSR_MALFORMED, "%s: tensor %zu '%s': too %s dims: %u", r->in->name,
                    r->infos->count, name, info->dim_count == 0 ? "few" : "many", info->dim_count);
    for (uint32_t i = 0; i < info->dim_count; i++) {
        status = next(r, 8, &info->dims[i], "a dim");
        if (status != TSR_OK)
            return status;
        if (info->dims[i] == 0 || info->dims[i] > INT64_MAX)
            return FAIL(r, TSR_MALFORMED, "%s: tensor %zu '%s': bad dim %lld", r->in->name,
                        r->infos->count, name, (long long)info->dims[i]);
    }
    status = next32(r, &info->type, "a tensor's type");
    if (status == TSR_OK)
        status = next(r, 8, &info->offset, "a tensor's offset");
    if (status == TSR_OK)
        status = check_type(r, info, name);
    if (status != TSR_OK)
        return status;
    size = info->type == TSR_GGML_I8 ? 1 : info->type == TSR_GGML_F16 ? 2 : 4;
    for (uint32_t i = 0; i < info->dim_count; i++)
        if (!tsr_checked_mul(&size, size, info->dims[i]) || size > (uint64_t)PTRDIFF_MAX)
            return FAIL(r, TSR_MALFORMED,
                        "%s: tensor %zu '%s': overflow: the product of its dims is too large",
                        r->in->name, r->infos->count, name);
    info->bytes = size;
    if (!tsr_checked_round_up(&size, size, TSR_GGUF_ALIGNMENT) ||
        !tsr_checked_add(&r->infos->bytes, r->infos->bytes, size))
        return FAIL(r, TSR_MALFORMED, "%s: tensor %zu '%s': overflow: the sizes add up to 2^64",
                    r->in->name, r->infos->count, name);
    return TSR_OK;
}

static tsr_status read_info(struct reader *r, struct tsr_gguf_info *info)
{
    char name[TSR_GGUF_NAME_MAX + 1];
    size_t start = r->at;
    tsr_status status = next_string(r, &info->name_at, &info->name_bytes, "a tensor's name");

    if (status != TSR_OK)
        return status;
    if (info->name_bytes == 0 || info->name_bytes > TSR_GGUF_NAME_MAX)
        return FAIL(r, TSR_MALFORMED, "%s: the name of tensor %zu at byte %zu is %s", r->in->name,
                    r->infos->count, start,
                    info->name_bytes == 0 ? "empty" : "longer than 63 bytes");
    memcpy(name, r->file->header + info->name_at, info->name_bytes);
    name[info->name_bytes] = '\0';
    if (!tsr_gguf_name_valid(name, info->name_bytes))
        return FAIL(r, TSR_MALFORMED, "%s: invalid name '%s' of tensor %zu at byte %zu",
                    r->in->name, name, r->infos->count, start);
    return read_shape(r, info, name);
}

static tsr_status read_infos(struct reader *r)
{
    for (uint64_t i = 0; i < r->tensor_count; i++) {
        struct tsr_gguf_info info = {0};
        void *list = grown(r->infos->list, r->infos->count, sizeof info);
        tsr_status status;

        if (list == NULL)
            return out_of_memory(r);
        r->infos->list = list;
        status = read_info(r, &info);
        if (status != TSR_OK)
            return status;
        r->infos->list[r->infos->count++] = info;
    }
    return TSR_OK;
}

/* Moves the cursor to the first byte of the data. */
static tsr_status end_header(struct reader *r)
{
    uint64_t end;
    tsr_status status;

    if (!tsr_checked_round_up(&end, r->at, TSR_GGUF_ALIGNMENT))
        return FAIL(r, TSR_MALFORMED, "%s: overflow", r->in->name);
    status = need(r, end - r->at, "the padding of the header");
    if (status == TSR_OK)
        r->file->header_bytes = r->at = (size_t)end;
    return status;
}

/* The strings of all arrays of strings, now that the header stays where it is. */
static tsr_status make_slices(struct reader *r)
{
    struct tsr_gguf *file = r->file;
    struct tsr_slice *slice;

    file->slices = slice = calloc(r->string_count + 1, sizeof *slice);
    if (slice == NULL)
        return out_of_memory(r);
    for (size_t i = 0; i < file->entry_count; i++) {
        struct tsr_gguf_entry *entry = &file->entries[i];
        const char *at = file->header + entry->at;

        if (entry->type != TSR_GGUF_ARRAY || entry->item != TSR_GGUF_STRING)
            continue;
        entry->strings = slice;
        for (size_t j = 0; j < entry->count; j++, slice++) {
            uint64_t bytes;

            memcpy(&bytes, at, sizeof bytes);
            *slice = (struct tsr_slice){at + sizeof bytes, (size_t)bytes};
            at += sizeof bytes + (size_t)bytes;
        }
    }
    return TSR_OK;
}

tsr_status tsr_gguf_parse(struct tsr_gguf *file, struct tsr_gguf_infos *infos,
                          const struct tsr_input *in, struct tsr_error *error)
{
    static tsr_status (*const steps[])(struct reader *) = {
        read_start, read_entries, check_layout, read_infos, end_header, make_slices,
    };
    struct reader r = {.file = file, .infos = infos, .in = in, .error = error};
    tsr_status status = TSR_OK;

    for (size_t i = 0; status == TSR_OK && i < sizeof steps / sizeof steps[0]; i++)
        status = steps[i](&r);
    return status;
}
