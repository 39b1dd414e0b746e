/*
 * probe.c: `tessera probe`: the numbers inside a model, for checking a conversion against its reference.
 *
 * Token ids and pictures in; logits, hidden states, picture embeddings, picture codes and decoded pixels out as
 * .npy files in a folder. Nothing is sampled.
 */
#include "program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Reads ids and pictures through the model and writes what it computed. */
static int probe_ids(struct session *session, const struct options *options)
{
    const size_t width = tsr_model_width(session->model), codebook = tsr_model_codebook(session->model);
    struct tsr_picture pictures[IMAGES_MAX];
    struct tsr_probe probe = {.pictures = pictures, .picture_count = options->images.count};
    struct tsr_error error;
    int32_t *ids;
    int code = ids_read(options->ids, &ids, &probe.count);

    if (code != 0)
        return code;
    code = pictures_read(pictures, &options->images);
    if (code != 0) {
        free(ids);
        return code;
    }
    probe.ids = ids;
    probe.logits = calloc(probe.count * session->info.vocabulary + 1, sizeof(float));
    probe.hidden = calloc(probe.count * width + 1, sizeof(float));
    probe.picture_logits = calloc(probe.count * codebook + 1, sizeof(float));
    probe.embeddings = calloc(probe.picture_count * session->info.see_tokens * width + 1, sizeof(float));
    if (probe.logits == NULL || probe.hidden == NULL || probe.picture_logits == NULL ||
        probe.embeddings == NULL)
        code = program_error(TSR_MEMORY, "no memory for the results of %zu positions", probe.count);
    else if (tsr_probe_run(session->context, &probe, &error) != TSR_OK)
        code = program_fail(&error);
    if (code == 0)
        code = npy_write(options->output, "logits", "<f4", probe.logits,
                         (size_t[]){probe.count, session->info.vocabulary}, 2);
    if (code == 0)
        code = npy_write(options->output, "hidden", "<f4", probe.hidden, (size_t[]){probe.count, width}, 2);
    if (code == 0)
        code = npy_write(options->output, "picture_logits", "<f4", probe.picture_logits,
                         (size_t[]){probe.count, codebook}, 2);
    if (code == 0 && probe.picture_count > 0)
        code = npy_write(options->output, "embeddings", "<f4", probe.embeddings,
                         (size_t[]){probe.picture_count, session->info.see_tokens, width}, 3);
    free(probe.logits);
    free(probe.hidden);
    free(probe.picture_logits);
    free(probe.embeddings);
    pictures_free(pictures, probe.picture_count);
    free(ids);
    return code;
}

static int probe_decode(struct session *session, const struct options *options)
{
    const size_t height = session->info.picture_height, width = session->info.picture_width;
    struct tsr_picture picture = {0};
    struct tsr_error error;
    int32_t *codes;
    float *pixels;
    size_t count;
    int code = ids_read(options->codes, &codes, &count);

    if (code != 0)
        return code;
    pixels = calloc(height * width * 3, sizeof(float));
    if (pixels == NULL)
        code = program_error(TSR_MEMORY, "no memory for %zux%zu pixels", width, height);
    else if (count != session->info.picture_codes)
        code = program_error(TSR_MALFORMED, "%.200s: %zu codes, a picture has %zu", options->codes, count,
                             session->info.picture_codes);
    else if (tsr_probe_decode(session->context, codes, &picture, pixels, &error) != TSR_OK)
        code = program_fail(&error);
    if (code == 0)
        code = npy_write(options->output, "pixels", "<f4", pixels, (size_t[]){height, width, 3}, 3);
    if (code == 0)
        code = npy_write(options->output, "rgb", "|u1", picture.rgb, (size_t[]){height, width, 3}, 3);
    free(pixels);
    free(codes);
    return code;
}

static int probe_encode(struct session *session, const struct options *options)
{
    const size_t count = session->info.picture_codes;
    const struct texts path = {.items = {options->pixels}, .count = 1};
    struct tsr_picture picture;
    struct tsr_error error;
    int32_t *codes;
    int code = pictures_read(&picture, &path);

    if (code != 0)
        return code;
    codes = calloc(count, sizeof *codes);
    if (codes == NULL)
        code = program_error(TSR_MEMORY, "no memory for %zu codes", count);
    else if (tsr_probe_encode(session->context, &picture, codes, &error) != TSR_OK)
        code = program_fail(&error);
    if (code == 0)
        code = npy_write(options->output, "codes", "<i4", codes, &count, 1);
    free(codes);
    tsr_picture_free(&picture);
    return code;
}

static int run(const struct options *options)
{
    struct session session;
    int code;

    if (options->output == NULL)
        return program_error(TSR_USAGE, "no output: give a folder with -o FOLDER");
    if (options->ids == NULL && options->codes == NULL && options->pixels == NULL)
        return program_error(TSR_USAGE, "nothing to probe: give --ids, --codes or --encode");
    if (mkdir(options->output, 0777) != 0 && errno != EEXIST)
        return program_error(TSR_IO, "%.200s: %s", options->output, strerror(errno));
    code = session_open(&session, options, 0);
    if (code == 0 && options->ids != NULL)
        code = probe_ids(&session, options);
    if (code == 0 && options->codes != NULL)
        code = probe_decode(&session, options);
    if (code == 0 && options->pixels != NULL)
        code = probe_encode(&session, options);
    session_close(&session);
    return code;
}

const struct command command_probe = {
    .name = "probe",
    .bit = PROBE,
    .arguments = "-m FILE.gguf -o FOLDER [--ids FILE [--image PICTURE]...] [--codes FILE] [--encode PICTURE]",
    .summary = "the numbers inside, for comparing with a reference",
    .text = "Writes .npy files into FOLDER. --ids: logits, hidden, picture_logits and, with --image,\n"
            "embeddings; ids equal to the picture placeholder take the pictures in order. --codes: pixels and\n"
            "rgb of the decoder. --encode: codes of the encoder.",
    .examples = "  tessera probe -m model.gguf --ids ids.npy --image a.png -o out\n"
                "  tessera probe -m model.gguf --codes codes.npy -o out",
    .arguments_min = 0,
    .arguments_max = 0,
    .run = run,
};
