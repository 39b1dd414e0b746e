/*
 * gguf_meta.c: what an opened GGUF file answers: metadata by key, tensors by name, checksums.
 *
 * Values are converted only where nothing is lost (integers of any width, f32 to f64) and only
 * within the range that the caller names; a missing key, another type and a value out of range are
 * errors that name the key.
 */
#include <config.h>

#include "gguf.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

size_t tsr_gguf_type_bytes(uint32_t type)
{
    static const unsigned char bytes[] = {
        [TSR_GGUF_U8] = 1,  [TSR_GGUF_I8] = 1,  [TSR_GGUF_U16] = 2, [TSR_GGUF_I16] = 2,
        [TSR_GGUF_U32] = 4, [TSR_GGUF_I32] = 4, [TSR_GGUF_F32] = 4, [TSR_GGUF_BOOL] = 1,
        [TSR_GGUF_U64] = 8, [TSR_GGUF_I64] = 8, [TSR_GGUF_F64] = 8,
    };

    return type < sizeof bytes ? bytes[type] : 0;
}

int tsr_gguf_name_valid(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return 0;
    return bytes > 0;
}

/* ---- metadata -------------------------------------------------------------------------------- */

const struct tsr_gguf_entry *tsr_gguf_find(const struct tsr_gguf *file, const char *key)
{
    size_t index = tsr_names_find(file->keys, file->entry_count, key);

    return index == SIZE_MAX ? NULL : &file->entries[index];
}

int tsr_gguf_has(const tsr_gguf *file, const char *key)
{
    return tsr_gguf_find(file, key) != NULL;
}

/* A number of any type, as one of three. */
struct number {
    enum { NATURAL, NEGATIVE, REAL } kind;
    uint64_t natural;
    int64_t negative;
    double real;
};

static struct number number_at(const char *at, uint32_t type)
{
    struct number number = {.kind = NATURAL};
    uint64_t bits = 0;
    float single;
    unsigned width = (unsigned)tsr_gguf_type_bytes(type) * 8;

    memcpy(&bits, at, width / 8);
    switch (type) {
    case TSR_GGUF_I8:
    case TSR_GGUF_I16:
    case TSR_GGUF_I32:
    case TSR_GGUF_I64:
        number.kind = bits >> (width - 1) ? NEGATIVE : NATURAL;
        number.natural = bits;
        number.negative = (int64_t)(bits | (width < 64 ? ~UINT64_C(0) << (width & 63) : 0));
        break;
    case TSR_GGUF_F32:
        memcpy(&single, at, sizeof single);
        number.kind = REAL;
        number.real = (double)single;
        break;
    case TSR_GGUF_F64:
        memcpy(&number.real, at, sizeof number.real);
        number.kind = REAL;
        break;
    default:
        number.kind = NATURAL;
        number.natural = bits;
    }
    return number;
}

/* The number of a key. */
static tsr_status number_of(const tsr_gguf *file, const char *key, struct number *number,
                            struct tsr_error *error)
{
    const struct tsr_gguf_entry *entry = tsr_gguf_find(file, key);

    if (entry == NULL)
        return tsr_fail(error, TSR_MALFORMED, "%s: key '%.64s' is absent", file->name, key);
    if (tsr_gguf_type_bytes(entry->type) == 0)
        return tsr_fail(error, TSR_MALFORMED, "%s: wrong type of key '%.64s': a number is wanted",
                        file->name, key);
    *number = number_at(file->header + entry->at, entry->type);
    return TSR_OK;
}

tsr_status tsr_gguf_u64(const tsr_gguf *file, const char *key, uint64_t low, uint64_t high,
                        uint64_t *value, struct tsr_error *error)
{
    struct number number;
    tsr_status status = number_of(file, key, &number, error);

    if (status != TSR_OK)
        return status;
    if (number.kind == REAL)
        return tsr_fail(error, TSR_MALFORMED, "%s: wrong type of key '%.64s': an integer is wanted",
                        file->name, key);
    if (number.kind == NEGATIVE)
        return tsr_fail(error, TSR_MALFORMED,
                        "%s: key '%.64s' is %" PRId64 ", not in %" PRIu64 "..%" PRIu64, file->name,
                        key, number.negative, low, high);
    if (number.natural < low || number.natural > high)
        return tsr_fail(error, TSR_MALFORMED,
                        "%s: key '%.64s' is %" PRIu64 ", not in %" PRIu64 "..%" PRIu64, file->name,
                        key, number.natural, low, high);
    *value = number.natural;
    return TSR_OK;
}

