/*
 * model.c: opening a model: a mapped GGUF file whose every number and tensor is checked against the
 * family's tables before anything uses it.
 *
 * The order: architecture, configuration, tensors (present, right kind, shape and format),
 * tokenizer, special ids. Nothing of the tensors' data is read, so opening costs what the header
 * costs.
 */
#include <config.h>

#include "run/config.h"
#include "run/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- tensors --------------------------------------------------------------------------------- */

size_t tsr_slot_k(const struct tsr_slot *slot, uint32_t format)
{
    if (slot->kind != TSR_ROW_CONV || slot->bias)
        return slot->k;
    return slot->conv_size * slot->conv_size *
           (format == TSR_T8 ? tsr_round_up(slot->cin, TSR_GROUP) : slot->cin);
}

int tsr_slot_plain(const struct tsr_slot *slot)
{
    return slot->bias || slot->kind == TSR_ROW_SCALE || slot->kind == TSR_ROW_SCALE_BIAS ||
           slot->kind == TSR_ROW_PLAIN;
}

int tsr_slot_takes(const struct tsr_slot *slot, uint32_t format)
{
    if (tsr_slot_plain(slot) || slot->kind == TSR_ROW_CODEBOOK)
        return format == TSR_F32;
    if (slot->kind == TSR_ROW_SMALL_TABLE)
        return format == TSR_F32 || format == TSR_F16;
    return format <= TSR_T8 || (format == TSR_T4 && slot->kind != TSR_ROW_CONV);
}

/* Points the family's struct at a tensor. */
static void bind(const struct tsr_slot *slot, const struct tsr_tensor *tensor)
{
    struct tsr_linear *linear = slot->target;
    struct tsr_conv *conv = slot->target;
    struct tsr_scale *scale = slot->target;

    switch (slot->kind) {
    case TSR_ROW_CONV:
        conv->size = slot->conv_size;
        conv->cin = slot->cin;
        if (slot->bias)
            conv->bias = tensor->tile.data;
        else
            conv->w = tensor->tile;
        break;
    case TSR_ROW_SCALE:
    case TSR_ROW_SCALE_BIAS:
        *(slot->bias ? &scale->bias : &scale->weight) = tensor->tile.data;
        break;
    case TSR_ROW_PLAIN:
        *(const float **)slot->target = tensor->tile.data;
        break;
    case TSR_ROW_TABLE:
    case TSR_ROW_SMALL_TABLE:
    case TSR_ROW_CODEBOOK:
        *(struct tsr_tile *)slot->target = tensor->tile;
        break;
    default:
        if (slot->bias)
            linear->bias = tensor->tile.data;
        else
            linear->w = tensor->tile;
    }
}

static tsr_status load_tensor(void *data, const struct tsr_slot *slot, struct tsr_error *error)
{
    struct tsr_model *model = data;
    const struct tsr_tensor *tensor = tsr_gguf_tensor(model->file, slot->name);

    if (tensor == NULL && slot->kind == TSR_ROW_LINEAR_OPTIONAL)
        return TSR_OK;
    if (tensor == NULL)
        return tsr_fail(error, TSR_MALFORMED, "tensor %s is missing", slot->name);
    const size_t k = tsr_slot_k(slot, tensor->tile.format);
    if (tensor->tile.n != slot->n || tensor->tile.k != k)
        return tsr_fail(error, TSR_MALFORMED,
                        "tensor %s is %zu x %zu; the configuration asks for %zu x %zu", slot->name,
                        tensor->tile.n, tensor->tile.k, slot->n, k);
    if (tensor->plain != tsr_slot_plain(slot) || !tsr_slot_takes(slot, tensor->tile.format))
        return tsr_fail(error, TSR_MALFORMED,
                        "tensor %s has a format (%s, %s) that does not suit it", slot->name,
                        tsr_format_name(tensor->tile.format), tensor->plain ? "plain" : "tile");
    bind(slot, tensor);
    model->part_bytes[slot->part] += tensor->bytes;
    if (slot->part == TSR_PART_HEAD)
        model->tied = 0;
    return TSR_OK;
}

/* ---- metadata -------------------------------------------------------------------------------- */

static tsr_status find_family(const tsr_gguf *file, const struct tsr_family **family,
                              struct tsr_error *error)
{
    struct tsr_slice name;
    tsr_status status = tsr_gguf_string(file, "general.architecture", &name, error);

    if (status != TSR_OK)
        return status;
    for (size_t i = 0; i < tsr_family_count; i++) {
        *family = tsr_families[i];
        if (strlen((*family)->name) == name.bytes &&
            memcmp((*family)->name, name.text, name.bytes) == 0)
            return TSR_OK;
    }
    return tsr_fail(error, TSR_UNSUPPORTED, "architecture %.*s is not supported; supported: janus",
                    name.bytes < 60 ? (int)name.bytes : 60, name.text);
}

