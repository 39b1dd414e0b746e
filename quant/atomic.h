/*
 * atomic.h: a file that appears whole or not at all. Private to the library: GGUF files and
 * pictures are written through it.
 *
 * Writes go to `PATH.tmp.PID.N` in the same folder; commit syncs the file, renames it over PATH and
 * syncs the folder; abort removes it. Both close. A writer holds a lock (flock) on its temporary
 * file, so that a later writer to the same path can tell what a killed one has left, and removes
 * it. A path that exists and is not a regular file (a pipe, a device) is written directly, without
 * any of this.
 */
#ifndef TSR_ATOMIC_H
#define TSR_ATOMIC_H

#include "kernels.h"

struct tsr_atomic {
    int fd;
    uint64_t written;
    char *path, *temporary; /* owned; temporary NULL: written directly */
};

/* Errors of all five: TSR_IO with the path and the reason, or TSR_MEMORY. */
tsr_status tsr_atomic_open(struct tsr_atomic *file, const char *path, struct tsr_error *error);
/* Says now whether `bytes` will fit (disk, file size limit), and reserves them where the file
 * system can. */
tsr_status tsr_atomic_reserve(struct tsr_atomic *file, uint64_t bytes, struct tsr_error *error);
/* Appends; short writes and EINTR are taken care of. After an error only abort is left. */
tsr_status tsr_atomic_write(struct tsr_atomic *file, const void *data, size_t bytes,
                            struct tsr_error *error);
/* Closes in every case; on failure the temporary file is removed and PATH is as it was. */
tsr_status tsr_atomic_commit(struct tsr_atomic *file, struct tsr_error *error);
void tsr_atomic_abort(
    struct tsr_atomic *file); /* a file that was never opened ({.path = NULL}) is allowed */

#endif
