/*
 * checkpoint.c: a Hugging Face checkpoint folder: model.safetensors, or the shards that
 * model.safetensors.index.json names.
 *
 * Every header is read and checked when the folder is opened; data is read on demand, by positioned
 * reads, so one checkpoint serves any number of threads. The index may only name files of the
 * folder itself: no path, and no symbolic link that leads out of it, except to where the cache of
 * huggingface_hub keeps the files of a snapshot (MODEL/snapshots/REVISION/file ->
 * MODEL/blobs/hash).
 */
#include <config.h>

#include "checked.h"
#include "half.h"
#include "input.h"
#include "json.h"
#include "names.h"
#include "safetensors.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { INDEX_MAX = 64 << 20 };

struct shard {
    struct tsr_input in;
    char *name;
};

struct tsr_checkpoint {
    char name[96]; /* of the folder, for messages */
    char *folder;  /* resolved */
    struct shard *shards;
    size_t shard_count;
    struct tsr_safetensors tensors;
    struct tsr_name *names; /* [tensors.count], sorted */
};

static tsr_status out_of_memory(const tsr_checkpoint *c, struct tsr_error *error)
{
    return tsr_fail(error, TSR_MEMORY, "%s: out of memory", c->name);
}

/* "folder/name", to be freed; NULL: no memory. */
static char *join(const char *folder, const char *name)
{
    size_t bytes = strlen(folder) + strlen(name) + 2;
    char *path = malloc(bytes);

    if (path != NULL)
        snprintf(path, bytes, "%s/%s", folder, name);
    return path;
}

/* ---- shards ---- */

/* May the resolved `path` of a shard be read? In the folder itself, or the blobs of its snapshot.
 */
static int is_inside(const char *folder, const char *path)
{
    size_t length = strlen(folder), parent = (size_t)(strrchr(path, '/') - path);
    const char *revision = strrchr(folder, '/');
    static const char snapshots[] = "/snapshots", blobs[] = "/blobs";
    size_t up = (size_t)(revision - folder), model;

    if (parent == length && strncmp(path, folder, length) == 0)
        return 1;
    if (up < sizeof snapshots - 1)
        return 0;
    model = up - (sizeof snapshots - 1); /* bytes of MODEL */
    return strncmp(folder + model, snapshots, sizeof snapshots - 1) == 0 &&
           parent == model + sizeof blobs - 1 && strncmp(path, folder, model) == 0 &&
           strncmp(path + model, blobs, sizeof blobs - 1) == 0;
}

static tsr_status open_shard(tsr_checkpoint *c, const char *name, struct tsr_error *error)
{
    struct shard *shard = &c->shards[c->shard_count];
    char *path, *resolved;
    tsr_status status;

    if (name[0] == '\0' || strchr(name, '/') != NULL || strcmp(name, "..") == 0 ||
        strcmp(name, ".") == 0)
        return tsr_fail(error, TSR_MALFORMED,
                        "%s: shard '%.64s' has a path outside of the model folder", c->name, name);
    path = join(c->folder, name);
    if (path == NULL)
        return out_of_memory(c, error);
    resolved = realpath(path, NULL);
    if (resolved == NULL) {
        status = tsr_fail(error, errno == ENOMEM ? TSR_MEMORY : TSR_IO, "%s: shard '%.64s' cannot be opened: %s", c->name, name,
                          strerror(errno));
    } else if (!is_inside(c->folder, resolved)) {
        status = tsr_fail(error, TSR_MALFORMED,
                          "%s: shard '%.64s' is a link to a path outside of the model folder",
                          c->name, name);
    } else {
        status = tsr_input_open(&shard->in, AT_FDCWD, resolved, error);
        tsr_short_name(shard->in.name, path);
    }
    free(path);
    free(resolved);
    if (status != TSR_OK)
        return status;
    shard->name = strdup(name);
    c->shard_count++;
    if (shard->name == NULL)
        return out_of_memory(c, error);
    return tsr_safetensors_read(&c->tensors, &shard->in, c->shard_count - 1, error);
}

static tsr_status index_tensors(tsr_checkpoint *c, struct tsr_error *error)
{
    const struct tsr_name *twice;
    struct tsr_safetensor *list = c->tensors.list;

    c->names = calloc(c->tensors.count + 1, sizeof *c->names);
    if (c->names == NULL)
        return out_of_memory(c, error);
    for (size_t i = 0; i < c->tensors.count; i++)
        c->names[i] = (struct tsr_name){list[i].facts.name, i};
    twice = tsr_names_sort(c->names, c->tensors.count);
    if (twice != NULL)
        return tsr_fail(error, TSR_MALFORMED,
                        "%s: tensor '%.64s' is in two shards, '%.40s' and '%.40s'", c->name,
                        twice->text, c->shards[list[twice[-1].index].shard].name,
                        c->shards[list[twice->index].shard].name);
    return TSR_OK;
}

