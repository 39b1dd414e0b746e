/*
 * test_convert.c: from checkpoint folders to GGUF files: both naming schemes give the same tensors,
 * a quantized file can be made of either a folder or a wider file, and whatever is wrong with a
 * folder is refused with the right code and the name of what is wrong.
 */
#include <config.h>

#include <criterion/criterion.h>

#include "models.h"
#include "npy.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* ---- help ------------------------------------------------------------------------------------ */

static char *path_of(const char *folder, const char *name)
{
    char *path = malloc(strlen(folder) + strlen(name) + 2);

    sprintf(path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *folder, const char *name, const void *data, size_t bytes)
{
    char *path = path_of(folder, name);
    FILE *stream = fopen(path, "wb");

    cr_assert(stream != NULL && fwrite(data, 1, bytes, stream) == bytes && fclose(stream) == 0);
    free(path);
}

/* A folder with a fixture's files (the expected arrays aside), but without `without` (may be NULL).
 */
static char *folder_like(const char *fixture, const char *without)
{
    char *folder = strdup("/tmp/tsr-convert-XXXXXX"), *data;
    DIR *files = opendir(fixture_path(fixture, ""));
    size_t bytes;

    cr_assert(mkdtemp(folder) != NULL && files != NULL);
    for (const struct dirent *entry; (entry = readdir(files)) != NULL;) {
        const char *name = entry->d_name;
        if (name[0] == '.' || strstr(name, ".npy") != NULL ||
            (without != NULL && strcmp(name, without) == 0))
            continue;
        cr_assert_eq(tsr_file_read(&data, &bytes, fixture_path(fixture, name), 1 << 30, NULL),
                     TSR_OK);
        write_file(folder, name, data, bytes);
        free(data);
    }
    closedir(files);
    return folder;
}

static void folder_remove(char *folder)
{
    DIR *files = opendir(folder);

    for (const struct dirent *entry; (entry = readdir(files)) != NULL;) {
        char *path = path_of(folder, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(path);
        free(path);
    }
    closedir(files);
    rmdir(folder);
    free(folder);
}

static struct tsr_convert_options to(uint32_t format)
{
    struct tsr_convert_options options = {.format = format};

    memset(options.part_format, 0xff, sizeof options.part_format);
    return options;
}

/* Converts source to folder/out.gguf. */
static tsr_status convert(const char *source, const char *folder, uint32_t format, char **path,
                          struct tsr_error *error)
{
    const struct tsr_convert_options options = to(format);

    *path = path_of(folder, "out.gguf");
    *error = (struct tsr_error){.message = ""};
    return tsr_convert(source, *path, &options, error);
}

static tsr_gguf *opened(const char *path)
{
    struct tsr_error error = {.message = ""};
    tsr_gguf *file;

    cr_assert_eq(tsr_gguf_open(&file, path, &(struct tsr_load_options){.verify = 1}, &error), TSR_OK, "%s", error.message);
    return file;
}

static void check_same_tensors(const tsr_gguf *a, const tsr_gguf *b)
{
    cr_assert_eq(tsr_gguf_tensor_count(a), tsr_gguf_tensor_count(b));
    cr_assert_gt(tsr_gguf_tensor_count(a), 50);
    for (size_t i = 0; i < tsr_gguf_tensor_count(a); i++) {
        const struct tsr_tensor *x = tsr_gguf_tensor_at(a, i);
        const struct tsr_tensor *y = tsr_gguf_tensor(b, x->name);
        cr_assert(y != NULL, "%s is missing", x->name);
        cr_assert_eq(x->tile.format, y->tile.format, "%s", x->name);
        cr_assert_eq(x->bytes, y->bytes, "%s", x->name);
        cr_assert(memcmp(x->tile.data, y->tile.data, x->bytes) == 0, "%s differs", x->name);
    }
}

/* ---- both naming schemes --------------------------------------------------------------------- */

/* A safetensors file being made: header and data. */
struct st_file {
    json_t *header;
    char *data;
    size_t bytes;
    const tsr_checkpoint *from;
    float *thirds[2]; /* of a fused matrix and its bias */
};

static void st_add(struct st_file *file, const char *name, json_t *shape, const float *values,
                   size_t count)
{
    const size_t end = file->bytes + count * sizeof *values;

    file->data = realloc(file->data, end);
    memcpy(file->data + file->bytes, values, count * sizeof *values);
    json_object_set_new(file->header, name,
                        json_pack("{s:s, s:o, s:[I,I]}", "dtype", "F32", "shape", shape,
                                  "data_offsets", (json_int_t)file->bytes, (json_int_t)end));
    file->bytes = end;
}

/* Visitor: the library's tensor under its official name and in its official shape. */
static tsr_status rename_tensor(void *data, const struct tsr_slot *slot, struct tsr_error *error)
{
    struct st_file *file = data;
    const struct tsr_checkpoint_tensor *tensor = tsr_checkpoint_find(file->from, slot->library);
    float *values = malloc(tensor->count * sizeof *values);
    const tsr_status status =
        tsr_checkpoint_read(file->from, tensor, 0, tensor->count, values, error);
    json_t *shape = json_array();

    if (strstr(slot->official, "pos_embed") != NULL)
        json_array_append_new(shape, json_integer(1));
    for (unsigned i = 0; i < tensor->dims; i++)
        json_array_append_new(shape, json_integer((json_int_t)tensor->shape[i]));
    if (slot->third >= 0) {
        float **all = &file->thirds[slot->bias];
        *all = realloc(*all, 3 * tensor->count * sizeof **all);
        memcpy(*all + (size_t)slot->third * tensor->count, values, tensor->count * sizeof **all);
        json_array_set_new(shape, 0, json_integer((json_int_t)tensor->shape[0] * 3));
        if (slot->third == 2)
            st_add(file, slot->official, json_incref(shape), *all, 3 * tensor->count);
    } else {
        st_add(file, slot->official, json_incref(shape), values, tensor->count);
    }
    json_decref(shape);
    free(values);
    return status;
}

static void st_write(struct st_file *file, const char *folder)
{
    char *header = json_dumps(file->header, JSON_COMPACT);
    const uint64_t length = strlen(header);
    char *all = malloc(8 + length + file->bytes);

    memcpy(all, &length, 8);
    memcpy(all + 8, header, length);
    memcpy(all + 8 + length, file->data, file->bytes);
    write_file(folder, "model.safetensors", all, 8 + length + file->bytes);
    free(all);
    free(header);
    free(file->data);
    free(file->thirds[0]);
    free(file->thirds[1]);
    json_decref(file->header);
}

static const char official_config[] =
    "{\"model_type\": \"multi_modality\", \"vision_config\": {\"params\": {\"image_size\": 18,"
    " \"select_layer\": -1}}, \"aligner_config\": {\"params\": {\"depth\": 2, \"input_dim\": 24,"
    " \"n_embed\": 40, \"projector_type\": \"mlp_gelu\"}}, \"gen_vision_config\": {\"params\":"
    " {\"image_token_size\": 100, \"n_embed\": 6}}, \"language_config\": {\"hidden_size\": 40,"
    " \"intermediate_size\": 108, \"max_position_embeddings\": 512, \"num_attention_heads\": 5,"
    " \"num_hidden_layers\": 2, \"vocab_size\": 523}}";

Test(convert, both_naming_schemes_give_the_same_tensors)
{
    char *library = folder_like(model_fixtures[0], NULL), *path, *official_path;
    char *official = folder_like(model_fixtures[0], "model.safetensors");
    struct tsr_error error;
    struct st_file file = {.header = json_object()};
    tsr_checkpoint *checkpoint;
    tsr_model *model;

    cr_assert_eq(convert(library, library, TSR_F32, &path, &error), TSR_OK, "%s", error.message);
    cr_assert_eq(tsr_model_open(&model, path, NULL, &error), TSR_OK, "%s", error.message);
    cr_assert_eq(tsr_checkpoint_open(&checkpoint, library, &error), TSR_OK, "%s", error.message);
    file.from = checkpoint;
    struct tsr_walk walk = {.visit = rename_tensor, .data = &file, .error = &error};
    model->net.family->walk(&walk, model->config, model->weights);
    cr_assert_eq(walk.status, TSR_OK);
    st_write(&file, official);
    tsr_checkpoint_close(checkpoint);
    tsr_model_close(model);
    char *config = path_of(official, "config.json");
    unlink(config);
    write_file(official, "config.json", official_config, strlen(official_config));
    cr_assert_eq(convert(official, official, TSR_F32, &official_path, &error), TSR_OK, "%s",
                 error.message);
    tsr_gguf *a = opened(path), *b = opened(official_path);
    check_same_tensors(a, b);
    tsr_gguf_close(a);
    tsr_gguf_close(b);
    free(config);
    free(path);
    free(official_path);
    folder_remove(library);
    folder_remove(official);
}

/* ---- from a GGUF file ------------------------------------------------------------------------ */

Test(convert, a_wider_file_gives_what_the_folder_gives)
{
    static const uint32_t formats[] = {TSR_F32, TSR_F16, TSR_BF16, TSR_T8, TSR_T4};

    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        char *first = folder_like(model_fixtures[1], NULL), *second = strdup("/tmp/tsr-two-XXXXXX");
        char *wide, *direct, *again;
        struct tsr_error error;
        cr_assert(mkdtemp(second) != NULL);
        cr_assert_eq(convert(first, first, TSR_F32, &wide, &error), TSR_OK, "%s", error.message);
        cr_assert_eq(convert(wide, second, formats[i], &again, &error), TSR_OK, "%s",
                     error.message);
        tsr_gguf *b = opened(again);
        cr_assert_eq(convert(first, first, formats[i], &direct, &error), TSR_OK);
        tsr_gguf *a = opened(direct);
        check_same_tensors(a, b);
        tsr_gguf_close(a);
        tsr_gguf_close(b);
        free(wide);
        free(direct);
        free(again);
        folder_remove(first);
        folder_remove(second);
    }
}

Test(convert, a_file_is_not_converted_onto_itself)
{
    char *folder = folder_like(model_fixtures[0], NULL), *path, *same;
    struct tsr_error error;

    cr_assert_eq(convert(folder, folder, TSR_F32, &path, &error), TSR_OK);
    cr_assert_eq(convert(path, folder, TSR_T8, &same, &error), TSR_USAGE);
    tsr_gguf_close(opened(path));
    free(path);
    free(same);
    folder_remove(folder);
}

/* ---- formats, report ------------------------------------------------------------------------- */

struct seen {
    size_t count, stop_at;
    double worst[TSR_T4 + 1];
    uint32_t format[TSR_PARTS];
};

static void note(void *data, const struct tsr_convert_report *report)
{
    struct seen *seen = data;
    const double error2 = report->loss.error2, value2 = report->loss.value2;

    cr_assert_eq(report->index, seen->count);
    if (error2 / value2 > seen->worst[report->format])
        seen->worst[report->format] = error2 / value2;
    if (report->k >= 64 && report->n > 1 && report->format > seen->format[report->part])
        seen->format[report->part] = report->format;
    seen->count++;
}

static int stop(void *data)
{
    const struct seen *seen = data;
    return seen->stop_at > 0 && seen->count >= seen->stop_at;
}

Test(convert, q4_0_is_for_the_layers_unless_a_part_asks)
{
    char *folder = folder_like(model_fixtures[1], NULL), *path = path_of(folder, "out.gguf");
    struct seen seen = {.stop_at = 0};
    struct tsr_convert_options options = to(TSR_T4);

    options.report = note;
    options.data = &seen;
    options.part_format[TSR_PART_SEE] = TSR_F16;
    cr_assert_eq(tsr_convert(folder, path, &options, NULL), TSR_OK);
    cr_assert_eq(seen.format[TSR_PART_LM], TSR_T4);
    cr_assert_eq(seen.format[TSR_PART_EMBED], TSR_T8);
    cr_assert_eq(seen.format[TSR_PART_SEE], TSR_F16);
    cr_assert_eq(seen.format[TSR_PART_DECODER], TSR_T8);
    cr_assert(seen.worst[TSR_T4] > 1e-4 && seen.worst[TSR_T4] < 0.02, "%g", seen.worst[TSR_T4]);
    cr_assert(seen.worst[TSR_T8] > 1e-7 && seen.worst[TSR_T8] < 1e-4, "%g", seen.worst[TSR_T8]);
    free(path);
    folder_remove(folder);
}

Test(convert, a_stopped_conversion_leaves_nothing)
{
    char *folder = folder_like(model_fixtures[0], NULL), *path = path_of(folder, "out.gguf");
    struct seen seen = {.stop_at = 9};
    struct tsr_convert_options options = to(TSR_T8);
    size_t files = 0;

    options.report = note;
    options.stop = stop;
    options.data = &seen;
    cr_assert_eq(tsr_convert(folder, path, &options, NULL), TSR_INTERRUPTED);
    DIR *entries = opendir(folder);
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL; files++)
        cr_assert(strstr(entry->d_name, "out.gguf") == NULL, "%s is left", entry->d_name);
    cr_assert_gt(files, 10);
    closedir(entries);
    free(path);
    folder_remove(folder);
}