static tsr_status load_ids(struct tsr_model *model, struct tsr_error *error)
{
    const struct {
        const char *key;
        int32_t *id;
    } keys[] = {
        {"tokenizer.ggml.bos_token_id", &model->ids.begin},
        {"tokenizer.ggml.eos_token_id", &model->ids.end},
        {"tokenizer.ggml.padding_token_id", &model->ids.pad},
        {"tessera.picture.placeholder", &model->ids.picture},
        {"tessera.picture.begin", &model->ids.picture_begin},
        {"tessera.picture.end", &model->ids.picture_end},
    };
    const uint64_t last = model->net.traits.vocabulary - 1;

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        uint64_t id;
        const tsr_status status = tsr_gguf_u64(model->file, keys[i].key, 0, last, &id, error);
        if (status != TSR_OK)
            return status;
        *keys[i].id = (int32_t)id;
    }
    return TSR_OK;
}

/* `count` numbers of one type into `out`. */
static tsr_status numbers(const tsr_gguf *file, const char *key, enum tsr_gguf_type type,
                          size_t size, size_t count, void *out, struct tsr_error *error)
{
    enum tsr_gguf_type found;
    const void *data;
    size_t there;
    const tsr_status status = tsr_gguf_numbers(file, key, &found, &data, &there, error);

    if (status != TSR_OK)
        return status;
    if (found != type || there != count)
        return tsr_fail(error, TSR_MALFORMED, "%s: not %zu numbers of the right type", key, count);
    memcpy(out, data, count * size);
    return TSR_OK;
}

static tsr_status load_rule(struct tsr_model *model, struct tsr_error *error)
{
    struct tsr_picture_rule *rule = &model->rule;
    uint64_t min_side = 0;
    double guidance = 0;
    tsr_status status;

    rule->size = model->net.traits.see_side;
    if ((status = tsr_gguf_u64(model->file, "tessera.picture.min_side", 1, rule->size, &min_side,
                               error)) != TSR_OK ||
        (status = numbers(model->file, "tessera.picture.background", TSR_GGUF_U8, 1, 3,
                          rule->background, error)) != TSR_OK ||
        (status = numbers(model->file, "tessera.picture.mean", TSR_GGUF_F32, 4, 3, rule->mean,
                          error)) != TSR_OK ||
        (status = numbers(model->file, "tessera.picture.std", TSR_GGUF_F32, 4, 3, rule->std,
                          error)) != TSR_OK ||
        (status = tsr_gguf_f64(model->file, "tessera.guidance", 0, 1000, &guidance, error)) !=
            TSR_OK)
        return status;
    rule->min_side = (size_t)min_side;
    model->guidance = (float)guidance;
    for (int i = 0; i < 3; i++)
        if (!(rule->std[i] > 0 && isfinite(rule->std[i]) && isfinite(rule->mean[i])))
            return tsr_fail(error, TSR_MALFORMED, "tessera.picture.mean and .std are not usable");
    return TSR_OK;
}

static tsr_status load_name(struct tsr_model *model, struct tsr_error *error)
{
    struct tsr_slice name = {"", 0};

    if (tsr_gguf_has(model->file, "general.name")) {
        const tsr_status status = tsr_gguf_string(model->file, "general.name", &name, error);
        if (status != TSR_OK)
            return status;
    }
    model->name = strndup(name.text, name.bytes);
    return model->name != NULL ? TSR_OK : tsr_fail(error, TSR_MEMORY, "out of memory");
}

/* ---- open ------------------------------------------------------------------------------------ */

static tsr_status load_network(struct tsr_model *model, struct tsr_error *error)
{
    struct tsr_walk walk = {.visit = load_tensor, .data = model, .error = error, .status = TSR_OK};
    const struct tsr_family *family = NULL;
    tsr_status status = find_family(model->file, &family, error);

    if (status != TSR_OK)
        return status;
    model->config = calloc(1, family->config_bytes);
    model->weights = calloc(1, family->weights_bytes);
    if (model->config == NULL || model->weights == NULL)
        return tsr_fail(error, TSR_MEMORY, "out of memory");
    model->net =
        (struct tsr_net){.family = family, .config = model->config, .weights = model->weights};
    status = tsr_config_from_gguf(family, model->file, model->config, error);
    if (status != TSR_OK)
        return status;
    model->tied = 1;
    family->walk(&walk, model->config, model->weights);
    if (walk.status != TSR_OK)
        return walk.status;
    family->bind(model->config, model->weights);
    family->traits(&model->net, &model->net.traits);
    model->net.inv_freq = calloc(model->net.traits.cache_d / 2, sizeof(float));
    if (model->net.inv_freq == NULL)
        return tsr_fail(error, TSR_MEMORY, "out of memory");
    tsr_rope_frequencies(model->net.inv_freq, model->net.traits.cache_d,
                         family->rope_theta(model->config));
    return TSR_OK;
}

