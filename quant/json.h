/*
 * json.h: JSON from files that are not trusted. Private to the library.
 */
#ifndef TSR_JSON_H
#define TSR_JSON_H

#include "kernels.h"

#include <jansson.h>

enum {
    TSR_JSON_DEPTH = 128,
    TSR_JSON_VALUES = 4 << 20 /* some 60 bytes each once parsed; 262k tokens with merges: 1.8 M */
};

/*
 * Parses `bytes` bytes of JSON whose root must be an object; `name` is the file, for messages.
 * Duplicate keys, bad UTF-8, nesting deeper than 128 and more than 4 million values are refused:
 * TSR_MALFORMED, *root NULL. The caller drops *root by json_decref.
 */
tsr_status tsr_json_load(json_t **root, const char *text, size_t bytes, const char *name,
                         struct tsr_error *error);

/* The same of a file of at most `limit` bytes. */
tsr_status tsr_json_read(json_t **root, const char *path, size_t limit, struct tsr_error *error);

/* A JSON integer in 0..INT64_MAX as *value; 0 if `number` is anything else (a real like 1e3 too).
 */
int tsr_json_natural(uint64_t *value, const json_t *number);

#endif
