/*
 * source.c: what a Hugging Face folder says beside its tensors: config.json, tokenizer.json,
 * preprocessor_config.json and generation_config.json, put into a struct tsr_model that has no
 * tensors yet.
 */
#include <config.h>

#include "run/convert.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    JSON_LIMIT = 16 << 20,      /* config.json and its like are a few KiB */
    TOKENIZER_LIMIT = 64 << 20  /* the largest known are about 30 MiB */
};

char *tsr_path_join(const char *folder, const char *name)
{
    char *path = malloc(strlen(folder) + strlen(name) + 2);

    if (path != NULL)
        sprintf(path, "%s/%s", folder, name);
    return path;
}

/* An optional JSON file of the folder: *root NULL when there is none. */
static tsr_status read_optional(json_t **root, const char *folder, const char *name,
                                struct tsr_error *error)
{
    char *path = tsr_path_join(folder, name);
    struct stat state;
    tsr_status status = TSR_OK;

    *root = NULL;
    if (path == NULL)
        return tsr_fail(error, TSR_MEMORY, "out of memory");
    if (stat(path, &state) == 0)
        status = tsr_json_read(root, path, JSON_LIMIT, error);
    free(path);
    return status;
}

/* ---- config.json ----------------------------------------------------------------------------- */

static tsr_status find_family(struct tsr_convert *c, const json_t *root, struct tsr_error *error)
{
    const char *type = json_string_value(tsr_json_at(root, "model_type", strlen("model_type")));

    if (type == NULL)
        return tsr_fail(error, TSR_MALFORMED, "config.json: model_type is missing or not a string");
    for (size_t i = 0; i < tsr_family_count; i++) {
        const struct tsr_family *family = tsr_families[i];
        c->official = strcmp(type, family->official_type) == 0;
        c->model->net.family = family;
        if (c->official || strcmp(type, family->library_type) == 0)
            return TSR_OK;
    }
    return tsr_fail(error, TSR_UNSUPPORTED,
                    "config.json: model_type %s is not supported; supported: janus, "
                    "multi_modality (Janus)",
                    type);
}

/* Ids that config files state must at least be ids; those used come from the tokenizer. */
static tsr_status check_ids(const json_t *root, const char *file, size_t vocabulary,
                            struct tsr_error *error)
{
    static const char *const paths[] = {"bos_token_id",
                                        "pad_token_id",
                                        "image_token_id",
                                        "eos_token_id",
                                        "text_config.bos_token_id",
                                        "text_config.eos_token_id",
                                        "text_config.pad_token_id",
                                        "generation_kwargs.boi_token_id"};

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const json_t *value = tsr_json_at(root, paths[i], strlen(paths[i]));
        const int single = value != NULL && !json_is_null(value);
        const size_t count = json_is_array(value) ? json_array_size(value) : (size_t)single;
        if (count > 64)
            return tsr_fail(error, TSR_MALFORMED, "%s: %s lists %zu ids", file, paths[i], count);
        for (size_t j = 0; j < count; j++) {
            const json_t *id = json_is_array(value) ? json_array_get(value, j) : value;
            if (!json_is_integer(id) || json_integer_value(id) < 0 ||
                (uint64_t)json_integer_value(id) >= vocabulary)
                return tsr_fail(error, TSR_MALFORMED, "%s: %s is not an id below vocab_size %zu",
                                file, paths[i], vocabulary);
        }
    }
    return TSR_OK;
}

static tsr_status read_config(struct tsr_convert *c, const char *folder, struct tsr_error *error)
{
    struct tsr_model *model = c->model;
    struct tsr_source source = {.checkpoint = c->checkpoint};
    char *path = tsr_path_join(folder, "config.json");
    json_t *root = NULL;
    tsr_status status;

    if (path == NULL)
        return tsr_fail(error, TSR_MEMORY, "out of memory");
    status = tsr_json_read(&root, path, JSON_LIMIT, error);
    free(path);
    if (status != TSR_OK || (status = find_family(c, root, error)) != TSR_OK)
        goto done;
    model->config = calloc(1, model->net.family->config_bytes);
    model->weights = calloc(1, model->net.family->weights_bytes);
    if (model->config == NULL || model->weights == NULL) {
        status = tsr_fail(error, TSR_MEMORY, "out of memory");
        goto done;
    }
    model->net.config = model->config;
    model->net.weights = model->weights;
    source.root = root;
    source.official = c->official;
    status = tsr_config_from_source(model->net.family, &source, model->config, error);
    if (status != TSR_OK)
        goto done;
    model->net.family->traits(&model->net, &model->net.traits);
    status = check_ids(root, "config.json", model->net.traits.vocabulary, error);
done:
    json_decref(root);
    return status;
}

/* ---- tokenizer.json -------------------------------------------------------------------------- */

static tsr_status read_tokenizer(struct tsr_model *model, const char *folder,
                                 struct tsr_error *error)
{
    char *path = tsr_path_join(folder, "tokenizer.json"), *text = NULL;
    size_t bytes;
    tsr_status status;

