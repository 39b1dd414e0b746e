/*
 * gguf_walk.c: walks a GGUF file as far as it makes sense; see gguf_walk.h.
 */
#include "gguf_walk.h"

#include "fuzz.h"
#include "quant.h"

#include <string.h>

static int take(struct gguf_walk *w, unsigned bytes, uint64_t *value)
{
    if (w->bytes - w->at < bytes)
        return 0;
    *value = 0;
    memcpy(value, w->data + w->at, bytes);
    if (w->count < GGUF_FIELDS) {
        w->fields[w->count].at = w->at;
        w->fields[w->count++].bytes = bytes;
    }
    w->at += bytes;
    return 1;
}

static int skip(struct gguf_walk *w, uint64_t bytes)
{
    if (bytes > w->bytes - w->at)
        return 0;
    w->at += (size_t)bytes;
    return 1;
}

static int walk_string(struct gguf_walk *w)
{
    uint64_t length;

    return take(w, 8, &length) && skip(w, length);
}

static int walk_value(struct gguf_walk *w, uint64_t type, int depth)
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

static int walk_tensor(struct gguf_walk *w)
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
    w->crc_at = offset;                          /* the last tensor's stays */
    bytes *= type == 24 ? 1 : type == 1 ? 2 : 4; /* I8, F16, F32 or I32 */
    w->data_bytes += (bytes + 63) / 64 * 64;
    return 1;
}

void gguf_walk(struct gguf_walk *w)
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

size_t gguf_mutate(uint8_t *data, size_t bytes, size_t room, uint32_t *state)
{
    static struct gguf_walk w;
    uint64_t value = 0;
    size_t field;

    w = (struct gguf_walk){.data = data, .bytes = bytes};
    gguf_walk(&w);
    if (w.count == 0 || fuzz_random(state) % 3 == 0)
        return LLVMFuzzerMutate(data, bytes, room);
    field = fuzz_random(state) % w.count;
    memcpy(&value, data + w.fields[field].at, w.fields[field].bytes);
    value = fuzz_number(state, value);
    memcpy(data + w.fields[field].at, &value, w.fields[field].bytes);
    return bytes;
}
