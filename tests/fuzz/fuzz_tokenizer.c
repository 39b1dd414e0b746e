/*
 * fuzz_tokenizer.c: reads any bytes as a tokenizer.json; if that succeeds, encodes and decodes with
 * it, writes it to a GGUF file and reads it back.
 *
 * Checked besides memory: ids are in range, user text never becomes a control token, and the
 * tokenizer of the GGUF file gives the same ids.
 */
#include <config.h>

#include "fuzz.h"
#include "text/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char sample[] =
    "  It's <x> the end, 12 \xC3\xA9t\xC3\xA9s\n\n\t\xE4\xB8\xAD\xE6\x96\x87 \xF0\x9F\x98\x80 "
    "ab<y>ab  \xE2\x82(aab b";

static tsr_status encode(const tsr_tokenizer *t, enum tsr_span_kind kind, int32_t **ids,
                         size_t *count)
{
    struct tsr_error error;
    struct tsr_text text = {0};
    if (tsr_text_add(&text, sample, sizeof sample - 1, kind, &error) != TSR_OK)
        abort();
    tsr_status status =
        tsr_tokenizer_encode(t, &text, kind == TSR_SPAN_TEMPLATE, ids, count, &error);
    tsr_text_free(&text);
    return status;
}

/* The same tokenizer, by way of a file. */
static tsr_tokenizer *through_gguf(const tsr_tokenizer *t)
{
    const char *const path = fuzz_output();
    struct tsr_error error = {0};
    const struct tsr_load_options options = {.load = TSR_LOAD_READ, .verify = 1};
    tsr_gguf_writer *writer;
    tsr_gguf *file;
    tsr_tokenizer *again;

    if (tsr_gguf_writer_new(&writer, path, &error) != TSR_OK ||
        tsr_gguf_set_string(writer, "general.architecture", "fuzz", 4, &error) != TSR_OK ||
        tsr_tokenizer_store(t, writer, &error) != TSR_OK ||
        tsr_gguf_begin(writer, &error) != TSR_OK || tsr_gguf_finish(writer, &error) != TSR_OK)
        abort();
    tsr_gguf_writer_free(writer);
    if (tsr_gguf_open(&file, path, &options, &error) != TSR_OK ||
        tsr_tokenizer_load(&again, file, &error) != TSR_OK)
        abort();
    unlink(path);
    tsr_gguf_close(file);
    return again;
}

static void compare(const tsr_tokenizer *a, const tsr_tokenizer *b, enum tsr_span_kind kind)
{
    int32_t *x, *y;
    size_t m, n;
    const tsr_status status = encode(a, kind, &x, &m);

    if (encode(b, kind, &y, &n) != status ||
        (status == TSR_OK && (m != n || memcmp(x, y, n * sizeof *x) != 0)))
        abort();
    free(x);
    free(y);
}

static void use(const tsr_tokenizer *t, enum tsr_span_kind kind)
{
    struct tsr_error error;
    int32_t *ids;
    size_t count, bytes;
    char *back;
    const tsr_status status = encode(t, kind, &ids, &count);
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
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct tsr_error error = {0};
    tsr_tokenizer *t;
    tsr_status status = tsr_tokenizer_from_json(&t, (const char *)data, bytes, &error);
    if (status == TSR_OK) {
        use(t, TSR_SPAN_TEMPLATE);
        use(t, TSR_SPAN_USER);
        tsr_tokenizer *again = through_gguf(t);
        compare(t, again, TSR_SPAN_TEMPLATE);
        compare(t, again, TSR_SPAN_USER);
        tsr_tokenizer_free(again);
        tsr_tokenizer_free(t);
    } else if ((status != TSR_MALFORMED && status != TSR_UNSUPPORTED) || t || !*error.message) {
        abort();
    }
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t room, unsigned seed)
{
    uint32_t state = seed;
    return json_mutate(data, bytes, room, &state);
}
