/*
 * convert.c: a checkpoint folder, or another GGUF of ours, to one GGUF file.
 *
 * The family's walk lists the tensors; each is found in the source under its name there, its shape
 * checked, its format chosen. Then tensor by tensor, in slices of whole panels: read as f32, bring
 * the rows into the order of the tile (a fused matrix gives its third, a convolution goes from [c,
 * y, x] to [y, x, c]), pack the panels of the slice in parallel, write. Memory is three slices,
 * whatever the size of the tensor. The loss is summed panel by panel in order, so it does not
 * depend on the number of threads.
 */
#include <config.h>

#include "run/convert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    SLICE_BYTES = 32 << 20, /* of f32 in one slice, or one panel if that is more */
    SHORT_K = 64            /* rows shorter than a t8 block gain nothing from it and stay f16 */
};

const char *const tsr_part_names[TSR_PARTS] = {"lm",        "embed",   "head",   "see",
                                               "draw-head", "decoder", "encoder"};

/* ---- what will be written -------------------------------------------------------------------- */

static size_t squeeze(size_t out[8], const struct tsr_checkpoint_tensor *tensor)
{
    size_t dims = 0;

    for (unsigned i = 0; i < tensor->dims; i++)
        if (tensor->shape[i] != 1)
            out[dims++] = tensor->shape[i];
    return dims;
}

static const struct tsr_checkpoint_tensor *source_tensor(const struct tsr_convert *c,
                                                         const struct tsr_slot *slot)
{
    return tsr_checkpoint_find(c->checkpoint, c->official ? slot->official : slot->library);
}

static int thirds(const struct tsr_convert *c, const struct tsr_slot *slot)
{
    return c->official && slot->third >= 0 ? 3 : 1;
}

/* The source's shape must be the one that the configuration asks for, axes of 1 aside. */
static tsr_status check_shape(const struct tsr_convert *c, const struct tsr_slot *slot,
                              const struct tsr_checkpoint_tensor *tensor, struct tsr_error *error)
{
    char has[120] = "", wants[120] = "";
    size_t shape[8];
    const size_t dims = squeeze(shape, tensor);
    int same = dims == slot->dims, used = 0;

    for (size_t i = 0; i < slot->dims; i++) {
        const size_t expect = slot->shape[i] * (i == 0 ? (size_t)thirds(c, slot) : 1);
        same = same && shape[i] == expect;
        used += snprintf(wants + used, sizeof wants - (size_t)used, "%s%zu", i > 0 ? " x " : "",
                         expect);
    }
    used = 0;
    for (size_t i = 0; i < dims && i < 5; i++)
        used +=
            snprintf(has + used, sizeof has - (size_t)used, "%s%zu", i > 0 ? " x " : "", shape[i]);
    if (same)
        return TSR_OK;
    return tsr_fail(error, TSR_MALFORMED, "tensor %.80s is %s; config.json asks for %s",
                    tensor->name, has, wants);
}

static uint32_t choose(const struct tsr_convert *c, const struct tsr_slot *slot)
{
    const struct tsr_convert_options *o = c->options;
    uint32_t format = o->part_format[slot->part];

    if (tsr_slot_plain(slot) || slot->kind == TSR_ROW_CODEBOOK)
        return TSR_F32;
    if (format == ~0u)
        format = c->model->net.family->part_format((enum tsr_part)slot->part, o->format);
    if (slot->kind == TSR_ROW_SMALL_TABLE || (format >= TSR_T8 && slot->k < SHORT_K))
        return format == TSR_F32 ? TSR_F32 : TSR_F16;
    return tsr_slot_takes(slot, format) ? format : TSR_T8;
}