/* ---- bad folders ----------------------------------------------------------------------------- */

static void check_refused(const char *folder, tsr_status status, const char *word, const char *what)
{
    struct tsr_error error;
    struct stat state;
    char *path;

    cr_assert_eq(convert(folder, folder, TSR_T8, &path, &error), status, "%s: %d, %s", what,
                 error.status, error.message);
    cr_assert(strstr(error.message, word) != NULL, "%s: \"%s\" does not name %s", what,
              error.message, word);
    cr_assert_neq(stat(path, &state), 0, "%s: a file is left", what);
    free(path);
}

Test(convert, folders_that_lack_a_file_are_refused)
{
    static const char *const files[] = {"config.json", "tokenizer.json"};

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *folder = folder_like(model_fixtures[0], files[i]);
        check_refused(folder, TSR_IO, files[i], files[i]);
        folder_remove(folder);
    }
}

/* ---- bad GGUF files, with checksums that are right ------------------------------------------- */

/* A file's bytes, and where its header and its checksums end. */
struct bytes {
    char *data;
    size_t size, header, crc;
};

static struct bytes bytes_read(const char *path)
{
    struct bytes bytes = {.header = SIZE_MAX};
    tsr_gguf *file = opened(path);

    for (size_t i = 0; i < tsr_gguf_tensor_count(file); i++) {
        const struct tsr_tensor *tensor = tsr_gguf_tensor_at(file, i);
        if (tensor->offset < bytes.header)
            bytes.header = tensor->offset;
        if (tsr_round_up(tensor->offset + tensor->bytes, 64) > bytes.crc)
            bytes.crc = tsr_round_up(tensor->offset + tensor->bytes, 64);
    }
    tsr_gguf_close(file);
    cr_assert_eq(tsr_file_read(&bytes.data, &bytes.size, path, 1 << 30, NULL), TSR_OK);
    uint32_t crc;
    memcpy(&crc, bytes.data + bytes.crc, sizeof crc);
    cr_assert_eq(crc, (uint32_t)crc32_z(0, (void *)bytes.data, bytes.header));
    return bytes;
}

