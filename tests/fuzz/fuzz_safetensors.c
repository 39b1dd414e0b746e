/*
 * fuzz_safetensors.c: reads any bytes as a safetensors file; if that succeeds, what it says is
 * checked once more.
 *
 * The mutator changes the JSON (a number of it, or any bytes) or the length of the data, and mostly
 * mends the length of the header, without which nothing is parsed.
 */
#include <config.h>

#include "fuzz.h"
#include "safetensors.h"

#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct tsr_input in = {.fd = -1, .name = "fuzz"};
    struct tsr_safetensors tensors = {0};
    struct tsr_error error = {0};
    uint64_t sum = 0;
    tsr_status status;

    fuzz_file(data, bytes, &in.fd);
    in.size = bytes;
    status = tsr_safetensors_read(&tensors, &in, 0, &error);
    if (status != TSR_OK && (error.status != status || error.message[0] == '\0'))
        abort();
    for (size_t i = 0; status == TSR_OK && i < tensors.count; i++) {
        const struct tsr_safetensor *tensor = &tensors.list[i];

        if (tensor->offset > bytes || tensor->bytes > bytes - tensor->offset ||
            tensor->bytes != (uint64_t)tensor->facts.count * tensor->element_bytes)
            abort();
        sum += tensor->bytes;
    }
    if (sum > bytes)
        abort();
    tsr_safetensors_free(&tensors);
    return 0;
}

/* Puts `text` for data[at, at + old); returns the new length. */
static size_t splice(uint8_t *data, size_t bytes, size_t room, size_t at, size_t old,
                     const char *text)
{
    size_t length = strlen(text);

    if (bytes - old + length > room)
        return bytes;
    memmove(data + at + length, data + at + old, bytes - at - old);
    memcpy(data + at, text, length);
    return bytes - old + length;
}

/* Changes one of the numbers of JSON text. */
static size_t change_number(uint8_t *json, size_t bytes, size_t room, uint32_t *state)
{
    size_t at = bytes > 0 ? fuzz_random(state) % bytes : 0, digits = 0;
    char text[24];

    while (at < bytes && (json[at] < '0' || json[at] > '9'))
        at++;
    while (at + digits < bytes && digits < 20 && json[at + digits] >= '0' &&
           json[at + digits] <= '9')
        digits++;
    if (digits == 0)
        return bytes;
    memcpy(text, json + at, digits);
    text[digits] = '\0';
    snprintf(text, sizeof text, "%llu",
             (unsigned long long)fuzz_number(state, strtoull(text, NULL, 10)));
    return splice(json, bytes, room, at, digits, text);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t room, unsigned seed)
{
    uint32_t state = seed;
    uint64_t length = 0;
    size_t rest;

    if (bytes >= 8)
        memcpy(&length, data, 8);
    if (bytes < 8 || length > bytes - 8 || fuzz_random(&state) % 8 == 0)
        return LLVMFuzzerMutate(data, bytes, room);
    rest = bytes - 8 - (size_t)length;  /* of data */
    if (fuzz_random(&state) % 8 == 0) { /* more or fewer data */
        size_t wanted = fuzz_random(&state) % 64;

        if (8 + length + wanted > room)
            return bytes;
        if (wanted > rest)
            memset(data + bytes, 0, wanted - rest);
        return 8 + (size_t)length + wanted;
    }
    /* The data moves behind the new JSON: its bytes do not matter. */
    if (fuzz_random(&state) % 2 == 0)
        length = change_number(data + 8, (size_t)length, room - 8 - rest, &state);
    else
        length = LLVMFuzzerMutate(data + 8, (size_t)length, room - 8 - rest);
    memcpy(data, &length, 8);
    memset(data + 8 + length, 0, rest);
    return 8 + (size_t)length + rest;
}
