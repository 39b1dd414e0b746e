/*
 * json.c: JSON from files; see json.h.
 *
 * The parser recurses with the nesting of its input, so the depth is counted before it runs:
 * brackets outside of strings. jansson itself refuses duplicates (on request), bad UTF-8, NUL and
 * integers beyond 64 bits, and reads numbers with a point in every locale.
 */
#include <config.h>

#include "json.h"

/* Where the nesting first exceeds the limit, or `bytes`. */
static size_t too_deep(const char *text, size_t bytes)
{
    int string = 0, depth = 0;

    for (size_t i = 0; i < bytes; i++) {
        char c = text[i];

        if (string && c == '\\')
            i++;
        else if (c == '"')
            string = !string;
        else if (!string && (c == '{' || c == '['))
            depth++;
        else if (!string && (c == '}' || c == ']'))
            depth--;
        if (depth > TSR_JSON_DEPTH)
            return i;
    }
    return bytes;
}

tsr_status tsr_json_load(json_t **root, const char *text, size_t bytes, const char *name,
                         struct tsr_error *error)
{
    json_error_t why;
    size_t deep = too_deep(text, bytes);

    if (deep < bytes)
        return tsr_fail(error, TSR_MALFORMED, "%s: bad JSON at byte %zu: nested deeper than %d",
                        name, deep, TSR_JSON_DEPTH);
    *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &why);
    if (*root == NULL && json_error_code(&why) == json_error_out_of_memory)
        return tsr_fail(error, TSR_MEMORY, "%s: out of memory", name);
    if (*root == NULL)
        return tsr_fail(error, TSR_MALFORMED, "%s: bad JSON at byte %d: %s%.100s", name, why.position,
                        json_error_code(&why) == json_error_invalid_utf8 ? "bad UTF-8: " : "", why.text);
    if (!json_is_object(*root)) {
        json_decref(*root);
        return tsr_fail(error, TSR_MALFORMED, "%s: bad JSON at byte 0: an object is wanted", name);
    }
    return TSR_OK;
}

int tsr_json_natural(uint64_t *value, const json_t *number)
{
    if (!json_is_integer(number) || json_integer_value(number) < 0)
        return 0;
    *value = (uint64_t)json_integer_value(number);
    return 1;
}
