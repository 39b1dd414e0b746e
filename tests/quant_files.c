/*
 * quant_files.c: bytes from scripts, temporary files and folders; see quant_files.h.
 */
#include <config.h>

#include "quant_files.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

void bytes_add(struct bytes *to, const void *data, size_t bytes)
{
    if (to->used + bytes > to->room) {
        to->room = 2 * (to->used + bytes);
        to->data = realloc(to->data, to->room);
        cr_assert_not_null(to->data);
    }
    if (bytes > 0)
        memcpy(to->data + to->used, data, bytes);
    to->used += bytes;
}

void bytes_free(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct bytes){0};
}

static void add_zeros(struct bytes *to, size_t bytes)
{
    for (; bytes > 0; bytes--)
        bytes_add(to, "", 1);
}

/* A number of a script; *end behind it. */
static uint64_t number(const char *text, char **end)
{
    uint64_t value;

    if (strncmp(text, "2^", 2) != 0)
        return text[0] == '-' ? (uint64_t)strtoll(text, end, 0) : strtoull(text, end, 0);
    value = UINT64_C(1) << strtoul(text + 2, end, 10);
    if (**end == '-' || **end == '+')
        value += (uint64_t)strtoll(*end, end, 10);
    return value;
}

/* A text in quotes at *at, unescaped. */
static struct bytes quoted(const char **at)
{
    struct bytes text = {0};
    char quote = *(*at)++;

    for (; **at != quote; (*at)++) {
        char c = **at;

        cr_assert(c != '\0', "a text of a script has no end");
        if (c == '\\' && *++*at == 'x') {
            char hex[3] = {(*at)[1], (*at)[2], '\0'};

            c = (char)strtoul(hex, NULL, 16);
            *at += 2;
        } else if (c == '\\') {
            c = **at;
        }
        bytes_add(&text, &c, 1);
    }
    ++*at;
    return text;
}

/* The script in braces behind *at, to be freed. */
static char *braces(const char **at)
{
    const char *from = strchr(*at, '{') + 1;
    size_t length = strcspn(from, "}");

    *at = from + length + 1;
    return strndup(from, length);
}

static void add_big(struct bytes *to, uint64_t value)
{
    const char bytes[4] = {(char)(value >> 24), (char)(value >> 16), (char)(value >> 8), (char)value};

    bytes_add(to, bytes, 4);
}

static void add_chunk(struct bytes *to, const char *script)
{
    struct bytes chunk = {0};

    assemble(&chunk, script);
    add_big(to, chunk.used - 4);
    bytes_add(to, chunk.data, chunk.used);
    add_big(to, crc32_z(0, (const void *)chunk.data, chunk.used));
    bytes_free(&chunk);
}

static void add_packed(struct bytes *to, size_t count, int value)
{
    uLongf size = compressBound(count);
    unsigned char *raw = malloc(count + 1), *packed = malloc(size);

    cr_assert(raw != NULL && packed != NULL);
    memset(raw, value, count);
    cr_assert(compress2(packed, &size, raw, count, 9) == Z_OK);
    bytes_add(to, packed, size);
    free(raw);
    free(packed);
}

static const char *add_hex(struct bytes *to, const char *at)
{
    for (; isxdigit((unsigned char)at[0]) && isxdigit((unsigned char)at[1]); at += 2)
        bytes_add(to, &(char){(char)strtoul((char[]){at[0], at[1], '\0'}, NULL, 16)}, 1);
    return at;
}

/* A token that begins with a text or a brace; NULL if this is none. */
static const char *text_token(struct bytes *to, const char *at)
{
    struct bytes text = {0};
    uint64_t length;
    char *inner;

    switch (*at) {
    case '\'':
    case '"':
        length = *at == '"';
        text = quoted(&at);
        if (length)
            bytes_add(to, &(uint64_t){text.used}, 8);
        bytes_add(to, text.data, text.used);
        bytes_free(&text);
        return at;
    case 't':
    case 'j':
        length = strcspn(at + 1, "\1");
        if (*at == 'j')
            bytes_add(to, &length, 8);
        bytes_add(to, at + 1, (size_t)length);
        return at + length + 2;
    case 'x':
        return add_hex(to, at + 1);
    case 'c':
        inner = braces(&at);
        add_chunk(to, inner);
        free(inner);
        return at;
    default:
        return NULL;
    }
}

static void add_repeated(struct bytes *to, const char *script, uint64_t times)
{
    struct bytes once = {0};

    assemble(&once, script);
    for (; times > 0; times--)
        bytes_add(to, once.data, once.used);
    bytes_free(&once);
}

