/*
 * json.c: JSON to standard output, whole or not at all.
 *
 * jansson hands a failed allocation on as NULL, or drops the element. So that no output is silently
 * incomplete, its allocator notes a failure, and json_print refuses then (exit 6). Bytes that are
 * no UTF-8 (file names may hold any) are printed as '?'.
 */
#include "program.h"

#include <stdlib.h>
#include <string.h>

static int failed; /* an allocation of jansson's */

static void *take(size_t bytes)
{
    void *const block = malloc(bytes);

    failed |= block == NULL;
    return block;
}

void json_begin(void)
{
    json_set_alloc_funcs(take, free);
}

json_t *json_words(const char *text, size_t bytes)
{
    json_t *words = json_stringn(text, bytes);
    char *plain;

    if (words != NULL || failed)
        return words;
    plain = take(bytes + 1);
    for (size_t i = 0; plain != NULL && i < bytes; i++)
        plain[i] = (char)(text[i] & 0x80 ? '?' : text[i]);
    words = plain != NULL ? json_stringn(plain, bytes) : NULL;
    free(plain);
    return words;
}

int json_print(json_t *all, size_t flags)
{
    char *text = NULL;
    int code = 0;

    if (all != NULL && !failed)
        text = json_dumps(all, flags);
    if (text == NULL || failed)
        code = failed ? program_error(TSR_MEMORY, "out of memory for the JSON output")
                      : program_error(TSR_INTERNAL, "the result cannot be said in JSON");
    else if (puts(text) == EOF)
        code = program_flush();
    free(text);
    json_decref(all);
    return code;
}