/* Visitor: checks the source and notes the slot. */
static tsr_status note(void *data, const struct tsr_slot *slot, struct tsr_error *error)
{
    struct tsr_convert *c = data;

    if (c->checkpoint != NULL) {
        const struct tsr_checkpoint_tensor *tensor = source_tensor(c, slot);
        if (tensor == NULL && slot->kind == TSR_ROW_LINEAR_OPTIONAL)
            return TSR_OK;
        if (tensor == NULL)
            return tsr_fail(error, TSR_MALFORMED, "tensor %s is missing",
                            c->official ? slot->official : slot->library);
        const tsr_status status = check_shape(c, slot, tensor, error);
        if (status != TSR_OK)
            return status;
    } else if (tsr_gguf_tensor(c->model->file, slot->name) == NULL) {
        return TSR_OK; /* optional: the others were checked when the file was opened */
    }
    if (c->count == c->room) {
        const size_t room = c->room * 2 + 256;
        struct tsr_slot *slots = realloc(c->slots, room * sizeof *slots);
        if (slots != NULL)
            c->slots = slots;
        uint32_t *formats = slots != NULL ? realloc(c->formats, room * sizeof *formats) : NULL;
        if (formats == NULL)
            return tsr_fail(error, TSR_MEMORY, "out of memory");
        c->formats = formats;
        c->room = room;
    }
    c->formats[c->count] = choose(c, slot);
    c->slots[c->count++] = *slot;
    return TSR_OK;
}

/* ---- metadata -------------------------------------------------------------------------------- */

static tsr_status write_ids(struct tsr_convert *c, struct tsr_error *error)
{
    const struct tsr_ids *ids = &c->model->ids;
    const struct {
        const char *key;
        int32_t id;
    } keys[] = {
        {"tokenizer.ggml.bos_token_id", ids->begin},
        {"tokenizer.ggml.eos_token_id", ids->end},
        {"tokenizer.ggml.padding_token_id", ids->pad},
        {"tessera.picture.placeholder", ids->picture},
        {"tessera.picture.begin", ids->picture_begin},
        {"tessera.picture.end", ids->picture_end},
        {"tessera.picture.min_side", (int32_t)c->model->rule.min_side},
    };
    tsr_status status = TSR_OK;

    for (size_t i = 0; i < sizeof keys / sizeof *keys && status == TSR_OK; i++)
        status = tsr_gguf_set_u32(c->writer, keys[i].key, (uint32_t)keys[i].id, error);
    return status;
}

static tsr_status write_metadata(struct tsr_convert *c, struct tsr_error *error)
{
    const struct tsr_model *m = c->model;
    const char *family = m->net.family->name;
    tsr_gguf_writer *w = c->writer;
    tsr_status status;

    if ((status = tsr_gguf_set_string(w, "general.architecture", family, strlen(family), error)) !=
            TSR_OK ||
        (status = tsr_gguf_set_string(w, "general.name", m->name, strlen(m->name), error)) !=
            TSR_OK ||
        (status = tsr_config_to_gguf(m->net.family, m->config, w, error)) != TSR_OK ||
        (status = tsr_tokenizer_store(m->tokenizer, w, error)) != TSR_OK ||
        (status = tsr_template_store(&m->format, w, error)) != TSR_OK ||
        (status = write_ids(c, error)) != TSR_OK ||
        (status = tsr_gguf_set_numbers(w, "tessera.picture.background", TSR_GGUF_U8,
                                       m->rule.background, 3, error)) != TSR_OK ||
        (status = tsr_gguf_set_numbers(w, "tessera.picture.mean", TSR_GGUF_F32, m->rule.mean, 3,
                                       error)) != TSR_OK ||
        (status = tsr_gguf_set_numbers(w, "tessera.picture.std", TSR_GGUF_F32, m->rule.std, 3,
                                       error)) != TSR_OK)
        return status;
    return tsr_gguf_set_f32(w, "tessera.guidance", m->guidance, error);
}

/* ---- one tensor ------------------------------------------------------------------------------ */

/* The slice being packed: rows first .. first + count of a slot. */
struct slice {
    const struct tsr_convert *c;
    const struct tsr_slot *slot;
    uint32_t format;
    size_t count, k, row;         /* rows; k of the tile; floats of a source row */
    int permute;                  /* the source is [c, y, x] */
    struct tsr_tile_loss *losses; /* [panels] */
    tsr_status *statuses;         /* [panels] */
};

/* One row from the order of the source, [c, y, x] or [y, x, c], to that of the tile, [y, x, c
 * padded]. */