static char *find(const struct bytes *bytes, const char *text)
{
    const size_t length = strlen(text);

    for (size_t i = 0; i + length < bytes->header; i++)
        if (memcmp(bytes->data + i, text, length) == 0)
            return bytes->data + i;
    cr_assert(0, "no %s in the header", text);
    return NULL;
}

/* Writes the file with `size` bytes at `at` replaced, and the header's checksum made anew. */
static void write_changed(const struct bytes *bytes, char *at, const void *change, size_t size,
                          const char *folder)
{
    char saved[64];

    memcpy(saved, at, size);
    memcpy(at, change, size);
    const uint32_t crc = (uint32_t)crc32_z(0, (void *)bytes->data, bytes->header);
    memcpy(bytes->data + bytes->crc, &crc, sizeof crc);
    write_file(folder, "bad.gguf", bytes->data, bytes->size);
    memcpy(at, saved, size);
}

static void check_not_opened(const char *folder, tsr_status status, const char *word)
{
    struct tsr_error error = {.message = ""};
    char *path = path_of(folder, "bad.gguf");
    tsr_model *model;

    cr_assert_eq(tsr_model_open(&model, path, NULL, &error), status, "%s: %d, %s", word,
                 error.status, error.message);
    cr_assert(strstr(error.message, word) != NULL && strstr(error.message, path) != NULL,
              "\"%s\" does not name %s", error.message, word);
    free(path);
}

