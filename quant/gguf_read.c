/*
 * gguf_read.c: opens a GGUF file: what its header says about the data is checked, then the data is
 * mapped.
 *
 * The tensors must lie one after the other without gaps up to the last byte: that excludes overlap,
 * holes, truncation and trailing bytes at once. The header was read into memory (gguf_parse.c) and
 * is never looked at in the map, where another process could change it; the bytes of the tensors
 * may change, every value of them is allowed. A file that is cut while it is mapped raises SIGBUS:
 * that is the program's to handle (tsr_gguf_range).
 */
#include <config.h>

#include "checked.h"
#include "gguf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct reader {
    struct tsr_gguf *file;
    struct tsr_input in;
    struct tsr_gguf_infos infos;
    struct tsr_error *error;
};

#define FAIL(r, status, ...) tsr_fail((r)->error, status, __VA_ARGS__)

static tsr_status out_of_memory(struct reader *r)
{
    return FAIL(r, TSR_MEMORY, "%s: out of memory", r->in.name);
}

/* ---- what the header says about the data ----------------------------------------------------- */

/* The tensors as tsr_tensor, with their names; shapes of tiles are still those of the file: n = 1,
 * k = bytes. */
static tsr_status make_tensors(struct reader *r)
{
    struct tsr_gguf *file = r->file;
    const struct tsr_name *twice;
    size_t text_bytes = 1;
    char *to;

    for (size_t i = 0; i < r->infos.count; i++)
        text_bytes += r->infos.list[i].name_bytes + 1;
    file->name_texts = to = malloc(text_bytes);
    file->tensors = calloc(r->infos.count + 1, sizeof *file->tensors);
    file->names = calloc(r->infos.count + 1, sizeof *file->names);
    if (file->name_texts == NULL || file->tensors == NULL || file->names == NULL)
        return out_of_memory(r);
    for (size_t i = 0; i < r->infos.count; i++) {
        const struct tsr_gguf_info *info = &r->infos.list[i];
        struct tsr_tensor *tensor = &file->tensors[i];

        tensor->name = tsr_gguf_keep(&to, file->header + info->name_at, info->name_bytes);
        tensor->plain = info->type == TSR_GGML_F32 || info->type == TSR_GGML_F16;
        tensor->tile.format = info->type == TSR_GGML_F16 ? TSR_F16 : TSR_F32;
        tensor->tile.k = (size_t)info->dims[0];
        tensor->tile.n = 1;
        for (uint32_t d = 1; d < info->dim_count; d++)
            tensor->tile.n *= (size_t)info->dims[d];
        tensor->bytes = (size_t)info->bytes;
        file->names[i] = (struct tsr_name){tensor->name, i};
    }
    twice = tsr_names_sort(file->names, r->infos.count);
    if (twice != NULL)
        return FAIL(r, TSR_MALFORMED, "%s: tensor %zu has the duplicate name '%s'", r->in.name,
                    twice->index, twice->text);
    return TSR_OK;
}

/* The tensors lie one after the other, padded, up to the end of the file. */
static tsr_status check_places(struct reader *r)
{
    struct tsr_gguf *file = r->file;
    uint64_t data = r->in.size - file->header_bytes, end = 0;

    for (size_t i = 0; i < r->infos.count; i++) {
        const struct tsr_gguf_info *info = &r->infos.list[i];
        const char *name = file->tensors[i].name;

        if (!tsr_checked_range(info->offset, info->bytes, data))
            return FAIL(
                r, TSR_MALFORMED,
                "%s: truncated, or tensor %zu '%s' lies out of the file: bytes %llu + %llu of %llu",
                r->in.name, i, name, (unsigned long long)info->offset,
                (unsigned long long)info->bytes, (unsigned long long)data);
        if (info->offset != end)
            return FAIL(r, TSR_MALFORMED, "%s: tensor %zu '%s' %s: offset %llu, expected %llu",
                        r->in.name, i, name,
                        info->offset % TSR_GGUF_ALIGNMENT != 0 ? "is not aligned"
                        : info->offset < end                   ? "overlaps another"
                                                               : "comes after a gap",
                        (unsigned long long)info->offset, (unsigned long long)end);
        file->tensors[i].offset = file->header_bytes + info->offset;
        end += tsr_round_up((size_t)info->bytes, TSR_GGUF_ALIGNMENT); /* the sum was checked */
    }
    if (data < end)
        return FAIL(r, TSR_MALFORMED, "%s: truncated: %llu bytes of data, %llu are needed",
                    r->in.name, (unsigned long long)data, (unsigned long long)end);
    if (data > end)
        return FAIL(r, TSR_MALFORMED, "%s: %llu bytes after the last tensor", r->in.name,
                    (unsigned long long)(data - end));
    return tsr_checked_size(&file->data_bytes, data)
               ? TSR_OK
               : FAIL(r, TSR_MALFORMED, "%s: overflow: too large for this machine", r->in.name);
}

