/*
 * fuzz_tokenizer.c: reads any bytes as a tokenizer.json; if that succeeds, encodes and decodes with
 * it.
 *
 * Checked besides memory: ids are in range, and user text never becomes a control token. The
 * mutator changes one number or swaps two strings of the file, so that most files stay JSON.
 */
#include <config.h>

#include "fuzz.h"
#include "text/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char sample[] =
    "  It's <x> the end, 12 \xC3\xA9t\xC3\xA9s\n\n\t\xE4\xB8\xAD\xE6\x96\x87 \xF0\x9F\x98\x80 "
    "ab<y>ab  \xE2\x82(aab b";

static void use(const tsr_tokenizer *t, enum tsr_span_kind kind)
{
    struct tsr_error error;
    struct tsr_text text = {0};
    int32_t *ids;
    size_t count, bytes;
    char *back;
    if (tsr_text_add(&text, sample, sizeof sample - 1, kind, &error) != TSR_OK)
        abort();
    tsr_status status =
        tsr_tokenizer_encode(t, &text, kind == TSR_SPAN_TEMPLATE, &ids, &count, &error);
    if (status == TSR_OK) {
        for (size_t i = 0; i < count; i++)
            if (ids[i] < 0 || (size_t)ids[i] >= tsr_tokenizer_size(t) ||
                (kind == TSR_SPAN_USER && tsr_tokenizer_is_special(t, ids[i])))
                abort();
        if (tsr_tokenizer_decode(t, ids, count, 1, &back, &bytes, &error) != TSR_OK)
            abort();
        free(back);
    } else if (status != TSR_UNSUPPORTED) {
        abort();
    }
    free(ids);
    tsr_text_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct tsr_error error = {0};
    tsr_tokenizer *t;
    tsr_status status = tsr_tokenizer_from_json(&t, (const char *)data, bytes, &error);
    if (status == TSR_OK) {
        use(t, TSR_SPAN_TEMPLATE);
        use(t, TSR_SPAN_USER);
        tsr_tokenizer_free(t);
    } else if ((status != TSR_MALFORMED && status != TSR_UNSUPPORTED) || t || !*error.message) {
        abort();
    }
    return 0;
}

/* ---- the mutator ---- */

/* A random place in `data` where `byte` stands, or `bytes`. */
static size_t find(const uint8_t *data, size_t bytes, char byte, uint32_t *state)
{
    size_t from = bytes ? fuzz_random(state) % bytes : 0;
    for (size_t i = 0; i < bytes; i++)
        if (data[(from + i) % bytes] == (uint8_t)byte)
            return (from + i) % bytes;
    return bytes;
}

/* Puts text in the place of [at, end); returns the new length. */
static size_t replace(uint8_t *data, size_t bytes, size_t room, size_t at, size_t end,
                      const char *text, size_t count)
{
    if (bytes - (end - at) + count > room)
        return bytes;
    memmove(data + at + count, data + end, bytes - end);
    memcpy(data + at, text, count);
    return bytes - (end - at) + count;
}

/* The string or number that begins behind a colon, comma or bracket at `at`: its end. */
static size_t value_end(const uint8_t *data, size_t bytes, size_t at)
{
    size_t end = at;
    if (end < bytes && data[end] == '"') {
        for (end++; end < bytes && data[end] != '"'; end++)
            end += data[end] == '\\';
        return end < bytes ? end + 1 : bytes;
    }
    while (end < bytes && !strchr(",:]}[{", data[end]))
        end++;
    return end;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t room, unsigned seed)
{
    uint32_t state = seed;
    static const char marks[] = ":,[";
    char value[1024];
    if (bytes < 8 || fuzz_random(&state) % 4 == 0)
        return LLVMFuzzerMutate(data, bytes, room);
    size_t from = find(data, bytes, marks[fuzz_random(&state) % 3], &state) + 1;
    size_t at = find(data, bytes, marks[fuzz_random(&state) % 3], &state) + 1;
    if (at >= bytes || from >= bytes)
        return LLVMFuzzerMutate(data, bytes, room);
    size_t count = value_end(data, bytes, from) - from;
    if (fuzz_random(&state) % 3 == 0)
        count = (size_t)snprintf(value, sizeof value, "%lld", (long long)fuzz_number(&state, 3));
    else if (count < sizeof value)
        memcpy(value, data + from, count);
    else
        return bytes;
    return replace(data, bytes, room, at, value_end(data, bytes, at), value, count);
}