tsr_status tsr_gguf_f64(const tsr_gguf *file, const char *key, double low, double high,
                        double *value, struct tsr_error *error)
{
    struct number number;
    tsr_status status = number_of(file, key, &number, error);
    double real;

    if (status != TSR_OK)
        return status;
    real = number.kind == REAL      ? number.real
           : number.kind == NATURAL ? (double)number.natural
                                    : (double)number.negative;
    if (!(real >= low && real <= high)) /* NaN too */
        return tsr_fail(error, TSR_MALFORMED, "%s: key '%.64s' is out of range", file->name, key);
    *value = real;
    return TSR_OK;
}

/* The entry of a key, which must be an array or not, of text or of numbers; else NULL:
 * TSR_MALFORMED. */
static const struct tsr_gguf_entry *entry_of(const tsr_gguf *file, const char *key, int array,
                                             int text, struct tsr_error *error)
{
    const struct tsr_gguf_entry *found = tsr_gguf_find(file, key);

    if (found == NULL) {
        tsr_fail(error, TSR_MALFORMED, "%s: key '%.64s' is absent", file->name, key);
        return NULL;
    }
    if ((found->type == TSR_GGUF_ARRAY) != array ||
        ((array ? found->item : found->type) == TSR_GGUF_STRING) != text) {
        tsr_fail(error, TSR_MALFORMED, "%s: wrong type of key '%.64s': a%s of %s is wanted",
                 file->name, key, array ? "n array" : " value", text ? "text" : "numbers");
        return NULL;
    }
    return found;
}

tsr_status tsr_gguf_string(const tsr_gguf *file, const char *key, struct tsr_slice *value,
                           struct tsr_error *error)
{
    const struct tsr_gguf_entry *entry = entry_of(file, key, 0, 1, error);

    if (entry == NULL)
        return TSR_MALFORMED;
    *value = (struct tsr_slice){file->header + entry->at, entry->count};
    return TSR_OK;
}

tsr_status tsr_gguf_strings(const tsr_gguf *file, const char *key, const struct tsr_slice **items,
                            size_t *count, struct tsr_error *error)
{
    const struct tsr_gguf_entry *entry = entry_of(file, key, 1, 1, error);

    if (entry == NULL)
        return TSR_MALFORMED;
    *items = entry->strings;
    *count = entry->count;
    return TSR_OK;
}

tsr_status tsr_gguf_numbers(const tsr_gguf *file, const char *key, enum tsr_gguf_type *type,
                            const void **data, size_t *count, struct tsr_error *error)
{
    const struct tsr_gguf_entry *entry = entry_of(file, key, 1, 0, error);

    if (entry == NULL)
        return TSR_MALFORMED;
    *type = (enum tsr_gguf_type)entry->item;
    *data = file->header + entry->at;
    *count = entry->count;
    return TSR_OK;
}

/* ---- listings -------------------------------------------------------------------------------- */

/* A text under construction in a buffer; what does not fit is dropped. */
struct line {
    char *text;
    size_t size, used;
};

static void append(struct line *line, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes && line->used + 1 < line->size; i++) {
        unsigned char c = (unsigned char)text[i];

        line->text[line->used++] = (char)(c < ' ' || c == 0x7f ? '?' : c);
    }
}

static void append_word(struct line *line, const char *word)
{
    append(line, word, strlen(word));
}

/* A finite number with a point, whatever the locale's is. */
static void append_real(struct line *line, double value, int digits)
{
    char text[48], exponent[24];
    const char *at, *rest;

    snprintf(text, sizeof text, "%.*g", digits, value);
    rest = text + strspn(text, "-0123456789");
    append(line, text, (size_t)(rest - text));
    append_word(line, *rest == 'e' ? "" : ".");
    at = rest + strcspn(rest, "0123456789e");
    if (*at == 'e')
        snprintf(exponent, sizeof exponent, "e%ld", strtol(at + 1, NULL, 10));
    append_word(line, *at == '\0' ? "0" : *at == 'e' ? exponent : at);
}

static void append_number(struct line *line, const char *at, uint32_t type)
{
    struct number number = number_at(at, type);
    char text[40];

    if (type == TSR_GGUF_BOOL) {
        append_word(line, number.natural ? "true" : "false");
        return;
    }
    if (number.kind != REAL) {
        if (number.kind == NATURAL)
            snprintf(text, sizeof text, "%" PRIu64, number.natural);
        else
            snprintf(text, sizeof text, "%" PRId64, number.negative);
        append_word(line, text);
        return;
    }
    if (isfinite(number.real))
        append_real(line, number.real, type == TSR_GGUF_F32 ? 7 : 15);
    else
        append_word(line, isnan(number.real) ? "nan" : number.real > 0 ? "inf" : "-inf");
}

