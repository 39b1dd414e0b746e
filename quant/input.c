/*
 * input.c: files to be read; see input.h and tsr_file_read in quant.h.
 *
 * O_NONBLOCK keeps open() from waiting for a writer of a pipe; it means nothing for the regular
 * files that remain. Reads are positioned, so one descriptor serves any number of threads.
 */
#include <config.h>

#include "input.h"
#include "quant.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

void tsr_short_name(char name[96], const char *path)
{
    size_t length = strlen(path);

    if (length < 96)
        memcpy(name, path, length + 1);
    else
        snprintf(name, 96, "...%s", path + length - 92);
}

tsr_status tsr_input_open(struct tsr_input *in, int at, const char *path, struct tsr_error *error)
{
    struct stat facts = {0};

    tsr_short_name(in->name, path);
    do
        in->fd = openat(at, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    while (in->fd < 0 && errno == EINTR);
    if (in->fd < 0)
        return tsr_fail(error, errno == ENOMEM ? TSR_MEMORY : TSR_IO, "%s: cannot open: %s", in->name,
                        strerror(errno));
    if (fstat(in->fd, &facts) == 0 && S_ISREG(facts.st_mode)) {
        in->size = (uint64_t)facts.st_size;
        return TSR_OK;
    }
    tsr_input_close(in);
    return tsr_fail(error, TSR_IO, "%s: %s, not a file", in->name,
                    S_ISDIR(facts.st_mode) ? "is a folder" : "is a device or a pipe");
}

tsr_status tsr_input_read(const struct tsr_input *in, uint64_t offset, void *out, size_t bytes,
                          struct tsr_error *error)
{
    char *to = out;

    while (bytes > 0) {
        /* Linux reads at most 0x7ffff000 bytes a call. */
        size_t piece = bytes < ((size_t)1 << 30) ? bytes : (size_t)1 << 30;
        ssize_t got = pread(in->fd, to, piece, (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return tsr_fail(error, TSR_IO, "%s: cannot read at byte %llu: %s", in->name,
                            (unsigned long long)offset, strerror(errno));
        if (got == 0)
            return tsr_fail(error, TSR_IO, "%s: the file was cut at byte %llu while it was read",
                            in->name, (unsigned long long)offset);
        to += got;
        offset += (uint64_t)got;
        bytes -= (size_t)got;
    }
    return TSR_OK;
}

void tsr_input_close(struct tsr_input *in)
{
    if (in->fd >= 0)
        close(in->fd);
    in->fd = -1;
}

/* Does `head` begin with `text`, in any case, after white space? */
static int begins(const char *head, const char *text)
{
    return strncasecmp(head + strspn(head, " \t\r\n"), text, strlen(text)) == 0;
}

/* What the first bytes of a file tell, if it is not of the kind `wanted`; or NULL. */
static const char *kind_of(const char *head, size_t bytes, const char *wanted)
{
    const unsigned char *b = (const unsigned char *)head;

    if (begins(head, "version https://git-lfs"))
        return "is a Git LFS pointer, not the file itself: run 'git lfs pull' there";
    if (begins(head, "<!doctype") || begins(head, "<html"))
        return "is a web page: the download went wrong, fetch the file again";
    if (bytes >= 4 && memcmp(head, "PK\3\4", 4) == 0)
        return "is a zip archive or PyTorch pickle: use the model's safetensors files";
    if (bytes >= 2 && b[0] == 0x80 && b[1] >= 2 && b[1] <= 5)
        return "is a Python pickle: use the model's safetensors files";
    if (bytes >= 4 && memcmp(head, "GGUF", 4) == 0 && strcmp(wanted, "GGUF") != 0)
        return "is a GGUF file";
    if (bytes >= 9 && head[8] == '{' && b[5] == 0 && b[6] == 0 && b[7] == 0 &&
        strcmp(wanted, "safetensors") != 0)
        return "is a safetensors file: give the model's folder to 'tessera convert'";
    return NULL;
}

static const char *look(char head[65], const struct tsr_input *in, const char *wanted)
{
    size_t bytes = in->size < 64 ? (size_t)in->size : 64;

    memset(head, 0, 65);
    return tsr_input_read(in, 0, head, bytes, NULL) == TSR_OK ? kind_of(head, bytes, wanted) : NULL;
}

int tsr_input_other(const struct tsr_input *in, const char *wanted)
{
    char head[65];

    return look(head, in, wanted) != NULL;
}

tsr_status tsr_input_not(const struct tsr_input *in, const char *wanted, struct tsr_error *error)
{
    char head[65];
    const char *kind = look(head, in, wanted);

    if (in->size == 0)
        return tsr_fail(error, TSR_MALFORMED, "%s: empty file", in->name);
    return tsr_fail(error, TSR_MALFORMED, "%s: not a %s file%s%s", in->name, wanted,
                    kind != NULL ? ": it " : "", kind != NULL ? kind : "");
}

tsr_status tsr_file_read(char **data, size_t *bytes, const char *path, size_t limit,
                         struct tsr_error *error)
{
    struct tsr_input in;
    char *text;
    tsr_status status = tsr_input_open(&in, AT_FDCWD, path, error);

    if (status != TSR_OK)
        return status;
    if (in.size > limit) {
        tsr_input_close(&in);
        return tsr_fail(error, TSR_MALFORMED, "%s: %llu bytes are too many, the limit is %zu",
                        in.name, (unsigned long long)in.size, limit);
    }
    text = malloc((size_t)in.size + 1);
    status = text == NULL ? tsr_fail(error, TSR_MEMORY, "%s: out of memory", in.name)
                          : tsr_input_read(&in, 0, text, (size_t)in.size, error);
    tsr_input_close(&in);
    if (status != TSR_OK) {
        free(text);
        return status;
    }
    text[in.size] = '\0';
    *data = text;
    *bytes = (size_t)in.size;
    return TSR_OK;
}