static tsr_status open_single(tsr_checkpoint *c, const char *name, struct tsr_error *error)
{
    tsr_status status;

    c->shards = calloc(1, sizeof *c->shards);
    if (c->shards == NULL)
        return out_of_memory(c, error);
    status = open_shard(c, name, error);
    return status == TSR_OK ? index_tensors(c, error) : status;
}

/* ---- the index ---- */

/* Opens each file that the values of weight_map name, once. */
static tsr_status open_shards(tsr_checkpoint *c, json_t *map, const char *index,
                              struct tsr_error *error)
{
    size_t count = 0;
    const char *tensor;
    json_t *file;
    tsr_status status = TSR_OK;
    struct tsr_name *files = calloc(json_object_size(map) + 1, sizeof *files);

    c->shards = calloc(json_object_size(map) + 1, sizeof *c->shards);
    if (files == NULL || c->shards == NULL)
        status = out_of_memory(c, error);
    if (status == TSR_OK)
        json_object_foreach(map, tensor, file)
        {
            if (!json_is_string(file)) {
                status = tsr_fail(error, TSR_MALFORMED,
                                  "%s: weight_map: the file of '%.64s' is not text", index, tensor);
                break;
            }
            files[count].text = json_string_value(file);
            files[count].index = count;
            count++;
        }
    if (status == TSR_OK)
        tsr_names_sort(files, count);
    for (size_t i = 0; status == TSR_OK && i < count; i++)
        if (i == 0 || strcmp(files[i - 1].text, files[i].text) != 0)
            status = open_shard(c, files[i].text, error);
    free(files);
    return status;
}

/* Every tensor of weight_map is in the file that it says. */
static tsr_status check_map(const tsr_checkpoint *c, json_t *map, struct tsr_error *error)
{
    const char *tensor;
    json_t *file;

    json_object_foreach(map, tensor, file)
    {
        size_t found = tsr_names_find(c->names, c->tensors.count, tensor);

        if (found == SIZE_MAX ||
            strcmp(c->shards[c->tensors.list[found].shard].name, json_string_value(file)) != 0)
            return tsr_fail(error, TSR_MALFORMED,
                            "%s: shard '%.64s' lacks tensor '%.64s', which the index names",
                            c->name, json_string_value(file), tensor);
    }
    return TSR_OK;
}

static tsr_status open_index(tsr_checkpoint *c, const char *path, struct tsr_error *error)
{
    char name[96];
    json_t *root, *map;
    tsr_status status = tsr_json_read(&root, path, INDEX_MAX, error);

    if (status != TSR_OK)
        return status;
    tsr_short_name(name, path);
    map = json_object_get(root, "weight_map");
    status = json_is_object(map)
                 ? open_shards(c, map, name, error)
                 : tsr_fail(error, TSR_MALFORMED, "%s: weight_map is not an object", name);
    if (status == TSR_OK)
        status = index_tensors(c, error);
    if (status == TSR_OK)
        status = check_map(c, map, error);
    json_decref(root);
    return status;
}

/* ---- folders that hold something else ---- */

static int ends(const char *name, const char *end)
{
    size_t length = strlen(name), tail = strlen(end);

    return length >= tail && strcmp(name + length - tail, end) == 0;
}

/* Says what to use instead. */
static tsr_status nothing_to_read(const tsr_checkpoint *c, struct tsr_error *error)
{
    DIR *folder = opendir(c->folder);
    int pickle = 0, gguf = 0, other = 0;

    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        pickle |= ends(entry->d_name, ".bin") || ends(entry->d_name, ".pt") ||
                  ends(entry->d_name, ".pth") || ends(entry->d_name, ".bin.index.json");
        gguf |= ends(entry->d_name, ".gguf");
        other |= ends(entry->d_name, ".safetensors");
    }
    if (folder != NULL)
        closedir(folder);
    if (pickle && !other)
        return tsr_fail(error, TSR_UNSUPPORTED,
                        "%s: holds PyTorch pickles (.bin), which are not read: use a safetensors "
                        "version of the "
                        "model, such as deepseek-community/Janus-Pro-1B",
                        c->name);
    if (gguf && !other)
        return tsr_fail(error, TSR_UNSUPPORTED,
                        "%s: holds GGUF files: give the safetensors folder of the model", c->name);
    if (other)
        return tsr_fail(
            error, TSR_UNSUPPORTED,
            "%s: its safetensors files are not named model.safetensors, and there is no "
            "model.safetensors.index.json",
            c->name);
    return tsr_fail(error, TSR_IO, "%s: no model.safetensors in the folder", c->name);
}

