/*
 * test_model.c: tessera against the official class, on tiny random checkpoints of all the forms
 * that are published.
 */
#include <config.h>

#include <criterion/criterion.h>

#include "models.h"
#include "npy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- help ------------------------------------------------------------------------------------ */

/* max|a - b| <= bound * max|b|, row by row. */
static void check_rows(const float *a, const float *b, size_t rows, size_t k, double bound,
                       const char *what)
{
    for (size_t i = 0; i < rows; i++) {
        double worst = 0, largest = 0;
        for (size_t j = 0; j < k; j++) {
            const double difference = fabs((double)a[i * k + j] - b[i * k + j]);
            worst = difference > worst || isnan(difference) ? difference : worst;
            largest = fabs(b[i * k + j]) > largest ? fabs(b[i * k + j]) : largest;
        }
        cr_assert(worst <= bound * largest, "%s, row %zu of %zu: off by %g of %g", what, i, rows,
                  worst, largest);
    }
}

/* ---- parity ---------------------------------------------------------------------------------- */

static void check_understanding(const char *folder)
{
    tsr_model *model = model_converted(folder, TSR_F32);
    tsr_context *context = context_new(model, NULL, &settings_greedy);
    struct example x = example_read(folder);
    struct npy ids = npy_read(folder, "prompt_ids", "<i4"),
               embeddings = npy_read(folder, "picture_embeddings", "<f4");
    struct npy hidden = npy_read(folder, "prompt_hidden", "<f4"),
               logits = npy_read(folder, "prompt_logits", "<f4");
    struct tsr_probe probe = probe_of(&ids, &x, malloc(logits.count * sizeof(float)));
    struct tsr_error error = {.message = ""};

    probe.hidden = malloc(hidden.count * sizeof(float));
    probe.embeddings = malloc(embeddings.count * sizeof(float));
    cr_assert_eq(hidden.shape[1], tsr_model_width(model));
    cr_assert_eq(tsr_probe_run(context, &probe, &error), TSR_OK, "%s", error.message);
    check_rows(probe.embeddings, embeddings.data, embeddings.shape[0] * embeddings.shape[1],
               embeddings.shape[2], 1e-4, "picture embeddings");
    check_rows(probe.hidden, hidden.data, ids.count, hidden.shape[1], 1e-4, "hidden states");
    check_rows(probe.logits, logits.data, ids.count, logits.shape[1], 1e-4, "logits");
    free(probe.logits);
    free(probe.hidden);
    free(probe.embeddings);
    npy_free(&ids);
    npy_free(&hidden);
    npy_free(&logits);
    npy_free(&embeddings);
    example_free(&x);
    tsr_context_free(context);
    tsr_model_close(model);
}

/* By ids and by the prompt template, the same 32 tokens as the reference; it goes on after the end
 * token, we do not. */
static void check_greedy(const char *folder)
{
    tsr_model *model = model_converted(folder, TSR_F32);
    tsr_context *context = context_new(model, NULL, &settings_greedy);
    struct example x = example_read(folder);
    struct npy ids = npy_read(folder, "prompt_ids", "<i4"),
               tokens = npy_read(folder, "prompt_greedy", "<i4");
    const int32_t *expected = tokens.data;
    struct tsr_error error = {.message = ""};
    int32_t got[32];

    for (int high = 0; high < 2; high++) {
        tsr_context_reset(context);
        if (high) {
            cr_assert_eq(tsr_prompt_system(context, "", &error), TSR_OK);
            cr_assert_eq(tsr_prompt_user(context, x.question, x.pictures, 2, &error), TSR_OK, "%s",
                         error.message);
        } else {
            cr_assert_eq(tsr_prompt_ids(context, ids.data, ids.count, x.pictures, 2, &error),
                         TSR_OK, "%s", error.message);
        }
        const size_t count = context_run(context, TSR_TEXT, got, 32);
        for (size_t i = 0; i < count; i++)
            cr_assert_eq(got[i], expected[i], "token %zu is %d, not %d", i, got[i], expected[i]);
        cr_assert(count == 32 || expected[count] == model->ids.end,
                  "the reply ended after %zu tokens", count);
    }
    npy_free(&ids);
    npy_free(&tokens);
    example_free(&x);
    tsr_context_free(context);
    tsr_model_close(model);
}

/* The user's part of a drawing prompt of the fixtures. */
static char *draw_content(const struct example *x, size_t index)
{
    const char *text = json_string_value(
        json_array_get(json_object_get(json_object_get(x->facts, "draw"), "texts"), index));
    const char *start = strstr(text, ": ") + 2;
    return strndup(start, (size_t)(strstr(start, "\n\n") - start));
}

