/*
 * atomic.c: a file that appears whole or not at all; see atomic.h.
 *
 * The order on disk is open, write ..., fsync(file), rename, fsync(folder): at every moment PATH is
 * the old file or the complete new one, also after a power cut. The file is created with O_EXCL
 * under a name that no other writer has; the lock is taken before anything is written. Left-over
 * files of the same path are recognized by their name and removed only if their lock is free: no
 * process that could still write has them open.
 */
#include <config.h>

#include "atomic.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static tsr_status failed(const struct tsr_atomic *file, const char *doing, struct tsr_error *error)
{
    return tsr_fail(error, errno == ENOMEM ? TSR_MEMORY : TSR_IO, "%s: cannot %s: %s", file->path, doing,
                    strerror(errno));
}

/* Opens the folder of `path`; *name is where the file's name begins. */
static int open_folder(const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');
    *name = slash ? slash + 1 : path;
    if (!slash)
        return open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (slash == path)
        return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char *folder = strndup(path, (size_t)(slash - path));
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    free(folder);
    return fd;
}

/* Removes temporary files of this path that no living process holds. Best effort: failures do not
 * matter. */
static void remove_stale(const char *path)
{
    const char *name;
    int folder = open_folder(path, &name);
    DIR *entries = folder >= 0 ? fdopendir(folder) : NULL;
    if (!entries) {
        if (folder >= 0)
            close(folder);
        return;
    }
    size_t length = strlen(name);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        const char *rest = entry->d_name + length;
        if (strncmp(entry->d_name, name, length) || strncmp(rest, ".tmp.", 5) ||
            rest[5 + strspn(rest + 5, "0123456789.")] != '\0')
            continue;
        int fd = openat(folder, entry->d_name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
            continue;
        struct stat state;
        if (!fstat(fd, &state) && S_ISREG(state.st_mode) && !flock(fd, LOCK_EX | LOCK_NB))
            unlinkat(folder, entry->d_name, 0);
        close(fd);
    }
    closedir(entries);
}

/*
 * Creates and locks the temporary file. Between creation and lock another writer may take the file
 * for a left-over and remove it; then it is locked or its link count is 0, and the next number is
 * tried.
 */
static tsr_status create(struct tsr_atomic *file, struct tsr_error *error)
{
    size_t room = strlen(file->path) + 40;
    file->temporary = malloc(room);
    if (!file->temporary)
        return tsr_fail(error, TSR_MEMORY, "%s: out of memory", file->path);
    for (unsigned number = 0; number < 1000; number++) {
        snprintf(file->temporary, room, "%s.tmp.%ld.%u", file->path, (long)getpid(), number);
        do
            file->fd = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        while (file->fd < 0 && errno == EINTR);
        if (file->fd < 0 && errno == EEXIST)
            continue;
        if (file->fd < 0)
            break;
        struct stat state;
        /* A file system without locks: nobody removes left-overs then. */
        int taken = flock(file->fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
        if (!taken && !fstat(file->fd, &state) && state.st_nlink > 0)
            return TSR_OK;
        close(file->fd);
        file->fd = -1;
    }
    tsr_status status = failed(file, "create a temporary file beside it", error);
    free(file->temporary);
    file->temporary = NULL;
    return status;
}

tsr_status tsr_atomic_open(struct tsr_atomic *file, const char *path, struct tsr_error *error)
{
    *file = (struct tsr_atomic){.fd = -1, .path = strdup(path)};
    if (!file->path)
        return tsr_fail(error, TSR_MEMORY, "%s: out of memory", path);
    tsr_status status = TSR_OK;
    struct stat state;
    if (!stat(path, &state) && S_ISDIR(state.st_mode)) {
        status = tsr_fail(error, TSR_IO, "%s: is a folder", path);
    } else if (!stat(path, &state) && !S_ISREG(state.st_mode)) {
        file->fd = open(path, O_WRONLY | O_CLOEXEC);
        if (file->fd < 0)
            status = failed(file, "open", error);
    } else {
        remove_stale(path);
        status = create(file, error);
    }
    if (status != TSR_OK)
        tsr_atomic_abort(file);
    return status;
}

tsr_status tsr_atomic_reserve(struct tsr_atomic *file, uint64_t bytes, struct tsr_error *error)
{
    struct rlimit limit;

    if (!file->temporary)
        return TSR_OK;
    if (!getrlimit(RLIMIT_FSIZE, &limit) && limit.rlim_cur != RLIM_INFINITY &&
        bytes > limit.rlim_cur)
        return tsr_fail(error, TSR_IO,
                        "%s: needs %llu bytes, the limit of a file's size (ulimit -f) is %llu",
                        file->path, (unsigned long long)bytes, (unsigned long long)limit.rlim_cur);
    /* The size stays as it is: only written bytes count. File systems that cannot reserve find out
     * while writing. */
    if (bytes <= INT64_MAX && fallocate(file->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes) &&
        errno == ENOSPC)
        return tsr_fail(error, TSR_IO, "%s: needs %llu bytes, so much is not free on the disk",
                        file->path, (unsigned long long)bytes);
    return TSR_OK;
}

tsr_status tsr_atomic_write(struct tsr_atomic *file, const void *data, size_t bytes,
                            struct tsr_error *error)
{
    const char *next = data;
    while (bytes) {
        /* Linux writes at most 0x7ffff000 bytes a call */
        ssize_t done = write(file->fd, next, bytes < (1u << 30) ? bytes : (1u << 30));
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            errno = done < 0 ? errno : ENOSPC; /* a file that takes no byte and says nothing */
            return failed(file, "write", error);
        }
        next += done;
        bytes -= (size_t)done;
        file->written += (uint64_t)done;
    }
    return TSR_OK;
}

/* 0, or -1 with errno. */
static int sync_to_disk(int fd)
{
    int code;

    do
        code = fsync(fd);
    while (code != 0 && errno == EINTR);
    return code;
}

/*
 * The rename to disk. Some file systems cannot sync a folder, some folders may not be opened for it:
 * the file itself is complete.
 */
static tsr_status sync_folder(const struct tsr_atomic *file, struct tsr_error *error)
{
    const char *name;
    const int folder = open_folder(file->path, &name);
    tsr_status status = TSR_OK;

    if (folder < 0)
        return TSR_OK;
    if (sync_to_disk(folder) != 0 && errno != EINVAL && errno != ENOTSUP && errno != EROFS)
        status = failed(file, "write its folder to disk, though the file is complete", error);
    close(folder);
    return status;
}

tsr_status tsr_atomic_commit(struct tsr_atomic *file, struct tsr_error *error)
{
    tsr_status status = TSR_OK;
    int fd = file->fd;
    if (file->temporary && sync_to_disk(fd) != 0)
        status = failed(file, "write to disk", error);
    if (status == TSR_OK && file->temporary && rename(file->temporary, file->path))
        status = failed(file, "rename the temporary file to it", error);
    if (status == TSR_OK && file->temporary) {
        status = sync_folder(file, error);
        free(file->temporary);
        file->temporary = NULL;
    }
    file->fd = -1;
    if (close(fd) && errno != EINTR && status == TSR_OK)
        status = failed(file, "close", error);
    tsr_atomic_abort(file);
    return status;
}

void tsr_atomic_abort(struct tsr_atomic *file)
{
    if (file->temporary)
        unlink(file->temporary);
    if (file->path && file->fd >= 0)
        close(file->fd);
    free(file->temporary);
    free(file->path);
    *file = (struct tsr_atomic){.fd = -1};
}