static void order_row(const struct slice *s, const float *from, float *to)
{
    const size_t taps = s->slot->conv_size * s->slot->conv_size, cin = s->slot->cin,
                 padded = s->k / taps;

    memset(to, 0, s->k * sizeof *to);
    for (size_t t = 0; t < taps; t++)
        for (size_t i = 0; i < cin; i++)
            to[t * padded + i] = s->permute ? from[i * taps + t] : from[t * cin + i];
}

/* Kernel: orders and packs panels [begin, end) of the slice. */
static void pack_panels(const void *args, size_t begin, size_t end)
{
    const struct slice *s = args;
    const int ordered = s->slot->kind != TSR_ROW_CONV && s->slot->kind != TSR_ROW_PATCH;
    const size_t bytes = tsr_panel_bytes(s->format, s->k);

    for (size_t p = begin; p < end; p++) {
        const size_t first = p * TSR_PANEL, left = s->count - first,
                     n = left < TSR_PANEL ? left : TSR_PANEL;
        const float *rows = s->c->wide + first * s->row;
        if (!ordered) {
            for (size_t r = 0; r < n; r++)
                order_row(s, rows + r * s->row, s->c->rows + (first + r) * s->k);
            rows = s->c->rows + first * s->k;
        }
        s->statuses[p] =
            tsr_tile_pack(s->c->tile + p * bytes, s->format, rows, n, s->k, &s->losses[p], NULL);
    }
}

/* Reads rows [first, first + s->count) of the source as f32 into c->wide. */
static tsr_status read_rows(struct slice *s, const struct tsr_checkpoint_tensor *from, size_t first,
                            struct tsr_error *error)
{
    const struct tsr_convert *c = s->c;

    if (from != NULL) {
        const size_t skip =
            s->slot->third > 0 && c->official ? (size_t)s->slot->third * s->slot->n : 0;
        return tsr_checkpoint_read(c->checkpoint, from, (skip + first) * s->row, s->count * s->row,
                                   c->wide, error);
    }
    const struct tsr_tensor *tensor = tsr_gguf_tensor(c->model->file, s->slot->name);
    struct tsr_tile tile = tensor->tile;
    const size_t padded =
        tile.k / (s->slot->kind == TSR_ROW_CONV ? s->slot->conv_size * s->slot->conv_size : 1);
    const size_t panel = tsr_panel_bytes(tile.format, tile.k);
    const tsr_status status =
        tsr_gguf_copy(c->model->file, tensor, first / TSR_PANEL * panel,
                      tsr_ceil_div(s->count, TSR_PANEL) * panel, c->stored, error);
    if (status != TSR_OK)
        return status;
    tile.data = c->stored;
    tile.n = s->count;
    if (s->slot->kind != TSR_ROW_CONV || padded == s->slot->cin) {
        tsr_tile_unpack(c->wide, &tile);
        return TSR_OK;
    }
    tsr_tile_unpack(c->rows, &tile); /* padded channels: close the gaps */
    for (size_t i = 0; i < s->count * tile.k / padded; i++)
        memcpy(c->wide + i * s->slot->cin, c->rows + i * padded, s->slot->cin * sizeof(float));
    return TSR_OK;
}

static tsr_status pack_slice(struct slice *s, struct tsr_tile_loss *loss, struct tsr_error *error)
{
    const size_t panels = tsr_ceil_div(s->count, TSR_PANEL);

    memset(s->losses, 0, panels * sizeof *s->losses);
    tsr_pool_run(s->c->pool, pack_panels, s, panels);
    for (size_t p = 0; p < panels; p++) {
        if (s->statuses[p] != TSR_OK)
            return tsr_fail(error, s->statuses[p], "tensor %s holds numbers that are not finite",
                            s->slot->name);
        loss->value2 += s->losses[p].value2;
        loss->error2 += s->losses[p].error2;
        if (loss->error_max < s->losses[p].error_max)
            loss->error_max = s->losses[p].error_max;
    }
    return tsr_gguf_data(s->c->writer, s->c->tile, panels * tsr_panel_bytes(s->format, s->k),
                         error);
}

/* Between two slices. */
static tsr_status may_go_on(const struct tsr_convert *c, struct tsr_error *error)
{
    if (c->options->stop != NULL && c->options->stop(c->options->data) != 0)
        return tsr_fail(error, TSR_INTERRUPTED, "conversion cancelled; nothing was written");
    return TSR_OK;
}