static void check_drawing(const char *folder)
{
    tsr_model *model = model_converted(folder, TSR_F32);
    tsr_context *context = context_new(model, NULL, &settings_greedy);
    struct example x = example_read(folder);
    struct npy codes = npy_read(folder, "draw_codes", "<i4");
    const size_t cells = codes.shape[1];
    struct tsr_error error = {.message = ""};
    int32_t *got = malloc(cells * sizeof *got);

    for (size_t p = 0; p < 2 * codes.shape[0]; p++) {
        const size_t index = p / 2;
        char name[32], *content = draw_content(&x, index);
        snprintf(name, sizeof name, "draw_ids_%zu", index);
        struct npy ids = npy_read(folder, name, "<i4");
        tsr_context_reset(context);
        if (p % 2 == 0) {
            cr_assert_eq(tsr_prompt_ids(context, ids.data, ids.shape[1], NULL, 0, &error), TSR_OK,
                         "%s", error.message);
        } else {
            cr_assert_eq(tsr_prompt_user(context, content, NULL, 0, &error), TSR_OK, "%s",
                         error.message);
        }
        cr_assert_eq(context_run(context, TSR_PICTURE, got, cells), cells);
        cr_assert(memcmp(got, (int32_t *)codes.data + index * cells, cells * sizeof *got) == 0,
                  "picture %zu: other codes", index);
        npy_free(&ids);
        free(content);
    }
    free(got);
    npy_free(&codes);
    example_free(&x);
    tsr_context_free(context);
    tsr_model_close(model);
}

static void check_decoder(const char *folder)
{
    tsr_model *model = model_converted(folder, TSR_F32);
    tsr_context *context = context_new(model, NULL, &settings_greedy);
    struct npy codes = npy_read(folder, "vq_codes", "<i4"), rgb = npy_read(folder, "vq_rgb", "|u1");
    struct npy pixels = npy_read(folder, "vq_pixels", "<f4");
    const size_t side = model->net.traits.picture_side, size = side * side * 3;
    struct tsr_error error = {.message = ""};
    float *out = malloc(size * sizeof *out);

    cr_assert_eq(rgb.shape[1], side);
    for (size_t p = 0; p < codes.shape[0]; p++) {
        const uint8_t *expected = (uint8_t *)rgb.data + p * size;
        const float *floats = (float *)pixels.data + p * size; /* [3, side, side] */
        struct tsr_picture picture;
        cr_assert_eq(tsr_probe_decode(context, (int32_t *)codes.data + p * codes.shape[1], &picture,
                                      out, &error),
                     TSR_OK, "%s", error.message);
        for (size_t i = 0; i < size; i++) {
            cr_assert(abs(picture.rgb[i] - expected[i]) <= 1, "picture %zu, byte %zu", p, i);
            cr_assert(fabsf(out[i] - floats[i % 3 * side * side + i / 3]) <= 2e-4f,
                      "picture %zu, value %zu", p, i);
        }
        tsr_picture_free(&picture);
    }
    free(out);
    npy_free(&codes);
    npy_free(&rgb);
    npy_free(&pixels);
    tsr_context_free(context);
    tsr_model_close(model);
}

static void check_encoder(const char *folder)
{
    tsr_model *model = model_converted(folder, TSR_F32);
    tsr_context *context = context_new(model, NULL, &settings_greedy);
    struct npy rgb = npy_read(folder, "vq_encode_rgb", "|u1"),
               codes = npy_read(folder, "vq_encode_codes", "<i4");
    const size_t side = rgb.shape[1], cells = codes.shape[1];
    struct tsr_error error = {.message = ""};
    int32_t *got = malloc(cells * sizeof *got);

    for (size_t p = 0; p < rgb.shape[0]; p++) {
        const struct tsr_picture picture = {side, side, (uint8_t *)rgb.data + p * side * side * 3};
        cr_assert_eq(tsr_probe_encode(context, &picture, got, &error), TSR_OK, "%s", error.message);
        cr_assert(memcmp(got, (int32_t *)codes.data + p * cells, cells * sizeof *got) == 0,
                  "picture %zu", p);
    }
    free(got);
    npy_free(&rgb);
    npy_free(&codes);
    tsr_context_free(context);
    tsr_model_close(model);
}

#define FOR_EACH_FIXTURE(name)                                                                     \
    Test(parity, name##_a)                                                                         \
    {                                                                                              \
        check_##name(model_fixtures[0]);                                                           \
    }                                                                                              \
    Test(parity, name##_b)                                                                         \
    {                                                                                              \
        check_##name(model_fixtures[1]);                                                           \
    }                                                                                              \
    Test(parity, name##_c)                                                                         \
    {                                                                                              \
        check_##name(model_fixtures[2]);                                                           \
    }

FOR_EACH_FIXTURE(understanding)
FOR_EACH_FIXTURE(greedy)
FOR_EACH_FIXTURE(drawing)
FOR_EACH_FIXTURE(decoder)
FOR_EACH_FIXTURE(encoder)
