/*
 * safetensors.c: the header of a safetensors file (format: huggingface/safetensors, README).
 *
 *   u64 N; N bytes of JSON, beginning with '{', padded with blanks; the data.
 *   {"name": {"dtype": "F16", "shape": [2, 3], "data_offsets": [begin, end]}, ..., "__metadata__":
 * {text: text}}
 *
 * Sorted by their offsets, the tensors must follow each other without gap from the first byte of
 * the data to the last byte of the file; an empty one may stand between two others, not within one.
 * So nothing overlaps and nothing hides behind the tensors. Numbers are exact integers, products
 * are checked. Stricter than the reference in two points: a duplicate key and an empty tensor
 * within another are refused.
 */
#include <config.h>

#include "checked.h"
#include "json.h"
#include "safetensors.h"

#include <stdlib.h>
#include <string.h>

enum {
    HEADER_LIMIT = 100000000, /* of the format */
    HEADER_MAX =
        32
        << 20, /* ours: 100,000 tensors take 15 MB; parsed, a header takes several times its size */
    DIMS_MAX = 8
};

static const struct dtype {
    char name[12];
    uint32_t bytes;
    enum tsr_dtype dtype;
    uint32_t format; /* that loses nothing; f64 is narrowed */
} dtypes[] = {
    {"F32", 4, TSR_DTYPE_F32, TSR_F32},    {"F16", 2, TSR_DTYPE_F16, TSR_F16},
    {"BF16", 2, TSR_DTYPE_BF16, TSR_BF16}, {"F64", 8, TSR_DTYPE_F64, TSR_F32},
    {"BOOL", 1, TSR_DTYPE_OTHER, ~0u},     {"U8", 1, TSR_DTYPE_OTHER, ~0u},
    {"I8", 1, TSR_DTYPE_OTHER, ~0u},       {"U16", 2, TSR_DTYPE_OTHER, ~0u},
    {"I16", 2, TSR_DTYPE_OTHER, ~0u},      {"U32", 4, TSR_DTYPE_OTHER, ~0u},
    {"I32", 4, TSR_DTYPE_OTHER, ~0u},      {"U64", 8, TSR_DTYPE_OTHER, ~0u},
    {"I64", 8, TSR_DTYPE_OTHER, ~0u},      {"F8_E4M3", 1, TSR_DTYPE_OTHER, ~0u},
    {"F8_E5M2", 1, TSR_DTYPE_OTHER, ~0u},  {"F8_E8M0", 1, TSR_DTYPE_OTHER, ~0u},
    {"C64", 8, TSR_DTYPE_OTHER, ~0u},
};

/* The tensor that is looked at, for messages. */
struct place {
    const struct tsr_input *in;
    const char *name;
    struct tsr_error *error;
};

static tsr_status bad(const struct place *p, const char *what)
{
    return tsr_fail(p->error, TSR_MALFORMED, "%s: tensor '%.80s': %s", p->in->name, p->name, what);
}

static tsr_status read_dtype(struct tsr_safetensor *tensor, const json_t *value,
                             const struct place *p)
{
    const char *name = json_string_value(value);

    if (name == NULL)
        return bad(p, "bad dtype: text is wanted");
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        if (strcmp(dtypes[i].name, name) != 0)
            continue;
        tensor->dtype = dtypes[i].dtype;
        tensor->element_bytes = dtypes[i].bytes;
        tensor->facts.format = dtypes[i].format;
        memcpy(tensor->dtype_name, dtypes[i].name, sizeof tensor->dtype_name);
        return TSR_OK;
    }
    return tsr_fail(p->error, TSR_UNSUPPORTED, "%s: tensor '%.80s': dtype '%.20s' is not supported",
                    p->in->name, p->name, name);
}