static const char *number_token(struct bytes *to, const char *at)
{
    const char kind = *at;
    char *end = NULL, *inner;
    uint64_t value = number(at + 1, &end);

    cr_assert(end != at + 1, "bad token in a script: %s", at);
    at = end;
    switch (kind) {
    case '*':
        inner = braces(&at);
        add_repeated(to, inner, value);
        free(inner);
        break;
    case 'z':
        add_zeros(to, (size_t)value);
        break;
    case 'a':
        add_zeros(to, (size_t)((value - to->used % value) % value));
        break;
    case 'y':
        add_packed(to, (size_t)value, *at == ':' ? (int)strtol(at + 1, &end, 10) : 0);
        return end;
    case 'D':
        add_big(to, value);
        break;
    default:
        cr_assert(kind == 'b' || kind == 'd' || kind == 'q', "bad token in a script: %c", kind);
        bytes_add(to, &value, kind == 'b' ? 1 : kind == 'd' ? 4 : 8);
    }
    return at;
}

void assemble(struct bytes *to, const char *script)
{
    for (const char *at = script, *next; *at != '\0'; at = next) {
        next = at + 1;
        if (*at == ' ' || *at == '\n')
            continue;
        next = text_token(to, at);
        if (next == NULL)
            next = number_token(to, at);
    }
}

char *folder_make(void)
{
    const char *parent = getenv("TMPDIR");
    char *folder = path_in(parent != NULL ? parent : "/tmp", "tessera-test-XXXXXX");

    cr_assert_not_null(mkdtemp(folder));
    return folder;
}

void folder_remove(char *folder)
{
    DIR *entries = opendir(folder);

    for (struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;) {
        char *path = path_in(folder, entry->d_name);
        struct stat facts;

        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            if (lstat(path, &facts) == 0 && S_ISDIR(facts.st_mode)) {
                folder_remove(path); /* frees it */
                continue;
            }
            unlink(path);
        }
        free(path);
    }
    if (entries != NULL)
        closedir(entries);
    rmdir(folder);
    free(folder);
}

size_t folder_count(const char *folder)
{
    DIR *entries = opendir(folder);
    size_t count = 0;

    cr_assert_not_null(entries);
    while (readdir(entries) != NULL)
        count++;
    closedir(entries);
    return count - 2; /* . and .. */
}

char *path_in(const char *folder, const char *name)
{
    size_t bytes = strlen(folder) + strlen(name) + 2;
    char *path = malloc(bytes);

    cr_assert_not_null(path);
    snprintf(path, bytes, "%s/%s", folder, name);
    return path;
}

void file_write(const char *path, const void *data, size_t bytes)
{
    FILE *file;

    unlink(path); /* a new file: to cut an old one short makes some file systems write it to disk */
    file = fopen(path, "wb");
    cr_assert_not_null(file, "cannot write %s", path);
    cr_assert(bytes == 0 || fwrite(data, bytes, 1, file) == 1);
    cr_assert(fclose(file) == 0);
}

struct bytes file_bytes(const char *path)
{
    struct bytes bytes = {0};
    struct tsr_error error;

    cr_assert(tsr_file_read(&bytes.data, &bytes.used, path, (size_t)1 << 30, &error) == TSR_OK,
              "%s", error.message);
    bytes.room = bytes.used;
    return bytes;
}

void expect_error(const char *what, tsr_status status, const struct tsr_error *error,
                  tsr_status expected, const char *says)
{
    size_t length = strnlen(error->message, sizeof error->message);

    cr_expect(status == expected, "%s: status %d, expected %d (%s)", what, (int)status,
              (int)expected, status == TSR_OK ? "" : error->message);
    if (status == TSR_OK)
        return;
    cr_expect(error->status == status, "%s: the struct says %d", what, (int)error->status);
    cr_expect(length > 0 && length < sizeof error->message, "%s: a message of %zu bytes", what,
              length);
    for (size_t i = 0; i < length; i++)
        cr_expect((unsigned char)error->message[i] >= ' ' && error->message[i] != 0x7f,
                  "%s: control byte in the message", what);
    cr_expect(strstr(error->message, says) != NULL, "%s: '%s' does not say '%s'", what,
              error->message, says);
}

uint64_t random_bits(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545f4914f6cdd1d);
}

float random_normal(uint64_t *state)
{
    double sum = 0;

    for (int i = 0; i < 12; i++)
        sum += (double)(random_bits(state) >> 11) * 0x1p-53;
    return (float)(sum - 6);
}