static tsr_status convert_tile(struct tsr_convert *c, size_t index, struct tsr_tile_loss *loss,
                               struct tsr_error *error)
{
    const struct tsr_slot *slot = &c->slots[index];
    const struct tsr_checkpoint_tensor *from =
        c->checkpoint != NULL ? source_tensor(c, slot) : NULL;
    const struct tsr_tile *const stored =
        from == NULL ? &tsr_gguf_tensor(c->model->file, slot->name)->tile : NULL;
    struct slice s = {.c = c,
                      .slot = slot,
                      .format = c->formats[index],
                      .k = tsr_slot_k(slot, c->formats[index]),
                      .row = slot->k,
                      .permute = from != NULL};
    /* the widest order of a row: channels padded to groups */
    const size_t widest = tsr_slot_k(slot, TSR_T8),
                 fit = SLICE_BYTES / (widest * sizeof(float)) / TSR_PANEL;
    const size_t step = (fit > 0 ? fit : 1) * TSR_PANEL,
                 most = step < slot->n ? step : tsr_round_up(slot->n, TSR_PANEL);
    tsr_status status = TSR_OK;

    c->wide = calloc(most, widest * sizeof(float));
    c->rows = calloc(most, widest * sizeof(float));
    c->tile = tsr_block_new(most / TSR_PANEL * tsr_panel_bytes(s.format, s.k));
    c->stored = stored != NULL
                    ? tsr_block_new(most / TSR_PANEL * tsr_panel_bytes(stored->format, stored->k))
                    : NULL;
    s.losses = calloc(most / TSR_PANEL, sizeof *s.losses);
    s.statuses = calloc(most / TSR_PANEL, sizeof *s.statuses);
    if (c->wide == NULL || c->rows == NULL || c->tile == NULL || s.losses == NULL ||
        s.statuses == NULL || (stored != NULL && c->stored == NULL))
        status = tsr_fail(error, TSR_MEMORY, "out of memory");
    for (size_t first = 0; first < slot->n && status == TSR_OK; first += step) {
        s.count = slot->n - first < step ? slot->n - first : step;
        status = read_rows(&s, from, first, error);
        if (status == TSR_OK)
            status = may_go_on(c, error);
        if (status == TSR_OK)
            status = pack_slice(&s, loss, error);
    }
    free(c->wide);
    free(c->rows);
    tsr_block_free(c->tile);
    tsr_block_free(c->stored);
    free(s.losses);
    free(s.statuses);
    return status;
}

/* Small tensors that stay f32, row-major. */
static tsr_status convert_plain(struct tsr_convert *c, size_t index, struct tsr_tile_loss *loss,
                                struct tsr_error *error)
{
    const struct tsr_slot *slot = &c->slots[index];
    const size_t count = slot->n * slot->k;
    float *values;
    tsr_status status;

