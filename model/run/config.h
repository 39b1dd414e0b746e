/*
 * config.h: a family's configuration read from a checkpoint's config.json, or from a GGUF file, and
 * written to one. Every number is checked against the family's table; an error names the field.
 * Private to model/run.
 */
#ifndef TSR_CONFIG_H
#define TSR_CONFIG_H

#include "families/family.h"
#include "json.h"

/* Where a checkpoint's config comes from. */
struct tsr_source {
    const json_t *root; /* config.json */
    const tsr_checkpoint *checkpoint;
    int official; /* naming scheme */
};

/* The value at a path "a.b.c" below root; NULL when absent. */
const json_t *tsr_json_at(const json_t *root, const char *path, size_t length);

/* A number at `path` in low..high, or `fallback` when absent. `file` is for the error. */
tsr_status tsr_json_number(const json_t *root, const char *file, const char *path, double low,
                           double high, double fallback, double *value, struct tsr_error *error);

/* Fills the family's config struct and checks it. */
tsr_status tsr_config_from_source(const struct tsr_family *family, const struct tsr_source *source,
                                  void *config, struct tsr_error *error);
tsr_status tsr_config_from_gguf(const struct tsr_family *family, const tsr_gguf *file, void *config,
                                struct tsr_error *error);
tsr_status tsr_config_to_gguf(const struct tsr_family *family, const void *config,
                              tsr_gguf_writer *writer, struct tsr_error *error);

#endif
