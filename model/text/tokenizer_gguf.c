/*
 * tokenizer_gguf.c: a tokenizer as metadata of a GGUF file; text.h lists the keys.
 *
 * The usual keys hold what other GGUF tools list; what they cannot express stands beside them under
 * tessera.tokenizer. Loading passes through the same checks as a tokenizer.json.
 */
#include <config.h>

#include "tokenizer.h"

#include <stdlib.h>
#include <string.h>

enum { TYPE_NORMAL = 1, TYPE_CONTROL = 3, TYPE_USER = 4 };

static tsr_status no_memory(struct tsr_error *error)
{
    return tsr_fail(error, TSR_MEMORY, "out of memory for the tokenizer");
}

/* ---- store ---- */

static tsr_status store_tokens(const tsr_tokenizer *t, tsr_gguf_writer *writer,
                               struct tsr_error *error)
{
    struct tsr_slice *names = malloc(t->size * sizeof *names);
    int32_t *types = malloc(t->size * sizeof *types);
    uint32_t *added = malloc(t->size * sizeof *added);
    uint8_t *flags = malloc(t->size);
    size_t count = 0;
    tsr_status status = names && types && added && flags ? TSR_OK : no_memory(error);
    for (size_t id = 0; id < t->size && status == TSR_OK; id++) {
        names[id] = tsr_token_name(t, id);
        types[id] = TYPE_NORMAL;
        if (!(t->flags[id] & TSR_TOKEN_ADDED))
            continue;
        types[id] = t->flags[id] & TSR_TOKEN_CONTROL ? TYPE_CONTROL : TYPE_USER;
        added[count] = (uint32_t)id;
        flags[count++] = t->flags[id] & (TSR_TOKEN_ADDED - 1);
    }
    if (status == TSR_OK)
        status = tsr_gguf_set_string(writer, "tokenizer.ggml.model", "gpt2", 4, error);
    if (status == TSR_OK)
        status = tsr_gguf_set_strings(writer, "tokenizer.ggml.tokens", names, t->size, error);
    if (status == TSR_OK)
        status = tsr_gguf_set_numbers(writer, "tokenizer.ggml.token_type", TSR_GGUF_I32, types,
                                      t->size, error);
    if (status == TSR_OK)
        status = tsr_gguf_set_numbers(writer, "tessera.tokenizer.added", TSR_GGUF_U32, added, count,
                                      error);
    if (status == TSR_OK)
        status = tsr_gguf_set_numbers(writer, "tessera.tokenizer.added_flags", TSR_GGUF_U8, flags,
                                      count, error);
    free(names);
    free(types);
    free(added);
    free(flags);
    return status;
}

static tsr_status store_merges(const tsr_tokenizer *t, tsr_gguf_writer *writer,
                               struct tsr_error *error)
{
    /* by rank; ranks are below TSR_MERGES_MAX, those of merges that were listed twice are missing
     */
    uint32_t last = 0;
    for (size_t i = 0; i < t->merge_count; i++)
        last = t->merges[i].rank >= last ? t->merges[i].rank + 1 : last;
    size_t bytes = 0, count = 0;
    uint32_t(*pairs)[2] = calloc(last + 1, sizeof *pairs); /* left + 1, right */
    for (size_t left = 0; left < t->size && pairs; left++) {
        for (size_t i = t->merge_at[left]; i < t->merge_at[left + 1]; i++) {
            pairs[t->merges[i].rank][0] = (uint32_t)left + 1;
            pairs[t->merges[i].rank][1] = t->merges[i].right;
            bytes +=
                tsr_token_name(t, left).bytes + 1 + tsr_token_name(t, t->merges[i].right).bytes;
        }
    }
    struct tsr_slice *items = malloc((t->merge_count + 1) * sizeof *items);
    char *text = malloc(bytes + 1), *to = text;
    tsr_status status = pairs && items && text ? TSR_OK : no_memory(error);
    for (uint32_t rank = 0; rank < last && status == TSR_OK; rank++) {
        if (!pairs[rank][0])
            continue;
        struct tsr_slice left = tsr_token_name(t, pairs[rank][0] - 1),
                         right = tsr_token_name(t, pairs[rank][1]);
        items[count++] = (struct tsr_slice){to, left.bytes + 1 + right.bytes};
        memcpy(to, left.text, left.bytes);
        to[left.bytes] = ' ';
        memcpy(to + left.bytes + 1, right.text, right.bytes);
        to += left.bytes + 1 + right.bytes;
    }
    if (status == TSR_OK)
        status = tsr_gguf_set_strings(writer, "tokenizer.ggml.merges", items, count, error);
    free(pairs);
    free(items);
    free(text);
    return status;
}

