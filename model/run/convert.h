/*
 * convert.h: the state of a conversion, shared by source.c (what a folder says) and convert.c
 * (tensors). Private.
 */
#ifndef TSR_CONVERT_H
#define TSR_CONVERT_H

#include "run/config.h"
#include "run/run.h"

struct tsr_convert {
    struct tsr_model *model;    /* of a folder: without file and tensors; of a GGUF: opened */
    tsr_checkpoint *checkpoint; /* of a folder, else NULL */
    int official;               /* its naming scheme */
    const struct tsr_convert_options *options;
    tsr_gguf_writer *writer;
    struct tsr_slot *slots; /* the tensors that will be written */
    uint32_t *formats;      /* [count] */
    size_t count, room;
    tsr_pool *pool;
    float *wide;     /* a slice as f32, in the order of the source */
    uint8_t *stored; /* the same as it lies in a GGUF file */
    float *rows;     /* the same in the order of the tile */
    uint8_t *tile;   /* the same, packed */
};

/* Reads everything but the tensors of a Hugging Face folder into convert->model. */
tsr_status tsr_source_folder(struct tsr_convert *convert, const char *folder,
                             struct tsr_error *error);

/* folder/name; the caller frees it. */
char *tsr_path_join(const char *folder, const char *name);

#endif