    if (path == NULL)
        return tsr_fail(error, TSR_MEMORY, "out of memory");
    status = tsr_file_read(&text, &bytes, path, TOKENIZER_LIMIT, error);
    free(path);
    if (status != TSR_OK)
        return status;
    status = tsr_tokenizer_from_json(&model->tokenizer, text, bytes, error);
    free(text);
    if (status != TSR_OK)
        return status;
    if (tsr_tokenizer_size(model->tokenizer) > model->net.traits.vocabulary)
        return tsr_fail(error, TSR_MALFORMED,
                        "tokenizer.json has %zu ids, config.json a vocab_size of %zu",
                        tsr_tokenizer_size(model->tokenizer), model->net.traits.vocabulary);
    return model->net.family->words(model->tokenizer, &model->ids, &model->format, error);
}

/* ---- preprocessor_config.json, generation_config.json ---------------------------------------- */

static const char preprocessor[] = "preprocessor_config.json";

/* Three numbers, or `fallback` when absent. */
static tsr_status triple(const json_t *root, const char *path, double low, double high,
                         double fallback, double out[3], struct tsr_error *error)
{
    const json_t *list = tsr_json_at(root, path, strlen(path));

    for (size_t i = 0; i < 3; i++) {
        const json_t *item = json_array_get(list, i);
        out[i] = list == NULL ? fallback : json_number_value(item);
        if (list != NULL && (json_array_size(list) != 3 || !json_is_number(item) ||
                             !(out[i] >= low && out[i] <= high)))
            return tsr_fail(error, TSR_MALFORMED, "%s: %s is not three numbers in %g to %g",
                            preprocessor, path, low, high);
    }
    return TSR_OK;
}

static tsr_status read_rule(struct tsr_model *model, const char *folder, struct tsr_error *error)
{
    static const char *const sizes[] = {"image_size", "size.height", "size.width"};
    struct tsr_picture_rule *rule = &model->rule;
    const double side = (double)model->net.traits.see_side;
    double background[3], mean[3], std[3], value, min_side = 0, factor = 0;
    json_t *root;
    tsr_status status = read_optional(&root, folder, preprocessor, error);

    if (status != TSR_OK)
        return status;
    for (size_t i = 0; i < 3 && status == TSR_OK; i++) {
        status = tsr_json_number(root, preprocessor, sizes[i], 1, 1 << 20, side, &value, error);
        if (status == TSR_OK && value != side)
            status = tsr_fail(error, TSR_MALFORMED, "%s: %s is %g, config.json says image_size %g",
                              preprocessor, sizes[i], value, side);
    }
    if (status == TSR_OK)
        status = tsr_json_number(root, preprocessor, "min_size", 1, side, side < 14 ? side : 14,
                                 &min_side, error);
    if (status == TSR_OK)
        status =
            tsr_json_number(root, preprocessor, "rescale_factor", 0, 1, 1.0 / 255, &factor, error);
    if (status == TSR_OK && fabs(factor * 255 - 1) > 1e-6)
        status = tsr_fail(error, TSR_UNSUPPORTED, "%s: rescale_factor %g; only 1/255 is supported",
                          preprocessor, factor);
    if (status == TSR_OK)
        status = triple(root, "background_color", 0, 255, 127, background, error);
    if (status == TSR_OK)
        status = triple(root, "image_mean", -10, 10, 0.5, mean, error);
    if (status == TSR_OK)
        status = triple(root, "image_std", 1e-6, 10, 0.5, std, error);
    json_decref(root);
    if (status != TSR_OK)
        return status;
    rule->size = model->net.traits.see_side;
    rule->min_side = (size_t)min_side;
    for (int i = 0; i < 3; i++) {
        rule->background[i] = (uint8_t)background[i];
        rule->mean[i] = (float)mean[i];
        rule->std[i] = (float)std[i];
    }
    return TSR_OK;
}

static tsr_status read_generation(struct tsr_model *model, const char *folder,
                                  struct tsr_error *error)
{
    static const char file[] = "generation_config.json";
    double guidance = 5; /* the authors' default */
    json_t *root;
    tsr_status status = read_optional(&root, folder, file, error);

    if (status == TSR_OK)
        status = tsr_json_number(root, file, "guidance_scale", 0, 1000, guidance, &guidance, error);
    if (status == TSR_OK && root != NULL)
        status = check_ids(root, file, model->net.traits.vocabulary, error);
    json_decref(root);
    model->guidance = (float)guidance;
    return status;
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* The folder's own name, "." and trailing slashes aside. */
static char *folder_name(const char *folder)
{
    size_t end = strlen(folder);
    size_t start;

    while (end > 1 && folder[end - 1] == '/')
        end--;
    for (start = end; start > 0 && folder[start - 1] != '/'; start--)
        ;
    return strndup(folder + start, end - start);
}

tsr_status tsr_source_folder(struct tsr_convert *c, const char *folder, struct tsr_error *error)
{
    tsr_status status = tsr_checkpoint_open(&c->checkpoint, folder, error);

    if (status != TSR_OK || (status = read_config(c, folder, error)) != TSR_OK ||
        (status = read_tokenizer(c->model, folder, error)) != TSR_OK ||
        (status = read_rule(c->model, folder, error)) != TSR_OK ||
        (status = read_generation(c->model, folder, error)) != TSR_OK)
        return status;
    c->model->name = folder_name(folder);
    return c->model->name != NULL ? TSR_OK : tsr_fail(error, TSR_MEMORY, "out of memory");
}