static tsr_status open_folder(tsr_checkpoint *c, const char *folder, struct tsr_error *error)
{
    struct stat facts;
    char *single, *index;
    tsr_status status;

    c->folder = realpath(folder, NULL);
    if (c->folder == NULL || stat(c->folder, &facts) != 0)
        return tsr_fail(error, errno == ENOMEM ? TSR_MEMORY : TSR_IO, "%s: cannot open: %s", c->name,
                        strerror(errno));
    if (!S_ISDIR(facts.st_mode))
        return tsr_fail(
            error, TSR_UNSUPPORTED,
            "%s: not a folder: give the one that holds config.json and the safetensors files",
            c->name);
    single = join(c->folder, "model.safetensors");
    index = join(c->folder, "model.safetensors.index.json");
    if (single == NULL || index == NULL)
        status = out_of_memory(c, error);
    else if (lstat(single, &facts) == 0)
        status = open_single(c, "model.safetensors", error);
    else if (lstat(index, &facts) == 0)
        status = open_index(c, index, error);
    else
        status = nothing_to_read(c, error);
    free(single);
    free(index);
    return status;
}

tsr_status tsr_checkpoint_open(tsr_checkpoint **checkpoint, const char *folder,
                               struct tsr_error *error)
{
    tsr_checkpoint *c = calloc(1, sizeof *c);
    tsr_status status;

    if (c == NULL)
        return tsr_fail(error, TSR_MEMORY, "out of memory");
    tsr_short_name(c->name, folder);
    status = open_folder(c, folder, error);
    if (status != TSR_OK)
        tsr_checkpoint_close(c);
    else
        *checkpoint = c;
    return status;
}

void tsr_checkpoint_close(tsr_checkpoint *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->shard_count; i++) {
        tsr_input_close(&c->shards[i].in);
        free(c->shards[i].name);
    }
    free(c->shards);
    tsr_safetensors_free(&c->tensors);
    free(c->names);
    free(c->folder);
    free(c);
}

/* ---- tensors ---- */

size_t tsr_checkpoint_count(const tsr_checkpoint *c)
{
    return c->tensors.count;
}

const struct tsr_checkpoint_tensor *tsr_checkpoint_at(const tsr_checkpoint *c, size_t index)
{
    return index < c->tensors.count ? &c->tensors.list[index].facts : NULL;
}

const struct tsr_checkpoint_tensor *tsr_checkpoint_find(const tsr_checkpoint *c, const char *name)
{
    size_t index = tsr_names_find(c->names, c->tensors.count, name);

    return index == SIZE_MAX ? NULL : &c->tensors.list[index].facts;
}

static void to_f32(float *out, const void *raw, size_t count, enum tsr_dtype dtype)
{
    const uint16_t *half = raw;
    const double *wide = raw;

    switch (dtype) {
    case TSR_DTYPE_F16:
        for (size_t i = 0; i < count; i++)
            out[i] = tsr_f16_to_f32(half[i]);
        break;
    case TSR_DTYPE_BF16:
        for (size_t i = 0; i < count; i++)
            out[i] = tsr_bf16_to_f32(half[i]);
        break;
    case TSR_DTYPE_F64:
        for (size_t i = 0; i < count; i++)
            out[i] = (float)wide[i];
        break;
    default:
        memcpy(out, raw, count * sizeof *out);
    }
}

tsr_status tsr_checkpoint_read(const tsr_checkpoint *c, const struct tsr_checkpoint_tensor *facts,
                               size_t first, size_t count, float *out, struct tsr_error *error)
{
    /* `facts` is the first member of what tsr_checkpoint_at and _find point into. */
    const struct tsr_safetensor *tensor = (const struct tsr_safetensor *)(const void *)facts;
    const struct tsr_input *in = &c->shards[tensor->shard].in;
    double raw[4096]; /* aligned for every dtype */
    size_t most = sizeof raw / tensor->element_bytes;

    if (tensor->dtype == TSR_DTYPE_OTHER)
        return tsr_fail(error, TSR_UNSUPPORTED, "%s: tensor '%.80s': dtype %s is not supported",
                        in->name, facts->name, tensor->dtype_name);
    if (!tsr_checked_range(first, count, facts->count))
        return tsr_fail(error, TSR_INTERNAL, "%s: tensor '%.80s': elements %zu + %zu of %zu",
                        in->name, facts->name, first, count, facts->count);
    for (size_t done = 0; done < count;) {
        size_t piece = count - done < most ? count - done : most;
        tsr_status status =
            tsr_input_read(in, tensor->offset + (uint64_t)(first + done) * tensor->element_bytes,
                           raw, piece * tensor->element_bytes, error);

        if (status != TSR_OK)
            return status;
        to_f32(out + done, raw, piece, tensor->dtype);
        done += piece;
    }
    return TSR_OK;
}
