/*
 * config.c: the configuration table of a family, applied (config.h, families/family.h).
 *
 * A field's source is tried alternative by alternative: a path in config.json, or the shape of a
 * tensor. What is found must be a number of the right kind within the table's range; nothing is
 * clamped. From a GGUF file the same table reads the same members under "<family>.<key>", with the
 * same ranges: a file is not believed because we wrote it.
 */
#include "run/config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- JSON ------------------------------------------------------------------------------------ */

const json_t *tsr_json_at(const json_t *root, const char *path, size_t length)
{
    const char *end = path + length;

    while (root != NULL && path < end) {
        const char *dot = memchr(path, '.', (size_t)(end - path));
        const size_t part = (size_t)((dot != NULL ? dot : end) - path);
        root = json_object_getn(root, path, part);
        path += part + 1;
    }
    return root;
}

static tsr_status number(const json_t *value, const char *file, const char *path, int length,
                         int whole, double low, double high, double *out, struct tsr_error *error)
{
    if (whole ? !json_is_integer(value) : !json_is_number(value))
        return tsr_fail(error, TSR_MALFORMED, "%s: %.*s is not %s", file, length, path,
                        whole ? "a whole number" : "a number");
    *out = json_number_value(value);
    if (!(*out >= low && *out <= high))
        return tsr_fail(error, TSR_MALFORMED, "%s: %.*s is %.17g, not in %.17g to %.17g", file,
                        length, path, *out, low, high);
    return TSR_OK;
}

tsr_status tsr_json_number(const json_t *root, const char *file, const char *path, double low,
                           double high, double fallback, double *value, struct tsr_error *error)
{
    const json_t *found = tsr_json_at(root, path, strlen(path));

    *value = fallback;
    if (found == NULL || json_is_null(found))
        return TSR_OK;
    return number(found, file, path, (int)strlen(path), 0, low, high, value, error);
}

/* ---- one field from a checkpoint ------------------------------------------------------------- */

/* The tensor that an alternative "name@axis" speaks of, '#' replaced by `index`. */
static const struct tsr_checkpoint_tensor *shown(const tsr_checkpoint *checkpoint, const char *text,
                                                 size_t length, size_t index)
{
    char name[TSR_NAME_MAX];
    size_t used = 0;

    for (size_t i = 0; i < length && text[i] != '@' && used + 24 < sizeof name; i++)
        if (text[i] == '#')
            used += (size_t)snprintf(name + used, sizeof name - used, "%zu", index);
        else
            name[used++] = text[i];
    name[used] = '\0';
    return tsr_checkpoint_find(checkpoint, name);
}

/* What tensors show: an axis, a count, or the axes of a numbered row of tensors. */
static void from_shapes(const tsr_checkpoint *checkpoint, const char *text, size_t length,
                        struct tsr_list *list, size_t *single)
{
    const char *at = memchr(text, '@', length);
    const int counts = at + 1 == text + length, numbered = memchr(text, '#', length) != NULL;
    const unsigned axis = counts ? 0 : (unsigned)(at[1] - '0');
    const struct tsr_checkpoint_tensor *tensor;
    size_t index = 0;

    list->count = 0;
    *single = 0;
    while (index < 100000 && (tensor = shown(checkpoint, text, length, index)) != NULL) {
        const size_t size = axis < tensor->dims ? tensor->shape[axis] : 0;
        if (!counts && index == 0)
            *single = size;
        if (index < TSR_LIST_MAX) {
            list->items[index] = size < UINT32_MAX ? (uint32_t)size : UINT32_MAX;
            list->count = (uint32_t)index + 1;
        }
        index++;
        if (!numbered)
            break;
    }
    if (counts)
        *single = index;
}

static void store(const struct tsr_field *field, void *config, double value)
{
    char *member = (char *)config + field->offset;

    if (field->kind == TSR_FIELD_F32)
        *(float *)(void *)member = (float)value;
    else
        *(uint32_t *)(void *)member = (uint32_t)value;
}

static tsr_status check_list(const struct tsr_field *field, const struct tsr_list *list,
                             const char *name, struct tsr_error *error)
{
    if (list->count == 0)
        return tsr_fail(error, TSR_MALFORMED, "%s: nothing there", name);
    for (uint32_t i = 0; i < list->count; i++)
        if (list->items[i] < field->low || list->items[i] > field->high)
            return tsr_fail(error, TSR_MALFORMED, "%s: entry %u is %u, not in %.17g to %.17g", name,
                            i, list->items[i], field->low, field->high);
    return TSR_OK;
}

/* A field that has only one value that is supported. */
static tsr_status must(const struct tsr_field *field, const json_t *value, const char *path,
                       int length, struct tsr_error *error)
{
    char text[64] = "";

    if (json_is_string(value))
        snprintf(text, sizeof text, "%s", json_string_value(value));
    else if (json_is_boolean(value))
        snprintf(text, sizeof text, "%s", json_is_true(value) ? "true" : "false");
    else if (json_is_number(value))
        snprintf(text, sizeof text, "%.17g", json_number_value(value));
    else
        snprintf(text, sizeof text, "(a list or object)");
    if (strcmp(text, field->must) == 0)
        return TSR_OK;
    return tsr_fail(error, TSR_UNSUPPORTED, "config.json: %.*s is %s; only %s is supported", length,
                    path, text, field->must[0] != '\0' ? field->must : "its absence");
}