Test(convert, a_file_that_lies_is_not_opened)
{
    static const struct {
        const char *key; /* of a u32 */
        uint32_t value;
        const char *word;
    } numbers[] = {
        {"janus.vocab_size", 524, "token_embd"},
        {"janus.vocab_size", 0, "janus.vocab_size"},
        {"janus.embedding_length", 41, "token_embd"},
        {"janus.embedding_length", UINT32_MAX, "janus.embedding_length"},
        {"janus.feed_forward_length", 107, "ffn_gate"},
        {"janus.block_count", 3, "blk.2."},
        {"janus.block_count", 0, "janus.block_count"},
        {"janus.block_count", 1000000, "janus.block_count"},
        {"janus.attention.head_count", 0, "janus.attention.head_count"},
        {"janus.attention.head_count", 10, "attn_q"},
        {"janus.attention.head_count_kv", 3, "num_key_value_heads"},
        {"janus.attention.key_length", 6, "attn_q"},
        {"janus.vision.patch_size", 0, "janus.vision.patch_size"},
        {"janus.vision.patch_size", 9, "v.patch_embd"},
        {"janus.vision.image_size", 6, "v.position_embd"},
        {"janus.vq.block_count", 2, "vq."},
        {"janus.vq.codebook_size", 16384, "gen."},
        {"janus.rope.freq_base", 0x7fc00000, "janus.rope.freq_base"},
        {"tokenizer.ggml.eos_token_id", 523, "tokenizer.ggml.eos_token_id"},
        {"tessera.picture.placeholder", 600, "tessera.picture.placeholder"},
        {"tessera.picture.min_side", 19, "tessera.picture.min_side"},
        {"tessera.guidance", 0x7fc00000, "tessera.guidance"},
    };
    static const struct {
        const char *text, *to;
        tsr_status status;
        const char *word;
    } texts[] = {
        {"blk.1.attn_k.weight", "blk.1.attn_j.weight", TSR_MALFORMED, "blk.1.attn_k.weight"},
        {"vq.dec.out.bias", "vq.dec.out.bits", TSR_MALFORMED, "vq.dec.out.bias"},
        {"janus.vq.level_lengths", "janus.vq.level_longths", TSR_MALFORMED, "level_lengths"},
        {"general.architecture", "general.architectura", TSR_MALFORMED, "general.architecture"},
    };
    char *folder = folder_like(model_fixtures[0], NULL), *path;
    struct tsr_error error;
    uint32_t value;

    cr_assert_eq(convert(folder, folder, TSR_T8, &path, &error), TSR_OK);
    struct bytes bytes = bytes_read(path);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char *at = find(&bytes, numbers[i].key) + strlen(numbers[i].key) + 4;
        memcpy(&value, at - 4, 4);
        cr_assert(value == TSR_GGUF_U32 || value == TSR_GGUF_F32, "%s", numbers[i].key);
        write_changed(&bytes, at, &numbers[i].value, 4, folder);
        check_not_opened(folder, TSR_MALFORMED, numbers[i].word);
    }
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        write_changed(&bytes, find(&bytes, texts[i].text), texts[i].to, strlen(texts[i].to),
                      folder);
        check_not_opened(folder, texts[i].status, texts[i].word);
    }
    free(bytes.data);
    free(path);
    folder_remove(folder);
}