/* An array of facts of the tiles: its elements, if it has the type and the count. */
static tsr_status tile_facts(struct reader *r, const char *key, uint32_t type, size_t count,
                             const char **facts)
{
    const struct tsr_gguf_entry *entry = tsr_gguf_find(r->file, key);

    *facts = NULL;
    if (entry == NULL && count == 0)
        return TSR_OK;
    if (entry == NULL)
        return FAIL(r, TSR_MALFORMED, "%s: key '%s' is absent", r->in.name, key);
    if (entry->type != TSR_GGUF_ARRAY || entry->item != type)
        return FAIL(r, TSR_MALFORMED, "%s: wrong type of key '%s'", r->in.name, key);
    if (entry->count != count)
        return FAIL(r, TSR_MALFORMED, "%s: key '%s' has %zu elements for %zu tiles", r->in.name,
                    key, entry->count, count);
    *facts = r->file->header + entry->at;
    return TSR_OK;
}

static tsr_status check_tiles(struct reader *r)
{
    struct tsr_gguf *file = r->file;
    const char *formats, *ns, *ks;
    size_t count = 0, tile = 0;
    tsr_status status;

    for (size_t i = 0; i < file->tensor_count; i++)
        count += !file->tensors[i].plain;
    status = tile_facts(r, TSR_GGUF_KEY_FORMAT, TSR_GGUF_U8, count, &formats);
    if (status == TSR_OK)
        status = tile_facts(r, TSR_GGUF_KEY_N, TSR_GGUF_U64, count, &ns);
    if (status == TSR_OK)
        status = tile_facts(r, TSR_GGUF_KEY_K, TSR_GGUF_U64, count, &ks);
    if (status != TSR_OK)
        return status;
    for (size_t i = 0; i < file->tensor_count; i++) {
        struct tsr_tensor *tensor = &file->tensors[i];
        struct tsr_error why;
        uint64_t n, k;
        size_t bytes;

        if (tensor->plain)
            continue;
        memcpy(&n, ns + tile * sizeof n, sizeof n);
        memcpy(&k, ks + tile * sizeof k, sizeof k);
        tensor->tile.format = (unsigned char)formats[tile++];
        if (!tsr_checked_size(&tensor->tile.n, n) || !tsr_checked_size(&tensor->tile.k, k))
            return FAIL(r, TSR_MALFORMED, "%s: tensor %zu '%s': overflow in its shape", r->in.name,
                        i, tensor->name);
        status = tsr_tile_bytes(&bytes, tensor->tile.format, tensor->tile.n, tensor->tile.k, &why);
        if (status != TSR_OK)
            return FAIL(r, status, "%s: tensor %zu '%s': %.96s", r->in.name, i, tensor->name,
                        why.message);
        if (bytes != tensor->bytes)
            return FAIL(r, TSR_MALFORMED,
                        "%s: tensor %zu '%s': %zu bytes, but [%zu, %zu] in %s takes %zu",
                        r->in.name, i, tensor->name, tensor->bytes, tensor->tile.n, tensor->tile.k,
                        tsr_format_name(tensor->tile.format), bytes);
    }
    return TSR_OK;
}

/* Takes tessera.crc off the list of tensors: it must be the last, and have one number for each
 * other. */
static tsr_status check_crc_tensor(struct reader *r)
{
    size_t last = r->infos.count - 1;
    size_t index = tsr_names_find(r->file->names, r->infos.count, TSR_GGUF_CRC);
    const struct tsr_gguf_info *info;

    if (index == SIZE_MAX || index != last)
        return FAIL(r, TSR_MALFORMED, "%s: the last tensor is not '" TSR_GGUF_CRC "'", r->in.name);
    info = &r->infos.list[last];
    if (info->type != TSR_GGML_I32 || info->dim_count != 1 || info->dims[0] != r->infos.count)
        return FAIL(r, TSR_MALFORMED, "%s: '" TSR_GGUF_CRC "' is not I32 [%zu]", r->in.name,
                    r->infos.count);
    for (size_t i = 0; i < last; i++)
        if (r->infos.list[i].type == TSR_GGML_I32 ||
            (r->infos.list[i].type == TSR_GGML_I8 && r->infos.list[i].dim_count != 1))
            return FAIL(r, r->infos.list[i].type == TSR_GGML_I32 ? TSR_UNSUPPORTED : TSR_MALFORMED,
                        "%s: tensor %zu '%s' is %s", r->in.name, i, r->file->tensors[i].name,
                        r->infos.list[i].type == TSR_GGML_I32 ? "of type I32, not supported"
                                                              : "a tile, but has several dims");
    r->file->tensor_count = last;
    /* Without the last one, the sorted names lose one element; the order of the others stays. */
    for (size_t i = 0, to = 0; i < r->infos.count; i++)
        if (r->file->names[i].index != last)
            r->file->names[to++] = r->file->names[i];
    return TSR_OK;
}

/* ---- the data
 * ------------------------------------------------------------------------------------------------
 */

/* Reads the data to `to` in pieces of at most READ_PIECE bytes; between them the caller may stop
 * it. */