/* One alternative; *found says whether it was there. */
static tsr_status alternative(const struct tsr_field *field, const struct tsr_source *source,
                              const char *text, size_t length, void *config, int *found,
                              struct tsr_error *error)
{
    struct tsr_list list;
    size_t single;
    double value;
    tsr_status status;

    *found = 1;
    if (memchr(text, '@', length) == NULL) {
        const json_t *json = tsr_json_at(source->root, text, length);
        const int optional = field->kind == TSR_FIELD_MUST || field->fallback == 0;
        if (json == NULL || (json_is_null(json) && optional)) {
            *found = 0;
            return TSR_OK;
        }
        if (field->kind == TSR_FIELD_MUST)
            return must(field, json, text, (int)length, error);
        status = number(json, "config.json", text, (int)length, field->kind != TSR_FIELD_F32,
                        field->low, field->high, &value, error);
        if (status == TSR_OK)
            store(field, config, value);
        return status;
    }
    from_shapes(source->checkpoint, text, length, &list, &single);
    if (field->kind == TSR_FIELD_LIST) {
        memcpy((char *)config + field->offset, &list, sizeof list);
        return check_list(field, &list, text, error);
    }
    if (single == 0)
        return tsr_fail(error, TSR_MALFORMED, "tensor %.*s: missing, or not of the shape expected",
                        (int)strcspn(text, "@"), text);
    if ((double)single < field->low || (double)single > field->high)
        return tsr_fail(error, TSR_MALFORMED, "%s (from tensor %.*s) is %zu, not in %.17g to %.17g",
                        field->key, (int)strcspn(text, "@"), text, single, field->low, field->high);
    store(field, config, (double)single);
    return TSR_OK;
}

tsr_status tsr_config_from_source(const struct tsr_family *family, const struct tsr_source *source,
                                  void *config, struct tsr_error *error)
{
    for (size_t i = 0; i < family->field_count; i++) {
        const struct tsr_field *field = &family->fields[i];
        const char *text = source->official ? field->official : field->library;
        int found = 0;

        while (*text != '\0' && !found) {
            const size_t length = strcspn(text, "|");
            const tsr_status status =
                alternative(field, source, text, length, config, &found, error);
            if (status != TSR_OK)
                return status;
            text += length + (text[length] == '|');
        }
        if (!found && field->kind != TSR_FIELD_MUST)
            store(field, config, field->fallback);
    }
    return family->check(config, error);
}

/* ---- GGUF ------------------------------------------------------------------------------------ */

static void key_of(char key[TSR_NAME_MAX], const struct tsr_family *family,
                   const struct tsr_field *field)
{
    snprintf(key, TSR_NAME_MAX, "%s.%s", family->name, field->key);
}

static tsr_status list_from_gguf(const struct tsr_field *field, const tsr_gguf *file,
                                 const char *key, struct tsr_list *list, struct tsr_error *error)
{
    enum tsr_gguf_type type;
    const void *data;
    size_t count;
    tsr_status status = tsr_gguf_numbers(file, key, &type, &data, &count, error);

    if (status != TSR_OK)
        return status;
    if (type != TSR_GGUF_U32 || count > TSR_LIST_MAX)
        return tsr_fail(error, TSR_MALFORMED, "%s is not a list of at most %d numbers", key,
                        TSR_LIST_MAX);
    list->count = (uint32_t)count;
    memcpy(list->items, data, count * sizeof *list->items);
    return check_list(field, list, key, error);
}

tsr_status tsr_config_from_gguf(const struct tsr_family *family, const tsr_gguf *file, void *config,
                                struct tsr_error *error)
{
    char key[TSR_NAME_MAX];

    for (size_t i = 0; i < family->field_count; i++) {
        const struct tsr_field *field = &family->fields[i];
        uint64_t whole = 0;
        double value = 0;
        tsr_status status = TSR_OK;

        if (field->kind == TSR_FIELD_MUST)
            continue;
        key_of(key, family, field);
        if (field->kind == TSR_FIELD_LIST) {
            status =
                list_from_gguf(field, file, key, (void *)((char *)config + field->offset), error);
        } else if (field->kind == TSR_FIELD_F32) {
            status = tsr_gguf_f64(file, key, (float)field->low, field->high, &value, error);
        } else {
            status =
                tsr_gguf_u64(file, key, (uint64_t)field->low, (uint64_t)field->high, &whole, error);
            value = (double)whole;
        }
        if (status != TSR_OK)
            return status;
        if (field->kind != TSR_FIELD_LIST)
            store(field, config, value);
    }
    return family->check(config, error);
}

tsr_status tsr_config_to_gguf(const struct tsr_family *family, const void *config,
                              tsr_gguf_writer *writer, struct tsr_error *error)
{
    char key[TSR_NAME_MAX];
    tsr_status status = TSR_OK;

    for (size_t i = 0; i < family->field_count && status == TSR_OK; i++) {
        const struct tsr_field *field = &family->fields[i];
        const void *member = (const char *)config + field->offset;
        const struct tsr_list *list = member;

        if (field->kind == TSR_FIELD_MUST)
            continue;
        key_of(key, family, field);
        if (field->kind == TSR_FIELD_LIST)
            status =
                tsr_gguf_set_numbers(writer, key, TSR_GGUF_U32, list->items, list->count, error);
        else if (field->kind == TSR_FIELD_F32)
            status = tsr_gguf_set_f32(writer, key, *(const float *)member, error);
        else
            status = tsr_gguf_set_u32(writer, key, *(const uint32_t *)member, error);
    }
    return status;
}
