/*
 * quant_files.h: what the tests of files share: bytes from a small script, files and folders that
 * go away, and one check of the contract of errors.
 */
#ifndef QUANT_FILES_H
#define QUANT_FILES_H

#include "quant.h"

struct bytes {
    char *data;
    size_t used, room;
};

void bytes_add(struct bytes *to, const void *data, size_t bytes);
void bytes_free(struct bytes *bytes);

/*
 * Appends what a script says. Tokens, between blanks:
 *   'text'   its bytes       "text"   u64 length and bytes; \xHH, \\, \', \" in both
 *   b7 d7 q7 a number of 1, 4, 8 bytes, little-endian: decimal, negative, 0x..., or 2^N, 2^N-1
 *   z9       9 zero bytes    a64      zeros up to a multiple of 64 of all bytes so far
 *   *9{...}  the script in braces 9 times, not nested, nothing aligned in it
 *   t...\1   the bytes up to \1, as they are;  j...\1  u64 length and bytes: a safetensors header
 *   xFFD8    bytes in hexadecimal
 *   D7       a number of 4 bytes, big-endian
 *   c{...}   a PNG chunk: length, the script in braces (type and data), CRC; not nested
 *   y14:5    14 bytes of value 5 (or 0, without :5), packed by zlib
 */
void assemble(struct bytes *to, const char *script);

/* A new folder below $TMPDIR or /tmp; the path is to be freed by folder_remove, which removes all
 * in it. */
char *folder_make(void);
void folder_remove(char *folder);
/* How many entries a folder has. */
size_t folder_count(const char *folder);

/* "folder/name", to be freed. */
char *path_in(const char *folder, const char *name);
void file_write(const char *path, const void *data, size_t bytes);
struct bytes file_bytes(const char *path);

/*
 * The contract of errors: status as expected, the same in the struct, one printable line of 1..255
 * bytes that contains `says`. `what` is the case, for the report.
 */
void expect_error(const char *what, tsr_status status, const struct tsr_error *error,
                  tsr_status expected, const char *says);

/* A generator of test numbers: xorshift64*. */
uint64_t random_bits(uint64_t *state);
/* Gaussian, mean 0, deviation 1, by the sum of twelve. */
float random_normal(uint64_t *state);

#endif
