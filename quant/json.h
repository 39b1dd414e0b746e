/*
 * json.h: JSON from files that are not trusted. Private to the library.
 */
#ifndef TSR_JSON_H
#define TSR_JSON_H

#include "kernels.h"

#include <jansson.h>

enum { TSR_JSON_DEPTH = 128 };

/*
 * Parses `bytes` bytes of JSON whose root must be an object; `name` is the file, for messages.
 * Duplicate keys, bad UTF-8 and nesting deeper than 128 are refused: TSR_MALFORMED. The caller
 * drops *root by json_decref.
 */
tsr_status tsr_json_load(json_t **root, const char *text, size_t bytes, const char *name,
                         struct tsr_error *error);

/* A JSON integer in 0..INT64_MAX as *value; 0 if `number` is anything else (a real like 1e3 too).
 */
int tsr_json_natural(uint64_t *value, const json_t *number);

#endif