tsr_status tsr_tokenizer_store(const tsr_tokenizer *t, tsr_gguf_writer *writer,
                               struct tsr_error *error)
{
    tsr_status status = store_tokens(t, writer, error);
    if (status == TSR_OK)
        status = store_merges(t, writer, error);
    struct tsr_slice steps[TSR_STEPS_MAX];
    for (size_t i = 0; i < t->step_count; i++)
        steps[i] = (struct tsr_slice){t->steps[i].text, strlen(t->steps[i].text)};
    if (status == TSR_OK)
        status =
            tsr_gguf_set_strings(writer, "tessera.tokenizer.steps", steps, t->step_count, error);
    if (status == TSR_OK && t->prefix_count)
        status = tsr_gguf_set_numbers(writer, "tessera.tokenizer.prefix", TSR_GGUF_U32, t->prefix,
                                      t->prefix_count, error);
    if (status == TSR_OK && t->suffix_count)
        status = tsr_gguf_set_numbers(writer, "tessera.tokenizer.suffix", TSR_GGUF_U32, t->suffix,
                                      t->suffix_count, error);
    if (status == TSR_OK)
        status = tsr_gguf_set_u32(writer, "tessera.tokenizer.whole_words", (uint32_t)t->whole_words,
                                  error);
    return status;
}

/* ---- load ---- */

/* An array of exactly this type (and length, unless SIZE_MAX); *data is unaligned. */
static tsr_status numbers(const tsr_gguf *file, const char *key, enum tsr_gguf_type type,
                          size_t length, const uint8_t **data, size_t *count,
                          struct tsr_error *error)
{
    enum tsr_gguf_type found;
    const void *at;
    tsr_status status = tsr_gguf_numbers(file, key, &found, &at, count, error);
    if (status != TSR_OK)
        return status;
    if (found != type || (length != SIZE_MAX && *count != length))
        return tsr_fail(error, TSR_MALFORMED, "%s: wrong type or length (%zu)", key, *count);
    *data = at;
    return TSR_OK;
}

static uint32_t u32_at(const uint8_t *data, size_t index)
{
    uint32_t value;
    memcpy(&value, data + 4 * index, 4);
    return value;
}

static tsr_status load_flags(const tsr_gguf *file, size_t size, uint8_t *flags,
                             struct tsr_error *error)
{
    const uint8_t *types = NULL, *added = NULL, *bits = NULL;
    size_t count = 0, ignored;
    tsr_status status =
        numbers(file, "tokenizer.ggml.token_type", TSR_GGUF_I32, size, &types, &ignored, error);
    if (status == TSR_OK)
        status =
            numbers(file, "tessera.tokenizer.added", TSR_GGUF_U32, SIZE_MAX, &added, &count, error);
    if (status == TSR_OK)
        status = numbers(file, "tessera.tokenizer.added_flags", TSR_GGUF_U8, count, &bits, &ignored,
                         error);
    for (size_t i = 0; i < count && status == TSR_OK; i++) {
        uint32_t id = u32_at(added, i);
        if (id >= size || flags[id] || bits[i] >= TSR_TOKEN_ADDED)
            return tsr_fail(error, TSR_MALFORMED,
                            "tessera.tokenizer.added: entry %zu, id %u: beyond %zu tokens, twice, "
                            "or unknown flags",
                            i, id, size);
        flags[id] = TSR_TOKEN_ADDED | bits[i];
        if (u32_at(types, id) == TYPE_CONTROL || (bits[i] & TSR_ADDED_SPECIAL))
            flags[id] |= TSR_TOKEN_CONTROL;
    }
    return status;
}

