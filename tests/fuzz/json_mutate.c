/*
 * json_mutate.c: changes one number of a JSON text, or puts one of its values in the place of
 * another, so that most results stay JSON.
 */
#include "fuzz.h"

#include <stdio.h>
#include <string.h>

/* A random place in `data` where `byte` stands, or `bytes`. */
static size_t find(const uint8_t *data, size_t bytes, char byte, uint32_t *state)
{
    size_t from = bytes ? fuzz_random(state) % bytes : 0;
    for (size_t i = 0; i < bytes; i++)
        if (data[(from + i) % bytes] == (uint8_t)byte)
            return (from + i) % bytes;
    return bytes;
}

/* Puts text in the place of [at, end); returns the new length. */
static size_t replace(uint8_t *data, size_t bytes, size_t room, size_t at, size_t end,
                      const char *text, size_t count)
{
    if (bytes - (end - at) + count > room)
        return bytes;
    memmove(data + at + count, data + end, bytes - end);
    memcpy(data + at, text, count);
    return bytes - (end - at) + count;
}

/* The string or number that begins behind a colon, comma or bracket at `at`: its end. */
static size_t value_end(const uint8_t *data, size_t bytes, size_t at)
{
    size_t end = at;
    if (end < bytes && data[end] == '"') {
        for (end++; end < bytes && data[end] != '"'; end++)
            end += data[end] == '\\';
        return end < bytes ? end + 1 : bytes;
    }
    while (end < bytes && !strchr(",:]}[{", data[end]))
        end++;
    return end;
}

size_t json_mutate(uint8_t *data, size_t bytes, size_t room, uint32_t *state)
{
    static const char marks[] = ":,[";
    char value[1024];
    if (bytes < 8 || fuzz_random(state) % 4 == 0)
        return LLVMFuzzerMutate(data, bytes, room);
    size_t from = find(data, bytes, marks[fuzz_random(state) % 3], state) + 1;
    size_t at = find(data, bytes, marks[fuzz_random(state) % 3], state) + 1;
    if (at >= bytes || from >= bytes)
        return LLVMFuzzerMutate(data, bytes, room);
    size_t count = value_end(data, bytes, from) - from;
    if (fuzz_random(state) % 3 == 0)
        count = (size_t)snprintf(value, sizeof value, "%lld", (long long)fuzz_number(state, 3));
    else if (count < sizeof value)
        memcpy(value, data + from, count);
    else
        return bytes;
    return replace(data, bytes, room, at, value_end(data, bytes, at), value, count);
}