static tsr_status read_data(struct reader *r, const struct tsr_load_options *options, char *to)
{
    enum { READ_PIECE = 1 << 20 };
    const size_t total = r->file->data_bytes;
    tsr_status status = TSR_OK;

    for (size_t done = 0, piece = 0; status == TSR_OK; done += piece) {
        if (options->progress != NULL && options->progress(options->data, done, total) != 0)
            return FAIL(r, TSR_INTERRUPTED, "%s: loading was cancelled", r->in.name);
        if (done == total)
            break;
        piece = total - done < READ_PIECE ? total - done : READ_PIECE;
        status = tsr_input_read(&r->in, r->file->header_bytes + done, to + done, piece, r->error);
    }
    return status;
}

/* Maps the file, or reads its data into memory (on huge pages if asked). Sets base and data. */
static tsr_status load(struct reader *r, const struct tsr_load_options *options)
{
    struct tsr_gguf *file = r->file;
    const enum tsr_load how = options->load;
    size_t bytes = how == TSR_LOAD_MAP ? file->header_bytes + file->data_bytes : file->data_bytes;
    size_t skip = how == TSR_LOAD_MAP ? file->header_bytes : 0;
    void *base = how == TSR_LOAD_MAP ? mmap(NULL, bytes, PROT_READ, MAP_SHARED, r->in.fd, 0)
                                     : mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (base == MAP_FAILED)
        return FAIL(r, errno == ENOMEM ? TSR_MEMORY : TSR_IO, "%s: cannot %s %zu bytes: %s",
                    r->in.name, how == TSR_LOAD_MAP ? "map" : "take memory for", bytes,
                    strerror(errno));
    file->base = base;
    file->base_bytes = bytes;
    file->data = (const char *)base + skip;
    file->crc =
        (const uint32_t *)(const void *)(file->data + r->infos.list[r->infos.count - 1].offset);
    for (size_t i = 0; i < file->tensor_count; i++)
        file->tensors[i].tile.data = file->data + r->infos.list[i].offset;
    if (how == TSR_LOAD_MAP) {
        file->fd = r->in.fd;
        r->in.fd = -1;
        return TSR_OK;
    }
    if (how == TSR_LOAD_HUGE)
        madvise(base, bytes, MADV_HUGEPAGE); /* a wish: without it the pages are small */
    return read_data(r, options, base);
}

static tsr_status read_all(struct reader *r, const struct tsr_load_options *options)
{
    static tsr_status (*const steps[])(struct reader *) = {
        make_tensors,
        check_places,
        check_crc_tensor,
        check_tiles,
    };
    tsr_status status = tsr_gguf_parse(r->file, &r->infos, &r->in, r->error);

    for (size_t i = 0; status == TSR_OK && i < sizeof steps / sizeof steps[0]; i++)
        status = steps[i](r);
    return status == TSR_OK ? load(r, options) : status;
}

tsr_status tsr_gguf_open(tsr_gguf **file, const char *path, const struct tsr_load_options *options,
                         struct tsr_error *error)
{
    static const struct tsr_load_options plain;
    struct reader r = {.error = error};
    tsr_status status = tsr_input_open(&r.in, AT_FDCWD, path, error);

    if (status != TSR_OK)
        return status;
    r.file = calloc(1, sizeof *r.file);
    if (r.file != NULL) {
        memcpy(r.file->name, r.in.name, sizeof r.in.name);
        r.file->fd = -1;
    }
    if (options == NULL)
        options = &plain;
    status = r.file == NULL ? out_of_memory(&r) : read_all(&r, options);
    if (status == TSR_OK && options->verify)
        status = tsr_gguf_verify(r.file, error);
    else if (status == TSR_OK)
        status = tsr_gguf_verify_header(r.file, error);
    tsr_input_close(&r.in);
    free(r.infos.list);
    if (status != TSR_OK)
        tsr_gguf_close(r.file);
    else
        *file = r.file;
    return status;
}

tsr_status tsr_gguf_whole(const tsr_gguf *file, struct tsr_error *error)
{
    struct stat facts;

    if (file->fd < 0 || (fstat(file->fd, &facts) == 0 && (size_t)facts.st_size >= file->base_bytes))
        return TSR_OK;
    return tsr_fail(
        error, TSR_IO,
        "%s: the file was cut while in use: restore it and run again, or load a copy with "
        "--load read",
        file->name);
}

tsr_status tsr_gguf_copy(const tsr_gguf *file, const struct tsr_tensor *tensor, size_t at,
                         size_t bytes, void *to, struct tsr_error *error)
{
    const char *const from = (const char *)tensor->tile.data + at;
    struct tsr_input in = {.fd = file->fd};

    if (file->fd < 0) {
        memcpy(to, from, bytes);
        return TSR_OK;
    }
    memcpy(in.name, file->name, sizeof in.name);
    return tsr_input_read(&in, file->header_bytes + (size_t)(from - file->data), to, bytes, error);
}

void tsr_gguf_close(tsr_gguf *file)
{
    if (file == NULL)
        return;
    if (file->fd >= 0)
        close(file->fd);
    if (file->base != NULL)
        munmap(file->base, file->base_bytes);
    free(file->header);
    free(file->entries);
    free(file->keys);
    free(file->tensors);
    free(file->names);
    free(file->slices);
    free(file->key_texts);
    free(file->name_texts);
    free(file);
}