/* Cuts "left right" at its only space. */
static int cut_merge(const void *lines, size_t index, struct tsr_slice pair[2])
{
    struct tsr_slice line = ((const struct tsr_slice *)lines)[index];
    const char *end = line.text + line.bytes;
    const char *space = line.bytes ? memchr(line.text, ' ', line.bytes) : NULL;
    if (!space || memchr(space + 1, ' ', (size_t)(end - space) - 1))
        return 0;
    pair[0] = (struct tsr_slice){line.text, (size_t)(space - line.text)};
    pair[1] = (struct tsr_slice){space + 1, (size_t)(end - space) - 1};
    return 1;
}

/* Optional ids around a text; the caller frees *ids. */
static tsr_status load_ids(const tsr_gguf *file, const char *key, int32_t **ids, size_t *count,
                           struct tsr_error *error)
{
    const uint8_t *data = NULL;
    if (!tsr_gguf_has(file, key))
        return TSR_OK;
    tsr_status status = numbers(file, key, TSR_GGUF_U32, SIZE_MAX, &data, count, error);
    if (status != TSR_OK)
        return status;
    *ids = malloc((*count + 1) * sizeof **ids);
    if (!*ids)
        return no_memory(error);
    memcpy(*ids, data, *count * sizeof **ids); /* above INT32_MAX: negative, refused by build */
    return TSR_OK;
}

tsr_status tsr_tokenizer_load(tsr_tokenizer **tokenizer, const tsr_gguf *file,
                              struct tsr_error *error)
{
    struct tsr_tokenizer_parts parts = {0};
    struct tsr_slice model;
    const struct tsr_slice *lines = NULL;
    int32_t *prefix = NULL, *suffix = NULL;
    uint64_t whole_words = 0;
    *tokenizer = NULL;
    tsr_status status = tsr_gguf_string(file, "tokenizer.ggml.model", &model, error);
    if (status == TSR_OK && (model.bytes != 4 || memcmp(model.text, "gpt2", 4)))
        status = tsr_fail(error, TSR_UNSUPPORTED,
                          "tokenizer.ggml.model: only \"gpt2\" (byte-level BPE) is handled");
    if (status == TSR_OK)
        status = tsr_gguf_strings(file, "tokenizer.ggml.tokens", &parts.names, &parts.size, error);
    if (status == TSR_OK)
        status = tsr_gguf_strings(file, "tokenizer.ggml.merges", &lines, &parts.merge_count, error);
    if (status == TSR_OK)
        status = tsr_gguf_strings(file, "tessera.tokenizer.steps", &parts.steps, &parts.step_count,
                                  error);
    if (status == TSR_OK)
        status = tsr_gguf_u64(file, "tessera.tokenizer.whole_words", 0, 1, &whole_words, error);
    if (status != TSR_OK)
        return status;
    uint8_t *flags = calloc(parts.size + 1, 1);
    status = flags ? load_flags(file, parts.size, flags, error) : no_memory(error);
    if (status == TSR_OK)
        status = load_ids(file, "tessera.tokenizer.prefix", &prefix, &parts.prefix_count, error);
    if (status == TSR_OK)
        status = load_ids(file, "tessera.tokenizer.suffix", &suffix, &parts.suffix_count, error);
    parts.flags = flags;
    parts.merge = cut_merge;
    parts.merges = lines;
    parts.prefix = prefix;
    parts.suffix = suffix;
    parts.whole_words = (int)whole_words;
    if (status == TSR_OK)
        status = tsr_tokenizer_build(tokenizer, &parts, error);
    free(flags);
    free(prefix);
    free(suffix);
    return status;
}
