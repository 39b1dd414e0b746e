/*
 * json.c: JSON from files; see json.h.
 *
 * The parser recurses with the nesting of its input, and takes memory for every value, so both are
 * counted before it runs: brackets and separators outside of strings. jansson itself refuses
 * duplicates (on request), bad UTF-8, NUL and integers beyond 64 bits, and reads numbers with a
 * point in every locale.
 */
#include <config.h>

#include "input.h"
#include "json.h"
#include "quant.h"

#include <stdlib.h>

enum { VALUE_BYTES = 120 }; /* of a parsed value with its key, at most; strings aside */

/* Where the nesting or the number of values first exceeds its limit, and which; or `bytes`. */
static size_t beyond(const char *text, size_t bytes, const char **limit, int *count)
{
    int string = 0, depth = 0, values = 0;

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
        else if (!string && (c == ',' || c == ':'))
            values++;
        *limit = depth > TSR_JSON_DEPTH ? "nested deeper than 128" : "more than 4194304 values";
        if (depth > TSR_JSON_DEPTH || values > TSR_JSON_VALUES)
            return i;
    }
    *count = values;
    return bytes;
}

/*
 * Does memory fall short of what parsing takes? jansson's lexer takes an allocation that fails for
 * damage of the text, or asserts; so there must be enough before it begins.
 */
static int is_short(size_t bytes, int values)
{
    void *volatile room =
        malloc((size_t)values * VALUE_BYTES + 4 * bytes + 4096); /* not optimized away */
    const int none = room == NULL;

    free(room);
    return none;
}

tsr_status tsr_json_load(json_t **root, const char *text, size_t bytes, const char *name,
                         struct tsr_error *error)
{
    json_error_t why;
    const char *limit;
    int values = 0;
    size_t at = beyond(text, bytes, &limit, &values);

    *root = NULL;
    if (at < bytes)
        return tsr_fail(error, TSR_MALFORMED, "%s: bad JSON at byte %zu: %s", name, at, limit);
    if (is_short(bytes, values))
        return tsr_fail(error, TSR_MEMORY, "%s: out of memory", name);
    *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &why);
    if (*root == NULL && is_short(bytes, values))
        return tsr_fail(error, TSR_MEMORY, "%s: out of memory", name);
    if (*root == NULL)
        return tsr_fail(
            error, TSR_MALFORMED, "%s: bad JSON at byte %d: %s%.100s", name, why.position,
            json_error_code(&why) == json_error_invalid_utf8 ? "bad UTF-8: " : "", why.text);
    if (!json_is_object(*root)) {
        json_decref(*root);
        *root = NULL;
        return tsr_fail(error, TSR_MALFORMED, "%s: bad JSON at byte 0: an object is wanted", name);
    }
    return TSR_OK;
}

tsr_status tsr_json_read(json_t **root, const char *path, size_t limit, struct tsr_error *error)
{
    char *text, name[96];
    size_t bytes;
    tsr_status status;

    *root = NULL;
    status = tsr_file_read(&text, &bytes, path, limit, error);

    if (status != TSR_OK)
        return status;
    tsr_short_name(name, path);
    status = tsr_json_load(root, text, bytes, name, error);
    free(text);
    return status;
}

int tsr_json_natural(uint64_t *value, const json_t *number)
{
    if (!json_is_integer(number) || json_integer_value(number) < 0)
        return 0;
    *value = (uint64_t)json_integer_value(number);
    return 1;
}
