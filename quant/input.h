/*
 * input.h: files to be read. Private to the library.
 *
 * Sizes come from fstat, and only regular files are read: a pipe, a device or a folder is refused
 * at once.
 */
#ifndef TSR_INPUT_H
#define TSR_INPUT_H

#include "kernels.h"

struct tsr_input {
    int fd;
    uint64_t size;
    char name[96]; /* for messages: the path, or "..." and its end */
};

/* Opens PATH, relative to the folder `at` (AT_FDCWD: the working folder). TSR_IO. */
tsr_status tsr_input_open(struct tsr_input *in, int at, const char *path, struct tsr_error *error);

/* Reads [offset, offset + bytes), which lies in the file. TSR_IO, also if the file was cut
 * meanwhile. */
tsr_status tsr_input_read(const struct tsr_input *in, uint64_t offset, void *out, size_t bytes,
                          struct tsr_error *error);

void tsr_input_close(struct tsr_input *in);

/* Do the first bytes tell that the file is of another kind than `wanted` ("GGUF", "safetensors")?
 */
int tsr_input_other(const struct tsr_input *in, const char *wanted);

/*
 * Fails for a file that is not of kind `wanted`: says what it is if its first bytes tell (a Git LFS
 * pointer, a web page, a zip or pickle, the other kind), and what to do. TSR_MALFORMED.
 */
tsr_status tsr_input_not(const struct tsr_input *in, const char *wanted, struct tsr_error *error);

/* *name = the end of a path, short enough for a message. */
void tsr_short_name(char name[96], const char *path);

#endif
