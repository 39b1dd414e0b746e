/*
 * fuzz_text.c: encodes any bytes with a tokenizer made here, in the style of DeepSeek's, and
 * decodes the ids.
 *
 * The byte FF ends a span: spans are template and user text by turns. The vocabulary has all bytes
 * and no token strips white space, so that decoding must give back the text with ill-formed parts
 * replaced; and control tokens must come from template spans alone, each as many times as its text
 * stands there.
 */
#include <config.h>

#include "fuzz.h"
#include "text/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One entry per byte in the GPT-2 alphabet, some merges, added tokens. */
static tsr_tokenizer *make(void)
{
    static char json[16384];
    struct tsr_error error;
    tsr_tokenizer *t;
    size_t size = (size_t)snprintf(json, sizeof json, "{\"model\":{\"vocab\":{");
    for (unsigned byte = 0, other = 0x100; byte < 256; byte++) {
        int printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
        size += (size_t)snprintf(json + size, sizeof json - size, "\"\\u%04x\":%u,",
                                 printable ? byte : other, byte);
        other += !printable;
    }
    snprintf(
        json + size, sizeof json - size,
        "\"ab\":256,\"aab\":257,\"abab\":258,\"\\u0120a\":259,\"aa\":260,\"\\u00e4\\u00b8\":261},"
        "\"merges\":[\"a b\",\"a ab\",\"ab ab\",\"\\u0120 a\",\"a a\",\"\\u00e4 \\u00b8\"]},"
        "\"added_tokens\":[{\"id\":262,\"content\":\"<x>\",\"special\":true},"
        "{\"id\":263,\"content\":\"<xx>\",\"special\":true,\"normalized\":true},"
        "{\"id\":264,\"content\":\"aba\",\"single_word\":true},{\"id\":265,\"content\":\"  \"}],"
        "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":["
        "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[\\r\\n]\"},\"behavior\":\"Isolated\"},"
        "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\s?\\\\p{L}+\"},\"behavior\":\"Isolated\"}"
        ","
        "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\s+$\"},\"behavior\":\"MergedWithNext\"},"
        "{\"type\":\"Digits\",\"individual_digits\":true},"
        "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}]},"
        "\"decoder\":{\"type\":\"ByteLevel\"}}");
    if (tsr_tokenizer_from_json(&t, json, strlen(json), &error) != TSR_OK) {
        fputs(error.message, stderr);
        abort();
    }
    return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static tsr_tokenizer *t;
    struct tsr_error error;
    struct tsr_text text = {0};
    char *want = malloc(3 * bytes + 16), *back;
    size_t size = 0, count, back_bytes, user = 0;
    int32_t *ids;
    t = t ? t : make();
    for (size_t begin = 0, end; begin < bytes; begin = end + 1, user = !user) {
        for (end = begin; end < bytes && data[end] != 0xFF;)
            end++;
        tsr_text_add(&text, (const char *)data + begin, end - begin,
                     user ? TSR_SPAN_USER : TSR_SPAN_TEMPLATE, &error);
    }
    for (size_t i = 0, begin = 0; i < text.span_count; begin = text.spans[i++].end) {
        struct tsr_utf8 state = {0};
        size +=
            tsr_utf8_feed(&state, text.bytes + begin, text.spans[i].end - begin, 1, want + size);
    }
    if (tsr_tokenizer_encode(t, &text, 0, &ids, &count, &error) != TSR_OK ||
        tsr_tokenizer_decode(t, ids, count, 0, &back, &back_bytes, &error) != TSR_OK)
        abort();
    if (back_bytes != size || memcmp(back, want, size))
        abort();
    free(back);
    free(ids);
    /* the same as user text: no control token */
    struct tsr_text all = {0};
    tsr_text_add(&all, want, size, TSR_SPAN_USER, &error);
    if (tsr_tokenizer_encode(t, &all, 0, &ids, &count, &error) != TSR_OK)
        abort();
    for (size_t i = 0; i < count; i++)
        if (ids[i] == 262 || ids[i] == 263)
            abort();
    free(ids);
    free(want);
    tsr_text_free(&text);
    tsr_text_free(&all);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t room, unsigned seed)
{
    static const char *const parts[] = {
        "<x>",  "<xx>", "aba",      "  ",           " a",       "\n",
        "ab",   "aab",  "12",       "\xE4\xB8\xAD", "\xE4\xB8", "\xF0\x9F\x98\x80",
        "\xFF", "'s",   "\xC2\xA0", "\xED\xA0\x80", "_"};
    uint32_t state = seed;
    const char *part = parts[fuzz_random(&state) % (sizeof parts / sizeof *parts)];
    size_t count = strlen(part), at = bytes ? fuzz_random(&state) % (bytes + 1) : 0;
    if (bytes + count > room || fuzz_random(&state) % 3 == 0)
        return LLVMFuzzerMutate(data, bytes, room);
    memmove(data + at + count, data + at, bytes - at);
    memcpy(data + at, part, count);
    return bytes + count;
}