static tsr_status read_shape(struct tsr_safetensor *tensor, const json_t *shape,
                             const struct place *p)
{
    uint64_t count = 1;

    if (!json_is_array(shape) || json_array_size(shape) > DIMS_MAX)
        return bad(p, "bad shape: an array of at most 8 sizes is wanted");
    tensor->facts.dims = (unsigned)json_array_size(shape);
    for (unsigned i = 0; i < tensor->facts.dims; i++) {
        uint64_t dim;

        if (!tsr_json_natural(&dim, json_array_get(shape, i)))
            return bad(p, "bad shape: a size is not a natural number");
        if (!tsr_checked_mul(&count, count, dim) || !tsr_checked_size(&tensor->facts.shape[i], dim))
            return bad(p, "overflow: the product of its shape is too large");
    }
    if (!tsr_checked_mul(&tensor->bytes, count, tensor->element_bytes) ||
        !tsr_checked_size(&tensor->facts.count, tensor->bytes))
        return bad(p, "overflow: the product of its shape is too large");
    tensor->facts.count = (size_t)count;
    return TSR_OK;
}

/* [begin, end) in the data, which must hold exactly the shape. */
static tsr_status read_offsets(struct tsr_safetensor *tensor, const json_t *offsets, uint64_t data,
                               const struct place *p)
{
    uint64_t begin, end;

    if (!json_is_array(offsets) || json_array_size(offsets) != 2 ||
        !tsr_json_natural(&begin, json_array_get(offsets, 0)) ||
        !tsr_json_natural(&end, json_array_get(offsets, 1)))
        return bad(p, "bad offsets: two natural numbers are wanted");
    if (end < begin)
        return bad(p, "bad offsets: the end is before the begin");
    if (end > data)
        return tsr_fail(
            p->error, TSR_MALFORMED,
            "%s: truncated: tensor '%.80s' ends at byte %llu of the data, there are %llu",
            p->in->name, p->name, (unsigned long long)end, (unsigned long long)data);
    if (end - begin != tensor->bytes)
        return tsr_fail(p->error, TSR_MALFORMED,
                        "%s: tensor '%.80s': %llu bytes, its shape takes %llu", p->in->name,
                        p->name, (unsigned long long)(end - begin),
                        (unsigned long long)tensor->bytes);
    tensor->offset = begin; /* in the data, for now */
    return TSR_OK;
}

static tsr_status read_tensor(struct tsr_safetensor *tensor, const json_t *value, uint64_t data,
                              const struct place *p)
{
    tsr_status status;

    if (!json_is_object(value) || json_object_size(value) != 3)
        return bad(p, "an object of dtype, shape and data_offsets is wanted");
    status = read_dtype(tensor, json_object_get(value, "dtype"), p);
    if (status == TSR_OK)
        status = read_shape(tensor, json_object_get(value, "shape"), p);
    if (status == TSR_OK)
        status = read_offsets(tensor, json_object_get(value, "data_offsets"), data, p);
    if (status != TSR_OK)
        return status;
    tensor->facts.name = strdup(p->name);
    return tensor->facts.name != NULL
               ? TSR_OK
               : tsr_fail(p->error, TSR_MEMORY, "%s: out of memory", p->in->name);
}

static tsr_status check_metadata(json_t *metadata, const struct tsr_input *in,
                                 struct tsr_error *error)
{
    const char *key;
    json_t *value;

    if (!json_is_object(metadata))
        return tsr_fail(error, TSR_MALFORMED, "%s: '__metadata__' is not an object", in->name);
    json_object_foreach(metadata, key, value) if (!json_is_string(value)) return tsr_fail(
        error, TSR_MALFORMED, "%s: '__metadata__' has a value that is not text: '%.64s'", in->name,
        key);
    return TSR_OK;
}

