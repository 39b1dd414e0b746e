/*
 * fuzz_model.c: opens any bytes as the header of a model (GGUF metadata: configuration, tensors'
 * shapes, tokenizer, prompt template); if that succeeds, plans a job, puts a conversation into the
 * template and through the tokenizer, and writes template and configuration to another file.
 *
 * The input is the header alone: the target appends as many zeros as the header's tensors take,
 * which costs nothing in a sparse file, and the checksum that fits. So 20 KB of input are a whole
 * model, and what a mutation changes is not caught by a length or a CRC.
 */
#include <config.h>

#include "fuzz.h"
#include "gguf_walk.h"
#include "run/config.h"
#include "run/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

enum { HEADER_MAX = 1 << 16, DATA_MAX = 1 << 28 };

/* Writes the file to `fd`. */
static void write_model(int fd, const uint8_t *data, size_t bytes)
{
    static struct gguf_walk w;
    static uint8_t header[HEADER_MAX + 64];
    uint32_t crc;

    w = (struct gguf_walk){.data = data, .bytes = bytes};
    gguf_walk(&w);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, data, bytes, 0) != (ssize_t)bytes)
        abort();
    if (w.header_bytes == 0 || w.header_bytes > sizeof header || w.data_bytes > DATA_MAX)
        return;
    memset(header, 0, sizeof header);
    memcpy(header, data, w.header_bytes < bytes ? w.header_bytes : bytes);
    crc = (uint32_t)crc32(0, header, (uInt)w.header_bytes);
    if (ftruncate(fd, 0) != 0 || ftruncate(fd, (off_t)(w.header_bytes + w.data_bytes)) != 0 ||
        pwrite(fd, header, w.header_bytes, 0) != (ssize_t)w.header_bytes)
        abort();
    if (w.crc_at <= w.data_bytes && w.data_bytes - w.crc_at >= 4 &&
        pwrite(fd, &crc, 4, (off_t)(w.header_bytes + w.crc_at)) != 4)
        abort();
}

static void converse(const tsr_model *model, int pictures, int draw)
{
    static const char words[] = " It's <x> 12 \xC3\xA9\xF0\x9F\x98 aab\n\n";
    const struct tsr_template *format = &model->format;
    struct tsr_error error;
    struct tsr_text text = {0};
    int32_t *ids = NULL;
    size_t count, bytes;
    char *back;
    tsr_status status;

    if (tsr_template_system(format, &text, pictures ? words : NULL, &error) != TSR_OK ||
        tsr_template_user(format, &text, words, (size_t)pictures, &error) != TSR_OK ||
        tsr_template_reply(format, &text, draw, &error) != TSR_OK ||
        tsr_template_end(format, &text, &error) != TSR_OK)
        abort();
    status = tsr_tokenizer_encode(model->tokenizer, &text, 1, &ids, &count, &error);
    if (status == TSR_OK) {
        for (size_t i = 0; i < count; i++)
            if (ids[i] < 0 || (size_t)ids[i] >= model->net.traits.vocabulary)
                abort();
        if (tsr_detokenize(model, ids, count, draw, &back, &bytes, &error) != TSR_OK)
            abort();
        free(back);
    } else if (status != TSR_UNSUPPORTED) {
        abort();
    }
    free(ids);
    tsr_text_free(&text);
    status = tsr_tokenize(model, words, sizeof words - 1, pictures > 0, &ids, &count, &error);
    if (status != TSR_OK && status != TSR_UNSUPPORTED)
        abort();
    free(ids);
}

/* What was read can be written again. */
static void write_again(const tsr_model *model)
{
    struct tsr_error error = {0};
    tsr_gguf_writer *writer;

    if (tsr_gguf_writer_new(&writer, fuzz_output(), &error) != TSR_OK ||
        tsr_gguf_set_string(writer, "general.architecture", "fuzz", 4, &error) != TSR_OK ||
        tsr_config_to_gguf(model->net.family, model->config, writer, &error) != TSR_OK ||
        tsr_template_store(&model->format, writer, &error) != TSR_OK)
        abort();
    tsr_gguf_writer_free(writer); /* unfinished: nothing stays */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const char *path;
    int fd;
    const struct tsr_settings settings = {.top_p = 1, .cache_format = ~0u};
    struct tsr_error error = {0};
    struct tsr_model_info info;
    struct tsr_plan plan;
    tsr_model *model;
    tsr_status status;

    if (bytes > HEADER_MAX)
        return 0;
    path = fuzz_memory(&fd);
    write_model(fd, data, bytes);
    status = tsr_model_open(&model, path, NULL, &error);
    if (status != TSR_OK) {
        if (error.status != status || error.message[0] == '\0' || model != NULL)
            abort();
        return 0;
    }
    tsr_model_describe(model, &info);
    status = tsr_plan_make(&plan, model, &settings, &error);
    if (status == TSR_OK && plan.total < plan.weights)
        abort();
    for (int i = 0; i < 3; i++)
        converse(model, i, i == 2);
    write_again(model);
    tsr_model_close(model);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t room, unsigned seed)
{
    uint32_t state = seed;

    return gguf_mutate(data, bytes, room < HEADER_MAX ? room : HEADER_MAX, &state);
}
