/*
 * run.h: what the files of model/run share: an opened model, and the reading of prompts into a
 * cache.
 *
 * Metadata of a GGUF file that is this room's: general.architecture, general.name,
 * "<family>.<field>" (families/family.h), tokenizer.ggml.{bos,eos,padding}_token_id, and
 *   tessera.picture.placeholder, .begin, .end   u32: the token that a picture's embeddings replace,
 * those around it tessera.picture.min_side                    u32: struct tsr_picture_rule
 *   tessera.picture.background                  u8 x 3;  .mean, .std  f32 x 3
 *   tessera.guidance                            f32: of drawings
 */
#ifndef TSR_RUN_H
#define TSR_RUN_H

#include "families/family.h"
#include "picture/picture.h"
#include "text/text.h"

#include <stdatomic.h>

struct tsr_model {
    atomic_uint holders; /* the opener, and each context: the last one to let go frees it */
    tsr_gguf *file;
    void *config, *weights;
    struct tsr_net net;
    tsr_tokenizer *tokenizer;
    struct tsr_template format;
    struct tsr_picture_rule rule;
    struct tsr_ids ids;
    float guidance;
    char *name;
    size_t part_bytes[TSR_PARTS];
    int tied; /* the text head is the embedding */
};

/* A context holds its model, so that closing the model first is no error; tsr_model_close lets go. */
void tsr_model_hold(const struct tsr_model *model);

/* k of a slot's tile in a format: the channels of a t8 convolution are padded to whole groups. */
size_t tsr_slot_k(const struct tsr_slot *slot, uint32_t format);
/* Whether the slot is stored plain (f32, row-major), and whether a tile format suits its kind. */
int tsr_slot_plain(const struct tsr_slot *slot);
int tsr_slot_takes(const struct tsr_slot *slot, uint32_t format);

/* u in [0, 1) from 24 bits of Philox 4x32-10: key seed, counter {position, draw, 0, 0}. */
float tsr_random(uint64_t seed, uint32_t position, uint32_t draw);

/* ---- prompts into a cache -------------------------------------------------------------------- */

enum { TSR_PIECE = 512 }; /* rows that go through the layers at once: bounds the buffers */

/* A prompt being read: ids in which the placeholders stand for rows of pictures, in order. */
struct tsr_reader {
    int32_t *ids;
    size_t count, done;
    struct tsr_picture *squares; /* preprocessed, owned */
    size_t picture_count;
    size_t placeholders; /* of those done */
    size_t loaded; /* pictures whose embeddings have been made; the last one's are in `seen` */
    float *seen;   /* [see_tokens, width] */
};

void tsr_reader_clear(struct tsr_reader *reader);

/* Appends ids (pictures' placeholders already expanded) and pictures; what has been read is
 * forgotten first. */
tsr_status tsr_reader_add(struct tsr_reader *reader, const struct tsr_model *model,
                          const int32_t *ids, size_t count, const struct tsr_picture *pictures,
                          size_t picture_count, const struct tsr_kernels *kernels, tsr_pool *pool,
                          struct tsr_error *error);

/* If a picture's embeddings are needed next, makes them and returns 1. */
int tsr_reader_see(struct tsr_exec *e, const struct tsr_model *model, struct tsr_reader *reader);

/* How many rows can be read next: at most TSR_PIECE, not into a picture that has not been seen. */
size_t tsr_reader_rows(const struct tsr_model *model, const struct tsr_reader *reader);

/* Reads the next `rows` into slot 0 of the cache at `start`; x [rows, width] is the trunk's output.
 */
void tsr_reader_step(struct tsr_exec *e, const struct tsr_model *model, struct tsr_reader *reader,
                     const struct tsr_cache *cache, size_t start, size_t rows, float *x);

/* The scratch memory of one picture's embeddings, for a dry run. */
void tsr_see_picture(struct tsr_exec *e, const struct tsr_model *model,
                     const struct tsr_picture *square, float *y);

#endif