static int by_offset(const void *a, const void *b)
{
    const struct tsr_safetensor *x = a, *y = b;

    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

/* The tensors [first, count) follow each other from 0 to `data`; their offsets become those in the
 * file. */
static tsr_status check_places(struct tsr_safetensors *to, size_t first, uint64_t start,
                               uint64_t data, const struct tsr_input *in, struct tsr_error *error)
{
    uint64_t end = 0;

    if (to->count - first > 1)
        qsort(to->list + first, to->count - first, sizeof *to->list, by_offset);
    for (size_t i = first; i < to->count; i++) {
        struct tsr_safetensor *tensor = &to->list[i];
        struct place place = {in, tensor->facts.name, error};

        if (tensor->offset < end)
            return bad(&place, "overlap: it begins within another tensor");
        if (tensor->offset > end)
            return bad(&place, "hole: there are bytes before it that belong to no tensor");
        end += tensor->bytes; /* at most `data` */
        tensor->offset += start;
    }
    if (end != data)
        return tsr_fail(error, TSR_MALFORMED, "%s: trailing data: %llu bytes after the last tensor",
                        in->name, (unsigned long long)(data - end));
    return TSR_OK;
}

static tsr_status read_tensors(struct tsr_safetensors *to, json_t *root, uint64_t start,
                               const struct tsr_input *in, size_t shard, struct tsr_error *error)
{
    size_t first = to->count;
    struct tsr_safetensor *list =
        realloc(to->list, (first + json_object_size(root) + 1) * sizeof *list);
    const char *name;
    json_t *value;

    if (list == NULL)
        return tsr_fail(error, TSR_MEMORY, "%s: out of memory", in->name);
    to->list = list;
    json_object_foreach(root, name, value)
    {
        struct tsr_safetensor tensor = {.shard = shard};
        struct place place = {in, name, error};
        tsr_status status;

        if (strcmp(name, "__metadata__") == 0) {
            status = check_metadata(value, in, error);
        } else {
            status = read_tensor(&tensor, value, in->size - start, &place);
            if (status == TSR_OK)
                to->list[to->count++] = tensor;
        }
        if (status != TSR_OK)
            return status;
    }
    return check_places(to, first, start, in->size - start, in, error);
}

/* *bytes = the length of the JSON. */
static tsr_status read_length(uint64_t *bytes, const struct tsr_input *in, struct tsr_error *error)
{
    char brace;
    tsr_status status;

    if (in->size < 8)
        return in->size == 0 ? tsr_input_not(in, "safetensors", error)
                             : tsr_fail(error, TSR_MALFORMED, "%s: header too small: %llu bytes",
                                        in->name, (unsigned long long)in->size);
    status = tsr_input_read(in, 0, bytes, 8, error);
    if (status != TSR_OK)
        return status;
    if (*bytes == 0)
        return tsr_fail(error, TSR_MALFORMED, "%s: empty header", in->name);
    if (*bytes > HEADER_LIMIT || !tsr_checked_range(8, *bytes, in->size)) {
        if (tsr_input_other(in, "safetensors"))
            return tsr_input_not(in, "safetensors", error);
        return tsr_fail(error, TSR_MALFORMED, "%s: header too large: %llu bytes in a file of %llu",
                        in->name, (unsigned long long)*bytes, (unsigned long long)in->size);
    }
    if (*bytes > HEADER_MAX)
        return tsr_fail(error, TSR_UNSUPPORTED, "%s: header too large: %llu bytes, the limit is %d",
                        in->name, (unsigned long long)*bytes, HEADER_MAX);
    status = tsr_input_read(in, 8, &brace, 1, error);
    if (status == TSR_OK && brace != '{')
        status = tsr_fail(error, TSR_MALFORMED,
                          "%s: bad JSON at byte 0: the header does not begin with '{'", in->name);
    return status;
}

tsr_status tsr_safetensors_read(struct tsr_safetensors *to, const struct tsr_input *in,
                                size_t shard, struct tsr_error *error)
{
    uint64_t bytes;
    json_t *root = NULL;
    char *text;
    tsr_status status = read_length(&bytes, in, error);

    if (status != TSR_OK)
        return status;
    text = malloc((size_t)bytes);
    if (text == NULL)
        return tsr_fail(error, TSR_MEMORY, "%s: out of memory", in->name);
    status = tsr_input_read(in, 8, text, (size_t)bytes, error);
    if (status == TSR_OK)
        status = tsr_json_load(&root, text, (size_t)bytes, in->name, error);
    free(text);
    if (status == TSR_OK)
        status = read_tensors(to, root, 8 + bytes, in, shard, error);
    json_decref(root);
    return status;
}

void tsr_safetensors_free(struct tsr_safetensors *tensors)
{
    for (size_t i = 0; i < tensors->count; i++)
        free((char *)tensors->list[i].facts.name);
    free(tensors->list);
}
