/*
 * models.c: see models.h.
 */
#include <config.h>

#include <criterion/criterion.h>

#include "models.h"
#include "npy.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const model_fixtures[MODEL_FIXTURES] = {"janus-a-f32", "janus-b-bf16-sharded",
                                                    "janus-c-f16-official"};

tsr_model *model_converted(const char *folder, uint32_t format)
{
    struct tsr_convert_options options = {.format = format};
    struct tsr_error error = {.message = ""};
    char path[] = "/tmp/tsr-model-XXXXXX";
    tsr_model *model;
    const int fd = mkstemp(path);

    cr_assert(fd >= 0);
    close(fd);
    memset(options.part_format, 0xff, sizeof options.part_format);
    cr_assert_eq(tsr_convert(fixture_path(folder, ""), path, &options, &error), TSR_OK, "%s",
                 error.message);
    cr_assert_eq(tsr_model_open(&model, path, NULL, &error), TSR_OK, "%s", error.message);
    unlink(path);
    return model;
}

const struct tsr_settings settings_greedy = {
    .temperature = 0, .guidance = -1, .cache_format = ~0u, .tokens_max = 32};

tsr_context *context_new(const tsr_model *model, tsr_pool *pool,
                         const struct tsr_settings *settings)
{
    struct tsr_error error = {.message = ""};
    tsr_context *context;

    cr_assert_eq(tsr_context_new(&context, model, pool, settings, &error), TSR_OK, "%s",
                 error.message);
    return context;
}

struct example example_read(const char *folder)
{
    static const char mark[] = "<image_placeholder>\n";
    struct example x = {json_load_file(fixture_path(folder, "case.json"), 0, NULL),
                        .question = NULL};
    struct tsr_error error = {.message = ""};
    const json_t *understand = json_object_get(x.facts, "understand");
    const char *text = json_string_value(json_object_get(understand, "text"));

    cr_assert(text != NULL);
    for (size_t i = 0; i < 2; i++) {
        const char *name =
            json_string_value(json_array_get(json_object_get(understand, "pictures"), i));
        cr_assert_eq(tsr_picture_read(&x.pictures[i], fixture_path(folder, name), &error), TSR_OK,
                     "%s", error.message);
    }
    for (const char *at; (at = strstr(text, mark)) != NULL;)
        text = at + strlen(mark);
    x.question = strndup(text, (size_t)(strstr(text, "\n\n") - text));
    return x;
}

void example_free(struct example *x)
{
    json_decref(x->facts);
    tsr_picture_free(&x->pictures[0]);
    tsr_picture_free(&x->pictures[1]);
    free(x->question);
}

/* Reads the stream to its end; the reply's tokens, or the codes of all pictures, into out [room].
 */
size_t context_run(tsr_context *context, unsigned want, int32_t *out, size_t room)
{
    struct tsr_error error = {.message = ""};
    struct tsr_event event;
    size_t count = 0;
    tsr_status status;

    cr_assert_eq(tsr_want(context, want, &error), TSR_OK, "%s", error.message);
    while ((status = tsr_next(context, &event, &error)) == TSR_OK) {
        if (event.kind == TSR_EVENT_TEXT && count < room)
            out[count++] = event.token;
        for (size_t i = 0; event.kind == TSR_EVENT_PICTURE && i < event.code_count && count < room;
             i++)
            out[count++] = event.codes[i];
    }
    cr_assert_eq(status, TSR_END, "%s", error.message);
    return count;
}

struct tsr_probe probe_of(const struct npy *ids, const struct example *x, float *logits)
{
    return (struct tsr_probe){.ids = ids->data,
                              .count = ids->count,
                              .pictures = x->pictures,
                              .picture_count = 2,
                              .logits = logits};
}