static void append_value(struct line *line, const tsr_gguf *file,
                         const struct tsr_gguf_entry *entry)
{
    enum { SHOWN = 4 };
    char text[40];
    size_t size = tsr_gguf_type_bytes(entry->item);

    if (entry->type == TSR_GGUF_STRING) {
        append(line, file->header + entry->at, entry->count);
        return;
    }
    if (entry->type != TSR_GGUF_ARRAY) {
        append_number(line, file->header + entry->at, entry->type);
        return;
    }
    snprintf(text, sizeof text, "%zu %s: ", entry->count, size == 0 ? "strings" : "numbers");
    append_word(line, text);
    for (size_t i = 0; i < entry->count && i < SHOWN; i++) {
        append_word(line, i > 0 ? ", " : "");
        if (size == 0)
            append(line, entry->strings[i].text, entry->strings[i].bytes);
        else
            append_number(line, file->header + entry->at + i * size, entry->item);
    }
    append_word(line, entry->count > SHOWN ? ", ..." : "");
}

int tsr_gguf_entry(const tsr_gguf *file, size_t index, const char **key, char *value,
                   size_t value_size)
{
    struct line line = {value, value_size, 0};

    if (index >= file->entry_count)
        return 0;
    *key = file->entries[index].key;
    if (value_size == 0)
        return 1;
    append_value(&line, file, &file->entries[index]);
    if (line.used + 1 == value_size) /* full: a character of UTF-8 may be cut at its end */
        while (line.used > 0 && (unsigned char)value[line.used - 1] >= 0x80)
            line.used--;
    value[line.used] = '\0';
    return 1;
}

/* ---- tensors
 * -----------------------------------------------------------------------------------------------
 */

size_t tsr_gguf_tensor_count(const tsr_gguf *file)
{
    return file->tensor_count;
}

const struct tsr_tensor *tsr_gguf_tensor_at(const tsr_gguf *file, size_t index)
{
    return index < file->tensor_count ? &file->tensors[index] : NULL;
}

const struct tsr_tensor *tsr_gguf_tensor(const tsr_gguf *file, const char *name)
{
    size_t index = tsr_names_find(file->names, file->tensor_count, name);

    return index == SIZE_MAX ? NULL : &file->tensors[index];
}

void tsr_gguf_range(const tsr_gguf *file, const void **base, size_t *bytes)
{
    *base = file->base;
    *bytes = file->base_bytes;
}

/* ---- checksums ------------------------------------------------------------------------------- */

static uint32_t crc_of(const void *data, size_t bytes)
{
    return (uint32_t)crc32_z(crc32_z(0, NULL, 0), data, bytes);
}

tsr_status tsr_gguf_verify_header(const struct tsr_gguf *file, struct tsr_error *error)
{
    tsr_status status;

    if (crc_of(file->header, file->header_bytes) == file->crc[0])
        return TSR_OK;
    status = tsr_gguf_whole(file, error); /* a cut file reads as zeros */
    return status != TSR_OK
               ? status
               : tsr_fail(error, TSR_CHECKSUM,
                          "%s: the checksum of the header does not match: the file is damaged",
                          file->name);
}

/* What lies behind the last CRC. */
static tsr_status verify_end(const tsr_gguf *file, struct tsr_error *error)
{
    const char *const end = file->data + file->data_bytes;

    for (const char *at = (const char *)(file->crc + 1 + file->tensor_count); at < end; at++)
        if (*at != 0)
            return tsr_fail(error, TSR_CHECKSUM,
                            "%s: the padding of '" TSR_GGUF_CRC "' is not zero: the file is damaged",
                            file->name);
    return TSR_OK;
}

tsr_status tsr_gguf_verify_part(const tsr_gguf *file, size_t part, struct tsr_error *error)
{
    tsr_status status = TSR_OK, whole;

    if (part == 0)
        status = tsr_gguf_verify_header(file, error);
    else if (part > file->tensor_count)
        status = verify_end(file, error);
    else {
        const struct tsr_tensor *const tensor = &file->tensors[part - 1];

        if (crc_of(tensor->tile.data, tsr_round_up(tensor->bytes, TSR_GGUF_ALIGNMENT)) !=
            file->crc[part])
            status = tsr_fail(error, TSR_CHECKSUM,
                              "%s: the checksum of tensor '%s' does not match: the file is damaged",
                              file->name, tensor->name);
    }
    whole = tsr_gguf_whole(file, error); /* a cut file reads as zeros */
    return whole != TSR_OK ? whole : status;
}

tsr_status tsr_gguf_verify(const tsr_gguf *file, struct tsr_error *error)
{
    tsr_status status = TSR_OK;

    for (size_t part = 0; part < file->tensor_count + 2 && status == TSR_OK; part++)
        status = tsr_gguf_verify_part(file, part, error);
    return status;
}
