/*
 * io_shim.c: a library to preload: counts the system calls that a program makes on its output (or
 * input) files, writes them to a log, and lets the N-th fail, fall short, be interrupted, or be the
 * last.
 *
 * TSR_IO_PATH    files whose path begins with this are watched, and the folder that holds them
 * TSR_IO_LOG     file that gets one line a call: its name, and the bytes of a write
 * TSR_IO_AT      the number of the call at which TSR_IO_DO happens, from 1
 * TSR_IO_FROM    at all later ones too
 * TSR_IO_READS   count reads too (else they pass)
 *
 * TSR_IO_DO is one of
 * - kill: SIGKILL before the call
 * - tear: half of a write, then SIGKILL; before any other call
 * - short: half of a write or read
 * - eintr: EINTR, at the watched call that is interruptible (every second one with TSR_IO_FROM)
 * - delay: 0.4 s of waiting before it
 * - a number: this errno
 *
 * Clean-up is never made to fail: close and unlink are logged and may be killed before, but return
 * what they return. Only 64 descriptors are watched; the programs under test open a handful.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { WATCHED_MAX = 64 };
enum action { NOTHING, KILL, TEAR, SHORT, EINTR_ONCE, DELAY, FAIL };
/* What may be done to a call: only kill; fail; EINTR too; fall short too. */
enum kind { CLEAN_UP, AT_ONCE, SLOW, BYTES };

static char watched[WATCHED_MAX]; /* by descriptor: 1 file, 2 folder, 3 file to read */
static const char *prefix;
static char folder[PATH_MAX];
static int log_fd = -1, from, error_number, reads;
static long at, calls;
static enum action wanted;

__attribute__((constructor)) static void set_up(void)
{
    const char *const log = getenv("TSR_IO_LOG"), *const action = getenv("TSR_IO_DO");
    const char *const number = getenv("TSR_IO_AT");
    char *slash;

    prefix = getenv("TSR_IO_PATH");
    if (prefix != NULL) {
        snprintf(folder, sizeof folder, "%s", prefix);
        slash = strrchr(folder, '/');
        if (slash != NULL)
            *slash = '\0';
    }
    from = getenv("TSR_IO_FROM") != NULL;
    reads = getenv("TSR_IO_READS") != NULL;
    at = number != NULL ? strtol(number, NULL, 10) : 0;
    if (log != NULL)
        log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
                              0600);
    if (action == NULL)
        return;
    error_number = (int)strtol(action, NULL, 10);
    wanted = strcmp(action, "kill") == 0    ? KILL
             : strcmp(action, "tear") == 0  ? TEAR
             : strcmp(action, "short") == 0 ? SHORT
             : strcmp(action, "eintr") == 0 ? EINTR_ONCE
             : strcmp(action, "delay") == 0 ? DELAY
                                            : FAIL;
}

static int watch_kind(const char *path)
{
    if (prefix == NULL)
        return 0;
    return strncmp(path, prefix, strlen(prefix)) == 0 ? 1 : strcmp(path, folder) == 0 ? 2 : 0;
}

static int watch_of(int fd)
{
    return fd >= 0 && fd < WATCHED_MAX ? watched[fd] : 0;
}

/* Counts and logs a call; what shall happen to it. */
static enum action meet(const char *name, long bytes, enum kind kind)
{
    enum action act;

    calls++;
    if (log_fd >= 0) {
        char line[64];
        const int length = snprintf(line, sizeof line, "%s %ld\n", name, bytes);

        if (syscall(SYS_write, log_fd, line, length) < 0)
            _exit(99);
    }
    act = calls == at || (from && calls > at) ? wanted : NOTHING;
    if (act == EINTR_ONCE && (calls - at) % 2 != 0)
        act = NOTHING;
    if (act == KILL || (act == TEAR && kind != BYTES))
        raise(SIGKILL);
    if (act == DELAY)
        nanosleep(&(struct timespec){.tv_nsec = 400000000}, NULL);
    if (kind == CLEAN_UP || act == DELAY || (act == EINTR_ONCE && kind == AT_ONCE) ||
        (act == SHORT && (kind != BYTES || bytes < 2)))
        return NOTHING;
    if (act == FAIL)
        errno = error_number;
    if (act == EINTR_ONCE)
        errno = EINTR;
    return act;
}

