/*
 * utf8.c: UTF-8 from bytes that may be ill-formed or cut, and the growing text of a prompt.
 *
 * Ill-formed input is replaced by U+FFFD, one per maximal part, as the Unicode standard recommends
 * (3.9, "U+FFFD substitution of maximal subparts") and as Rust, Python and browsers do: E2 82 28
 * gives U+FFFD and "(". Overlong forms, surrogates and code points beyond 10FFFF are ill-formed
 * from their second byte on.
 */
#include <config.h>

#include "tokenizer.h"

#include <stdlib.h>
#include <string.h>

void *tsr_grow(void *array, size_t *room, size_t need, size_t item)
{
    if (need <= *room && array)
        return array;
    size_t more = *room < 16 ? 16 : *room;
    while (more < need && more <= SIZE_MAX / 2)
        more *= 2;
    if (more < need || more > PTRDIFF_MAX / item)
        return NULL;
    void *grown = realloc(array, more * item);
    if (grown)
        *room = more;
    return grown;
}

size_t tsr_utf8_next(const char *bytes, size_t count, uint32_t *code)
{
    const unsigned char *s = (const unsigned char *)bytes;
    unsigned first = s[0], low = 0x80, high = 0xBF;
    size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (first < 0x80) {
        *code = first;
        return 1;
    }
    *code = TSR_ILL_FORMED;
    if (first < 0xC2 || first > 0xF4)
        return 1;
    if (first == 0xE0) /* not overlong */
        low = 0xA0;
    else if (first == 0xED) /* no surrogate */
        high = 0x9F;
    else if (first == 0xF0)
        low = 0x90;
    else if (first == 0xF4) /* at most 10FFFF */
        high = 0x8F;
    uint32_t value = first & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        if (i == count) {
            *code = TSR_CUT;
            return count;
        }
        if (s[i] < low || s[i] > high)
            return i;
        value = value << 6 | (s[i] & 0x3F);
        low = 0x80;
        high = 0xBF;
    }
    *code = value;
    return length;
}

int tsr_is_space(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

static const char REPLACEMENT[] = "\xEF\xBF\xBD";

size_t tsr_utf8_feed(struct tsr_utf8 *state, const char *bytes, size_t count, int last, char *out)
{
    char *to = out;
    uint32_t code;
    while (state->count || count) {
        if (state->count) { /* complete the kept character byte by byte: at most 4 */
            char whole[4];
            size_t kept = state->count, taken = 0, length;
            memcpy(whole, state->kept, kept);
            while (length = tsr_utf8_next(whole, kept + taken, &code),
                   code == TSR_CUT && taken < count) {
                whole[kept + taken] = bytes[taken];
                taken++;
            }
            if (code == TSR_CUT && !last) {
                memcpy(state->kept, whole, kept + taken);
                state->count = kept + taken;
                break;
            }
            state->count = 0;
            const char *from = code >= TSR_ILL_FORMED ? REPLACEMENT : whole;
            size_t size = code >= TSR_ILL_FORMED ? 3 : length;
            memcpy(to, from, size);
            to += size;
            taken = length - kept; /* an ill-formed part ends at or after the kept bytes */
            bytes += taken;
            count -= taken;
            continue;
        }
        size_t length = tsr_utf8_next(bytes, count, &code);
        if (code == TSR_CUT && !last) {
            memcpy(state->kept, bytes, length);
            state->count = length;
            break;
        }
        memcpy(to, code >= TSR_ILL_FORMED ? REPLACEMENT : bytes,
               code >= TSR_ILL_FORMED ? 3 : length);
        to += code >= TSR_ILL_FORMED ? 3 : length;
        bytes += length;
        count -= length;
    }
    return (size_t)(to - out);
}

tsr_status tsr_text_add(struct tsr_text *text, const char *bytes, size_t count,
                        enum tsr_span_kind kind, struct tsr_error *error)
{
    if (!count)
        return TSR_OK;
    int same = text->span_count && text->spans[text->span_count - 1].kind == kind;
    char *grown = count <= SIZE_MAX - text->size
                      ? tsr_grow(text->bytes, &text->room, text->size + count, 1)
                      : NULL;
    if (grown)
        text->bytes = grown;
    struct tsr_span *spans =
        tsr_grow(text->spans, &text->span_room, text->span_count + 1, sizeof *spans);
    if (spans)
        text->spans = spans;
    if (!grown || !spans)
        return tsr_fail(error, TSR_MEMORY, "out of memory for a prompt of %zu bytes", count);
    memcpy(text->bytes + text->size, bytes, count);
    text->size += count;
    if (!same)
        text->spans[text->span_count++].kind = kind;
    text->spans[text->span_count - 1].end = text->size;
    return TSR_OK;
}

void tsr_text_clear(struct tsr_text *text)
{
    text->size = text->span_count = 0;
}

void tsr_text_free(struct tsr_text *text)
{
    free(text->bytes);
    free(text->spans);
    *text = (struct tsr_text){0};
}