static tsr_status load(struct tsr_model *model, const char *path,
                       const struct tsr_load_options *options, struct tsr_error *error)
{
    tsr_status status = tsr_gguf_open(&model->file, path, options, error);

    if (status != TSR_OK || (status = load_network(model, error)) != TSR_OK ||
        (status = tsr_tokenizer_load(&model->tokenizer, model->file, error)) != TSR_OK ||
        (status = tsr_template_load(&model->format, model->file, error)) != TSR_OK ||
        (status = load_ids(model, error)) != TSR_OK ||
        (status = load_rule(model, error)) != TSR_OK ||
        (status = load_name(model, error)) != TSR_OK)
        return status;
    if (tsr_tokenizer_size(model->tokenizer) > model->net.traits.vocabulary)
        return tsr_fail(error, TSR_MALFORMED, "the tokenizer has %zu ids, the embedding %zu rows",
                        tsr_tokenizer_size(model->tokenizer), model->net.traits.vocabulary);
    return TSR_OK;
}

/* Puts the file's name, or the end of a long one, before a message that lacks it. */
static void name_file(struct tsr_error *error, const char *path)
{
    const size_t length = strlen(path), show = 80;
    const char *tail = length > show ? path + length - show : path;
    char message[sizeof error->message];

    if (error == NULL || strstr(error->message, tail) != NULL)
        return;
    memcpy(message, error->message, sizeof message);
    tsr_fail(error, error->status, "%s: %s", tail, message);
}

tsr_status tsr_model_open(tsr_model **model, const char *path,
                          const struct tsr_load_options *options, struct tsr_error *error)
{
    tsr_status status;

    *model = calloc(1, sizeof **model);
    if (*model == NULL)
        return tsr_fail(error, TSR_MEMORY, "out of memory");
    atomic_init(&(*model)->holders, 1);
    status = load(*model, path, options, error);
    if (status != TSR_OK) {
        name_file(error, path);
        tsr_model_close(*model);
        *model = NULL;
    }
    return status;
}

void tsr_model_hold(const tsr_model *model)
{
    atomic_fetch_add(&((tsr_model *)(uintptr_t)model)->holders, 1);
}

void tsr_model_close(tsr_model *model)
{
    if (model == NULL || atomic_fetch_sub(&model->holders, 1) > 1)
        return;
    tsr_tokenizer_free(model->tokenizer);
    tsr_template_free(&model->format);
    tsr_gguf_close(model->file);
    free(model->net.inv_freq);
    free(model->config);
    free(model->weights);
    free(model->name);
    free(model);
}

const tsr_gguf *tsr_model_file(const tsr_model *model)
{
    return model->file;
}
size_t tsr_model_width(const tsr_model *model)
{
    return model->net.traits.width;
}
size_t tsr_model_codebook(const tsr_model *model)
{
    return model->net.traits.codebook;
}

void tsr_model_describe(const tsr_model *model, struct tsr_model_info *info)
{
    const struct tsr_traits *t = &model->net.traits;

    *info = (struct tsr_model_info){.family = model->net.family->name,
                                    .name = model->name,
                                    .can = t->can,
                                    .vocabulary = t->vocabulary,
                                    .context_max = t->context_max,
                                    .picture_width = t->picture_side,
                                    .picture_height = t->picture_side,
                                    .picture_codes = t->codes,
                                    .see_tokens = t->see_tokens,
                                    .guidance_default = model->guidance};
}

/* ---- text ------------------------------------------------------------------------------------ */

tsr_status tsr_tokenize(const tsr_model *model, const char *text, size_t bytes, int add_special,
                        int32_t **ids, size_t *count, struct tsr_error *error)
{
    struct tsr_text plain = {0};
    tsr_status status = tsr_text_add(&plain, text, bytes, TSR_SPAN_TEMPLATE, error);

    if (status == TSR_OK)
        status = tsr_tokenizer_encode(model->tokenizer, &plain, add_special, ids, count, error);
    tsr_text_free(&plain);
    return status;
}

tsr_status tsr_detokenize(const tsr_model *model, const int32_t *ids, size_t count,
                          int skip_special, char **text, size_t *bytes, struct tsr_error *error)
{
    return tsr_tokenizer_decode(model->tokenizer, ids, count, skip_special, text, bytes, error);
}