    values = malloc(count * sizeof *values);
    if (values == NULL)
        return tsr_fail(error, TSR_MEMORY, "out of memory");
    const size_t skip = slot->third > 0 && c->official ? (size_t)slot->third * count : 0;
    if (c->checkpoint != NULL)
        status =
            tsr_checkpoint_read(c->checkpoint, source_tensor(c, slot), skip, count, values, error);
    else
        status = tsr_gguf_copy(c->model->file, tsr_gguf_tensor(c->model->file, slot->name), 0,
                               count * sizeof *values, values, error);
    for (size_t i = 0; i < count && status == TSR_OK; i++) {
        loss->value2 += (double)values[i] * values[i];
        if (!(values[i] - values[i] == 0))
            status = tsr_fail(error, TSR_MALFORMED, "tensor %s holds numbers that are not finite",
                              slot->name);
    }
    if (status == TSR_OK)
        status = tsr_gguf_data(c->writer, values, count * sizeof *values, error);
    free(values);
    return status;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static tsr_status declare(struct tsr_convert *c, struct tsr_error *error)
{
    tsr_status status = TSR_OK;

    for (size_t i = 0; i < c->count && status == TSR_OK; i++) {
        const struct tsr_slot *slot = &c->slots[i];
        status = tsr_gguf_declare(c->writer, slot->name, c->formats[i], slot->n,
                                  tsr_slot_k(slot, c->formats[i]), tsr_slot_plain(slot), error);
    }
    return status;
}

static void report(const struct tsr_convert *c, size_t index, const struct tsr_tile_loss *loss)
{
    const struct tsr_slot *slot = &c->slots[index];
    struct tsr_convert_report r = {.tensor = slot->name,
                                   .part = (enum tsr_part)slot->part,
                                   .format = c->formats[index],
                                   .n = slot->n,
                                   .k = tsr_slot_k(slot, c->formats[index]),
                                   .loss = *loss,
                                   .index = index,
                                   .count = c->count};
    r.bytes = tsr_slot_plain(slot) ? r.n * r.k * sizeof(float)
                                   : tsr_ceil_div(r.n, TSR_PANEL) * tsr_panel_bytes(r.format, r.k);
    if (c->options->report != NULL)
        c->options->report(c->options->data, &r);
}

static tsr_status write_file(struct tsr_convert *c, const char *path, struct tsr_error *error)
{
    tsr_status status = tsr_gguf_writer_new(&c->writer, path, error);

    if (status != TSR_OK || (status = write_metadata(c, error)) != TSR_OK ||
        (status = declare(c, error)) != TSR_OK ||
        (status = tsr_gguf_begin(c->writer, error)) != TSR_OK)
        return status;
    for (size_t i = 0; i < c->count && status == TSR_OK; i++) {
        struct tsr_tile_loss loss = {0};
        status = tsr_slot_plain(&c->slots[i]) ? convert_plain(c, i, &loss, error)
                                              : convert_tile(c, i, &loss, error);
        if (status == TSR_OK)
            report(c, i, &loss);
    }
    return status == TSR_OK ? tsr_gguf_finish(c->writer, error) : status;
}

/* Opens the source: a folder, or a GGUF file of ours, which must not be the target. */
static tsr_status open_source(struct tsr_convert *c, const char *source, const char *path,
                              struct tsr_error *error)
{
    struct stat in, out;

    if (stat(source, &in) != 0)
        return tsr_fail(error, TSR_IO, "%s: cannot be opened", source);
    if (S_ISDIR(in.st_mode)) {
        c->model = calloc(1, sizeof *c->model);
        return c->model != NULL ? tsr_source_folder(c, source, error)
                                : tsr_fail(error, TSR_MEMORY, "out of memory");
    }
    if (stat(path, &out) == 0 && in.st_dev == out.st_dev && in.st_ino == out.st_ino)
        return tsr_fail(error, TSR_USAGE, "%s: source and target are the same file", path);
    return tsr_model_open(&c->model, source, NULL, error);
}

static tsr_status check_options(const struct tsr_convert_options *o, struct tsr_error *error)
{
    int bad = o->format > TSR_T4;

    for (int i = 0; i < TSR_PARTS; i++)
        bad = bad || (o->part_format[i] > TSR_T4 && o->part_format[i] != ~0u);
    return bad ? tsr_fail(error, TSR_USAGE, "unknown format of matrices") : TSR_OK;
}

tsr_status tsr_convert(const char *source, const char *path,
                       const struct tsr_convert_options *options, struct tsr_error *error)
{
    struct tsr_convert c = {.options = options};
    struct tsr_walk walk = {.visit = note, .data = &c, .error = error, .status = TSR_OK};
    tsr_status status = check_options(options, error);

    if (status == TSR_OK)
        status = open_source(&c, source, path, error);
    if (status == TSR_OK) {
        c.model->net.family->walk(&walk, c.model->config, c.model->weights);
        status = walk.status;
    }
    if (status == TSR_OK)
        status = tsr_pool_new(&c.pool, NULL, error);
    if (status == TSR_OK)
        status = write_file(&c, path, error);
    tsr_gguf_writer_free(c.writer);
    tsr_pool_free(c.pool);
    tsr_checkpoint_close(c.checkpoint);
    tsr_model_close(c.model);
    free(c.slots);
    free(c.formats);
    return status;
}