static int opened(int fd, int kind)
{
    if (fd >= 0 && fd < WATCHED_MAX)
        watched[fd] = (char)kind;
    return fd;
}

static int open_at(int where, const char *path, int flags, mode_t mode)
{
    const int kind = watch_kind(path);

    if (kind == 1 && ((flags & O_ACCMODE) != O_RDONLY || reads)) {
        const enum action act = meet(flags & O_CREAT ? "create" : "open", 0, SLOW);

        if (act == FAIL || act == EINTR_ONCE)
            return -1;
    }
    return opened((int)syscall(SYS_openat, where, path, flags | O_LARGEFILE, mode),
                  kind == 1 && (flags & O_ACCMODE) == O_RDONLY ? 3 : kind);
}

#define WITH_MODE(mode)                                                                            \
    mode_t mode = 0;                                                                               \
    if (flags & O_CREAT) {                                                                         \
        va_list list;                                                                              \
        va_start(list, flags);                                                                     \
        mode = va_arg(list, mode_t);                                                               \
        va_end(list);                                                                              \
    }

int open(const char *path, int flags, ...)
{
    WITH_MODE(mode)
    return open_at(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    WITH_MODE(mode)
    return open_at(AT_FDCWD, path, flags, mode);
}

int openat(int where, const char *path, int flags, ...)
{
    WITH_MODE(mode)
    return open_at(where, path, flags, mode);
}

int openat64(int where, const char *path, int flags, ...)
{
    WITH_MODE(mode)
    return open_at(where, path, flags, mode);
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    enum action act = NOTHING;

    if (watch_of(fd) == 1 && bytes > 0)
        act = meet("write", (long)bytes, BYTES);
    if (act == FAIL || act == EINTR_ONCE)
        return -1;
    if (act == SHORT || act == TEAR)
        bytes -= bytes / 2;
    const ssize_t done = syscall(SYS_write, fd, data, bytes);
    if (act == TEAR)
        raise(SIGKILL);
    return done;
}

static ssize_t read_at(int fd, void *data, size_t bytes, off_t offset)
{
    enum action act = NOTHING;

    if (reads && watch_of(fd) == 3 && bytes > 0)
        act = meet("read", (long)bytes, BYTES);
    if (act == FAIL || act == EINTR_ONCE)
        return -1;
    if (act == SHORT)
        bytes -= bytes / 2;
    return syscall(SYS_pread64, fd, data, bytes, offset);
}

ssize_t pread(int fd, void *data, size_t bytes, off_t offset)
{
    return read_at(fd, data, bytes, offset);
}

ssize_t pread64(int fd, void *data, size_t bytes, off_t offset)
{
    return read_at(fd, data, bytes, offset);
}

int fsync(int fd)
{
    if (watch_of(fd) == 1 || watch_of(fd) == 2) {
        const enum action act = meet(watch_of(fd) == 1 ? "fsync" : "fsync-folder", 0, SLOW);

        if (act == FAIL || act == EINTR_ONCE)
            return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

static int allocate(int fd, int mode, off_t offset, off_t bytes)
{
    if (watch_of(fd) == 1) {
        const enum action act = meet("fallocate", (long)bytes, SLOW);

        if (act == FAIL || act == EINTR_ONCE)
            return -1;
    }
    return (int)syscall(SYS_fallocate, fd, mode, offset, bytes);
}

int fallocate(int fd, int mode, off_t offset, off_t bytes)
{
    return allocate(fd, mode, offset, bytes);
}

int fallocate64(int fd, int mode, off_t offset, off_t bytes)
{
    return allocate(fd, mode, offset, bytes);
}

int rename(const char *old, const char *new)
{
    if (watch_kind(new) == 1) {
        const enum action act = meet("rename", 0, AT_ONCE);

        if (act == FAIL)
            return -1;
    }
    return (int)syscall(SYS_renameat, AT_FDCWD, old, AT_FDCWD, new);
}

int unlink(const char *path)
{
    if (watch_kind(path) == 1)
        meet("unlink", 0, CLEAN_UP);
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int close(int fd)
{
    if (watch_of(fd) == 1)
        meet("close", 0, CLEAN_UP);
    if (fd >= 0 && fd < WATCHED_MAX)
        watched[fd] = 0;
    return (int)syscall(SYS_close, fd);
}
